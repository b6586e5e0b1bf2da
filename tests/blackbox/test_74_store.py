"""The daemon is started anew, and nobody is refused: its sockets wait with the service manager (FDSTORE=1)."""
import os
import signal
import socket

import pytest

from harness import *
from load import Held, Load
from procs import engine, tcp_inode
from rpcbind import Rpcbind

covers = pytest.mark.covers
ROOM = 64                           # sockets that the manager keeps


def busy(name, port, **kw):
    return cat(name, port, **dict(dict(instances="UNLIMITED", cps="100000 1"), **kw))


def at(name, path, **kw):
    """An echo service at a socket in the file system."""
    return service(name, **dict(dict(bind="unix:" + path, protocol=None, server="/bin/cat"), **kw))


def unix(path, kind=socket.SOCK_STREAM):
    s = socket.socket(socket.AF_UNIX, kind)
    s.settimeout(patience())
    s.connect(path)
    return s


def send(s, word=b"w"):
    s.sendall(word)
    return s


def coming(port, word=b"w", **kw):
    """A client that has connected, sent something and waits."""
    return send(connect(port, **kw), word)


# ------------------------------------------------ restart

@covers("SIG-2", "START-2")
def test_nobody_is_refused_while_the_daemon_is_started_anew(xd, manager, ports):
    a, b = ports(2)
    manager.boot(xd, busy("a", a), busy("b", b))
    manager.wait_kept("a", "b")
    before, held = tcp_inode(a), Held(a, 3)
    load = Load(a, clients=4)
    for n in range(1, 6):
        load.wait_done(load.done + 100)
        manager.restart(xd)
    load.wait_done(load.done + 100)
    outcome = load.finish().outcome()
    # on a machine that is too busy to start a server in time, who waits for another try is lost (RETRY-1)
    lost = min(xd.dlog().count("fork failed"), outcome["broken"])
    assert outcome == {"done": load.done, "refused": 0, "broken": lost}, xd.dlog()
    held.echo()
    assert tcp_inode(a) == before
    manager.wait_kept("a", "b")


@covers("SIG-2")
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGQUIT, signal.SIGKILL])
def test_who_comes_while_there_is_no_daemon_waits(xd, manager, ports, how):
    """Also after a crash."""
    a, b = ports(2)
    manager.boot(xd, cat("a", a), cat("b", b, bind="::"))
    manager.wait_kept("a", "b")
    held = Held(a, 1)
    manager.end(xd, how)
    waiting = [coming(a), coming(b), coming(b, addr="::1")]
    manager.boot(xd)
    assert [recv_n(s, 1) for s in waiting] == [b"w"] * 3
    held.echo()
    assert not [m for m in manager.told if "FDSTOREREMOVE" in m]


@covers("SIG-2")
def test_after_a_stop_clients_are_refused_as_ever(xd, manager, ports):
    a, b = ports(2)
    path = xd.path("s")
    manager.boot(xd, cat("a", a, wait="yes", server="/bin/sleep", server_args="60"), cat("b", b), at("u", path))
    manager.wait_kept("a", "b", "u")
    manager.end(xd)
    manager.drop()
    assert refused(a) and refused(b)
    with pytest.raises(ConnectionRefusedError):
        unix(path)
    manager.boot(xd)
    assert recv_n(coming(b), 1) == b"w" and recv_n(send(unix(path)), 1) == b"w"


def test_a_manager_that_keeps_nothing_is_sent_nothing(xd, manager, ports):
    a, = ports(1)
    manager.room, path = 0, xd.path("s")
    manager.boot(xd, cat("a", a), at("u", path))
    manager.end(xd)
    assert not [m for m in manager.told if "FDNAME" in m]
    assert refused(a) and not os.path.exists(path)


def test_servers_know_nothing_of_it(xd, manager, ports):
    a, = ports(1)
    tell = xd.script("tell", "#!/bin/sh\nenv | grep -E '^(FDSTORE|LISTEN)'; ls /proc/self/fd\n")
    manager.boot(xd, service("a", a, server=tell))
    manager.wait_kept("a")
    manager.restart(xd)
    assert talk(a, b"").split() == [b"0", b"1", b"2", b"3"], "3 is the directory that ls reads"


