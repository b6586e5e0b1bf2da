"""wait = yes: a server gets the socket itself, one at a time, and whatever it does the service goes on."""
import os
import signal
import socket
import time

import pytest

from harness import *
from procs import engine

covers = pytest.mark.covers
sandbox = pytest.mark.needs_sandbox
root = pytest.mark.needs_root

# Serves whoever comes, and ends when somebody says so.
ACCEPTS = """
import os, socket
l = socket.socket(fileno=0)
while True:
    c, _ = l.accept()
    d = c.recv(100)
    c.sendall(b"%d|" % os.getpid() + d)
    c.close()
    if d == b"end":
        break
"""

READS = """
import os, socket
s = socket.socket(fileno=0)
while True:
    d, a = s.recvfrom(65536)
    s.sendto(b"%d|" % os.getpid() + d, a)
    if d == b"end":
        break
"""

DGRAM = dict(socket_type="dgram", protocol="udp")


def waiting(xd, name, port, body=ACCEPTS, **kw):
    return service(name, port, server=xd.script("server-" + name, pyscript(body)), wait="yes", **kw)


class Kind:
    """The same questions over connections and by datagrams."""

    def __init__(self, name):
        self.name = name
        self.body, self.entry = (ACCEPTS, {}) if name == "stream" else (READS, DGRAM)

    def up(self, port):
        return [port if self.name == "stream" else ("udp", port)]

    def ask(self, port, data=b"x", timeout=None, **kw):
        """(pid, what came back); None: no answer."""
        if self.name == "stream":
            got = attempt(port, data, timeout=timeout, **kw)
        else:
            got = udp_ask(port, data, timeout=timeout, **kw)
        if not got:
            return None
        pid, rest = got.split(b"|", 1)
        return int(pid), rest


@pytest.fixture(params=["stream", "dgram"])
def kind(request):
    return Kind(request.param)


def starts(xd, name="a"):
    return len([l for l in xd.log() if l.startswith("START: %s " % name)])


def started(xd, count):
    """So many have been; a server may have answered before the line about its start is written."""
    return len(xd.wait_log("^START: a ", count)) == count


@covers("WAIT-1", "WAIT-2", "SRV-8")
def test_one_server_serves_everybody_until_it_ends_and_then_the_next(daemon, kind):
    a = free_port()
    daemon.boot(logdefaults(daemon), waiting(daemon, "a", a, kind.body, **kind.entry), up=kind.up(a))
    first, _ = kind.ask(a)
    assert [kind.ask(a, b"%d" % n) for n in range(5)] == [(first, b"%d" % n) for n in range(5)]
    assert kind.ask(a, b"end") == (first, b"end")
    daemon.wait_log("^EXIT: a ")
    second, _ = kind.ask(a)
    assert second != first and started(daemon, 2)
    sender = "<no address>" if kind.name == "stream" else "127.0.0.1"
    assert all(l.endswith(" from=" + sender) for l in daemon.log() if l.startswith("START: a "))


FACTS = """
import fcntl, os, socket, stat
names = sorted(os.listdir("/proc/self/fd"))
l = socket.socket(fileno=os.dup(0))
print(" ".join(sorted(set(os.readlink("/proc/self/fd/%%s" %% n).split(":")[0] for n in "012"))),
      len(set(os.fstat(n).st_ino for n in (0, 1, 2))),
      l.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN), l.type.name,
      bool(fcntl.fcntl(0, fcntl.F_GETFL) & os.O_NONBLOCK),
      os.environ["REMOTE_HOST"], os.getsid(0) == os.getpid(), file=open(%r, "w"))
os.set_blocking(0, False)
"""


@covers("SRV-2", "WAIT-2", "WAIT-3", "SRV-8")
def test_the_server_has_the_socket_on_0_1_and_2_and_it_is_blocking(daemon, kind):
    a = free_port()
    out = daemon.path("facts")
    body = FACTS % out + ("c, _ = l.accept()\nc.close()\n" if kind.name == "stream" else "l.recvfrom(100)\n")
    daemon.boot(waiting(daemon, "a", a, body, **kind.entry), up=kind.up(a))
    kind.ask(a, timeout=0.5)
    listens, word = (1, "SOCK_STREAM") if kind.name == "stream" else (0, "SOCK_DGRAM")
    host = "<no address>" if kind.name == "stream" else "127.0.0.1"
    wanted = "socket 1 %d %s False %s True" % (listens, word, host)
    assert wait_until(lambda: os.path.exists(out) and open(out).read().strip() == wanted), open(out).read()


