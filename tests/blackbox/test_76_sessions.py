"""Clients that the engine serves itself go on when the daemon is started anew under a service manager, as servers do."""
import signal
import socket

import pytest

from harness import *
from load import Held
from procs import comm, engine, fds

covers = pytest.mark.covers
ROOM = 64                           # sockets that the manager keeps


@pytest.fixture
def target():
    """An echo server that redirected clients are passed on to."""
    with socket.create_server(("127.0.0.1", 0)) as s:
        pid = os.fork()
        if pid == 0:
            while True:
                c = s.accept()[0]
                if os.fork() == 0:
                    while d := c.recv(9999):
                        c.sendall(d)
                    os._exit(0)
                c.close()
        yield s.getsockname()[1]
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def passed_on(name, port, target):
    return service(name, port, redirect="127.0.0.1 %d" % target)


@covers("SIG-2", "REDIR-1", "INTL-10")
def test_sessions_go_on_and_then_their_engine_ends(xd, manager, ports, target):
    a, b = ports(2)
    manager.boot(xd, passed_on("a", a, target), internal("echo", b))
    manager.wait_kept("a", "echo-stream")
    sessions, old = [Held(a, 2), Held(b, 2)], engine(xd.proc.pid)
    manager.restart(xd)
    for held in sessions:
        held.echo()
    xd.wait_dlog(r"4 sessions go on with process %d" % old)
    assert comm(old) == "xinetd-engine" and engine(xd.proc.pid) != old
    later = [Held(a, 1), Held(b, 1)]
    manager.restart(xd)
    for held in sessions + later:
        held.echo()
        held.close()
    assert wait_until(lambda: not alive(old))
    xd.wait_log(r"START: a pid=\d+ from", 3)
    assert not [l for l in xd.log() if l.startswith("EXIT")], "nobody is there to write them"


@covers("SIG-2")
def test_an_engine_that_is_left_has_no_listening_socket(xd, manager, ports, target):
    a, b, c = ports(3)
    manager.boot(xd, passed_on("a", a, target), cat("b", b), service("c", c, socket_type="dgram", protocol="udp",
                                                                     redirect="127.0.0.1 %d" % target))
    manager.wait_kept("a", "b", "c")
    held, old = Held(a, 1), engine(xd.proc.pid)
    manager.end(xd)
    manager.drop()
    held.echo()
    assert refused(a) and refused(b) and not listening(c, "udp")
    assert len([what for what in fds(old).values() if what.startswith("socket:")]) <= 4, "the session, and the channel"
    held.close()
    assert wait_until(lambda: not alive(old))


@covers("SIG-2")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGQUIT])
def test_they_end_with_a_daemon_that_does_not_end_in_good_order(xd, manager, ports, target, how):
    a, = ports(1)
    manager.boot(xd, passed_on("a", a, target))
    manager.wait_kept("a")
    held, old = Held(a, 1), engine(xd.proc.pid)
    manager.restart(xd, how=how)
    assert wait_until(lambda: not alive(old))
    assert recv_all(held.sockets[0]) == b""


@covers("SIG-2")
def test_without_a_manager_that_keeps_sockets_they_end(xd, manager, ports, target):
    a, = ports(1)
    manager.room = 0
    manager.boot(xd, passed_on("a", a, target))
    held, old = Held(a, 1), engine(xd.proc.pid)
    manager.end(xd)
    assert wait_until(lambda: not alive(old))
    assert recv_all(held.sockets[0]) == b""
    xd.wait_log("EXIT: a signal=15")