# ------------------------------------------------ reload

@covers("RELOAD-3", "RELOAD-7")
def test_what_is_kept_follows_a_reload(xd, manager, ports):
    a, b, c, d = ports(4)
    manager.boot(xd, cat("a", a), cat("b", b), cat("c", c))
    manager.wait_kept("a", "b", "c")
    xd.hup(logdefaults(xd) + cat("a", a) + cat("again", b) + cat("c", d))
    manager.wait("READY", 2)
    manager.wait_kept("a", "b", "c")
    assert refused(c), "it has moved"
    manager.restart(xd)
    assert [recv_n(coming(p), 1) for p in (a, b, d)] == [b"w"] * 3
    assert refused(c)
    xd.hup(logdefaults(xd) + cat("a", a))
    manager.wait_kept("a")
    manager.wait("READY", 4)
    assert refused(b) and refused(d)


def test_a_dropped_service_is_closed_before_the_manager_has_heard_of_it(xd, manager, ports):
    a, b = ports(2)
    manager.boot(xd, cat("a", a), cat("b", b))
    manager.wait_kept("a", "b")
    manager.is_deaf.set()
    xd.hup(logdefaults(xd) + cat("a", a))
    xd.wait_dlog("Reconfigured: ")
    assert refused(b)
    manager.is_deaf.clear()
    manager.wait_kept("a")


def test_a_busy_manager_keeps_in_the_end_what_it_should(xd, manager, ports):
    ps = ports(30)
    entries = [cat("s%d" % n, p) for n, p in enumerate(ps)]
    manager.stuff()
    xd.start(logdefaults(xd) + "".join(entries), env=manager.env(), expect=ps[:1])
    assert talk(ps[0], b"x") == b"x" and not manager.kept
    xd.hup(logdefaults(xd) + "".join(entries[1:]))
    xd.wait_dlog("Reconfigured: ")
    assert refused(ps[0]) and not manager.kept
    manager.is_deaf.clear()
    manager.wait_kept(*("s%d" % n for n in range(1, 30)))
    manager.stuff()
    xd.hup(logdefaults(xd) + "".join(entries[2:]))
    assert wait_until(lambda: xd.dlog().count("Reconfigured: ") == 2)
    assert refused(ps[1])
    xd.signal(signal.SIGTERM)
    manager.is_deaf.clear()
    assert xd.wait_exit() == 0
    manager.wait_kept(*("s%d" % n for n in range(2, 30)))
    manager.wait("STOPPING")


@covers("START-15")
def test_more_sockets_than_the_manager_keeps(xd, manager, ports):
    """Those that it does not keep are opened anew, and it is said once."""
    a, b, c = ports(3)
    manager.room = 2
    manager.boot(xd, cat("a", a), cat("b", b), cat("c", c))
    manager.wait_kept("a", "b")
    said = r"keeps 2 sockets .*FileDescriptorStoreMax=\); 1 more"
    xd.wait_dlog(said)
    xd.hup()
    manager.wait("READY", 2)
    assert len(re.findall(said, xd.dlog())) == 1
    manager.end(xd)
    waiting = [coming(a), coming(b)]
    assert refused(c)
    manager.boot(xd)
    assert [recv_n(s, 1) for s in waiting + [coming(c)]] == [b"w"] * 3


# ------------------------------------------------ another configuration

@covers("RELOAD-3", "RELOAD-8")
def test_the_configuration_may_change_meanwhile(xd, manager, ports):
    """What is at another address now, or of another kind, is opened anew; nothing old is in its way."""
    a, b, c, d, e, f = ports(6)
    manager.boot(xd, cat("a", a), cat("b", b), cat("c", c), cat("d", d), cat("e", e, bind="::"), cat("f", f))
    manager.wait_kept(*"abcdef")
    manager.end(xd)
    kept = coming(a)
    manager.boot(xd, cat("other", a), cat("b", b, bind="0.0.0.0"), cat("d", d, wait="yes", server="/bin/true"),
                 cat("e", e, bind="::", v6only="yes", flags="IPv6"), service("f", f, server="/nonexistent"))
    manager.wait_kept("b", "d", "e", "a")
    assert recv_n(kept, 1) == b"w", "the address is the same"
    assert refused(c) and refused(e) and refused(f)
    assert recv_n(coming(b, addr="127.0.0.1"), 1) == b"w" and recv_n(coming(e, addr="::1"), 1) == b"w"
    assert listeners(b) == {(4, "0.0.0.0")}
    assert "bind failed" not in xd.dlog()