def test_a_server_that_leaves_the_socket_in_a_mess_harms_only_itself(xd, kind):
    """Non-blocking, and connected to a client of its own: the next one finds it as it should be."""
    a = free_port()
    mess = "import os, socket\ns = socket.socket(fileno=os.dup(0))\n"
    if kind.name == "stream":
        mess += "c, _ = s.accept()\nc.sendall(b'%d|' % os.getpid() + c.recv(100))\n"
    else:
        mess += "d, p = s.recvfrom(100)\ns.connect(p)\ns.send(b'%d|' % os.getpid() + d)\n"
    mess = "import os\nassert os.get_blocking(0)\n" + mess + "s.setblocking(False)\n"
    xd.boot(logdefaults(xd), waiting(xd, "a", a, mess, **kind.entry), up=kind.up(a))
    for n in range(3):
        assert kind.ask(a, b"%d" % n)[1] == b"%d" % n
        xd.wait_log("^EXIT: a status=0", n + 1)


# ---------------------------------------------------------------- refusals

@covers("ACC-6", "LIM-4", "ACC-8")
def test_who_comes_under_too_much_load_is_refused_and_the_service_lives_on(xd, kind):
    a = free_port()
    entry = lambda **kw: waiting(xd, "a", a, kind.body, **dict(kind.entry, **kw))
    xd.boot(logdefaults(xd), entry(max_load="-1"), up=kind.up(a))
    for n in range(3):
        assert kind.ask(a, b"refused", timeout=0.3) is None
        xd.wait_log("^FAIL: a load from=", n + 1)
    assert starts(xd) == 0
    xd.reload(logdefaults(xd), entry())
    pid, said = kind.ask(a, b"served")
    assert said == b"served", "what was refused is gone"
    assert len([l for l in xd.log() if l.startswith("FAIL")]) == 3


@covers("ACC-6", "TIME-1", "LIM-1")
def test_every_limit_holds_before_a_server_starts(xd, ports, kind):
    hours, none = ports(2)
    now = time.localtime()
    other = "%d:00-%d:30" % ((now.tm_hour + 2) % 24, (now.tm_hour + 2) % 24)
    xd.boot(logdefaults(xd), waiting(xd, "hours", hours, kind.body, access_times=other, **kind.entry),
            waiting(xd, "none", none, kind.body, instances="0", **kind.entry), up=kind.up(hours))
    assert kind.ask(hours, timeout=0.3) is None and kind.ask(none, timeout=0.3) is None
    xd.wait_log("^FAIL: hours time from=")
    xd.wait_log("^FAIL: none service_limit from=")
    assert starts(xd, "hours") == starts(xd, "none") == 0


@covers("WRAP-1", "ACC-7")
@sandbox
def test_wrappers_that_let_nobody_in_do_so_here_too(xd, etc, kind):
    """Of a connection that the server accepts they know nothing; no loop comes of it."""
    a = free_port()
    etc("hosts.deny", "ALL: ALL\n")
    xd.boot(logdefaults(xd), waiting(xd, "a", a, kind.body, **kind.entry), up=kind.up(a))
    assert kind.ask(a, timeout=0.3) is None
    xd.wait_log("^FAIL: a libwrap from=")
    assert starts(xd) == 0
    etc("hosts.deny", "ALL: 192.0.2.\n")
    assert kind.ask(a, b"y")[1] == b"y"


