"""redirect of a dgram service: what a client sends goes to another host, and the answers back."""
import os
import resource
import signal
import socket

import pytest

from harness import *
from procs import engine, fds

covers = pytest.mark.covers
sandbox = pytest.mark.needs_sandbox

ALL = "PID HOST EXIT DURATION TRAFFIC"


def redirect(xd, name, port, target, **kw):
    kw = dict(dict(instances="UNLIMITED", cps="0 0", log_type="FILE " + xd.svclog, log_on_success=ALL, log_on_failure="HOST",
                   socket_type="dgram", protocol="udp", redirect=target), **kw)
    return service(name, port, **kw)


class Target(socket.socket):
    """What a service is passed on to."""

    def __init__(self, addr="127.0.0.1", port=0):
        super().__init__(socket.AF_INET6 if ":" in addr else socket.AF_INET, socket.SOCK_DGRAM)
        self.bind((addr, port))
        self.settimeout(patience())
        self.port = self.getsockname()[1]

    def answer(self, suffix=b"!"):
        """The next datagram, sent back."""
        d, a = self.recvfrom(65536)
        self.sendto(d + suffix, a)
        return d, a


@pytest.fixture
def target():
    with Target() as t:
        yield t


def up(xd, target, **kw):
    a = free_port()
    xd.boot(redirect(xd, "r", a, "127.0.0.1 %d" % target.port, **kw), up=[("udp", a)])
    return a


def test_each_client_gets_its_own_answers_and_is_a_session(xd, target):
    a = up(xd, target)
    clients = [udp_socket() for _ in range(20)]
    ways = set()
    for turn in range(3):
        for n, c in enumerate(clients):
            c.sendto(b"%d" % n, ("127.0.0.1", a))
        for _ in clients:
            ways.add(target.answer()[1])
        for n, c in enumerate(clients):
            assert c.recvfrom(100) == (b"%d!" % n, ("127.0.0.1", a))
    assert len(ways) == 20              # one for each, and always the same
    assert norm(xd.wait_log("^START", 20)) == ["START: r pid=N from=127.0.0.1"] * 20
    xd.reload(down=[("udp", a)])
    lines = xd.wait_log("^(TRAFFIC|EXIT): r", 40)
    assert sorted(set(norm(lines))) == ["EXIT: r signal=15 pid=N duration=N(sec)", "TRAFFIC: r in=3(bytes) out=6(bytes)",
                                        "TRAFFIC: r in=6(bytes) out=9(bytes)"]


@pytest.mark.parametrize("size", [0, 1, 1472, 9000, 65507])
def test_datagrams_of_every_size_pass_whole(xd, target, size):
    a = up(xd, target)
    with udp_socket() as c:
        what = os.urandom(size)
        c.sendto(what, ("127.0.0.1", a))
        assert target.answer(b"")[0] == what
        assert c.recv(65536) == what


@sandbox
@pytest.mark.parametrize("bind", [None, "0.0.0.0"], ids=["dual stack", "IPv4"])
def test_answers_come_from_the_address_that_was_asked(xd, target, bind):
    """Also where the kernel would choose another one."""
    a = up(xd, target, bind=bind)
    for own in ("127.0.0.1", "127.0.0.5"):
        with udp_socket() as c:
            c.sendto(b"x", (own, a))
            target.answer()
            assert c.recvfrom(10) == (b"x!", (own, a))


@sandbox
@pytest.mark.parametrize("client,server", [("127.0.0.1", "::1"), ("::1", "127.0.0.1")])
def test_one_family_reaches_the_other(xd, client, server):
    with Target(server) as t, udp_socket(client) as c:
        a = free_port()
        xd.boot(redirect(xd, "r", a, "%s %d" % (server, t.port), bind=client), up=[("udp", a)])
        c.sendto(b"x", (client, a))
        t.answer()
        assert c.recv(10) == b"x!"


