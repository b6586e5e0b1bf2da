"""Internal services: what they say, what is logged and counted, and that no client costs another."""
import os
import re
import signal
import struct
import threading
import time

import pytest

from harness import *
from procs import engine, rss

covers = pytest.mark.covers

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
    assert 0 <= seconds - 2208988800 - before <= 5
    assert DAYTIME.match(ask(b, addr))
    if bind != "::":                    # BIND-11
        daemon.wait_log("START: daytime")
        assert daemon.log() == ["START: time-stream pid=0 from=" + addr, "START: daytime-stream pid=0 from=" + addr]


@covers("INTL-4")
def test_daytime_has_the_zone_of_the_daemon(beside, ports):
    for daemon in beside:
        a, = ports(1)
        daemon.boot(internal("daytime", a), up=[a], env=dict(os.environ, TZ="XYZ-5:30"))
        text = ask(a)
        assert DAYTIME.match(text).group(2) == b"XYZ"
        there = time.gmtime(time.time() + 5.5 * 3600)
        assert text[:11].decode() == time.strftime("%d %b %Y", there).upper()


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
    assert wait_until(lambda: sum(eaten) > 4 << 20, 20)
    for _ in range(20):
        assert talk(b, b"x", timeout=2) == b"x"
    stop.set()
    for t in threads:
        t.join()
    assert rss(pid) - before < 4096, "what nobody reads is not kept"
    for s in stubborn + greedy:
        s.close()
