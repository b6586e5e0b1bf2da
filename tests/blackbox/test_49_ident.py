"""ident (RFC 1413): a host that answers late, in pieces, too much or with tricks harms nobody."""
import socket

import pytest

import fakeident
from harness import *
from load import Load

covers = pytest.mark.covers
sandbox = pytest.mark.needs_sandbox

U = dict(log_on_success="PID HOST USERID", log_on_failure="HOST USERID")


@pytest.fixture
def host():
    made = []

    def make(answer):
        made.append(fakeident.Host(answer))
        return made[-1]
    yield make
    for h in made:
        h.close()


def done(c, *pieces):
    """Send the pieces as packets of their own, and close."""
    c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for piece in pieces:
        c.sendall(piece)
    c.close()


@covers("IDENT-1", "HARD-6")
@sandbox
def test_a_host_that_never_answers_delays_nobody_else(xd, ports, host):
    a, b = ports(2)
    silent = host(lambda c, ports: None)
    xd.boot(logdefaults(xd, cps="0 0", instances="UNLIMITED", per_source="UNLIMITED"),
            cat("a", a, **U), cat("b", b), up=[a, b])
    waiting = [connect(a) for _ in range(80)]
    assert wait_until(lambda: len(silent.queries) == 80)
    load = Load(b, 200)
    load.finish()
    assert load.done == 200 and load.refused == 0
    silent.answer = lambda c, ports: done(c, (ports + " : USERID : UNIX : ann\r\n").encode())
    assert talk(a, b"x") == b"x"            # the one after 80 that wait
    xd.wait_log("^USERID: a UNIX : ann$")
    for s in waiting:
        s.close()


@covers("IDENT-2")
@sandbox
def test_an_answer_in_pieces(daemon, host):
    a = free_port()
    host(lambda c, ports: done(c, ports[:2].encode(), (ports[2:] + " : USER").encode(), b"ID : UNIX : b", b"ob\r\n"))
    daemon.boot(logdefaults(daemon), cat("a", a, **U), up=[a])
    assert talk(a, b"x") == b"x"
    daemon.wait_log("^USERID: a UNIX : bob$")


@covers("IDENT-3")
@sandbox
def test_an_endless_answer_is_no_answer(xd, ports, host):
    def flood(c, ports):
        try:
            c.sendall(b"x" * 100000)
        except OSError:
            pass
    a, b = ports(2)
    host(flood)
    xd.boot(logdefaults(xd), cat("a", a, **U), cat("b", b, flags="IDONLY", **U), up=[a, b])
    assert talk(a, b"x") == b"x" and attempt(b, b"x") != b"x"
    xd.wait_log("^NOID: b 127.0.0.1 error while receiving response$")
    assert not [line for line in xd.log() if line.startswith("USERID")]


@covers("IDENT-2", "LOG-7")
@sandbox
def test_a_host_cannot_forge_lines(xd, host):
    a = free_port()
    host(lambda c, ports: done(c, ports.encode() + b" : USERID : UNIX : eve\rFAIL: a address\x1b[2J" + b"\xff" * 900 + b"\r\n"))
    xd.boot(logdefaults(xd), cat("a", a, **U), up=[a])
    assert talk(a, b"x") == b"x"
    line, = xd.wait_log("^USERID: a UNIX : eve")
    assert line.startswith("USERID: a UNIX : eve?FAIL: a address?[2J") and len(line.encode()) <= 1024


@covers("CLI-11", "IDENT-6")
@sandbox
def test_logprocs_bounds_the_questions_about_refused_clients(xd, host):
    a = free_port()
    silent = host(lambda c, ports: None)
    xd.boot(logdefaults(xd), cat("a", a, instances="0", **U), args=["-logprocs", "3"], up=[a])
    for _ in range(10):
        assert talk(a, b"x") == b""
    xd.wait_log("^FAIL: a service_limit", 10)
    assert wait_until(lambda: len(silent.queries) >= 3)
    assert len(silent.queries) == 3


@covers("WRAP-1", "IDENT-2")
@sandbox
def test_wrappers_ask_for_the_user(daemon, etc, host):
    a = free_port()
    etc("hosts.allow", "cat: ann@127.0.0.1\n")
    etc("hosts.deny", "ALL: ALL\n")
    names = iter(["ann", "bob", "ann"])
    host(lambda c, ports: done(c, ("%s : USERID : UNIX : %s\r\n" % (ports.replace(",", " , "), next(names))).encode()))
    daemon.boot(cat("a", a, flags="IPv4"), up=[a])
    assert [attempt(a, b"x", src="127.0.0.1") == b"x" for _ in range(3)] == [True, False, True]


@covers("IDENT-1", "IDENT-4", "RELOAD-4", "HARD-6")
@sandbox
def test_an_answer_about_a_client_of_a_service_that_is_gone_harms_nobody(xd, ports, host):
    """The host takes its time; meanwhile the service goes."""
    a, b, c = ports(3)
    silent = host(lambda c, ports: None)
    rest = logdefaults(xd) + cat("c", c)
    xd.boot(rest, cat("a", a, **U), cat("b", b, flags="IDONLY", **U), up=[a, b, c])
    waiting = [connect(port) for port in (a, b)]
    assert wait_until(lambda: len(silent.held) == 2)
    xd.reload(rest, up=[c], down=[a, b])
    for connection, (query, _) in zip(silent.held, silent.queries):
        own = query.split(b",")[1].strip()
        done(connection, query.strip() + b" : " + (b"USERID : UNIX : ann" if own == b"%d" % a else b"ERROR : NO-USER") + b"\r\n")
    assert [recv_all(s) for s in waiting] == [b"", b""], "nobody serves them any more"
    assert talk(c, b"x") == b"x" and xd.alive() and "protocol" not in xd.dlog()
