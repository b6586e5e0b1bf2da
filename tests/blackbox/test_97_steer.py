"""`xinetctl pause`, `drain` and `resume`: who gets in, who waits, who may finish, and what the daemon says of it."""
import json
import os
import signal
import socket
import subprocess
import time

import pytest

import control
from harness import *
from procs import become_user, busy, engine, set_limit

pytestmark = pytest.mark.needs_sandbox
MANY = dict(instances="UNLIMITED", per_source="UNLIMITED", cps="0 0")


def state(service):
    return control.status()[1][service]["state"]


def wait_state(service, wanted):
    assert wait_until(lambda: state(service) == wanted), state(service)


def order(*words):
    """An order that is carried out; what it prints."""
    code, out, err = control.ctl(*words)
    assert (code, err) == (0, ""), (words, code, out, err)
    return out


class Waiting:
    """A command that is running."""

    def __init__(self, *words):
        self.proc = subprocess.Popen([CTL, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def end(self):
        out, err = self.proc.communicate(timeout=60)
        return self.proc.returncode, out, err


def echoes(s, data=b"x"):
    s.sendall(data)
    assert recv_n(s, len(data)) == data


def waits(s):
    """A connection that nobody has accepted yet: it says something and hears nothing."""
    s.sendall(b"x")
    s.settimeout(0.3)
    with pytest.raises(socket.timeout):
        s.recv(1)
    s.settimeout(patience())
    return s


def sound(xd):
    before = xd.dlog().count("Consistency check passed")
    xd.signal(signal.SIGABRT)
    xd.wait_dlog("Consistency check passed", before + 1)


def crash(xd):
    old = engine(xd.proc.pid)
    os.kill(old, signal.SIGKILL)
    engine(xd.proc.pid, other_than=old)


def both(xd, a, b):
    """A server for each client, and the engine itself."""
    return logdefaults(xd), cat("a", a, **MANY), internal("echo", b, **MANY)


# ---------------------------------------------------------------- pause

def test_while_it_is_paused_clients_wait_and_nobody_is_lost(xd, ports):
    a, b = ports(2)
    xd.boot(*both(xd, a, b), up=[a, b])
    with connect(a) as one:
        echoes(one)
        assert order("pause", "a", "echo") == "a: paused\necho-stream: paused\n"
        assert (state("a"), state("echo-stream"), state("sentinel")) == ("paused", "paused", "active")
        xd.wait_dlog("service a: paused: clients wait, by order of uid 0$")
        echoes(one), echoes(connect(xd.sentinel))
        held = [waits(connect(port)) for port in (a, b, a, b)]
        crash(xd)
        xd.reload(*both(xd, a, b))
        held += [waits(connect(port)) for port in (a, b)]
        assert state("a") == "paused"
        sound(xd)
        assert order("resume", "a", "echo") == "a: active\necho-stream: active\n"
        for s in held:
            assert recv_n(s, 1) == b"x"
            s.close()
        echoes(one)
    xd.wait_dlog("service a: open again, by order of uid 0$")


def test_a_datagram_waits_too(xd, ports):
    u, w = ports(2)
    xd.boot(internal("echo", u, "dgram"), service("w", w, socket_type="dgram", protocol="udp", wait="yes", server=xd.script("w", pyscript(UDP_ONCE))),
            up=[("udp", u), ("udp", w)])
    order("pause", "echo", "w")
    with udp_socket(timeout=0.3) as one, udp_socket(timeout=0.3) as two:
        for s, port in (one, u), (two, w):
            s.sendto(b"1", ("127.0.0.1", port))
            with pytest.raises(socket.timeout):
                s.recv(100)
            s.settimeout(patience())
        order("resume", "echo", "w")
        assert one.recv(1) == b"1" and two.recv(100).endswith(b"|1")


def test_a_service_behind_tcpmux_has_no_queue(xd, ports):
    m, = ports(1)
    xd.boot(internal("tcpmux", m, id="tcpmux"), service("x", type="TCPMUXPLUS UNLISTED", port=None, server="/bin/cat"), up=[m])
    assert talk(m, b"x\r\nhello") == b"+Go\r\nhello"
    for command in ("pause", "drain"):
        order(command, "x")
        assert talk(m, b"x\r\nhello") == b"-Service name not found\r\n"
    order("resume", "--all")
    assert talk(m, b"x\r\nhello") == b"+Go\r\nhello"


def test_who_asks_about_some_services_hears_of_those(xd, ports):
    a, b = ports(2)
    xd.boot(*both(xd, a, b), up=[a, b])
    named = lambda *words: control.ask({"services": {"named": list(words)}})
    assert [value["id"] for kind, value in named("echo", "a") if kind == "service"] == ["a", "echo-stream"]
    assert [kind for kind, _ in named("a")] == ["service", "done"]
    assert len(control.ask({"services": {"all": {}}})) == 4
    assert named("a", "c")[-1][0] == "failed" and len(named("a", "c")) == 1


# ---------------------------------------------------------------- drain

def test_it_is_closed_at_once_and_drained_when_the_last_session_ends(xd, ports):
    a, b = ports(2)
    xd.boot(*both(xd, a, b), up=[a, b])
    with connect(a) as one, connect(b) as two:
        echoes(one), echoes(two)
        drain = Waiting("drain", "a", "echo")
        assert drain.proc.stdout.readline() == "a: 1 session, echo-stream: 1 session\n"
        assert refused(a) and refused(b) and not refused(xd.sentinel)
        echoes(one), echoes(two)
        crash(xd)                                   # it takes the sessions of the engine with it
        wait_state("echo-stream", "drained")
        xd.reload(*both(xd, a, b))
        assert refused(a) and refused(b) and state("a") == "draining"
        echoes(one)
        assert drain.proc.poll() is None
    code, out, err = drain.end()
    assert (code, out.splitlines()[-1], err) == (0, "drained: a echo-stream", "")
    assert state("a") == "drained" and refused(a)
    xd.wait_dlog("service a: drained$")
    xd.wait_dlog("service a: closed: it serves whom it has let in, by order of uid 0$")
    sound(xd)
    assert order("resume", "a", "echo") == "a: active\necho-stream: active\n"
    assert talk(a, b"x") == b"x" and talk(b, b"x") == b"x"
    assert xd.dlog().count("service a: drained") == 1


def test_many_who_are_still_served_cost_nothing(xd, ports):
    a, *doors = ports(61)
    entries = [internal("echo", port, id="e%d" % n, **MANY) for n, port in enumerate(doors)]
    xd.boot(cat("a", a, **MANY), *entries, up=[a, doors[-1]])
    held = [connect(port) for port in doors for _ in range(20)]
    for s in held:
        echoes(s)

    def work():
        before = busy(xd.proc.pid)
        for _ in range(200):
            assert talk(a, b"x") == b"x"
        return busy(xd.proc.pid) - before
    work()
    alone = work()
    assert control.ask({"drain": {"named": ["e%d" % n for n in range(len(doors))]}})[-1] == ("done", {})
    assert work() < 1.5 * alone + 0.05
    for s in held:
        echoes(s)
        s.close()


def test_nobody_there_is_drained_at_once_also_all_of_them(xd, ports):
    a, b = ports(2)
    xd.boot(*both(xd, a, b), up=[a, b])
    assert order("drain", "--all") == "drained: a echo-stream sentinel\n"
    assert refused(a) and refused(b) and refused(xd.sentinel)
    code, out, err = control.ctl("status")
    assert code == 1 and out.count(" drained ") == 3
    order("pause", "--all")                         # from one to the other
    held = waits(connect(a))
    order("drain", "--all")
    assert refused(a) and recv_all(held) == b""
    order("resume", "--all")
    assert talk(a, b"x") == b"x" and control.ctl("status")[0] == 0


def test_not_in_time_and_an_interrupt_leave_it_closed(xd, ports):
    a, b = ports(2)
    xd.boot(*both(xd, a, b), up=[a, b])
    with connect(a) as one:
        echoes(one)
        code, out, err = control.ctl("drain", "a", "--timeout", "1")
        assert code == 1 and "not drained in time: a: 1 session" in err and refused(a)
        drain = Waiting("drain", "a")
        assert drain.proc.stdout.readline() == "a: 1 session\n"
        drain.proc.send_signal(signal.SIGINT)
        assert drain.end()[0] == -signal.SIGINT
        assert refused(a) and state("a") == "draining"
        drain = Waiting("drain", "a")
        assert drain.proc.stdout.readline() == "a: 1 session\n"
        order("resume", "a")
        code, out, err = drain.end()
        assert code == 1 and "a: somebody else has made it active" in err
        echoes(one)


def test_a_client_on_the_way_in_is_waited_for(xd, ports):
    """A banner that its client does not read holds it up: accepted, and no session yet."""
    a, = ports(1)
    banner = xd.write("banner", "x" * (8 << 20))
    xd.boot(cat("a", a, banner_success=banner), up=[a])
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.settimeout(patience())
    s.connect(("127.0.0.1", a))
    assert s.recv(1) == b"x"
    drain = Waiting("drain", "a")
    assert drain.proc.stdout.readline() == "a: clients on the way in\n"
    assert control.status()[1]["a"]["sessions"] == 0 and state("a") == "draining"
    assert len(recv_n(s, (8 << 20) - 1)) == (8 << 20) - 1
    echoes(s)
    wait_until(lambda: control.status()[1]["a"]["sessions"] == 1)
    s.close()
    assert drain.end()[0] == 0


@pytest.mark.needs_root
def test_a_client_whose_server_could_not_be_forked_is_waited_for(xd, ports):
    """With the daemon, then with the engine again, and then it has its server."""
    a, = ports(1)
    os.chmod(xd.dir, 0o777)
    asks = xd.path("asks")
    xd.boot(cat("a", a, user=str(LONER)), preexec=lambda: become_user(LONER), args=["-control", asks])
    set_limit(xd.proc.pid, nproc=(1, 50))
    with connect(a) as s:
        s.sendall(b"x")
        xd.wait_dlog("fork failed: Resource temporarily unavailable")
        set_limit(xd.proc.pid, nproc=(50, 50))
        drain = Waiting("drain", "a", "--socket", asks)
        assert drain.proc.stdout.readline() == "a: 1 session\n"
        assert recv_n(s, 1) == b"x"
        assert drain.proc.poll() is None and "service a: drained" not in xd.dlog()
    code, out, err = drain.end()
    assert (code, out.splitlines()[-1], err) == (0, "drained: a", "")


def test_unix_sockets_wait_and_go_on(xd):
    path = xd.path("door")
    entry = service("local", bind="unix:" + path, port=None, protocol=None, type="UNLISTED", server="/bin/cat")

    def client():
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(patience())
        s.connect(path)
        return s
    xd.boot(entry)
    one = client()
    echoes(one)
    for command in ("pause", "drain"):
        if command == "pause":
            order("pause", "local")
        else:
            drain = Waiting("drain", "local")
            assert drain.proc.stdout.readline() == "local: 1 session\n"
            drain.proc.kill()
            drain.end()
        held = waits(client())
        echoes(one)
        order("resume", "local")
        assert recv_n(held, 1) == b"x", xd.dlog()
        held.close()


def test_a_server_keeps_the_socket_that_it_has_and_the_next_one_does_not_come(xd, ports):
    u, t = ports(2)
    xd.boot(service("w", u, socket_type="dgram", protocol="udp", wait="yes", server=xd.script("w", pyscript(UDP_ONCE))),
            service("l", t, wait="yes", server=xd.script("l", pyscript(TCP_ACCEPT)), server_args="2"), up=[("udp", u), t])
    with udp_socket() as s:
        s.sendto(b"s60", ("127.0.0.1", u))
        pid = int(s.recv(100).split(b"|")[0])
        talk(t)                                     # its server waits for one more
        drain = Waiting("drain", "w", "l")
        wait_state("w", "draining"), wait_state("l", "draining")
        assert recv_all(connect(t)).count(b"|") == 1, "it has the socket"
        wait_state("l", "drained")
        assert wait_until(lambda: refused(t))
        os.kill(pid, signal.SIGTERM)
        assert drain.end()[0] == 0
    with udp_socket() as s:
        s.connect(("127.0.0.1", u))
        s.send(b"x")
        with pytest.raises(ConnectionRefusedError):
            s.recv(10)
    sound(xd)
    order("resume", "w", "l")
    assert udp_ask(u) and talk(t)


def test_datagrams_that_are_passed_on_end_with_the_door(xd, ports):
    u, r = ports(2)
    xd.boot(logdefaults(xd), internal("echo", u, "dgram"), service("r", r, socket_type="dgram", protocol="udp", redirect="127.0.0.1 %d" % u),
            up=[("udp", u), ("udp", r)])
    with udp_socket() as s:
        s.connect(("127.0.0.1", r))
        s.send(b"1")
        assert s.recv(10) == b"1"
        assert order("drain", "r") == "drained: r\n"
        xd.wait_log("^EXIT: r signal=15")
        s.send(b"2")
        with pytest.raises(ConnectionRefusedError):
            s.recv(10)
        order("resume", "r")
        s.send(b"3")
        assert s.recv(10) == b"3"


def test_redirected_connections_may_finish(xd, ports):
    a, r = ports(2)
    xd.boot(cat("a", a), service("r", r, redirect="127.0.0.1 %d" % a), up=[a, r])
    with connect(r) as s:
        echoes(s)
        drain = Waiting("drain", "r")
        wait_state("r", "draining")
        assert wait_until(lambda: refused(r))
        echoes(s)
    assert drain.end()[0] == 0


# ---------------------------------------------------------------- beside cps, reloads, and the end

@pytest.mark.parametrize("command", ["pause", "drain"])
def test_cps_closes_and_opens_below_it(xd, ports, command):
    a, = ports(1)
    xd.boot(cat("a", a, cps="2 4"), up=[a])
    assert wait_until(lambda: attempt(a) is None and state("a") == "closed", step=0)
    order(command, "a")
    assert state("a") == {"pause": "paused", "drain": "drained"}[command] and refused(a)
    if command == "pause":
        xd.wait_dlog("Activating service a$")
        waits(connect(a)).close()
    else:
        order("resume", "a")
        assert state("a") == "closed" and refused(a)
        xd.wait_dlog("Activating service a$")
        assert attempt(a) == b"x"


def test_cps_that_is_over_does_not_open_what_is_drained(xd, ports):
    a, = ports(1)
    xd.boot(cat("a", a, cps="2 1"), up=[a])
    assert wait_until(lambda: attempt(a) is None and state("a") == "closed", step=0)
    until = control.status()[1]["a"]["until"]
    order("drain", "a")
    assert wait_until(lambda: time.time() > until + 2)
    assert refused(a) and "Activating" not in xd.dlog()
    order("resume", "a")
    assert talk(a, b"x") == b"x"


def test_a_reload_that_adds_or_moves_sockets_keeps_it_closed(xd, ports):
    a, c = ports(2)
    xd.boot(cat("a", a), up=[a])
    order("drain", "a")
    xd.reload(cat("a", a, bind="127.0.0.1 127.0.0.2"))
    assert refused(a) and refused(a, "127.0.0.2") and state("a") == "drained"
    xd.reload(cat("a", a, bind="127.0.0.3"))        # elsewhere, and the same service
    assert refused(a) and refused(a, "127.0.0.3") and state("a") == "drained"
    order("resume", "a")
    assert talk(a, b"x", addr="127.0.0.3") == b"x"
    order("pause", "a")
    xd.reload(service("other", c, server="/bin/cat"))
    xd.reload(cat("a", a), up=[a])
    assert talk(a, b"x") == b"x" and state("a") == "active", "it was gone meanwhile: another number"
    sound(xd)


def test_it_ends_with_the_daemon_and_sigterm_is_as_always(xd, ports):
    a, b = ports(2)
    xd.boot(*both(xd, a, b), up=[a, b])
    order("drain", "a")
    order("pause", "echo")
    held = waits(connect(b))
    xd.signal(signal.SIGTERM)
    assert xd.wait_exit() == 0 and recv_all(held) == b""
    xd.boot(*both(xd, a, b), up=[a, b])
    assert talk(a, b"x") == b"x" and state("echo-stream") == "active"


@pytest.mark.parametrize("command", ["pause", "drain", "resume"])
def test_what_does_not_exist_is_named_and_nothing_is_done(xd, command):
    xd.boot()
    code, out, err = control.ctl(command, "sentinel", "sentinal")
    assert (code, out) == (1, "") and "there is no service sentinal; did you mean `sentinel`?" in err
    assert state("sentinel") == "active"
    for words in ([], ["sentinel", "--all"]):
        assert control.ctl(command, *words)[0] == 2


def test_two_hundred_sessions_are_drained_while_clients_come(xd, ports):
    a, b = ports(2)
    xd.boot(*both(xd, a, b), up=[a, b])
    clients = [connect(port) for port in [a, b] * 100]
    for s in clients:
        echoes(s)
    drain = Waiting("drain", "a", "echo")
    assert drain.proc.stdout.readline() == "a: 100 sessions, echo-stream: 100 sessions\n"
    for number, s in enumerate(clients):
        assert refused(a) and refused(b)
        echoes(s)
        s.close()
        if number == 100:
            xd.hup()
    assert drain.end()[0] == 0
    sound(xd)


# ---------------------------------------------------------------- deny, undeny, denied

def served(port, src, addr="127.0.0.1"):
    return attempt(port, b"x", src=src, addr=addr) == b"x"


def locked_out(port, src, addr="127.0.0.1"):
    """As soon as the engine has heard of it."""
    return wait_until(lambda: not served(port, src, addr))


def let_in(port, src, addr="127.0.0.1"):
    return wait_until(lambda: served(port, src, addr))


def denied():
    lines = control.ask("denied")
    assert lines[-1] == ("done", {})
    return {it["address"]: it["until"] for _, it in lines[:-1]}


def test_an_address_is_locked_out_of_everything_until_it_is_let_in(xd, ports):
    a, b = ports(2)
    xd.boot(*both(xd, a, b), up=[a, b])
    with connect(a, src="127.0.0.2") as before:
        echoes(before)
        assert order("deny", "127.0.0.2") == "127.0.0.2: locked out, for ever\n"
        assert locked_out(a, "127.0.0.2") and not served(b, "127.0.0.2") and served(a, "127.0.0.3") and served(b, "127.0.0.3")
        xd.wait_log("^FAIL: a address from=127.0.0.2$")
        xd.wait_dlog("Adding 127.0.0.2 to the global_no_access list for ever, by order of uid 0$")
        crash(xd)
        xd.reload(*both(xd, a, b))
        assert not served(a, "127.0.0.2") and denied() == {"127.0.0.2": None}
        echoes(before)                              # who is served goes on
    assert order("undeny", "127.0.0.2") == ""
    assert let_in(a, "127.0.0.2") and served(b, "127.0.0.2") and denied() == {}
    xd.wait_dlog("Removing 127.0.0.2 from the global_no_access list, by order of uid 0$")
    crash(xd)
    assert served(a, "127.0.0.2")
    code, out, err = control.ctl("undeny", "127.0.0.2")
    assert (code, out) == (1, "") and "127.0.0.2 is not locked out" in err


def test_for_a_time_by_ipv6_and_in_the_mapped_form(xd, ports):
    a, = ports(1)
    xd.boot(logdefaults(xd), cat("a", a, bind="127.0.0.1 ::1"), up=[a])
    assert order("deny", "::1", "--for", "6s") in ["::1: locked out, for %d s\n" % seconds for seconds in (5, 6)], "another second may have begun"
    assert order("deny", "::ffff:127.0.0.2", "--for", "1h").startswith("127.0.0.2: locked out, for ")
    assert locked_out(a, "127.0.0.2") and not served(a, "::1", "::1") and served(a, "127.0.0.1")
    xd.wait_dlog("Adding ::1 to the global_no_access list for 6 seconds, by order of uid 0$")
    xd.wait_dlog("Adding 127.0.0.2 to the global_no_access list for 60 minutes, by order of uid 0$")
    assert order("deny", "127.0.0.2", "--for", "1s").endswith(" min\n"), "for longer already"
    head, one = order("denied").splitlines()[:2]
    assert head.split() == ["ADDRESS", "LOCKED", "OUT"] and one.split()[:2] == ["127.0.0.2", "for"] and one.endswith(" min")
    document = json.loads(order("denied", "--json"))
    assert document["version"] == 1 and document["denied"][0]["address"] == "127.0.0.2"
    assert let_in(a, "::1", "::1") and list(denied()) == ["127.0.0.2"]


def test_a_sensor_and_an_operator_have_one_list(xd, ports):
    a, trap = ports(2)
    xd.boot(logdefaults(xd), cat("a", a), service("trap", trap, type="INTERNAL UNLISTED", flags="SENSOR", deny_time="FOREVER"), up=[a, trap])
    assert talk(trap, b"x", src="127.0.0.2") == b""
    assert wait_until(lambda: denied() == {"127.0.0.2": None})
    order("undeny", "127.0.0.2")
    assert let_in(a, "127.0.0.2")
    order("deny", "127.0.0.4", "--for", "1h")
    assert talk(trap, b"x", src="127.0.0.4") == b""
    assert wait_until(lambda: denied() == {"127.0.0.4": None}), "the longer time is the one that counts"


def test_a_list_that_is_full_says_so(xd):
    xd.boot()
    for n in range(10240):
        assert control.ask({"deny": {"address": "10.%d.%d.1" % (n // 256, n % 256)}})[-1] == ("done", {})
    code, out, err = control.ctl("deny", "192.0.2.1")
    assert (code, out) == (1, "") and "192.0.2.1 is not locked out: 10240 addresses are" in err
    order("undeny", "10.0.0.1")
    assert order("deny", "192.0.2.1") == "192.0.2.1: locked out, for ever\n"
    assert len(order("denied").splitlines()) == 10241


@pytest.mark.parametrize("words", [[], ["localhost"], ["192.0.2.0/24"], ["192.0.2.1", "--for", "10"], ["192.0.2.1", "--for", "0s"],
                                   ["192.0.2.1", "--for", "99999999d"]])
def test_what_is_no_address_or_no_time_is_refused(xd, words):
    assert control.ctl("deny", *words)[0] == 2


def test_no_time_at_all_is_refused_on_the_wire_too(xd):
    xd.boot()
    assert control.ask({"deny": {"address": "192.0.2.1", "seconds": 0}})[-1][0] == "failed" and denied() == {}
