"""Sockets that a service manager passes on (sd_listen_fds(3)), which xinetd 2.3.15 closes (START-2)."""
import os
import shutil
import signal
import socket
import subprocess

import pytest

from harness import *
from manager import passing
from procs import engine, fds, tcp_inode

covers = pytest.mark.covers


def tcp(port, addr="127.0.0.1", kind=socket.SOCK_STREAM):
    family = socket.AF_INET6 if ":" in addr else socket.AF_INET
    s = socket.socket(family, kind)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((addr, port))
    if kind == socket.SOCK_STREAM:
        s.listen(5)
    return s


def boot(xd, named, *entries, pid="str(os.getpid())", **kw):
    """As under a service manager that passes these sockets, by their names."""
    with passing(xd, [(name, s.fileno()) for name, s in named], pid):
        xd.boot(logdefaults(xd), *entries, **kw)


def inode(s):
    return os.fstat(s.fileno()).st_ino


@covers("START-2", "BIND-3")
def test_a_socket_is_adopted_by_its_address(xd, ports):
    a, b = ports(2)
    with tcp(a) as passed:
        waiting = connect(a)
        waiting.sendall(b"w")
        boot(xd, [("xinetd.socket", passed)], cat("a", a), cat("b", b), up=[a, b])
        assert recv_n(waiting, 1) == b"w", "who came before is served"
        assert tcp_inode(a) == inode(passed)
        assert talk(a, b"x") == b"x" and talk(b, b"x") == b"x"


@covers("START-2")
def test_a_socket_is_adopted_by_its_name(xd, ports):
    """Wherever the entry says that the service listens: several, if there are several."""
    a, e, b, c, d = ports(5)
    with tcp(b) as first, tcp(c, "::1") as second, tcp(d) as third:
        boot(xd, [("one", first), ("b", third), ("one", second)],
             cat("a", a, id="one"), service("b", e, server=xd.script("b", "#!/bin/sh\necho b\n")),
             up=[b, c, d], down=[a, e])
        assert talk(b, b"x") == b"x" and talk(c, b"x", addr="::1") == b"x"
        assert talk(d, b"") == b"b\n"


@covers("START-2")
def test_other_descriptors_are_closed_and_servers_get_none_of_it(xd):
    a = free_port()
    tell = xd.script("tell", "#!/bin/sh\nenv | grep ^LISTEN; ls /proc/self/fd\n")
    with tcp(a) as passed:
        boot(xd, [("x", passed)], service("a", a, server=tell), up=[a])
        assert talk(a, b"").split() == [b"0", b"1", b"2", b"3"], "3 is the directory that ls reads"
        assert not [what for what in fds(xd.proc.pid).values() if "stray" in what]


def test_variables_of_another_process_mean_nothing(xd):
    a = free_port()
    with tcp(a) as passed:
        boot(xd, [("a", passed)], cat("a", a), pid="'1'")
        xd.wait_dlog(r"bind failed \(.*\)\. service = a; ")


@covers("RELOAD-3")
def test_a_socket_without_a_service_waits_for_a_reload(xd, ports):
    a, b = ports(2)
    with tcp(a) as passed:
        boot(xd, [("spare", passed)], cat("b", b), up=[b])
        xd.wait_dlog(r"no service has the stream socket `spare` \(127\.0\.0\.1:%d\)" % a)
        waiting = connect(a)
        waiting.sendall(b"w")
        xd.reload(logdefaults(xd), cat("b", b), cat("a", a), up=[a, b])
        assert recv_n(waiting, 1) == b"w"
        xd.reload(logdefaults(xd), cat("b", b))
        xd.wait_dlog(r"no service has the stream socket `spare`", 2)
        waiting = connect(a)
        waiting.sendall(b"w")
        xd.reload(logdefaults(xd), cat("again", a), up=[a])
        assert recv_n(waiting, 1) == b"w" and tcp_inode(a) == inode(passed)