@covers("CPS-3", "CPS-7")
def test_cps_closes_the_port_and_opens_it_again(daemon, kind):
    a = free_port()
    once = ("import os, socket\nl = socket.socket(fileno=0)\nc, _ = l.accept()\nc.sendall(b'%d|' % os.getpid() + c.recv(9))\n"
            if kind.name == "stream" else "import os, socket\ns = socket.socket(fileno=0)\nd, p = s.recvfrom(9)\n"
            "s.sendto(b'%d|' % os.getpid() + d, p)\n")
    daemon.boot(logdefaults(daemon), waiting(daemon, "a", a, once, cps="2 1", **kind.entry), up=kind.up(a))
    for n in range(2):
        assert kind.ask(a)
        daemon.wait_log("^EXIT: a", n + 1)
    assert wait_until(lambda: kind.ask(a, timeout=0.1) is None and "Deactivating service a due to" in daemon.dlog(), step=0)
    if kind.name == "stream":
        assert refused(a)
    else:
        with udp_socket() as s:
            s.connect(("127.0.0.1", a))
            s.send(b"x")
            with pytest.raises(ConnectionRefusedError):
                s.recv(100)
    daemon.wait_dlog("Activating service a")
    assert wait_until(lambda: kind.ask(a, timeout=0.3))


def test_paced_datagrams_wait_for_their_turn(xd):
    a = free_port()
    quick = xd.script("quick", "#!/bin/sh\nexec perl -e 'open(S, \"+<&=0\"); $p = recv(S, $d, 99, 0); send(S, $d, 0, $p)'\n")
    xd.boot(logdefaults(xd), service("a", a, server=quick, wait="yes", cps="2 1", cps_action="pace", **DGRAM), up=[("udp", a)])
    with udp_socket() as s:
        for n in range(6):
            s.sendto(b"%d" % n, ("127.0.0.1", a))
        assert [s.recv(100) for n in range(6)] == [b"%d" % n for n in range(6)]
    xd.wait_dlog("service a: more than 2 connections a second")
    assert started(xd, 6)


# ---------------------------------------------------------------- servers that do nothing

@covers("WAIT-2", "WAIT-3")
def test_servers_that_leave_their_work_undone_are_slowed_down_and_it_is_said_once(xd, kind):
    a = free_port()
    mend = xd.path("mended")
    body = "import os, sys\nif not os.path.exists(%r): sys.exit(3)\n" % mend + kind.body
    quick = xd.script("quick", "#!/bin/sh\n[ -e %s ] || exit 3\nexec %s\n" % (mend, xd.script("slow", pyscript(body))))
    xd.boot(logdefaults(xd), service("a", a, server=quick, wait="yes", **dict(kind.entry, cps="0 0")), up=kind.up(a))
    if kind.name == "stream":
        client = connect(a)
        client.sendall(b"patient")
    else:
        client = udp_socket()
        for n in range(100):
            client.sendto(b"%d" % n, ("127.0.0.1", a))
    xd.wait_dlog("service a: its servers end without taking what they were started for")
    begin, seen = time.monotonic(), starts(xd)
    xd.wait_log("^EXIT: a status=3", 9)
    assert time.monotonic() - begin > 0.3, "the next ones came at once"
    assert starts(xd) - seen < 10
    open(mend, "w").close()
    client.settimeout(patience())
    said = client.recv(100) if kind.name == "stream" else client.recvfrom(100)[0]
    assert b"|" in said, "who has waited is served"
    assert xd.dlog().count("its servers end without taking") == 1
    client.close()


@covers("WAIT-3", "WAIT-4")
def test_only_the_datagram_that_was_not_read_is_dropped(xd):
    """Some servers end without reading; what came behind is for the next ones, even if it looks the same."""
    a = free_port()
    body = ("import os, socket, sys\ns = socket.socket(fileno=0)\n"
            "if s.recv(9, socket.MSG_PEEK) == b'skip':\n    sys.exit(1)\n"
            "d, p = s.recvfrom(9)\ns.sendto(b'%d|' % os.getpid() + d, p)\n")
    xd.boot(logdefaults(xd), waiting(xd, "a", a, body, cps="0 0", **DGRAM), up=[("udp", a)])
    with udp_socket() as s:
        for d in (b"same", b"skip", b"same", b"skip", b"skip", b"same", b"last"):
            s.sendto(d, ("127.0.0.1", a))
        answers = [s.recv(100).split(b"|") for _ in range(4)]
    assert [d for _, d in answers] == [b"same", b"same", b"same", b"last"]
    assert len(set(pid for pid, _ in answers)) == 4
    assert started(xd, 7)


# ---------------------------------------------------------------- whatever happens to the daemon

