"""tcpmux: one line leads to a service, by that service's own rules, limits and user, and to no other."""
import os
import signal
import re
import socket
import time

import pytest

import fakeident
from harness import *
from procs import daemon_processes, engine, fds

covers = pytest.mark.covers
root = pytest.mark.needs_root
sandbox = pytest.mark.needs_sandbox

NOT_FOUND = b"-Service name not found\r\n"


def mux(name, **kw):
    return service(name, **{**dict(type="TCPMUX UNLISTED", bind=None, server="/bin/echo", server_args="I am " + name), **kw})


def plus(name, **kw):
    return mux(name, **{**dict(type="TCPMUXPLUS UNLISTED"), **kw})


def through(port, name, rest=b"", **kw):
    return talk(port, name.encode() + b"\r\n" + rest, **kw)


# ------------------------------------------------------------ the line

@covers("MUX-1", "MUX-4")
@pytest.mark.parametrize("line", [b"cat\r\n", b"cat\n", b"CaT\r\n"])
def test_a_line_ends_with_lf_and_cr_is_optional(xd, ports, line):
    m, = ports(1)
    xd.boot(internal("tcpmux", m), mux("cat", server="/bin/cat", server_args=None), up=[m])
    assert talk(m, line) == b"" and talk(m, line + b"x") == b"x"


@covers("MUX-4")
def test_a_line_may_come_in_pieces(xd, ports):
    m, = ports(1)
    xd.boot(internal("tcpmux", m), plus("cat", server="/bin/cat", server_args=None), up=[m])
    pid = engine(xd.proc.pid)
    s = connect(m)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in b"cat\r\n":
        s.sendall(bytes([byte]))
        assert wait_until(lambda: unread_by(pid, s) == 0), "taken, one by one"
    assert recv_n(s, 5) == b"+Go\r\n"
    s.sendall(b"x")
    assert s.recv(1) == b"x"


def unread_by(pid, s):
    """Bytes on the connection of `s` that the other end has not read."""
    local, remote = s.getsockname()[1], s.getpeername()[1]
    with open("/proc/thread-self/net/tcp") as f:
        next(f)
        for line in f:
            w = line.split()
            if int(w[1].split(":")[1], 16) == remote and int(w[2].split(":")[1], 16) == local:
                return int(w[4].split(":")[1], 16)
    return None


@covers("MUX-4", "SRV-1")
@pytest.mark.parametrize("size", [1, 250, 4096, 100000])
def test_what_follows_the_line_is_for_the_server_to_the_last_byte(xd, ports, size):
    m, = ports(1)
    xd.boot(internal("tcpmux", m), mux("cat", server="/bin/cat", server_args=None),
            plus("count", server="/usr/bin/wc", server_args="-c"), up=[m])
    data = os.urandom(size)
    assert through(m, "cat", data) == data
    assert through(m, "count", data) == b"+Go\r\n%d\n" % size


@covers("SRV-1")
def test_the_server_has_a_socket_as_any_server_has(xd, ports):
    m, = ports(1)
    look = xd.script("look", pyscript("""
import fcntl, os, socket
s = socket.socket(fileno=os.dup(0))
print([fcntl.fcntl(n, fcntl.F_GETFL) & os.O_NONBLOCK for n in (0, 1, 2)], sorted(map(int, os.listdir("/proc/self/fd")))[:4],
      os.environ["REMOTE_HOST"], os.environ["TCPREMOTEPORT"] == str(s.getpeername()[1]), flush=True)
"""))
    xd.boot(internal("tcpmux", m), mux("look", server=look, server_args=None), up=[m])
    assert through(m, "look").startswith(b"[0, 0, 0] [0, 1, 2, 3] 127.0.0.1 True")


@pytest.mark.parametrize("line", [b"x" * 257, b"x" * 100000, b"\n", b"\r\n", b"\0\r\n", b"cat\0\r\n", b" cat\r\n", b"cat \r\n", b"\xff\xfe\r\n",
                                  b"../cat\r\n", b"plain,cat\r\n"], ids=repr)
