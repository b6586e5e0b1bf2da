"""Internal services, TCPMUX, RPC."""
import os
import signal
import socket
import struct

import pytest

from fakerpc import FakeRpcbind
from harness import *

covers = pytest.mark.covers
bug = pytest.mark.bug_in_original
sandbox = pytest.mark.needs_sandbox


@covers("INTL-1", "INTL-2", "INTL-8", "LOG-2")
def test_echo_stream(xd):
    a = free_port()
    xd.boot(logdefaults(xd), internal("echo", a), up=[a])
    data = os.urandom(50000)
    s = connect(a)
    import threading
    t = threading.Thread(target=lambda: (s.sendall(data), s.shutdown(socket.SHUT_WR)))
    t.start()
    assert recv_all(s) == data
    t.join()
    xd.wait_log("^EXIT: echo-stream")
    assert norm(xd.log()) == ["START: echo-stream pid=N from=127.0.0.1", "EXIT: echo-stream status=0 pid=N duration=N(sec)"]


@covers("INTL-2")
def test_discard_stream(xd):
    a = free_port()
    xd.boot(internal("discard", a), up=[a])
    assert talk(a, b"x" * 100000) == b""


DAYTIME = re.compile(rb"^\d\d (JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC) \d{4} \d\d:\d\d:\d\d \S+\r\n$")


@covers("INTL-6")
def test_dgram_echo_on_ipv6(xd):
    a = free_port()
    xd.boot(internal("echo", a, "dgram", bind="::1"), up=[("udp", a)])
    assert udp_ask(a, b"six", addr="::1") == b"six"


@covers("WAIT-5")
@bug
def test_dgram_burst(xd):
    a = free_port()
    xd.boot(internal("echo", a, "dgram"), up=[("udp", a)])
    s = udp_socket()
    for i in range(10):
        s.sendto(b"%d" % i, ("127.0.0.1", a))
    got = set()
    try:
        while len(got) < 10:
            got.add(s.recv(100))
    except socket.timeout:
        pass
    assert len(got) == 10


@covers("INTL-9", "WAIT-6")
@pytest.mark.parametrize("name", ["echo", "discard", "time", "daytime"])
def test_internal_stream_with_wait(xd, name):
    a = free_port()
    xd.boot(logdefaults(xd), internal(name, a, wait="yes"), up=[a])
    for _ in range(2):
        r = talk(a, b"abc")
        assert {"echo": r == b"abc", "discard": r == b"", "time": len(r) == 4, "daytime": DAYTIME.match(r)}[name]
    assert xd.wait_log(r"^START: %s-stream pid=\d+ from=<no address>$" % name, 2)


@covers("INTL-10", "SIG-2")
@bug
def test_internal_server_ends_with_sigterm(xd):
    a = free_port()
    xd.boot(internal("echo", a), up=[a])
    s = connect(a)
    s.sendall(b"1")
    assert s.recv(1) == b"1"
    xd.signal(signal.SIGTERM)
    xd.wait_exit()
    assert recv_all(s) == b""


@covers("SRV-19")
def test_process_title(xd):
    a = free_port()
    xd.boot(internal("echo", a), up=[a])
    s = connect(a)
    s.sendall(b"1")
    assert s.recv(1) == b"1"
    kids = children(xd.proc.pid)
    assert len(kids) == 1
    title = open("/proc/%d/cmdline" % kids[0]).read().replace("\0", "")
    s.close()
    assert "echo" in title or "service)" not in title.replace(" ", "")      # titles are cosmetic


# ---------------------------------------------------------------- tcpmux

def mux(name, **kw):
    return service(name, **dict(dict(type="TCPMUX UNLISTED", bind=None, server="/bin/echo", server_args="I am " + name), **kw))


