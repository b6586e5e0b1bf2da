"""A server that cannot be forked: the client waits, and is tried again."""
import os
import signal

import pytest

from harness import *
from procs import become_user, engine, holders, set_limit, tcp_inode

covers = pytest.mark.covers
root = pytest.mark.needs_root
sandbox = pytest.mark.needs_sandbox

DUMP = "/var/run/xinetd.dump"


def become():
    become_user(LONER)


def processes(xd, n):
    """How many processes there may be when the daemon forks one more."""
    set_limit(xd.proc.pid, nproc=(n, 50))


def boot(xd, *entries, **kw):
    """As a user of its own, and then without a process to spare."""
    os.chmod(xd.dir, 0o777)
    xd.boot(*entries, preexec=become, **kw)
    processes(xd, 1)


def plain(name, port, **kw):
    return cat(name, port, user=str(LONER), **kw)


def asked(port):
    s = connect(port)
    s.sendall(b"x")
    return s


def kept(xd, *clients):
    """The daemon has said why it could not fork, and keeps these connections."""
    xd.wait_dlog("fork failed: Resource temporarily unavailable")
    for s in clients:
        inode = wait_until(lambda: tcp_inode(s.getpeername()[1], s.getsockname()[1]))
        assert wait_until(lambda: holders(inode, xd.proc.pid) == [xd.proc.pid])


def answer(s, timeout=None):
    s.settimeout(patience(timeout))
    try:
        return s.recv(10)
    except ConnectionResetError:
        return b""


@pytest.fixture
def dump():
    os.chmod("/run", 0o777)
    yield lambda xd: dumped(xd)
    os.chmod("/run", 0o755)
    if os.path.exists(DUMP):
        os.unlink(DUMP)


def dumped(xd):
    if os.path.exists(DUMP):
        os.unlink(DUMP)
    xd.signal(signal.SIGUSR1)
    assert wait_until(lambda: os.path.exists(DUMP) and "END OF DUMP" in open(DUMP).read())
    return open(DUMP).read()


@covers("RETRY-1", "RETRY-2", "DUMP-1", "BAN-1")
@sandbox
def test_a_client_is_tried_again_after_five_seconds_unless_noretry_says_otherwise(beside, ports, dump):
    """Both daemons at once: they have a user in common, and so the limit."""
    held = []
    for xd in beside:
        a, n = ports(2)
        boot(xd, logdefaults(xd), plain("a", a, banner=xd.write("hi", "hi ")), plain("n", n, flags="NORETRY"), up=[a, n])
        held.append(asked(a))
        assert talk(n, b"x") == b""
        xd.wait_log("^FAIL: n fork from=127.0.0.1$")
        kept(xd, held[-1])
        assert [l for l in xd.log() if " a " in l] == []
        text = dumped(xd)
        assert "retry servers = 1" in text and "fork_failures = 1" in text.split("Retry table dump:")[1]
        processes(xd, 50)
    for xd, s in zip(beside, held):
        assert recv_n(s, 4) == b"hi x", "the banner comes once"
        xd.wait_log("^START: a pid=[0-9]+ from=127.0.0.1$")
        assert [l for l in xd.log() if l.startswith("FAIL: a")] == []
        assert "fork_failures" not in dumped(xd).split("Retry table dump:")[1]


@covers("RETRY-1", "LOG-4")
@root
def test_after_the_fifth_failure_it_is_given_up(beside, ports):
    held = []
    for xd in beside:
        a, = ports(1)
        boot(xd, logdefaults(xd), plain("a", a), up=[a])
        held.append(asked(a))
        kept(xd, held[-1])
    for xd, s in zip(beside, held):
        assert answer(s, 60) == b""
        xd.wait_log("^FAIL: a fork from=127.0.0.1$")
        xd.wait_dlog("service a: too many consecutive fork failures")


@covers("RETRY-1", "LIM-1", "RELOAD-6")
@root
def test_all_is_checked_again_and_nothing_that_waits_is_forgotten(xd, ports):
    """Four clients in the same five seconds: one whose service goes, one that is no longer welcome,
    one whose engine dies, and one for whom there is no place."""
    a, b, c = ports(3)
    boot(xd, logdefaults(xd), plain("a", a), plain("b", b), plain("c", c, instances="1"), up=[a, b, c])
    gone, unwelcome, lucky = asked(a), asked(b), asked(c)
    kept(xd, gone, unwelcome, lucky)
    assert talk(c, b"x") == b"", "who waits has a place"
    xd.wait_log("^FAIL: c service_limit from=127.0.0.1$")
    xd.reload(logdefaults(xd), plain("b", b, only_from="127.0.0.2"), plain("c", c, instances="1"), down=[a])
    assert answer(gone) == b""
    xd.wait_log("^FAIL: a fork from=127.0.0.1$")
    processes(xd, 50)
    old = engine(xd.proc.pid)
    os.kill(old, signal.SIGKILL)
    engine(xd.proc.pid, other_than=old)
    assert talk(c, b"x") == b"", "the new engine counts who waits"
    assert answer(lucky) == b"x" and answer(unwelcome) == b""
    xd.wait_log("^START: c pid=[0-9]+ from=127.0.0.1$")
    xd.wait_log("^FAIL: b address from=127.0.0.1$")
    lucky.close()
    xd.wait_log("^EXIT: c")
    assert wait_until(lambda: talk(c, b"y") == b"y"), "places come back"


@covers("RETRY-1", "SIG-2", "LOG-4")
@root
def test_the_end_of_the_daemon_is_the_end_of_waiting(xd, ports):
    a, = ports(1)
    boot(xd, logdefaults(xd), plain("a", a), up=[a])
    s = asked(a)
    kept(xd, s)
    xd.signal(signal.SIGTERM)
    assert xd.wait_exit() == 0
    assert answer(s) == b"" and xd.log() == ["FAIL: a fork from=127.0.0.1"]