def test_no_other_line_leads_anywhere(xd, ports, line):
    m, = ports(1)
    xd.boot(internal("tcpmux", m), mux("cat", server="/bin/cat", server_args=None), up=[m])
    assert talk(m, line[:50] + line[50:], shut=False) in (NOT_FOUND, b"")
    assert through(m, "cat", b"x") == b"x", "and the daemon is well"


def test_a_client_that_ends_its_line_half_way_gets_nothing(xd, ports):
    m, = ports(1)
    xd.boot(internal("tcpmux", m), mux("cat", server="/bin/cat", server_args=None), up=[m])
    assert talk(m, b"cat") == b"" and talk(m, b"") == b""


@covers("MUX-5")
def test_help_lists_what_is_behind_and_nothing_else(xd, ports):
    m, a = ports(2)
    xd.boot(internal("tcpmux", m), mux("one"), plus("two"), mux("two", id="again"), cat("three", a), up=[m, a])
    assert talk(m, b"HELP\r\n") == b"help\r\none\r\ntwo\r\n"
    xd.reload(internal("tcpmux", m), mux("help"))
    assert through(m, "help") == b"I am help\n", "as in the original"


# ------------------------------------------------------------ which services

@covers("MUX-2", "CHK-8")
def test_no_way_through_tcpmux_to_a_service_of_another_type(xd, ports):
    """CVE-2012-0862: every service that was on could be had through port 1."""
    m, a, b, c = ports(4)
    xd.boot(internal("tcpmux", m), cat("plain", a), internal("time", b), service("away", c, redirect="127.0.0.1 %d" % a),
            mux("off", disable="yes"), mux("known", id="alias"), up=[m, a, b])
    for name in ("plain", "time", "time-stream", "away", "off", "alias", "tcpmux", "tcpmux-stream", "sentinel"):
        assert through(m, name) == NOT_FOUND, name
    assert through(m, "known") == b"I am known\n"


@covers("MUX-2")
def test_a_plain_service_of_the_same_name_is_not_meant(xd, ports):
    m, a = ports(2)
    xd.boot(internal("tcpmux", m), cat("twin", a, only_from="127.0.0.9"), mux("twin", id="behind"), up=[m, a])
    assert through(m, "twin") == b"I am twin\n" and talk(a, b"x") == b""


@covers("MUX-9")
def test_all_kinds_of_services_can_be_behind(xd, ports):
    m, a = ports(2)
    xd.boot(logdefaults(xd), internal("tcpmux", m), plus("echo", type="TCPMUXPLUS INTERNAL UNLISTED", server=None, server_args=None),
            plus("time", type="TCPMUXPLUS INTERNAL UNLISTED", server=None, server_args=None), mux("trap", flags="SENSOR", deny_time="FOREVER"),
            plus("away", redirect="127.0.0.1 %d" % a, server=None, server_args=None), cat("a", a), up=[m, a])
    assert through(m, "away", b"there") == b"+Go\r\nthere"
    assert through(m, "echo", b"again") == b"+Go\r\nagain"
    assert len(through(m, "time")) == len(b"+Go\r\n") + 4
    xd.wait_log("^START: time pid=0 from=127.0.0.1$")
    assert through(m, "trap", src="127.0.0.2") == b""
    xd.wait_log("^FAIL: trap address from=127.0.0.2$")
    assert talk(a, b"x", src="127.0.0.2") == b"" and talk(a, b"x") == b"x"


@covers("MUX-1")
def test_of_two_with_one_name_the_first_is_meant(daemon, ports):
    m, = ports(1)
    daemon.boot(internal("tcpmux", m), mux("dup", id="d1", server_args="first"), mux("dup", id="d2", server_args="second"), up=[m])
    assert through(m, "dup") == b"first\n"


