"""Who is being served: the request `sessions` of the control socket, and `xinetctl sessions`."""
import json
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


# ---------------------------------------------------------------- xinetctl sessions

STUBBORN = """#!/bin/sh
trap '' TERM
echo $$
while :; do read line || sleep 60; done
"""


def test_the_table_and_the_document(xd, ports):
    a, b = ports(2)
    work = "import sys, time\nend = time.process_time() + 0.2\nwhile time.process_time() < end: pass\nsys.stdin.read()\n"
    xd.boot(service("a", a, server=xd.script("a", pyscript(work))), internal("echo", b), up=[a, b])
    with connect(a) as one, connect(b) as two:
        echoes(two, b"123456789")
        two.sendall(b"0")                           # acknowledges what came back
        assert recv_n(two, 1) == b"0"
        wait_sessions(2)

        def look():
            code, out, err = control.ctl("sessions", "--json")
            assert (code, err) == (0, "")
            document = json.loads(out)
            assert document["version"] == 1
            return {it["service"]: it for it in document["sessions"]}
        assert wait_until(lambda: (look()["a"]["cpu_ms"] or 0) >= 150), look()
        found = look()
        assert 1 << 20 < found["a"]["memory"] < 1 << 30 and found["a"]["user"] == "root"
        assert (found["a"]["received"], found["a"]["sent"]) == (0, 0)
        assert found["echo-stream"]["cpu_ms"] is None and found["echo-stream"]["memory"] is None
        assert found["echo-stream"]["received"] == 10 and found["echo-stream"]["sent"] >= 9
        code, out, err = control.ctl("sessions", "echo")            # a name means an id, too
        head, row = out.splitlines()
        assert head.split() == ["ID", "SERVICE", "PEER", "PID", "USER", "AGE", "CPU", "MEMORY", "IN", "OUT"]
        words = row.split()
        assert words[1:4] == ["echo-stream", "127.0.0.1:%d" % own_port(two), str(engine(xd.proc.pid))] and words[-4:-1] == ["-", "-", "10"]
        assert len(control.ctl("sessions", "sentinel")[1].splitlines()) == 1, "the head alone"


def test_a_service_that_does_not_exist_is_named_with_the_nearest(xd):
    xd.boot()
    for words in (["sessions", "sentinal"], ["kill", "--service", "sentinal"]):
        code, out, err = control.ctl(*words)
        assert (code, out) == (1, "") and "there is no service sentinal; did you mean `sentinel`?" in err, (code, out, err)


def test_what_a_server_has_forked_is_counted_with_it(xd, ports):
    a, = ports(1)
    forks = "import os, sys\nif os.fork() == 0:\n    x = bytearray(50 << 20)\nsys.stdout.write('x')\nsys.stdout.flush()\nsys.stdin.read()\n"
    xd.boot(service("a", a, server=xd.script("a", pyscript(forks))), up=[a])
    with connect(a) as s:
        assert recv_n(s, 2) == b"xx"
        it, = json.loads(control.ctl("sessions", "--json")[1])["sessions"]
        assert it["memory"] > 50 << 20


# ---------------------------------------------------------------- xinetctl kill

def gone(s):
    """Nothing comes any more, and the connection has ended."""
    return recv_all(s) == b""


def test_the_sessions_that_are_named_end_and_no_others(xd, ports):
    a, b = ports(2)
    xd.boot(logdefaults(xd), cat("a", a), internal("echo", b), up=[a, b])
    with connect(a) as one, connect(a) as two, connect(b) as three, connect(b) as four:
        for s in (one, two, three, four):
            echoes(s)
        ids = {it["peer_port"]: it["id"] for it in wait_sessions(4)}
        code, out, err = control.ctl("kill", str(ids[own_port(one)]), str(ids[own_port(three)]))
        assert (code, out, err) == (0, "2 sessions have ended\n", "")
        assert gone(one) and gone(three)
        echoes(two), echoes(four)
        assert {it["id"] for it in wait_sessions(2)} == {ids[own_port(two)], ids[own_port(four)]}
        xd.wait_log("^EXIT: a signal=15 ")
        xd.wait_log("^EXIT: echo-stream signal=15 ")
        xd.wait_dlog(r"Ending session %d of a, by order of uid 0$" % ids[own_port(one)])


