"""Services over UDP: whom a datagram is from, who may send one, and that none is lost."""
import os
import re
import signal
import socket
import struct
import subprocess

import pytest

from harness import *

covers = pytest.mark.covers
sandbox = pytest.mark.needs_sandbox
root = pytest.mark.needs_root

ENDLESS = dict(cps="0 0", instances="UNLIMITED")
TFTPD, TALKD = "/usr/sbin/in.tftpd", "/usr/sbin/in.ntalkd"


def dgram(xd, name, port, body=UDP_ONCE, **kw):
    kw.setdefault("server", xd.script("server-" + name, pyscript(body)))
    return service(name, port, socket_type="dgram", protocol="udp", wait="yes", **kw)


def starts(xd, name, count):
    """So many servers have been started; one may have answered before the line about its start is written."""
    return len(xd.wait_log("^START: %s " % name, count)) == count


@covers("BIND-11", "SRV-8")
@sandbox
def test_senders_are_named_by_their_own_address(xd, ports):
    four, six, both = ports(3)
    xd.boot(logdefaults(xd), dgram(xd, "four", four, bind=None, flags="IPv4"), dgram(xd, "six", six, bind="::1"),
            dgram(xd, "both", both, bind=None), up=[("udp", p) for p in (four, six, both)])
    for name, port, addr in (("four", four, "127.0.0.1"), ("six", six, "::1"), ("both", both, "127.0.0.1"), ("both", both, "::1")):
        said = wait_until(lambda: udp_ask(port, b"x", addr, timeout=2))
        assert said.split(b"|")[1] == addr.encode(), "REMOTE_HOST"
        xd.wait_log("^START: %s pid=[0-9]+ from=%s$" % (name, addr))
    assert udp_ask(six, b"x", "127.0.0.1", timeout=0.2) is None


@covers("WAIT-4")
def test_of_a_burst_every_datagram_reaches_a_server(xd, ports):
    """A hundred, all alike and from one sender; one server for each, and one for all."""
    once, steady = ports(2)
    loop = "import socket\ns = socket.socket(fileno=0)\nwhile True:\n    d, p = s.recvfrom(99)\n    s.sendto(b're:' + d, p)\n"
    quick = ("#!/bin/sh\nexec perl -e 'open(S, \"+<&=0\"); $p = recv(S, $d, 99, 0); send(S, \"re:$d\", 0, $p)'\n")
    xd.boot(logdefaults(xd, **ENDLESS), dgram(xd, "once", once, server=xd.script("quick", quick)),
            dgram(xd, "steady", steady, loop), up=[("udp", once), ("udp", steady)])
    for port in (once, steady):
        with udp_socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            for _ in range(100):
                s.sendto(b"alike", ("127.0.0.1", port))
            assert [s.recv(100) for _ in range(100)] == [b"re:alike"] * 100
    xd.wait_log("^EXIT: once status=0", 100)
    assert starts(xd, "once", 100) and starts(xd, "steady", 1)


# ---------------------------------------------------------------- who may

@covers("ACC-8", "ACC-9")
def test_refused_datagrams_are_removed_and_the_others_served(daemon):
    a = free_port()
    daemon.boot(logdefaults(daemon), dgram(daemon, "a", a, only_from="127.0.0.1"), up=[("udp", a)])
    for n in range(3):
        assert udp_ask(a, b"no", src="127.0.0.2", timeout=0.2) is None
        daemon.wait_log("^FAIL: a address from=127.0.0.2$", n + 1)
        said = udp_ask(a, b"yes")
        assert said.endswith(b"|yes")
        daemon.wait_log("^EXIT: a status=0 pid=%d " % int(said.split(b"|")[0]))


@covers("ACC-8", "SENS-1", "ACC-4")
def test_of_one_sender_a_refusal_is_logged_once_a_minute(daemon):
    """By its address and port; at a sensor, which reads for itself."""
    a = free_port()
    daemon.boot(logdefaults(daemon), service("trap", a, type="INTERNAL UNLISTED", socket_type="dgram", protocol="udp",
                                             wait="yes", flags="SENSOR"), up=[("udp", a)])
    one, two = udp_socket(), udp_socket(src="127.0.0.3")
    for _ in range(10):
        one.sendto(b"x", ("127.0.0.1", a))
    daemon.wait_log("^FAIL: trap address from=127.0.0.1$")
    two.sendto(b"x", ("127.0.0.1", a))
    daemon.wait_log("^FAIL: trap address from=127.0.0.3$")
    assert [l for l in daemon.log() if "trap" in l] == ["FAIL: trap address from=127.0.0.1", "FAIL: trap address from=127.0.0.3"]
    one.close(), two.close()


@covers("ACC-8")
def test_the_same_holds_where_a_server_would_read(xd):
    a = free_port()
    xd.boot(logdefaults(xd), dgram(xd, "a", a, only_from="127.0.0.1", **ENDLESS), up=[("udp", a)])
    with udp_socket(src="127.0.0.2") as s:
        for _ in range(200):
            s.sendto(b"no", ("127.0.0.1", a))
        assert udp_ask(a, b"yes").endswith(b"|yes")
    assert [l for l in xd.log() if l.startswith("FAIL")] == ["FAIL: a address from=127.0.0.2"]