@covers("RELOAD-2", "RELOAD-3", "START-13")
def test_a_reload_keeps_and_drops_what_has_no_socket(daemon, ports):
    m, = ports(1)
    daemon.boot(logdefaults(daemon), internal("tcpmux", m), mux("stays"), mux("goes"), up=[m])
    daemon.wait_dlog("Started working: 2 available services")
    daemon.reload(logdefaults(daemon), internal("tcpmux", m), mux("stays", server_args="changed"), mux("new"))
    assert through(m, "stays") == b"changed\n" and through(m, "new") == b"I am new\n"
    assert through(m, "goes").rstrip(b"\0") == NOT_FOUND
    daemon.wait_dlog("service goes deactivated")


def test_a_server_of_a_service_that_a_reload_takes_away_ends(xd, ports):
    m, = ports(1)
    xd.boot(logdefaults(xd), internal("tcpmux", m), mux("cat", server="/bin/cat", server_args=None), up=[m])
    s = connect(m)
    s.sendall(b"cat\r\nx")
    assert s.recv(1) == b"x"
    xd.reload(logdefaults(xd), internal("tcpmux", m))
    assert recv_all(s) == b""
    xd.wait_log("^EXIT: cat signal=15 ")


@sandbox
def test_tcpmux_may_move_while_a_client_of_a_service_behind_it_waits(xd, ports):
    """Its connection is one that no tcpmux of the new configuration has: it is let go, and that is all."""
    m, n = ports(2)
    host = fakeident.Host(lambda c, ports: None)
    try:
        xd.boot(logdefaults(xd), internal("tcpmux", m), mux("named", log_on_success="USERID"), up=[m])
        s = connect(m)
        s.sendall(b"named\r\n")
        assert wait_until(lambda: len(host.queries) == 1)
        xd.reload(logdefaults(xd), internal("tcpmux", n), mux("named", log_on_success="USERID"), up=[n], down=[m])
        host.answer = fakeident.says("PORTS : USERID : UNIX : ann\r\n")
        wait_until(lambda: host.held)
        host.held[0].close()
        assert recv_all(s) == b""
        assert through(n, "named") == b"I am named\n" and xd.alive()
    finally:
        host.close()


# ------------------------------------------------------------ rules, limits, user and log of the service

@covers("MUX-6", "MUX-7", "BAN-5")
def test_the_rules_of_the_service_hold_and_its_log_has_its_lines(xd, ports):
    m, = ports(1)
    fail = dict(banner_fail=xd.write("fail", "no\n"))
    xd.boot(logdefaults(xd), internal("tcpmux", m), mux("ok"), mux("from", only_from="127.0.0.9", **fail),
            mux("not", no_access="127.0.0.1", **fail), mux("full", instances="0", **fail), mux("source", per_source="0", **fail),
            mux("hours", access_times="0:00-0:01", **fail) if early() else mux("hours", access_times="23:58-23:59", **fail),
            mux("load", max_load="-1", **fail), plus("plus", only_from="127.0.0.9", **fail), up=[m])
    assert through(m, "ok") == b"I am ok\n"
    xd.wait_log("^EXIT: ok "), xd.wait_log("^EXIT: tcpmux-stream ")
    assert set(norm(xd.log())) >= {"START: tcpmux-stream pid=N from=127.0.0.1", "EXIT: tcpmux-stream status=0 pid=N duration=N(sec)",
                                   "START: ok pid=N from=127.0.0.1", "EXIT: ok status=0 pid=N duration=N(sec)"}
    for name, why in [("from", "address"), ("not", "address"), ("full", "service_limit"), ("source", "per_source_limit"),
                      ("hours", "time"), ("load", "load"), ("plus", "address")]:
        assert through(m, name) == b"no\n", name
        xd.wait_log("^FAIL: %s %s from=127.0.0.1$" % (name, why))
    assert through(m, "from", src="127.0.0.9") == b"I am from\n"
    assert through(m, "plus", src="127.0.0.9") == b"+Go\r\nI am plus\n"


def early():
    return time.localtime().tm_hour >= 12