def test_one_unknown_session_and_none_is_ended(xd, ports):
    a, = ports(1)
    xd.boot(cat("a", a), up=[a])
    with connect(a) as s:
        echoes(s)
        it, = wait_sessions(1)
        code, out, err = control.ctl("kill", str(it["id"]), "4711")
        assert (code, out) == (1, "") and "there is no session 4711; none was ended" in err
        echoes(s)
        assert not sessions()[0]["is_ending"]


@pytest.mark.parametrize("words", [[], ["--service", "a", "--peer", "::1"], ["1", "--service", "a"], ["x"], ["--peer"]])
def test_exactly_one_kind_of_choice(xd, words):
    code, out, err = control.ctl("kill", *words)
    assert code == 2 and out == "" and "Usage: xinetctl kill" in err or "--help" in err


def test_all_of_a_service_or_of_a_client(xd, ports):
    a, b = ports(2)
    path = xd.path("door")
    xd.boot(cat("a", a, **MANY), internal("echo", b, **MANY),
            service("local", bind="unix:" + path, port=None, protocol=None, type="UNLISTED", server="/bin/cat"), up=[a, b])
    local = socket.socket(socket.AF_UNIX)
    local.connect(path)
    with connect(a, src="127.0.0.2") as one, connect(b, src="127.0.0.2") as two, connect(a) as three, connect(b) as four, local:
        for s in (one, two, three, four, local):
            echoes(s)
        assert control.ctl("kill", "--peer", "::ffff:127.0.0.2")[:2] == (0, "2 sessions have ended\n")
        assert gone(one) and gone(two)
        for s in (three, four, local):
            echoes(s)
        assert control.ctl("kill", "--peer", "unix:uid=0")[:2] == (0, "1 session has ended\n") and gone(local)
        assert control.ctl("kill", "--service", "echo")[:2] == (0, "1 session has ended\n") and gone(four)
        assert control.ctl("kill", "--peer", "192.0.2.1")[:2] == (0, "0 sessions have ended\n")
        assert control.ctl("kill", "--peer", "localhost")[0] == 1
        echoes(three)


def test_who_does_not_listen_to_sigterm_is_killed(xd, ports):
    a, = ports(1)
    xd.boot(logdefaults(xd), service("a", a, server=xd.script("a", STUBBORN)), up=[a])
    with connect(a) as s:
        pid = int(s.makefile().readline())
        assert control.ctl("kill", "--service", "a")[:2] == (0, "1 session has ended\n")
        xd.wait_log("^EXIT: a signal=9 pid=%d" % pid)


def test_a_server_with_the_socket_gives_it_back(xd, ports):
    u, = ports(1)
    xd.boot(service("w", u, socket_type="dgram", protocol="udp", wait="yes", server=xd.script("w", pyscript(UDP_ONCE))), up=[("udp", u)])
    with udp_socket() as s:
        s.sendto(b"s60", ("127.0.0.1", u))
        first = s.recv(100).split(b"|")[0]
        assert control.ctl("kill", "--service", "w")[0] == 0
        assert udp_ask(u).split(b"|")[0] not in (first, None)


def test_a_client_whose_datagrams_are_passed_on_may_come_again(xd, ports):
    a, b = ports(2)
    xd.boot(logdefaults(xd), internal("echo", a, "dgram"), service("r", b, socket_type="dgram", protocol="udp", redirect="127.0.0.1 %d" % a),
            up=[("udp", a), ("udp", b)])
    with udp_socket() as s:
        for time in (1, 2):
            s.sendto(b"x", ("127.0.0.1", b))
            assert s.recv(10) == b"x"
            it, = wait_sessions(1, "r")
            assert control.ctl("kill", str(it["id"]))[:2] == (0, "1 session has ended\n")
            xd.wait_log("^EXIT: r signal=15", time)


def test_two_hundred_sessions_while_the_engine_dies_and_the_files_are_read(xd, ports):
    a, b = ports(2)
    text = defaults(**MANY), cat("a", a), internal("echo", b)
    xd.boot(*text, up=[a, b])
    clients = [connect(port) for port in [a, b] * 100]
    for s in clients:
        echoes(s)
    wait_sessions(200)
    code, out, err = control.ctl("sessions")
    assert (code, len(out.splitlines())) == (0, 201)
    os.kill(engine(xd.proc.pid), signal.SIGKILL)
    xd.reload(*text)
    assert control.ctl("kill", "--service", "a")[:2] == (0, "100 sessions have ended\n")
    for s in clients:
        assert gone(s)
        s.close()
    assert sessions() == [] and len(children(xd.proc.pid)) == 1
    xd.signal(signal.SIGABRT)
    xd.wait_dlog("Consistency check passed")
