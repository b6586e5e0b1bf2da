"""Names in address lists, with a name server that never answers."""
import socket

import pytest

from harness import *
from load import Load

covers = pytest.mark.covers
sandbox = pytest.mark.needs_sandbox

ENDLESS = dict(cps="0 0", instances="UNLIMITED", per_source="UNLIMITED")


@pytest.fixture
def silent_name_server(etc):
    """Asked for whoever is not in /etc/hosts; its socket."""
    etc("nsswitch.conf", "hosts: files dns\n")
    etc("resolv.conf", "nameserver 127.0.0.53\noptions timeout:30 attempts:1\n")
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("127.0.0.53", 53))
    s.settimeout(patience())
    yield s
    s.close()


@covers("ADDR-13", "HARD-6")
@sandbox
def test_who_waits_for_a_name_delays_nobody_else(xd, ports, silent_name_server):
    """40 clients of one service wait; those whom an address lets in, and other services, do not."""
    a, b = ports(2)
    xd.boot(logdefaults(xd, **ENDLESS), cat("a", a, only_from=".example.test 127.0.0.1"), cat("b", b), up=[a, b])
    waiting = [connect(a, src="127.0.0.99") for _ in range(40)]
    assert silent_name_server.recv(512)
    for port in (a, b):
        load = Load(port, 200)
        load.finish()
        assert load.done == 200 and load.refused == 0, port
    for s in waiting:
        s.close()


@covers("ADDR-13")
@sandbox
def test_a_client_whose_name_is_in_doubt_is_let_in_by_nobody(xd, ports, silent_name_server):
    """Not by only_from, and not past no_access."""
    a, b = ports(2)
    xd.boot(logdefaults(xd), cat("a", a, only_from=".example.test"), cat("b", b, no_access=".example.test"), up=[a, b])
    clients = [connect(port, src="127.0.0.99") for port in (a, b)]
    for port, s in zip("ab", clients):
        s.settimeout(60)
        assert s.recv(1) == b""
        xd.wait_log("^FAIL: %s address from=127.0.0.99$" % port)
        s.close()