@covers("WAIT-1")
def test_the_socket_stays_lent_when_the_engine_dies(xd, kind):
    a = free_port()
    xd.boot(logdefaults(xd), waiting(xd, "a", a, kind.body, **kind.entry), up=kind.up(a))
    first, _ = kind.ask(a)
    for _ in range(2):
        old = engine(xd.proc.pid)
        os.kill(old, signal.SIGKILL)
        engine(xd.proc.pid, other_than=old)
        assert [kind.ask(a)[0] for _ in range(3)] == [first] * 3
    assert kind.ask(a, b"end") == (first, b"end")
    xd.wait_log("^EXIT: a ")
    assert kind.ask(a)[0] != first and started(xd, 2)


@covers("RELOAD-12", "RELOAD-6")
def test_a_reload_leaves_the_server_its_socket(daemon, kind):
    a = free_port()
    entry = lambda **kw: waiting(daemon, "a", a, kind.body, **dict(kind.entry, **kw))
    daemon.boot(logdefaults(daemon), entry(), up=kind.up(a))
    first, _ = kind.ask(a)
    daemon.reload(logdefaults(daemon), entry(nice="1"))
    assert kind.ask(a)[0] == first
    daemon.reload(logdefaults(daemon), entry(instances="0"))
    assert kind.ask(a, b"end")[0] == first
    daemon.wait_log("^EXIT: a ")
    assert kind.ask(a, timeout=0.3) is None, "what is in force now holds for the next one"
    daemon.wait_log("^FAIL: a service_limit")
    assert started(daemon, 1)


@covers("RELOAD-4", "RELOAD-7")
def test_a_service_that_goes_or_moves_takes_its_server_along(xd, kind):
    a = free_port()
    entry = lambda **kw: waiting(xd, "a", a, kind.body, **dict(kind.entry, **kw))
    xd.boot(logdefaults(xd), entry(), up=kind.up(a))
    first, _ = kind.ask(a)
    xd.reload(logdefaults(xd), entry(bind="127.0.0.2"))
    xd.wait_log("^EXIT: a signal=15")
    second, _ = kind.ask(a, addr="127.0.0.2")
    assert second != first
    xd.reload(logdefaults(xd))
    xd.wait_log("^EXIT: a signal=15", 2)
    assert kind.ask(a, addr="127.0.0.2", timeout=0.3) is None


@covers("RELOAD-2")
def test_wait_no_and_wait_yes_may_follow_one_another_on_one_port(xd):
    """The socket of one is non-blocking, that of the other is not: neither is taken for the other."""
    a = free_port()
    xd.boot(logdefaults(xd), cat("a", a), up=[a])
    for n in range(2):
        assert talk(a, b"x") == b"x"
        xd.reload(logdefaults(xd), waiting(xd, "a", a))
        assert talk(a, b"y").endswith(b"|y")
        xd.reload(logdefaults(xd), cat("a", a))


def test_each_address_of_a_service_has_a_server_of_its_own(xd, kind):
    a = free_port()
    xd.boot(logdefaults(xd), waiting(xd, "a", a, kind.body, bind="127.0.0.1 ::1", **kind.entry), up=kind.up(a))
    four, _ = kind.ask(a)
    six, _ = kind.ask(a, addr="::1")
    assert four != six and started(xd, 2)
    assert kind.ask(a)[0] == four and kind.ask(a, addr="::1")[0] == six
    assert kind.ask(a, b"end")[0] == four
    xd.wait_log("^EXIT: a ")
    assert kind.ask(a, addr="::1")[0] == six and kind.ask(a)[0] not in (four, six)


@covers("SIG-6", "DUMP-1")
@root
@sandbox
def test_the_daemon_knows_that_the_socket_is_lent(xd, kind):
    a = free_port()
    xd.boot(logdefaults(xd), waiting(xd, "a", a, kind.body, **kind.entry), up=kind.up(a))
    pid, _ = kind.ask(a)
    xd.signal(signal.SIGABRT)
    xd.wait_dlog("Consistency check passed")
    if os.path.exists("/var/run/xinetd.dump"):
        os.unlink("/var/run/xinetd.dump")
    xd.signal(signal.SIGUSR1)
    read = lambda: os.path.exists("/var/run/xinetd.dump") and open("/var/run/xinetd.dump").read()
    text = wait_until(lambda: "END OF DUMP" in (read() or "") and read())
    assert "Service = a\n\tState = Suspended" in text and "pid = %d" % pid in text
