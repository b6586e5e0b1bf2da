"""Internal services: what they say, what is logged and counted, and that no client costs another."""
import os
import re
import selectors
import signal
import socket
import struct
import subprocess
import threading
import time

import pytest

from harness import *
from procs import engine, rss

covers = pytest.mark.covers
sandbox = pytest.mark.needs_sandbox

DAYTIME = re.compile(rb"^\d\d (JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC) \d{4} \d\d:\d\d:\d\d (\S+)\r\n$")


def ask(port, addr="127.0.0.1", n=100):
    """What a client that says nothing is told."""
    s = connect(port, addr)
    try:
        return recv_n(s, n)
    finally:
        s.close()


# ------------------------------------------------------------ streams

@covers("INTL-5")
def test_chargen_says_what_the_original_says(beside, ports):
    said = []
    for daemon in beside:
        a, = ports(1)
        daemon.boot(internal("chargen", a), up=[a])
        said.append(ask(a, n=20000))
    assert said[0] == said[1] and len(said[0]) == 20000


@covers("INTL-3", "INTL-4", "INTL-8", "ACC-4")
@pytest.mark.parametrize("bind", ["127.0.0.1", "::1", "::"])
def test_time_and_daytime_are_told_at_once_and_logged_without_a_process(daemon, ports, bind):
    a, b = ports(2)
    daemon.boot(logdefaults(daemon), internal("time", a, bind=bind), internal("daytime", b, bind=bind), up=[a, b])
    addr = "::1" if bind == "::1" else "127.0.0.1"
    before = int(time.time())
    seconds, = struct.unpack("!I", ask(a, addr))
    # time(2) may be a tick of the kernel behind.
    assert before - 1 <= seconds - 2208988800 <= time.time()
    assert DAYTIME.match(ask(b, addr))
    if bind != "::":                    # BIND-11
        daemon.wait_log("START: daytime")
        assert daemon.log() == ["START: time-stream pid=0 from=" + addr, "START: daytime-stream pid=0 from=" + addr]


@covers("INTL-4")
def test_daytime_has_the_zone_of_the_daemon(beside, ports):
    for daemon in beside:
        a, = ports(1)
        daemon.boot(internal("daytime", a), up=[a], env=dict(os.environ, TZ="XYZ-5:30"))
        day = lambda: time.strftime("%d %b %Y", time.gmtime(time.time() + 5.5 * 3600)).upper()
        before, text = day(), ask(a)
        assert DAYTIME.match(text).group(2) == b"XYZ"
        assert text[:11].decode() in (before, day())


@covers("LIM-2", "IDENT-7")
def test_who_does_not_stay_is_not_counted(daemon, ports):
    a, b = ports(2)
    daemon.boot(logdefaults(daemon), internal("time", a, instances="0"), internal("daytime", b, instances="1", per_source="1"), up=[a, b])
    assert ask(a) == b""
    daemon.wait_log("^FAIL: time-stream service_limit from=127.0.0.1$")
    assert all(DAYTIME.match(ask(b)) for _ in range(5))


@covers("LIM-1", "LIM-3")
def test_who_stays_is_counted(xd, ports):
    a, = ports(1)
    xd.boot(logdefaults(xd), internal("chargen", a, instances="1"), up=[a])
    first = connect(a)
    assert len(recv_n(first, 100)) == 100
    assert talk(a) == b""
    xd.wait_log("^FAIL: chargen-stream service_limit")
    first.close()
    xd.wait_log("^EXIT: chargen-stream status=0")
    assert len(ask(a)) == 100


@covers("INTL-9")
def test_wait_makes_no_difference_to_who_is_served(xd, ports):
    a, b = ports(2)
    xd.boot(logdefaults(xd), internal("echo", a, wait="yes"), internal("daytime", b, wait="yes", only_from="127.0.0.9"), up=[a, b])
    clients = [connect(a) for _ in range(3)]
    for s in clients:
        s.sendall(b"at once")
        assert recv_n(s, 7) == b"at once"
    assert ask(b) == b"" and DAYTIME.match(talk(b, src="127.0.0.9"))
    xd.wait_log("^FAIL: daytime-stream address from=127.0.0.1$")
    xd.wait_log("^START: daytime-stream pid=0 from=<no address>$")


