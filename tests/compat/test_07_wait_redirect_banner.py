"""wait = yes, fork retries, INTERCEPT, redirect, banners."""
import os
import resource
import socket

import pytest

from harness import *

covers = pytest.mark.covers
bug = pytest.mark.bug_in_original
root = pytest.mark.needs_root


def dgram(name, port, xd, body=UDP_ONCE, **kw):
    sc = xd.script("dg-" + name, pyscript(body))
    return service(name, port, server=sc, socket_type="dgram", protocol="udp", wait="yes", **kw)


@covers("WAIT-3")
def test_dgram_server_that_reads_nothing_does_not_loop(xd):
    a, b = free_port(), free_port()
    sc = xd.script("lazy", "#!/bin/sh\nexit 3\n")
    xd.boot(logdefaults(xd), service("a", a, server=sc, socket_type="dgram", protocol="udp", wait="yes"), cat("b", b),
            up=[("udp", a), b])
    s = udp_socket()
    s.sendto(b"x", ("127.0.0.1", a))
    xd.wait_log("^EXIT: a status=3")
    assert talk(b, b"y") == b"y"            # a loop would have gone on meanwhile
    xd.wait_log("^EXIT: b status=0")
    assert len([l for l in xd.log() if " a " in l]) == 2
    s.sendto(b"x", ("127.0.0.1", a))
    xd.wait_log("^EXIT: a status=3", 2)


@covers("WAIT-4")
@bug
def test_datagrams_that_arrive_while_the_server_runs_are_kept(xd):
    a = free_port()
    xd.boot(logdefaults(xd), dgram("a", a, xd), up=[("udp", a)])
    s = udp_socket()
    s.sendto(b"s0.3", ("127.0.0.1", a))
    assert s.recv(1000)
    s.sendto(b"second", ("127.0.0.1", a))
    try:
        assert s.recv(1000).endswith(b"|second")
    except socket.timeout:
        raise AssertionError("second datagram lost")


@covers("ACC-9")
def test_only_the_first_dgram_sender_is_checked(xd):
    a = free_port()
    loop = "import socket\ns = socket.socket(fileno=0)\nwhile True:\n    d, p = s.recvfrom(9999)\n    s.sendto(b're:' + d, p)\n"
    xd.boot(dgram("a", a, xd, loop, only_from="127.0.0.1"), up=[("udp", a)])
    assert udp_ask(a, b"1") == b"re:1"
    assert udp_ask(a, b"2", src="127.0.0.2") == b"re:2"


# ---------------------------------------------------------------- fork failures

def starved():
    """Start the daemon as a user of its own with room for exactly one process."""
    resource.setrlimit(resource.RLIMIT_NPROC, (1, 20))
    os.setgid(LONER)
    os.setgroups([])
    os.setuid(LONER)


@covers("RETRY-2", "LOG-4", "ATTR-22")
@root
def test_noretry(xd):
    a = free_port()
    os.chmod(xd.dir, 0o777)
    xd.config(logdefaults(xd) + cat("a", a, user=str(LONER), flags="NORETRY"))
    xd.start(preexec=starved, expect=[a])
    assert talk(a, b"x") == b""
    xd.wait_log("^FAIL: a fork from=127.0.0.1$")


# ---------------------------------------------------------------- INTERCEPT

@covers("INT-1")
@bug
def test_intercepted_dgram_service_answers(xd):
    a = free_port()
    loop = "import socket\ns = socket.socket(fileno=0)\nwhile True:\n    d, p = s.recvfrom(9999)\n    s.sendto(b're:' + d, p)\n"
    xd.boot(dgram("a", a, xd, loop, flags="INTERCEPT"), up=[("udp", a)])
    assert udp_ask(a, b"x") == b"re:x"


@covers("INT-1", "CHK-11")
def test_intercept_never_bypasses_the_address_check(xd):
    a = free_port()
    loop = "import socket\ns = socket.socket(fileno=0)\nwhile True:\n    d, p = s.recvfrom(9999)\n    s.sendto(b're:' + d, p)\n"
    xd.boot(dgram("a", a, xd, loop, flags="INTERCEPT", only_from="127.0.0.9"), up=[])
    assert udp_ask(a, b"x", timeout=0.4) is None


# ---------------------------------------------------------------- redirect

def redir(name, port, target, **kw):
    return service(name, port, redirect="127.0.0.1 %s" % target, **kw)


@covers("REDIR-3", "LOG-3")
def test_redirect_target_refuses(xd):
    a = free_port()
    xd.boot(logdefaults(xd), redir("r", a, 1), up=[a])
    assert talk(a, b"x") == b""
    xd.wait_log("^EXIT: r status=0")
    xd.wait_dlog("can't connect to remote host 127.0.0.1", free=True)


@covers("REDIR-6")
@pytest.mark.needs_sandbox
def test_redirect_to_service_name_and_ipv6(xd, ports, etc):
    a, b, c, d = ports(4)
    etc("services", "test-back %d/tcp\n" % b, append=True)
    xd.boot(cat("back", b), cat("back6", b, bind="::1"), service("r", a, redirect="localhost test-back"),
            service("r6", c, redirect="::1 %d" % b), service("r64", d, bind="::1", redirect="127.0.0.1 %d" % b), up=[a, b, c])
    for port, addr in ((a, "127.0.0.1"), (c, "127.0.0.1"), (d, "::1")):
        s = connect(port, addr)
        s.sendall(b"x")
        assert s.recv(1) == b"x"
        s.close()


# ---------------------------------------------------------------- banners

def banners(xd):
    return dict(banner=xd.write("ban", "BAN\nno newline at end"), banner_success=xd.write("suc", "SUC\r\n"),
                banner_fail=xd.write("fail", "FAIL\r\n"))


@covers("BAN-3")
def test_missing_banner_is_harmless(xd):
    a = free_port()
    xd.boot(cat("a", a, banner="/nonexistent/b", banner_success="/nonexistent/s"), up=[a])
    assert talk(a, b"x") == b"x"