@covers("MUX-6", "LIM-1", "LIM-3", "LIM-5")
def test_servers_behind_tcpmux_are_counted_by_their_own_service(xd, ports):
    m, = ports(1)
    held = dict(server="/bin/cat", server_args=None)
    xd.boot(logdefaults(xd), internal("tcpmux", m, instances="1"), mux("two", instances="2", **held), mux("each", per_source="1", **held),
            up=[m], args=["-limit", "4"])
    a, b = (held_by(m, "two") for _ in range(2))
    assert through(m, "two", b"x") == b""
    xd.wait_log("^FAIL: two service_limit")
    c = held_by(m, "each", src="127.0.0.2")
    assert through(m, "each", b"x", src="127.0.0.2") == b""
    xd.wait_log("^FAIL: each per_source_limit from=127.0.0.2$")
    d = held_by(m, "each", src="127.0.0.3")
    assert talk(m, b"each\r\n", src="127.0.0.4") == b""
    xd.wait_log("^FAIL: tcpmux-stream process_limit from=127.0.0.4$")
    for s in (a, b, c, d):
        s.close()
    xd.wait_log("^EXIT: (two|each) ", 4)
    assert wait_until(lambda: through(m, "two", b"x") == b"x")      # who counts may hear of it after who logs


def held_by(port, name, **kw):
    """A client that a server behind tcpmux has."""
    s = connect(port, **kw)
    s.sendall(name.encode() + b"\r\nx")
    assert s.recv(1) == b"x"
    return s


@covers("MUX-6", "CPS-3")
def test_cps_closes_the_service_and_not_tcpmux(xd, ports):
    m, = ports(1)
    xd.boot(logdefaults(xd), internal("tcpmux", m, cps="0 0"), mux("slow", cps="2 1"), mux("other"), up=[m])
    early_in_a_second()
    said = [through(m, "slow") for _ in range(4)]
    assert said == [b"I am slow\n"] * 2 + [b"", NOT_FOUND]
    assert through(m, "other") == b"I am other\n"
    xd.wait_log("^FAIL: slow connections per second")
    xd.wait_dlog("Activating service slow")
    assert through(m, "slow") == b"I am slow\n"


@covers("PARSE-12")
def test_pace_makes_clients_wait_for_their_turn(xd, ports):
    m, = ports(1)
    xd.boot(internal("tcpmux", m, cps="0 0"), mux("paced", cps="10 5", cps_action="pace"), up=[m])
    begin = time.monotonic()
    clients = [connect(m) for _ in range(15)]
    for s in clients:
        s.sendall(b"paced\r\n")
    assert all(recv_all(s) == b"I am paced\n" for s in clients)
    assert time.monotonic() - begin > 0.4


@covers("MUX-8", "SRV-12")
@root
@pytest.mark.parametrize("own", ["root", "daemon", None])
def test_a_server_runs_as_the_user_of_its_own_entry(xd, ports, own):
    """CVE-2013-4342: behind tcpmux servers ran as root."""
    m, = ports(1)
    xd.boot(internal("tcpmux", m, user=own), mux("who", server="/usr/bin/id", server_args=None, user="nobody", group="games", umask="077"),
            mux("root", server="/usr/bin/id", server_args=None, user="root"), up=[m])
    assert re.match(rb"uid=65534\(nobody\) gid=60\(games\) groups=60\(games\)\n$", through(m, "who"))
    assert through(m, "root").startswith(b"uid=0(root) gid=0(root)")


@covers("BAN-1", "BAN-5", "MUX-2")
def test_banners_of_both_come_in_order(daemon, ports):
    m, = ports(1)
    first, second, third, never = (daemon.write(name, name + "\n") for name in ("first", "second", "third", "never"))
    daemon.boot(internal("tcpmux", m, banner=first, banner_success=second), plus("p", banner=never, banner_success=third), up=[m])
    assert through(m, "p").replace(b"\0", b"") == b"first\nsecond\n+Go\r\nthird\nI am p\n"


