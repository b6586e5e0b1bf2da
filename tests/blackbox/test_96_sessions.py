"""Who is being served: the request `sessions` of the control socket, and `xinetctl sessions`."""
import os
import signal
import socket

import pytest

import control
from harness import *
from procs import engine

pytestmark = pytest.mark.needs_sandbox
MANY = dict(instances="UNLIMITED", per_source="UNLIMITED", cps="0 0")


def sessions(service=None):
    """What the daemon says, by the ids of the sessions."""
    lines = control.ask("sessions")
    assert lines[-1] == ("done", {}) and {kind for kind, _ in lines[:-1]} <= {"session"}
    found = [it for _, it in lines[:-1] if service in (None, it["service"])]
    assert [it["id"] for it in found] == sorted(it["id"] for it in found), "the oldest first"
    return found


def wait_sessions(count, service=None):
    assert wait_until(lambda: len(sessions(service)) == count), sessions(service)
    return sessions(service)


def own_port(s):
    return s.getsockname()[1]


def echoes(s, data=b"x"):
    s.sendall(data)
    assert recv_n(s, len(data)) == data


def test_servers_and_clients_of_the_engine_each_with_its_peer(xd, ports):
    a, b, c, u = ports(4)
    path = xd.path("door")
    xd.boot(cat("a", a), service("r", b, redirect="127.0.0.1 %d" % a), internal("echo", c),
            service("local", bind="unix:" + path, port=None, protocol=None, type="UNLISTED", server="/bin/cat"),
            service("w", u, socket_type="dgram", protocol="udp", wait="yes", server=xd.script("w", pyscript(UDP_ONCE))),
            up=[a, b, c, ("udp", u)])
    assert sessions() == []
    local = socket.socket(socket.AF_UNIX)
    local.connect(path)
    with connect(a) as one, connect(b) as two, connect(c) as three, local, udp_socket() as four:
        for s in (one, two, three, local):
            echoes(s)
        four.sendto(b"s60", ("127.0.0.1", u))
        found = wait_sessions(6)                # the one of r has a server of a's behind it
        eng = engine(xd.proc.pid)
        mine = {it["service"]: it for it in found if it["peer_port"] in (own_port(one), own_port(two), own_port(three), None)}
        for name, s, port in (("a", one, a), ("r", two, b), ("echo-stream", three, c)):
            it = mine[name]
            assert (it["peer"], it["peer_port"], it["port"]) == ("127.0.0.1", own_port(s), port)
            assert it["in_engine"] == (it["pid"] == eng) == (name != "a") and not it["is_ending"]
        assert mine["local"]["peer"] == "unix:uid=0" and mine["local"]["port"] is None
        assert mine["w"]["peer"] == "127.0.0.1" and not mine["w"]["in_engine"]
        assert {it["pid"] for it in found} - {eng} == set(children(xd.proc.pid)) - {eng}
        os.kill(mine["w"]["pid"], signal.SIGKILL)
    wait_sessions(0)


def test_clients_of_a_redirected_udp_service_have_their_port(xd, ports):
    a, b = ports(2)
    xd.boot(internal("echo", a, "dgram"), service("r", b, socket_type="dgram", protocol="udp", redirect="127.0.0.1 %d" % a),
            up=[("udp", a), ("udp", b)])
    with udp_socket() as s:
        s.sendto(b"x", ("127.0.0.1", b))
        assert s.recv(10) == b"x"
        it, = wait_sessions(1, "r")
        assert (it["peer"], it["peer_port"], it["port"], it["in_engine"]) == ("127.0.0.1", own_port(s), b, True)


def test_those_of_an_engine_that_dies_are_gone_and_servers_stay(xd, ports):
    a, c = ports(2)
    xd.boot(cat("a", a), internal("echo", c), up=[a, c])
    with connect(a) as one, connect(c) as two:
        echoes(one), echoes(two)
        before = wait_sessions(2)
        os.kill(engine(xd.proc.pid), signal.SIGKILL)
        assert wait_sessions(1) == [{**before[0], "seconds": sessions()[0]["seconds"], "started": sessions()[0]["started"]}]
        with connect(a) as three:
            echoes(three)
            assert wait_sessions(2)[1]["id"] > before[1]["id"], "no number is given twice"
