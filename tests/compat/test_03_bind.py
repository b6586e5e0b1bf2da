"""Listening sockets: families, bind, options.  The wildcard cases run only in
the private network namespace."""
import socket

import pytest

from harness import *

covers = pytest.mark.covers
bug = pytest.mark.bug_in_original
sandbox = pytest.mark.needs_sandbox

ANY4, ANY6 = {(4, "0.0.0.0")}, {(6, "::")}


@covers("BIND-3", "BIND-6", "BIND-7", "ATTR-26")
@sandbox
@pytest.mark.parametrize("kw,want", [
    (dict(bind="127.0.0.3"), {(4, "127.0.0.3")}),
    (dict(bind="::1"), {(6, "::1")}),
    (dict(bind=None, interface="127.0.0.4"), {(4, "127.0.0.4")}),
    (dict(bind="five.example.test"), {(4, "127.0.0.5")}),
    (dict(bind="localhost"), {(4, "127.0.0.1")}),
    (dict(bind="dual.example.test"), {(6, "::1")}),
    (dict(bind="dual.example.test", flags="IPv4"), {(4, "127.0.0.10"), (4, "127.0.0.1")}),
    (dict(bind="dual.example.test", flags="IPv6"), {(6, "::1")}),
    (dict(bind="0.0.0.0"), ANY4),
    (dict(bind="::"), ANY6),
], ids=str)
def test_bind(xd, kw, want):
    a = free_port()
    xd.boot(cat("a", a, **kw), up=[a])
    got = listeners(a)
    assert len(got) == 1 and got <= want


@covers("BIND-3", "PARSE-15")
def test_interface_is_bind(xd):
    a = free_port()
    xd.boot(cat("a", a, bind="127.0.0.3", interface="127.0.0.4"), up=[a])
    assert listeners(a) == {(4, "127.0.0.3")}


@covers("BIND-4")
@bug
@sandbox
def test_contradicting_family_flag_never_widens(xd):
    a = free_port()
    xd.boot(cat("a", a, bind="::1", flags="IPv4"))
    assert not any(addr in ("0.0.0.0", "::") for _, addr in listeners(a))


@covers("BIND-5")
@bug
@sandbox
def test_v6only_no_serves_ipv4(xd):
    a = free_port()
    xd.boot(cat("a", a, bind=None, v6only="no"), up=[a])
    assert attempt(a, b"x") == b"x"


@covers("DEF-12", "DEF-20")
@bug
@sandbox
def test_v6only_in_defaults(xd):
    a = free_port()
    xd.boot(defaults(v6only="yes"), cat("a", a, bind=None), up=[a])
    assert refused(a)


@covers("BIND-7", "DEF-13")
@sandbox
def test_name_with_several_ipv4_addresses(xd):
    a, b = free_port(), free_port()
    xd.boot(cat("a", a, bind="both.example.test", flags="IPv4"), up=[a])
    assert listeners(a) <= {(4, "127.0.0.8"), (4, "127.0.0.9")}
    xd.reload(defaults(bind="both.example.test"), cat("b", b, bind=None, flags="IPv4"), up=[b])
    assert listeners(b) <= {(4, "127.0.0.8"), (4, "127.0.0.9")}


@covers("BIND-7")
@bug
@sandbox
def test_name_with_several_ipv4_addresses_without_flag(xd):
    a = free_port()
    xd.boot(cat("a", a, bind="both.example.test"))
    assert wait_until(lambda: listening(a))


OPTS = pyscript("""
import socket, os
s = socket.socket(fileno=0)
print(s.getsockopt(6, 1), s.getsockopt(1, 9), s.getblocking() and 1, s.getpeername()[0], os.environ["REMOTE_HOST"], flush=True)
""")


@covers("BIND-9", "SRV-1")
@pytest.mark.parametrize("flags,want", [(None, "0 0 1"), ("NODELAY", "1 0 1"), ("KEEPALIVE", "0 1 1"),
                                        ("REUSE NODELAY KEEPALIVE IPv4", "1 1 1")])
def test_connection_options(xd, flags, want):
    a = free_port()
    xd.boot(service("a", a, server=xd.script("o", OPTS), flags=flags), up=[a])
    out = talk(a, shut=False).decode().split()
    assert [str(int(bool(int(x)))) for x in out[:3]] == want.split()


@covers("BIND-11", "BIND-12", "SRV-8", "LOG-2")
@sandbox
def test_mapped_client_address(xd):
    a = free_port()
    xd.boot(logdefaults(xd), service("a", a, server=xd.script("o", OPTS), bind=None), up=[a])
    out = talk(a, shut=False).decode().split()
    mapped = "::ffff:127.0.0.1" if ORIGINAL else "127.0.0.1"      # a successor names an IPv4 client as one
    assert out[4] == mapped
    assert out[3] in ("127.0.0.1", "::ffff:127.0.0.1")
    xd.wait_log(r"^START: a pid=\d+ from=%s$" % mapped.replace(".", r"\."))
    assert talk(a, shut=False, addr="::1").decode().split()[3:] == ["::1", "::1"]
    xd.wait_log(r"^START: a pid=\d+ from=::1$")


@covers("BIND-8", "CHK-4")
@sandbox
def test_specific_then_wildcard_address(xd):
    """Of overlapping binds the first in the file wins, the other is dropped."""
    a = free_port()
    xd.boot(service("a", a, server="/bin/echo", server_args="specific"),
            service("b", a, bind=None, server="/bin/echo", server_args="wild"), up=[a])
    assert listeners(a) == {(4, "127.0.0.1")}