@covers("WRAP-1", "WRAP-2")
@sandbox
def test_hosts_deny_knows_the_service_by_its_own_name(xd, ports, etc):
    m, = ports(1)
    etc("hosts.deny", "echo: ALL\nwrapped: ALL\n")
    xd.boot(logdefaults(xd), internal("tcpmux", m), mux("a"), mux("b", libwrap="wrapped"), mux("c", libwrap="free"),
            mux("d", flags="NOLIBWRAP"), up=[m])
    assert [through(m, name) for name in "abcd"] == [b"", b"", b"I am c\n", b"I am d\n"]
    xd.wait_log("^FAIL: b libwrap from=127.0.0.1$")


@covers("IDENT-1", "IDENT-4")
@sandbox
def test_the_clients_host_is_asked_by_the_service(xd, ports):
    m, = ports(1)
    host = fakeident.Host(fakeident.says("PORTS : USERID : UNIX : ann\r\n"))
    try:
        xd.boot(logdefaults(xd), internal("tcpmux", m), mux("named", log_on_success="PID HOST USERID", flags="IDONLY"), up=[m])
        assert through(m, "named") == b"I am named\n"
        xd.wait_log("^USERID: named UNIX : ann$")
        host.answer = fakeident.says("PORTS : ERROR : NO-USER\r\n")
        assert through(m, "named") == b""
        xd.wait_log("^NOID: named 127.0.0.1 ")
    finally:
        host.close()


# ------------------------------------------------------------ what a client cannot do

@covers("HARD-6")
def test_clients_that_say_nothing_hold_up_nobody_and_are_let_go(xd, ports):
    m, a = ports(2)
    xd.boot(logdefaults(xd), internal("tcpmux", m, cps="0 0"), mux("ok"), cat("a", a), up=[m, a])
    silent = [connect(m) for _ in range(300)]
    for s in silent[::2]:
        s.sendall(b"o")
    assert talk(a, b"x") == b"x" and through(m, "ok") == b"I am ok\n"
    assert all(recv_all(s, timeout=60) == b"" for s in silent)
    xd.wait_log("^EXIT: tcpmux-stream status=0", 301)


def test_a_drip_of_bytes_does_not_buy_time(xd, ports):
    m, = ports(1)
    xd.boot(internal("tcpmux", m), mux("ok"), up=[m])
    s = connect(m)
    begin = time.monotonic()
    s.settimeout(0.5)
    while time.monotonic() - begin < 30:
        try:
            s.sendall(b"x")
            if s.recv(1) == b"":
                break
        except socket.timeout:
            continue                    # the pause between two bytes
        except OSError:
            break
    assert 9 < time.monotonic() - begin < 20


def test_nothing_is_left_of_clients_that_came_and_went(xd, ports):
    m, = ports(1)
    xd.boot(internal("tcpmux", m, cps="0 0"), mux("ok", cps="0 0"), up=[m])
    assert through(m, "ok") == b"I am ok\n"
    before = [len(fds(pid)) for pid in daemon_processes(xd.proc.pid)]
    for n in range(200):
        s = connect(m)
        s.sendall((b"ok\r\n", b"no\r\n", b"o", b"help\n")[n % 4])
        s.close()
    assert through(m, "ok") == b"I am ok\n"
    assert wait_until(lambda: [len(fds(pid)) for pid in daemon_processes(xd.proc.pid)] == before)


def test_sigterm_does_not_wait_for_a_name(xd, ports):
    m, = ports(1)

    def seconds():
        xd.boot(internal("tcpmux", m), mux("ok"), up=[m])
        with connect(m) as s:
            s.sendall(b"o")
            pid = engine(xd.proc.pid)
            assert wait_until(lambda: unread_by(pid, s) == 0)
            begin = time.monotonic()
            xd.signal(signal.SIGTERM)
            assert xd.wait_exit() == 0 and recv_all(s) == b""
            return time.monotonic() - begin
    # The engine would have a second. A machine that is busy may be slow once.
    assert any(seconds() < 0.9 for _ in range(5))
