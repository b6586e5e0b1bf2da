"""Remaining statements."""
import os
import signal
import socket

import pytest

from fakerpc import FakeRpcbind
from harness import *

covers = pytest.mark.covers
bug = pytest.mark.bug_in_original
sandbox = pytest.mark.needs_sandbox


@covers("NUM-1")
@bug
@pytest.mark.parametrize("attr,value", [("instances", "4294967297"), ("cps", "-1 5"), ("rlimit_cpu", "-1")])
def test_numbers_out_of_range_are_rejected(xd, attr, value):
    a = free_port()
    xd.boot(cat("a", a, **{attr: value}))
    assert not listening(a)


@covers("ATTR-6", "ATTR-48", "PARSE-17")
def test_server_is_checked_when_the_file_is_read(xd):
    a, b = free_port(), free_port()
    sc = xd.script("s", "#!/bin/sh\necho hi\n")
    os.chmod(sc, 0o644)
    xd.boot(service("a", a, server=sc), down=[a])
    os.chmod(sc, 0o755)
    xd.reload(service("a", a, server=sc), up=[a])
    assert talk(a) == b"hi\n"


@covers("CHK-14")
def test_external_dgram_without_wait_is_served_or_dropped(xd):
    a, b = free_port(), free_port()
    sc = xd.script("u", pyscript(UDP_ONCE))
    xd.boot(service("a", a, server=sc, socket_type="dgram", protocol="udp", wait="no"), cat("b", b), up=[b])
    if listening(a, "udp"):
        assert udp_ask(a, b"x")
    assert talk(b, b"y") == b"y"


@covers("ADDR-8")
@bug
@pytest.mark.parametrize("value", ["127.0.0.{300}", "127.0.0.9{1}"])
def test_malformed_factorised_addresses_are_rejected(xd, value):
    a = free_port()
    xd.boot(cat("a", a, only_from=value))
    assert not listening(a)


@covers("CPS-8")
@pytest.mark.bug_in_original(strict=False)      # depends on where in a second it falls
def test_cps_starts_a_new_window_after_a_stop(xd):
    a = free_port()
    xd.boot(cat("a", a, cps="4 1"), up=[a])
    come_too_often(a)
    assert wait_until(lambda: listening(a))
    assert talk(a, b"x") == b"x"


@covers("INTL-7")
@bug
@sandbox
@pytest.mark.parametrize("sport", [7, 19])
def test_echo_does_not_answer_echo_like_ports(xd, sport):
    a = free_port()
    xd.boot(internal("echo", a, "dgram"), up=[("udp", a)])
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("127.0.0.1", sport))
    s.settimeout(0.4)
    s.sendto(b"x", ("127.0.0.1", a))
    try:
        s.recv(10)
        answered = True
    except socket.timeout:
        answered = False
    s.close()
    assert not answered


@covers("MUX-5")
def test_tcpmux_help_is_harmless(xd):
    m = free_port()
    xd.boot(internal("tcpmux", m), up=[m])
    assert talk(m, b"HELP\r\n") != b""


@pytest.fixture
def rpcbind():
    r = FakeRpcbind()
    yield r
    r.close()


@covers("WAIT-1", "SIG-1")
def test_servers_do_not_become_zombies_after_kill(xd):
    a = free_port()
    xd.boot(logdefaults(xd), service("a", a, server=xd.script("sl", SLEEPER)), up=[a])
    s, pid = start_sleeper(a)
    os.kill(pid, signal.SIGKILL)
    xd.wait_log(r"^EXIT: a signal=9 pid=%d" % pid)
    assert wait_until(lambda: not os.path.exists("/proc/%d" % pid))
    s.close()