@sandbox
def test_a_burst_that_comes_before_the_name_is_known_is_passed_on(xd, etc):
    with Target("127.0.0.2") as t, udp_socket() as c:
        etc("hosts", "127.0.0.2 time.example.test\n", append=True)
        a = free_port()
        xd.boot(redirect(xd, "r", a, "time.example.test %d" % t.port), up=[("udp", a)])
        for n in range(10):
            c.sendto(b"%d" % n, ("127.0.0.1", a))
        assert [t.answer()[0] for _ in range(10)] == [b"%d" % n for n in range(10)]


def test_limits_and_lists_hold_for_clients_not_for_datagrams(xd, target):
    a, b = free_port(), free_port()
    to = "127.0.0.1 %d" % target.port
    xd.boot(redirect(xd, "few", a, to, instances=2, cps="5 60"), redirect(xd, "none", b, to, only_from="192.0.2.1"),
            up=[("udp", a), ("udp", b)])
    first, second, third = (udp_socket() for _ in range(3))
    for _ in range(10):                 # more datagrams than cps permits clients
        for c in first, second:
            c.sendto(b"x", ("127.0.0.1", a))
            target.answer()
            assert c.recv(10) == b"x!"
    third.sendto(b"y", ("127.0.0.1", a))
    third.sendto(b"z", ("127.0.0.1", b))
    assert xd.wait_log("^FAIL: few service_limit from=127.0.0.1")
    assert xd.wait_log("^FAIL: none address from=127.0.0.1")
    first.sendto(b"last", ("127.0.0.1", a))
    assert target.answer()[0] == b"last"


def test_a_target_that_is_down_is_told_and_found_again(xd):
    with Target(port=free_port()) as t, udp_socket() as c:
        a, port = up(xd, t), t.port
        t.close()
        c.sendto(b"x", ("127.0.0.1", a))
        xd.wait_dlog(r"service r: can't connect to remote host 127.0.0.1: Connection refused \(errno = 111\)")
        with Target(port=port) as again:
            c.sendto(b"y", ("127.0.0.1", a))
            assert again.answer()[0] == b"y"
            assert c.recv(10) == b"y!"


def test_a_service_that_leads_to_itself_is_found_out(xd):
    a = free_port()
    xd.boot(redirect(xd, "r", a, "127.0.0.1 %d" % a), up=[("udp", a)])
    with udp_socket() as c:
        c.sendto(b"x", ("127.0.0.1", a))
        xd.wait_dlog("service r: can't connect to remote host 127.0.0.1: it is this very service")
    assert len(xd.wait_log("^START")) == 1


def test_clients_are_bounded_and_new_ones_take_the_place_of_those_that_rest(xd, target):
    """Who goes on sending stays."""
    limit = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (120, 120))
    a = free_port()
    xd.boot(redirect(xd, "r", a, "127.0.0.1 %d" % target.port), up=[("udp", a)], preexec=limit)
    busy = udp_socket()
    busy.sendto(b"mine", ("127.0.0.1", a))
    way = target.answer()[1]
    for n in range(200):
        for c in udp_socket(), busy:
            c.sendto(b"%d" % n, ("127.0.0.1", a))
            d, at = target.answer()
            assert c is not busy or at == way
    xd.wait_log("^EXIT: r status=0", 150)
    assert len(fds(engine(xd.proc.pid))) < 100
    assert not re.search("ERROR.*(descriptors|accept)", xd.dlog())


@sandbox
def test_who_would_answer_for_ever_is_not_answered(xd, target):
    """A forged datagram from an echo service to a target that echoes would never come to rest."""
    a = up(xd, target)
    for port in (7, 19):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as echo:
            echo.bind(("127.0.0.1", port))
            echo.sendto(b"never", ("127.0.0.1", a))
    with udp_socket() as c:
        c.sendto(b"x", ("127.0.0.1", a))
        assert target.answer()[0] == b"x"


def test_clients_that_an_engine_takes_with_it_are_logged(xd, target):
    a = up(xd, target)
    with udp_socket() as c:
        c.sendto(b"x", ("127.0.0.1", a))
        target.answer()
        assert c.recv(10) == b"x!"
        os.kill(engine(xd.proc.pid), signal.SIGKILL)
        xd.wait_log("^EXIT: r signal=9")
        c.sendto(b"y", ("127.0.0.1", a))
        target.answer()
        assert c.recv(10) == b"y!"