@covers("START-2")
def test_sockets_of_a_socket_unit_are_not_kept_twice(xd, manager, ports):
    a, b = ports(2)
    with socket.create_server(("127.0.0.1", a)) as passed:
        manager.passed = [("a", passed.fileno())]
        manager.boot(xd, cat("a", a), cat("b", b))
        manager.wait_kept("b")
        manager.end(xd)
        waiting = [coming(a), coming(b)]
        manager.boot(xd)
        manager.wait_kept("b")
        assert [recv_n(s, 1) for s in waiting] == [b"w"] * 2


# ------------------------------------------------ other kinds

@covers("CPS-3")
def test_a_service_that_cps_has_closed_listens_again(xd, manager, ports):
    a, b = ports(2)
    manager.boot(xd, cat("a", a, cps="1 60"), service("b", b, socket_type="dgram", protocol="udp", wait="yes", cps="1 60",
                                                      server=xd.script("once", pyscript(UDP_ONCE))))
    manager.wait_kept("a", "b")
    come_too_often(a)
    xd.wait_dlog("Deactivating service a")
    assert wait_until(lambda: not udp_ask(b, timeout=0.2) and "Deactivating service b" in xd.dlog(), step=0)
    assert refused(a)
    manager.restart(xd)
    assert recv_n(coming(a), 1) == b"w"
    assert udp_ask(b, b"again").endswith(b"|again")
    manager.wait_kept("a", "b")


@covers("WAIT-1", "ACC-7")
def test_datagrams_wait_too(xd, manager, ports):
    a, b, c = ports(3)
    manager.boot(xd, internal("echo", a, "dgram"), service("b", b, socket_type="dgram", protocol="udp", wait="yes",
                                                           server=xd.script("once", pyscript(UDP_ONCE))),
                 service("c", c, wait="yes", server=xd.script("accept", pyscript(TCP_ACCEPT))))
    manager.wait_kept("echo-dgram", "b", "c")
    manager.end(xd)
    with udp_socket() as echo, udp_socket() as once:
        echo.sendto(b"1", ("127.0.0.1", a))
        once.sendto(b"2", ("127.0.0.1", b))
        waiting = connect(c)
        manager.boot(xd)
        assert echo.recv(9) == b"1" and once.recv(99).endswith(b"|2") and recv_all(waiting)


@covers("WAIT-3")
def test_a_socket_that_a_server_has_connected_to_its_client_is_left_to_it(xd, manager, ports):
    a, = ports(1)
    server = xd.script("connects", pyscript("import socket\ns = socket.socket(fileno=0)\nd, p = s.recvfrom(99)\ns.connect(p)\n"
                                            "while d:\n    s.send(d)\n    d = s.recv(99)\n"))
    manager.boot(xd, service("a", a, socket_type="dgram", protocol="udp", wait="yes", server=server))
    with udp_socket() as s:
        s.connect(("127.0.0.1", a))
        s.send(b"1")
        assert s.recv(9) == b"1"
        manager.restart(xd)
        s.send(b"2")
        assert s.recv(9) == b"2", "it goes on"
        assert udp_ask(a, b"3") == b"3", "and others have one of their own"
        s.send(b"")


@covers("WAIT-1")
def test_a_server_with_the_socket_goes_on_beside_the_new_daemon(xd, manager, ports):
    a, = ports(1)
    manager.boot(xd, service("a", a, wait="yes", server=xd.script("accept", pyscript(TCP_ACCEPT)), server_args="3"))
    first = recv_all(connect(a))
    manager.restart(xd)
    assert all(recv_all(connect(a)) for _ in range(4)) and first
    assert "bind failed" not in xd.dlog()