@covers("SENS-2")
def test_who_came_to_a_sensor_is_refused_here_too(xd, ports):
    trap, a = ports(2)
    xd.boot(logdefaults(xd), service("trap", trap, type="INTERNAL UNLISTED", flags="SENSOR", deny_time="FOREVER"),
            dgram(xd, "a", a), up=[trap, ("udp", a)])
    assert talk(trap, b"x", src="127.0.0.2") == b""
    assert udp_ask(a, b"x", src="127.0.0.2", timeout=0.2) is None
    assert udp_ask(a, b"x", src="127.0.0.3").endswith(b"|x")


@covers("ADDR-13", "ADDR-14", "WRAP-1", "HARD-6")
@sandbox
def test_names_of_senders_decide_while_others_are_served(xd, ports, etc):
    named, wrapped, other = ports(3)
    etc("hosts", "127.0.0.1 localhost\n127.0.0.5 five.example.test\n")
    etc("hosts.deny", "server-wrapped: .example.test\n")
    xd.boot(logdefaults(xd), dgram(xd, "named", named, only_from=".example.test"), dgram(xd, "wrapped", wrapped),
            dgram(xd, "other", other), up=[("udp", named)])
    assert udp_ask(named, b"x", src="127.0.0.5").endswith(b"127.0.0.5|x")
    xd.wait_log("^EXIT: named ")
    assert udp_ask(named, b"x", src="127.0.0.6", timeout=0.2) is None
    xd.wait_log("^FAIL: named address from=127.0.0.6$")
    assert udp_ask(wrapped, b"x", src="127.0.0.5", timeout=0.2) is None
    xd.wait_log("^FAIL: wrapped libwrap from=127.0.0.5$")
    assert udp_ask(wrapped, b"x", src="127.0.0.6").endswith(b"|x")
    assert udp_ask(other, b"x").endswith(b"|x")


@covers("HARD-6")
def test_a_flood_at_one_service_leaves_the_others_their_turn(xd, ports):
    """Whom nobody lets in can keep the engine busy, but not all of it."""
    a, b, c = ports(3)
    xd.boot(logdefaults(xd, **ENDLESS), dgram(xd, "a", a, only_from="192.0.2.1"), dgram(xd, "b", b), cat("c", c),
            up=[("udp", a), ("udp", b), c])
    flood = subprocess.Popen(["perl", "-e", "use Socket; socket(S, PF_INET, SOCK_DGRAM, 0); $to = sockaddr_in(%d, "
                              "inet_aton('127.0.0.1')); $| = 1; print qq(x); for (;;) { send(S, 'x', 0, $to) }" % a],
                             stdout=subprocess.PIPE)
    try:
        assert flood.stdout.read(1) == b"x"
        for n in range(5):
            assert udp_ask(b, b"%d" % n).endswith(b"|%d" % n)
            assert talk(c, b"y") == b"y"
            xd.wait_log("^EXIT: b ", n + 1)
        assert flood.poll() is None
    finally:
        flood.kill()
        flood.wait()
    assert len([l for l in xd.log() if l.startswith("FAIL: a ")]) == 1


# ---------------------------------------------------------------- real programs

@covers("WAIT-1", "WAIT-3", "RELOAD-12")
@root
@sandbox
def test_tftp(daemon):
    """The server keeps the socket after the first file, and is started again when it has gone."""
    if not os.access(TFTPD, os.X_OK):
        pytest.skip("in.tftpd is not installed (Debian's package tftpd-hpa)")
    a = free_port()
    os.chmod(daemon.dir, 0o755)
    os.mkdir(daemon.path("files"), 0o755)
    data = os.urandom(300_000)
    with open(daemon.path("files/f"), "wb") as f:
        f.write(data)
    entry = dgram(daemon, "tftp", a, server=TFTPD, server_args="-s " + daemon.path("files"), user="root", bind=None, flags="IPv4")

    def fetch():
        r = subprocess.run(["curl", "-s", "-m", "20", "tftp://127.0.0.1:%d/f" % a], stdout=subprocess.PIPE, timeout=60)
        return r.returncode == 0 and r.stdout == data
    daemon.boot(logdefaults(daemon), entry, up=[("udp", a)])
    assert fetch()
    pid = int(re.search(r"pid=(\d+)", daemon.wait_log("^START: tftp ")[0]).group(1))
    assert fetch() and starts(daemon, "tftp", 1)
    daemon.reload(logdefaults(daemon), entry)
    assert fetch() and starts(daemon, "tftp", 1)
    os.kill(pid, signal.SIGTERM)
    daemon.wait_log("^EXIT: tftp signal=15 pid=%d" % pid)
    assert fetch() and starts(daemon, "tftp", 2)


@covers("WAIT-3")
@root
@sandbox
def test_talk(daemon):
    """talkd(8) is asked whether somebody has invited us (LOOK_UP), and says NOT_HERE."""
    if not os.access(TALKD, os.X_OK):
        pytest.skip("in.ntalkd is not installed (Debian's package talkd)")
    a = free_port()
    daemon.boot(logdefaults(daemon), dgram(daemon, "ntalk", a, server=TALKD, user="root", bind=None, flags="IPv4"),
                up=[("udp", a)])
    version, look_up, not_here = 1, 1, 1
    with udp_socket() as s:
        own = struct.pack("!HH4s8x", socket.AF_INET, s.getsockname()[1], socket.inet_aton("127.0.0.1"))
        ask = struct.pack("!BBBxI16s16si12s12s16s", version, look_up, 0, 7, own, own, os.getpid(), b"root", b"nobody", b"")
        for _ in range(2):
            s.sendto(ask, ("127.0.0.1", a))
            answer = s.recv(1000)
            assert struct.unpack("!BBB", answer[:3]) == (version, look_up, not_here)
    assert starts(daemon, "ntalk", 1)