@covers("INTL-10")
def test_a_reload_that_takes_a_service_away_ends_its_sessions(xd, ports):
    a, = ports(1)
    xd.boot(logdefaults(xd), internal("echo", a), up=[a])
    s = connect(a)
    s.sendall(b"1")
    assert s.recv(1) == b"1"
    xd.reload(logdefaults(xd))
    assert recv_all(s) == b""
    xd.wait_log("^EXIT: echo-stream signal=15 ")


@covers("INTL-8")
def test_sessions_end_with_their_engine_and_the_log_says_so(xd, ports):
    a, b = ports(2)
    xd.boot(logdefaults(xd), internal("echo", a, instances="1"), up=[a])
    s = connect(a)
    s.sendall(b"1")
    assert s.recv(1) == b"1"
    old = engine(xd.proc.pid)
    os.kill(old, signal.SIGKILL)
    assert recv_all(s) == b""
    xd.wait_log("^EXIT: echo-stream signal=9 pid=%d " % old)
    engine(xd.proc.pid, other_than=old)
    assert talk(a, b"x") == b"x"


def test_clients_of_chargen_that_do_not_read_or_read_all_the_time_cost_others_nothing(xd, ports):
    a, b = ports(2)
    xd.boot(internal("chargen", a, cps="0 0"), cat("b", b), up=[a, b])
    pid = engine(xd.proc.pid)
    stubborn = [connect(a) for _ in range(50)]
    assert all(len(recv_n(s, 74)) == 74 for s in stubborn)
    before = rss(pid)
    stop, greedy, eaten = threading.Event(), [connect(a) for _ in range(4)], []

    def eat(s):
        while not stop.is_set():
            eaten.append(len(s.recv(65536)))

    threads = [threading.Thread(target=eat, args=(s,), daemon=True) for s in greedy]
    for t in threads:
        t.start()
    assert wait_until(lambda: sum(eaten) > 4 << 20)
    for _ in range(20):
        assert talk(b, b"x") == b"x"
    stop.set()
    for t in threads:
        t.join()
    assert rss(pid) - before < 4096, "what nobody reads is not kept"
    for s in stubborn + greedy:
        s.close()


# ------------------------------------------------------------ datagrams

def answered(port, data, **kw):
    """Asks until there is an answer: while the original looks away datagrams are lost (WAIT-5).
    Not too soon: chargen goes on from an answer that comes late, too."""
    answer = wait_until(lambda: udp_ask(port, data, timeout=1.0, **kw) or None)
    assert answer is not None, "no answer"
    return answer