@covers("INT-1")
def test_who_was_never_checked_does_not_come_to_a_service_with_intercept(xd, manager, ports):
    a, b = ports(2)
    once = xd.script("once", pyscript(UDP_ONCE))

    def entries(flags_a, only_b):
        dgram = dict(socket_type="dgram", protocol="udp", wait="yes", server=once)
        return (service("a", a, flags=flags_a, only_from="127.0.0.2", **dgram),
                service("b", b, flags="INTERCEPT", only_from=only_b, **dgram))
    manager.boot(xd, *entries(None, "127.0.0.1"))
    manager.wait_kept("a", "b")
    manager.end(xd)
    with udp_socket() as unchecked, udp_socket() as checked:
        unchecked.sendto(b"1", ("127.0.0.1", a))
        checked.sendto(b"2", ("127.0.0.1", b))
        manager.boot(xd, *entries("INTERCEPT", "127.0.0.1 127.0.0.2"))
        manager.wait_kept("a", "b")
        assert checked.recv(99).endswith(b"|2"), "it was checked when it came"
        assert udp_ask(b, b"3", src="127.0.0.2").endswith(b"|3"), "the filter is that of today"
        assert udp_ask(a, b"4", src="127.0.0.2").endswith(b"|4")
        assert udp_ask(a, b"5", timeout=0.3) is None
        assert not [l for l in xd.log() if "a from=127.0.0.1" in l]


@covers("ATTR-26")
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_the_file_of_a_socket_stays_and_is_taken_over(xd, manager, ports, how):
    path, gone, lost = xd.path("s"), xd.path("gone"), xd.path("lost")
    entries = [at("s", path), at("gone", gone), at("lost", lost), at("n", "@xinetd-%d" % os.getpid())]
    manager.boot(xd, *entries)
    manager.wait_kept("s", "gone", "lost", "n")
    inode = os.stat(path).st_ino
    manager.end(xd, how)
    waiting = [send(unix(path)), send(unix("\0xinetd-%d" % os.getpid()))]
    os.unlink(lost)
    manager.boot(xd, at("s", path, socket_mode="0666"), *entries[2:])
    manager.wait_kept("s", "lost", "n")
    assert [recv_n(s, 1) for s in waiting] == [b"w"] * 2
    assert os.stat(path).st_ino == inode and os.stat(path).st_mode & 0o777 == 0o666
    assert not os.path.exists(gone), "no service wants it"
    assert recv_n(send(unix(lost)), 1) == b"w", "somebody has removed the file, so the socket was of no use"
    xd.hup(logdefaults(xd) + entries[3])
    manager.wait_kept("n")
    assert not os.path.exists(path)


@covers("RPC-1")
@pytest.mark.needs_sandbox
def test_an_rpc_service_keeps_its_port(xd, manager):
    rpcbind = Rpcbind()
    program = 536870999
    try:
        entries = [service(n, type="RPC UNLISTED", rpc_number=program + i, rpc_version="2", bind=None, server="/bin/cat")
                   for i, n in enumerate("ab")]
        manager.boot(xd, *entries)
        manager.wait_kept("a", "b")
        before = [rpcbind.known(program + i) for i in range(2)]
        manager.end(xd)
        assert not rpcbind.known(program), "nobody is told of a program that may not come back"
        waiting = coming(before[0][2, "tcp"][0])
        manager.boot(xd, *reversed(entries))
        assert [rpcbind.known(program + i) for i in range(2)] == before
        assert recv_n(waiting, 1) == b"w"
    finally:
        rpcbind.stop()


def test_a_new_engine_changes_nothing(xd, manager, ports):
    a, = ports(1)
    manager.boot(xd, cat("a", a))
    manager.wait_kept("a")
    old, told = engine(xd.proc.pid), len(manager.told)
    os.kill(old, signal.SIGKILL)
    engine(xd.proc.pid, other_than=old)
    assert recv_n(coming(a), 1) == b"w"
    assert not [m for m in manager.told[told:] if "FDNAME" in m]