@covers("RELOAD-2")
def test_a_reload_keeps_what_was_adopted_by_name(xd, ports):
    a, b = ports(2)
    with tcp(b) as passed:
        boot(xd, [("a", passed)], cat("a", a), up=[b])
        held = connect(b)
        held.sendall(b"1")
        assert recv_n(held, 1) == b"1"
        xd.reload(logdefaults(xd), cat("a", a + 1, nice="1"), up=[b])
        held.sendall(b"2")
        assert recv_n(held, 1) == b"2"


@covers("CPS-3")
def test_a_socket_that_cps_has_closed_is_left_open_at_the_end(xd):
    a = free_port()
    with tcp(a) as passed:
        boot(xd, [("x", passed)], cat("a", a, cps="1 60"), up=[a])
        come_too_often(a)
        xd.wait_dlog("Deactivating service a")
        assert refused(a)
        xd.signal(signal.SIGTERM)
        xd.wait_exit()
        connect(a).close()


@covers("WAIT-1")
def test_sockets_of_other_kinds(xd, ports):
    a, = ports(1)
    reads = xd.script("reads", "#!/usr/bin/python3\nimport socket\ns = socket.socket(fileno=0)\n"
                      "d, p = s.recvfrom(100)\ns.sendto(d.upper(), p)\n")
    path = xd.path("s")
    unix = socket.socket(socket.AF_UNIX)
    unix.bind(path)
    unix.listen()
    with tcp(a, kind=socket.SOCK_DGRAM) as dgram, unix:
        boot(xd, [("x", dgram), ("y", unix)],
             service("a", a, socket_type="dgram", protocol="udp", wait="yes", server=reads),
             service("u", bind="unix:" + path, protocol=None, server="/bin/cat"))
        assert udp_ask(a, b"x") == b"X"
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(patience())
            s.connect(path)
            s.sendall(b"u")
            assert recv_n(s, 1) == b"u"
        xd.signal(signal.SIGTERM)
        xd.wait_exit()
        assert os.path.exists(path), "the file is not ours"


@pytest.mark.skipif(not shutil.which("systemd-socket-activate"), reason="needs systemd")
def test_systemd_passes_a_socket(xd, ports):
    a, b = ports(2)
    xd.config(logdefaults(xd) + cat("a", a))
    xd.proc = subprocess.Popen(
        ["systemd-socket-activate", "-l", "127.0.0.1:%d" % b, "--fdname=a", xd.bin, "-dontfork", "-f", xd.conf,
         "-filelog", xd.daemonlog, "-pidfile", xd.pidfile],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=xd._preexec(None))
    xd.wait_port(b)
    assert talk(b, b"x") == b"x", "its first client has it started"
    assert not listening(a)


@covers("INT-1")
def test_who_waits_in_a_passed_socket_has_not_been_checked(xd):
    """So INTERCEPT, which promises that, leaves the service out."""
    a = free_port()
    with tcp(a) as passed:
        boot(xd, [("a", passed)], cat("a", a, wait="yes", flags="INTERCEPT", only_from="192.0.2.1"))
        xd.wait_dlog(r"bind failed \(.*INTERCEPT needs a socket that is opened here\)\. service = a; ")
        xd.wait_dlog("Service a failed to start and is deactivated")


@covers("SIG-2")
def test_while_sessions_are_waited_for_a_passed_socket_goes_on_listening(xd, ports):
    """Whoever comes to it waits for the next daemon; others are refused."""
    a, b = ports(2)
    with tcp(a) as passed:
        boot(xd, [("xinetd.socket", passed)], cat("a", a), cat("b", b), up=[a, b], args=["-drain", "60"])
        held = connect(a)
        held.sendall(b"x")
        assert recv_n(held, 1) == b"x"
        xd.signal(signal.SIGTERM)
        xd.wait_dlog("Stopping: 1 session may go on")
        assert refused(b)
        waiting = connect(a)
        waiting.sendall(b"w")
        held.sendall(b"y")
        assert recv_n(held, 1) == b"y"
        held.close()
        assert xd.wait_exit() == 0
        boot(xd, [("xinetd.socket", passed)], cat("a", a), up=[a])
        assert recv_n(waiting, 1) == b"w"
