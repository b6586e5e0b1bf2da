"""What somebody who has taken over the engine can do to the listening sockets, and how long it lasts."""
import ctypes
import os
import signal
import socket
import struct

import pytest

from harness import *
from procs import become_user, engine, fds, steal, tcp_inode

pytestmark = pytest.mark.needs_root
ROOM = 16
SO_ATTACH_FILTER, SO_LOCK_FILTER = 26, 44


def taken(xd, inode):
    """The engine's own socket."""
    pid = engine(xd.proc.pid)
    number, = (n for n, what in fds(pid).items() if what == "socket:[%d]" % inode)
    return socket.socket(fileno=steal(pid, number))


def as_nobody(act):
    """Does it in a process without privilege."""
    pid = os.fork()
    if pid == 0:
        try:
            become_user(65534)
            act()
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0


def unix_inode(path):
    with open("/proc/thread-self/net/unix") as f:
        return next(int(line.split()[6]) for line in f if line.split()[7:] == [path])


def shut_twice(s):
    for _ in range(2):
        try:
            s.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def drop_all(s):
    program = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0))
    s.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HL", 1, ctypes.addressof(program)))


def drop_all_for_good(s):
    drop_all(s)
    s.setsockopt(socket.SOL_SOCKET, SO_LOCK_FILTER, 1)


def bind_to_a_device(s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")


def give_up_soon(s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 1))


def has_no_options(s):
    """Of those that need no privilege."""
    device, patience = (s.getsockopt(socket.SOL_SOCKET, name, 16) for name in (socket.SO_BINDTODEVICE, socket.SO_RCVTIMEO))
    return device.strip(b"\0") == b"" and patience == bytes(16)


def spoil(xd, inode, how):
    with taken(xd, inode) as s:
        if how in (drop_all, drop_all_for_good):
            how(s)                      # as nobody only while the kernel has memory for it (net.core.bpf_jit_limit)
        else:
            as_nobody(lambda: how(s))


def replace_engine(xd, how=signal.SIGKILL):
    old = engine(xd.proc.pid)
    os.kill(old, how)
    return engine(xd.proc.pid, other_than=old)


def unix(path):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(5)
        s.connect(path)
        s.sendall(b"x")
        return s.recv(1)


# ------------------------------------------------ by the next engine

@pytest.mark.parametrize("how", [shut_twice, drop_all, bind_to_a_device, give_up_soon])
def test_a_new_engine_gets_sockets_as_they_were(xd, ports, how):
    a, = ports(1)
    xd.start(cat("a", a), expect=[a])
    assert talk(a, b"x") == b"x"
    inode = tcp_inode(a)
    spoil(xd, inode, how)
    replace_engine(xd)
    assert talk(a, b"x") == b"x"
    assert tcp_inode(a) == inode
    with taken(xd, inode) as s:
        assert has_no_options(s)


def test_a_filter_that_cannot_be_taken_off_is_said_and_gone_with_the_next_daemon(xd, manager, ports):
    a, = ports(1)
    manager.boot(xd, cat("a", a))
    manager.wait_kept("a")
    spoil(xd, tcp_inode(a), drop_all_for_good)
    replace_engine(xd)
    xd.wait_dlog("service a: something is wrong with its socket: Operation not permitted")
    manager.wait_kept()
    manager.restart(xd)
    assert talk(a, b"x") == b"x"


def test_what_a_server_has_made_of_its_socket_stays(xd, ports):
    """WAIT-2"""
    a, = ports(1)
    server = xd.script("server", """#!/usr/bin/python3
import socket, struct, time
s = socket.socket(fileno=0)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 100, 0))
c, _ = s.accept()
c.sendall(b"x")
time.sleep(1000)
""")
    xd.start(service("a", a, wait="yes", server=server))
    assert wait_until(lambda: listening(a))
    c = connect(a)
    assert recv_n(c, 1) == b"x"
    replace_engine(xd)
    xd.wait_dlog("starting a new one")
    with taken(xd, tcp_inode(a)) as s:
        assert s.getsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, 16) == struct.pack("ll", 100, 0)
    c.close()


# ------------------------------------------------ by the next daemon

@pytest.mark.parametrize("how", [shut_twice, drop_all, bind_to_a_device])
def test_a_socket_that_was_kept_is_as_it_was(xd, manager, ports, how):
    a, = ports(1)
    manager.boot(xd, cat("a", a))
    manager.wait_kept("a")
    inode = tcp_inode(a)
    spoil(xd, inode, how)
    manager.restart(xd)
    assert talk(a, b"x") == b"x"
    assert tcp_inode(a) == inode
    with taken(xd, inode) as s:
        assert has_no_options(s)


def test_one_that_cannot_be_mended_is_replaced(xd, manager, ports):
    a, = ports(1)
    path = xd.path("u")
    manager.boot(xd, cat("a", a), service("u", bind="unix:" + path, protocol=None, server="/bin/cat", umask="0"))
    manager.wait_kept("a", "u")
    spoil(xd, tcp_inode(a), drop_all_for_good)
    spoil(xd, unix_inode(path), shut_twice)
    manager.restart(xd)
    xd.wait_dlog("service a: another socket is opened: Operation not permitted")
    xd.wait_dlog("service u: another socket is opened: it has been shut down")
    assert talk(a, b"x") == b"x" and unix(path) == b"x"
    manager.wait_kept("a", "u")


# ------------------------------------------------ nobody knows what was done

def test_sockets_of_an_engine_with_a_fault_are_not_for_the_next_daemon(xd, manager, ports):
    a, b = ports(2)
    manager.boot(xd, cat("a", a))
    manager.wait_kept("a")
    replace_engine(xd)
    assert talk(a, b"x") == b"x" and list(manager.kept), "it was killed, and is not to blame"
    inode = tcp_inode(a)
    replace_engine(xd, signal.SIGFPE)
    xd.wait_dlog("are not kept for the next daemon")
    manager.wait_kept()
    assert talk(a, b"x") == b"x" and tcp_inode(a) == inode, "nobody who waits is refused meanwhile"
    xd.hup(logdefaults(xd) + cat("a", a) + cat("b", b))
    manager.wait("READY", 2)
    assert talk(b, b"x") == b"x" and not manager.kept
    manager.restart(xd)
    assert talk(a, b"x") == b"x" and tcp_inode(a) != inode
    manager.wait_kept("a", "b")


def test_sockets_of_an_engine_that_breaks_the_protocol_are_not_for_the_next_daemon(xd, manager, ports):
    a, = ports(1)
    manager.boot(xd, cat("a", a))
    manager.wait_kept("a")
    with socket.socket(fileno=steal(engine(xd.proc.pid), 3)) as seam:
        seam.send(b"\xff" * 64)
    assert xd.wait_exit() == 3
    manager.wait_kept()
    assert "broke the protocol" in xd.dlog()