@covers("MUX-1", "MUX-2", "CHK-8", "CHK-23", "SRV-1")
def test_tcpmux(xd):
    m = free_port()
    xd.boot(internal("tcpmux", m), mux("plain"), mux("plus", type="TCPMUXPLUS UNLISTED"), mux("off", disable="yes"),
            mux("listed", type="TCPMUX"), cat("normal", free_port()), mux("idx", id="other"), up=[m])
    nf = b"-Service name not found\r\n"
    for q, want in [(b"plain\r\n", b"I am plain\n"), (b"PLAIN\r\n", b"I am plain\n"), (b"plus\r\n", b"+Go\r\nI am plus\n"),
                    (b"off\r\n", nf), (b"listed\r\n", nf), (b"normal\r\n", nf), (b"nosuch\r\n", nf), (b"tcpmux\r\n", nf),
                    (b"idx\r\n", b"I am idx\n"), (b"other\r\n", nf)]:
        assert talk(m, q).replace(b"\0", b"") == want, q


@covers("MUX-3")
@bug
@pytest.mark.parametrize("name,want", [(b"plus", b"+Go\r\nI am plus\n"), (b"nosuch", b"-Service name not found\r\n")])
def test_tcpmux_answers_without_nul(xd, name, want):
    m = free_port()
    xd.boot(internal("tcpmux", m), mux("plus", type="TCPMUXPLUS UNLISTED"), up=[m])
    assert talk(m, name + b"\r\n") == want


@covers("MUX-6")
def test_tcpmux_client_address_check(xd):
    m = free_port()
    suc, ban = xd.write("suc", "SUC\n"), xd.write("ban", "BAN\n")
    xd.boot(internal("tcpmux", m), mux("deny", only_from="127.0.0.9"), mux("inst", instances="0"),
            mux("ban", banner=ban, banner_success=suc), up=[m])
    assert talk(m, b"deny\r\n") == b""
    assert talk(m, b"inst\r\n") == (b"I am inst\n" if ORIGINAL else b"")     # a successor looks at all limits
    assert talk(m, b"ban\r\n") == b"SUC\nI am ban\n"


@covers("MUX-8")
@pytest.mark.needs_root
def test_tcpmux_user(xd):
    m = free_port()
    xd.boot(internal("tcpmux", m), mux("nob", user="nobody", server="/usr/bin/id", server_args=None), up=[m])
    assert b"uid=65534" in talk(m, b"nob\r\n")


# ---------------------------------------------------------------- RPC

@pytest.fixture
def rpcbind():
    r = FakeRpcbind()
    yield r
    r.close()


def rpc(name, **kw):
    return service(name, **dict(dict(type="RPC UNLISTED", rpc_number="536870999", rpc_version="2", server="/bin/cat"), **kw))


@covers("RPC-1", "RPC-3", "CHK-22", "ATTR-16", "ATTR-17", "CHK-2", "PORT-5", "SIG-2")
@sandbox
def test_rpc_registration(xd, rpcbind, etc):
    etc("rpc", "test-rpc 536870998 orpc\n", append=True)
    xd.boot(logdefaults(xd), rpc("r", rpc_version="2-3"), service("test-rpc", type="RPC", rpc_version="7", server="/bin/cat"),
            service("no-such-rpc", type="RPC", rpc_version="1", server="/bin/cat"), rpc("nv", rpc_version=None),
            rpc("nn", rpc_number=None))
    s = set(rpcbind.sets)
    port = [p for pr, v, proto, p in s if pr == 536870999][0]
    port2 = [p for pr, v, proto, p in s if pr == 536870998][0]
    assert s == {(536870999, 2, "tcp", port), (536870999, 3, "tcp", port), (536870998, 7, "tcp", port2)}
    assert talk(port, b"x") == b"x"
    xd.wait_log("^START: r ")
    xd.signal(signal.SIGTERM)
    assert xd.wait_exit() == 0
    assert {(536870999, 2), (536870999, 3), (536870998, 7)} <= set(rpcbind.unsets)


@covers("RPC-2")
@sandbox
def test_rpc_without_rpcbind(xd):
    xd.boot(rpc("r"))
    assert [x for x in sockets() if x[2] not in (xd.sentinel,) and x[1] == b"\x7f\x00\x00\x01" and x[2] > 30000] == []