@covers("INTL-6")
@pytest.mark.parametrize("bind,addr", [("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("::", "127.0.0.1"), ("0.0.0.0", "127.0.0.2")])
def test_datagrams_are_answered_as_by_the_original(beside, ports, bind, addr):
    said = []
    for daemon in beside:
        echo, chargen, time_, daytime = ports(4)
        daemon.boot(*(internal(name, port, "dgram", bind=bind, cps="0 0") for name, port in
                      [("echo", echo), ("chargen", chargen), ("time", time_), ("daytime", daytime)]),
                    up=[("udp", p) for p in (echo, chargen, time_, daytime)])
        before = int(time.time())
        seconds, = struct.unpack("!I", answered(time_, b"", addr=addr))
        assert before - 1 <= seconds - 2208988800 <= time.time()
        assert DAYTIME.match(answered(daytime, b"?", addr=addr))
        said.append([answered(echo, b"x" * size, addr=addr) for size in (1, 2047, 2048, 2049, 5000)] +
                    [answered(chargen, b"q", addr=addr) for _ in range(9)])
    assert said[0] == said[1]
    assert [len(answer) for answer in said[0]] == [1, 2047, 2048, 2048, 2048] + [1024] * 9


@covers("INTL-6")
def test_an_empty_datagram_is_echoed_too(daemon, ports):
    a, = ports(1)
    daemon.boot(internal("echo", a, "dgram"), up=[("udp", a)])
    assert udp_ask(a, b"") == b""


@covers("INTL-6", "INTL-8", "ACC-4")
def test_datagrams_are_logged_without_a_process(daemon, ports):
    a, b, c = ports(3)
    daemon.boot(logdefaults(daemon), internal("echo", a, "dgram"), internal("discard", b, "dgram"),
                internal("time", c, "dgram", only_from="127.0.0.9"), up=[("udp", p) for p in (a, b, c)])
    assert answered(a, b"x") == b"x"
    udp_socket().sendto(b"y", ("127.0.0.1", b))
    udp_socket().sendto(b"z", ("127.0.0.1", c))
    daemon.wait_log("^START: discard-dgram ")
    daemon.wait_log("^FAIL: time-dgram address from=127.0.0.1$")
    assert sorted(set(daemon.log())) == ["FAIL: time-dgram address from=127.0.0.1", "START: discard-dgram pid=0 from=127.0.0.1",
                                         "START: echo-dgram pid=0 from=127.0.0.1"]


@covers("LIM-2", "CHK-14")
def test_neither_limits_nor_wait_no_stop_datagrams(xd, ports):
    a, = ports(1)
    xd.boot(internal("echo", a, "dgram", wait="no", instances="1", per_source="1"), up=[("udp", a)])
    assert all(udp_ask(a, b"%d" % n) == b"%d" % n for n in range(20))


def test_datagrams_are_answered_after_a_reload_and_by_a_new_engine(xd, ports):
    a, = ports(1)
    text = internal("echo", a, "dgram")
    xd.boot(text, up=[("udp", a)])
    xd.reload(text)
    assert udp_ask(a, b"1") == b"1"
    old = engine(xd.proc.pid)
    os.kill(old, signal.SIGKILL)
    engine(xd.proc.pid, other_than=old)
    assert udp_ask(a, b"2") == b"2"


# ------------------------------------------------------------ what nobody can make of it

@covers("INTL-7")
@sandbox
def test_no_port_of_a_service_is_answered(xd, ports):
    """CVE-1999-0103: two services that answer each other never stop."""
    a, b, free = ports(3)
    xd.boot(logdefaults(xd), internal("echo", a, "dgram", bind="0.0.0.0"), internal("chargen", b, "dgram", bind="0.0.0.0"),
            up=[("udp", a), ("udp", b)])
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    for victim in ("127.0.0.1", "127.0.0.2"):
        for source, to in [(a, b), (b, a), (a, a), (b, b), (7, a), (7, b), (9, b), (13, b), (17, b), (19, a), (37, b), (1023, a), (0, a)]:
            raw.sendto(forged(victim, source, to), ("127.0.0.1", 0))
    raw.sendto(forged("127.0.0.1", free, a), ("127.0.0.1", 0))      # one that is answered
    assert udp_ask(b, b"x") is not None and udp_ask(a, b"x") == b"x"
    xd.wait_log("^START: echo-dgram ", 2)
    assert sorted(norm(xd.log())) == ["START: chargen-dgram pid=0 from=127.0.0.1"] + ["START: echo-dgram pid=0 from=127.0.0.1"] * 2


def forged(source, port, to):
    """A UDP datagram from anybody, with its IPv4 header."""
    udp = struct.pack("!HHHH", port, to, 9, 0) + b"x"
    return struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0,
                       socket.inet_aton(source), socket.inet_aton("127.0.0.1")) + udp


@covers("INTL-7")
def test_what_is_sent_to_everybody_is_not_answered(xd, ports):
    a, = ports(1)
    xd.boot(internal("echo", a, "dgram", bind="0.0.0.0"), up=[("udp", a)])
    s = udp_socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    s.sendto(b"to all", ("127.255.255.255", a))
    s.sendto(b"to one", ("127.0.0.1", a))
    assert s.recv(100) == b"to one"
    s.settimeout(0.3)
    with pytest.raises(socket.timeout):
        s.recv(100)


@covers("INTL-7")
@pytest.mark.parametrize("name", ["chargen", "daytime", "time"])
def test_answers_that_are_longer_than_their_questions_are_rare(xd, ports, name):
    a, = ports(1)
    xd.boot(internal(name, a, "dgram", cps="0 0"), up=[("udp", a)])
    early_in_a_second()
    s = udp_socket(timeout=0.5)
    got, begin = 0, time.monotonic()
    end = begin
    for _ in range(300):
        s.sendto(b"", ("127.0.0.1", a))
    try:
        while s.recv(2048):
            got, end = got + 1, time.monotonic()
    except socket.timeout:
        pass
    assert 20 <= got <= 20 * (2 + int(end - begin))
    xd.wait_dlog("service %s-dgram: more datagrams come than it answers in a second" % name)
    assert wait_until(lambda: udp_ask(a, b"", timeout=0.3)), "and in the next second it goes on"


@covers("WAIT-5")
def test_ten_thousand_datagrams_in_flight_are_all_echoed(xd, ports):
    """What the kernel had no room for is not ours to lose."""
    a, b = ports(2)
    xd.boot(internal("echo", a, "dgram", cps="0 0"), cat("b", b), up=[("udp", a), b])
    flights = [Flight(a, 320, 8) for _ in range(32)]
    poll = selectors.DefaultSelector()
    for flight in flights:
        poll.register(flight.s, selectors.EVENT_READ, flight)
        flight.send()
    while not all(flight.is_done() for flight in flights):
        ready = poll.select(10)
        if not ready:
            break
        for key, _ in ready:
            key.data.receive()
    assert talk(b, b"x") == b"x"
    lost = sum(320 - len(flight.got) for flight in flights)
    assert lost == 0 or lost <= kernel_drops(a), lost
    assert all(flight.got == set(range(flight.sent)) for flight in flights) or lost


class Flight:
    """A client that has so many questions under way at any time."""

    def __init__(self, port, questions, width):
        self.s = udp_socket()
        self.s.setblocking(False)
        self.s.connect(("127.0.0.1", port))
        self.questions, self.width, self.sent, self.got = questions, width, 0, set()

    def send(self):
        while self.sent < self.questions and self.sent - len(self.got) < self.width:
            self.s.send(b"%d" % self.sent)
            self.sent += 1

    def receive(self):
        try:
            while True:
                self.got.add(int(self.s.recv(100)))
        except BlockingIOError:
            self.send()

    def is_done(self):
        return len(self.got) == self.questions


def kernel_drops(port):
    with open("/proc/thread-self/net/udp") as f:
        return sum(int(l.split()[-1]) for l in f if l.split()[1].endswith(":%04X" % port))


# ------------------------------------------------------------ what is offered, and what runs

@covers("CHK-7")
def test_services_lists_what_is_offered(xd, ports):
    a, b, c, d = ports(4)
    xd.boot(internal("services", a), cat("one", b, id="first"), internal("echo", c, "dgram"), cat("off", d, disable="yes"),
            service("muxed", type="TCPMUX UNLISTED", bind=None, server="/bin/cat"), up=[a, b, ("udp", c)])
    assert ask(a, n=10000).decode().splitlines() == ["services tcp %d" % a, "one tcp %d" % b, "echo udp %d" % c, "sentinel tcp %d" % xd.sentinel]


@covers("CHK-7")
def test_servers_lists_who_is_served_by_which_process(xd, ports):
    a, b, c = ports(3)
    xd.boot(logdefaults(xd), internal("servers", a), cat("one", b), internal("echo", c), up=[a, b, c])
    s, t = connect(b, src="127.0.0.2"), connect(c, src="127.0.0.3")
    for one in (s, t):
        one.sendall(b"x")
        assert one.recv(1) == b"x"
    text = ask(a, n=10000).decode()
    pid = children(xd.proc.pid)
    found = re.findall(r"(?m)^(\S+) server\npid = (\d+)\nstart_time = .*\nConnection info:\n\tservice = \1\n\tremote_address = (\S+)$", text)
    assert [(name, peer) for name, _, peer in found] == [("one", "127.0.0.2"), ("echo-stream", "127.0.0.3"), ("servers-stream", "127.0.0.1")]
    assert {int(p) for _, p, _ in found} == set(pid)
    xd.wait_log("^EXIT: servers-stream status=0 ")


@sandbox
@covers("CHK-7")
def test_only_this_machine_is_told_unless_the_entry_says_more(xd, ports):
    subprocess.check_call(["ip", "addr", "add", "192.0.2.77/32", "dev", "lo"])
    try:
        a, b, c = ports(3)
        xd.boot(logdefaults(xd, only_from="0.0.0.0"), internal("services", a, bind="0.0.0.0"),
                internal("servers", b, bind="0.0.0.0", only_from="192.0.2.77"), cat("c", c, bind="0.0.0.0"), up=[a, b, c])
        assert talk(c, b"x", src="192.0.2.77") == b"x", "as `defaults` have it"
        assert talk(a, src="192.0.2.77") == b"" and talk(a).startswith(b"services tcp ")
        xd.wait_log("^FAIL: services-stream address from=192.0.2.77$")
        assert talk(b, src="192.0.2.77").startswith(b"servers-stream server\n") and talk(b) == b""
    finally:
        subprocess.check_call(["ip", "addr", "del", "192.0.2.77/32", "dev", "lo"])
