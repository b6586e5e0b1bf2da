"""A reload that cannot be had for one service: that one goes on as it was, and the others do as their files say."""
import os
import resource
import signal
import socket

import pytest

import control
import procs
from harness import *
from load import Held, Load

covers = pytest.mark.covers


def names(port, addr="127.0.0.1"):
    """Which service answers there."""
    return talk(port, addr=addr).decode().strip()


def named(xd, id, port, bind, **kw):
    return service(id, port, server=xd.script("says-" + id, "#!/bin/sh\necho %s\n" % id), bind=bind, **kw)


def not_in_force(*ids):
    """What the status says is not in force, each with its place."""
    left_out = control.status()[2]
    assert sorted(left_out) == sorted(ids)
    for entry in left_out.values():
        assert entry["place"]["file"] and entry["place"]["line"] > 0
    return left_out


def reload(xd, *entries):
    """As `xinetctl reload` does it; what it says."""
    xd.config("".join(entries))
    code, out, err = control.ctl("reload")
    assert code == 0, err
    return out, err


# ---------------------------------------------------------------- addresses that are taken


@covers("RELOAD-7")
@pytest.mark.parametrize("order", ["mover first", "mover last"])
def test_who_cannot_move_keeps_the_address_that_a_new_service_wants(xd, order):
    a = free_port()
    stranger = occupied(a, "127.0.0.2")
    arrange = lambda *entries: "".join(entries if order == "mover first" else entries[::-1])
    xd.boot(logdefaults(xd), named(xd, "a", a, "127.0.0.1"), up=[a])
    reload(xd, logdefaults(xd), arrange(named(xd, "a", a, "127.0.0.2"), named(xd, "b", a, "127.0.0.1")))
    assert names(a) == "a"
    assert "b" not in control.status()[1]
    assert {id: entry["goes_on"] for id, entry in not_in_force("a", "b").items()} == {"a": True, "b": False}
    stranger.close()
    reload(xd, logdefaults(xd), arrange(named(xd, "a", a, "127.0.0.2"), named(xd, "b", a, "127.0.0.1")))
    assert names(a) == "b" and names(a, "127.0.0.2") == "a"
    not_in_force()


@covers("RELOAD-7", "START-12")
def test_who_waits_for_the_reload_hears_what_cannot_be_had(xd):
    a, b, c, d = (free_port() for _ in range(4))
    strangers = occupied(a, "127.0.0.2"), occupied(b, "127.0.0.1")
    xd.boot(logdefaults(xd), cat("a", a, bind="127.0.0.1"), cat("d", d), up=[a, d])
    log = xd.dir + "/nonexistent/log"
    out, err = reload(xd, logdefaults(xd), cat("a", a, bind="127.0.0.2"), cat("b", b), cat("c", c, log_type="FILE " + log),
                      cat("d", d, log_type="FILE " + log))
    for id, why in (("a", "127.0.0.2:%d/tcp: bind failed" % a), ("b", "127.0.0.1:%d/tcp: bind failed" % b),
                    ("c", "cannot open the log " + log), ("d", "cannot open the log " + log)):
        place = not_in_force(*"abcd")[id]["place"]
        assert "%s:%d: error: service %s: %s" % (place["file"], place["line"], id, why) in err, err
    assert "entries with errors are left out, or go on as before" in err and out.endswith("unchanged: 2 services\n")
    assert {id: entry["goes_on"] for id, entry in control.status()[2].items()} == {"a": True, "b": False, "c": False, "d": True}
    assert talk(d, b"x") == b"x" and refused(c)


@covers("RELOAD-7")
def test_a_row_of_services_that_move_up_stays_where_its_head_cannot(xd):
    """Each wants the address of the next one; that of the last is taken."""
    a = free_port()
    at = lambda n: "127.0.0.%d" % n
    stranger = occupied(a, at(5))
    row = lambda step: [named(xd, "s%d" % n, a, at(n + step)) for n in (2, 1, 4, 3)]
    xd.boot(logdefaults(xd), *row(0))
    reload(xd, logdefaults(xd), *row(1))
    assert [names(a, at(n)) for n in (1, 2, 3, 4)] == ["s1", "s2", "s3", "s4"]
    assert all(entry["goes_on"] for entry in not_in_force("s1", "s2", "s3", "s4").values())
    stranger.close()
    reload(xd, logdefaults(xd), *row(1))
    assert [names(a, at(n)) for n in (2, 3, 4, 5)] == ["s1", "s2", "s3", "s4"]
    assert refused(a) and not_in_force() == {}


@covers("RELOAD-7")
def test_two_services_change_places(xd):
    a = free_port()
    pair = lambda one, two: [logdefaults(xd), named(xd, "a", a, one), named(xd, "b", a, two)]
    xd.boot(*pair("127.0.0.1", "127.0.0.2"))
    reload(xd, *pair("127.0.0.2", "127.0.0.1"))
    assert (names(a), names(a, "127.0.0.2")) == ("b", "a")


@covers("RELOAD-7")
def test_clients_that_wait_are_not_lost_when_the_move_fails(xd):
    a = free_port()
    xd.boot(logdefaults(xd), named(xd, "a", a, "127.0.0.1"), up=[a])
    assert control.ctl("pause", "a")[0] == 0
    waiting = [connect(a) for _ in range(20)]
    stranger = occupied(a, "127.0.0.2")
    reload(xd, logdefaults(xd), named(xd, "a", a, "127.0.0.2"))
    assert control.ctl("resume", "a")[0] == 0
    assert [recv_all(s) for s in waiting] == [b"a\n"] * 20
    stranger.close()


@covers("RELOAD-7", "LOG-8")
@pytest.mark.parametrize("what", ["address", "log"])
def test_nobody_makes_room_in_vain(xd, what):
    """Who listens everywhere has to make room for its own new socket; who waits there would be lost."""
    a = free_port()
    xd.boot(logdefaults(xd), named(xd, "a", a, None), up=[a])
    assert control.ctl("pause", "a")[0] == 0
    waiting = [connect(a) for _ in range(20)]
    bad = dict(address=named(xd, "a", a, "127.0.0.1 192.0.2.1"), log=named(xd, "a", a, "127.0.0.1", log_type="FILE %s/nonexistent/log" % xd.dir))
    reload(xd, logdefaults(xd), bad[what])
    assert not_in_force("a")["a"]["goes_on"] and control.ctl("resume", "a")[0] == 0
    assert [recv_all(s) for s in waiting] == [b"a\n"] * 20


@covers("RELOAD-7")
@pytest.mark.parametrize("bind", ["127.0.0.2", "127.0.0.1 127.0.0.2", "127.0.0.3 127.0.0.2"])
def test_no_client_is_lost_under_load_when_the_move_fails(xd, bind):
    a, endless = free_port(), dict(instances="UNLIMITED", per_source="UNLIMITED", cps="0 0")
    stranger = occupied(a, "127.0.0.2")
    entry = lambda bind: logdefaults(xd, **endless) + cat("a", a, bind=bind, **endless)
    xd.boot(entry("127.0.0.1"), up=[a])
    held = Held(a, 20)
    for _ in range(3):
        load = Load(a, 300)
        load.wait_done(50)
        reload(xd, entry(bind))
        assert load.finish().outcome() == {"done": 300, "refused": 0, "broken": 0}
        assert not_in_force("a")["a"]["goes_on"]
    held.echo()
    held.close()
    stranger.close()


@covers("RELOAD-7")
def test_a_socket_in_the_file_system_goes_on_when_the_new_name_is_taken(xd):
    old, new, c = xd.path("old"), xd.write("new", "precious"), free_port()
    entry = lambda path: service("a", bind="unix:" + path, port=None, protocol=None, type="UNLISTED", server="/bin/cat")

    def echoes():
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(5)
            s.connect(old)
            s.sendall(b"x")
            return recv_n(s, 1) == b"x"
    xd.boot(logdefaults(xd), entry(old))
    assert echoes()
    reload(xd, logdefaults(xd), entry(new), cat("c", c))
    assert echoes() and talk(c, b"x") == b"x" and open(new).read() == "precious"
    assert not_in_force("a")["a"]["goes_on"]
    os.unlink(new)
    reload(xd, logdefaults(xd), entry(new), service("b", bind="unix:" + old, port=None, protocol=None, type="UNLISTED", server="/bin/cat"))
    assert echoes() and not_in_force() == {}


# ---------------------------------------------------------------- the same service by another identity


@covers("RELOAD-2", "RELOAD-3")
@pytest.mark.parametrize("what", ["port", "log", "wait"])
def test_who_cannot_have_its_new_port_goes_on_at_the_old_one(xd, what):
    """Its identity is another, and so it would be a new service, the old one gone."""
    a, b = free_port(), free_port()
    stranger = occupied(b, "127.0.0.1")
    xd.boot(logdefaults(xd), cat("a", a), up=[a])
    held = connect(a)
    wanted = dict(port=service("a", b, server="/bin/cat"), log=cat("a", free_port(), log_type="FILE %s/nonexistent/log" % xd.dir),
                  wait=service("a", a, wait="yes", bind="127.0.0.1 192.0.2.1", server=xd.script("l", pyscript(TCP_ACCEPT))))[what]
    out, err = reload(xd, logdefaults(xd), wanted, named(xd, "new", a, "127.0.0.1"))
    assert talk(a, b"x") == b"x"
    held.sendall(b"x")
    assert recv_n(held, 1) == b"x"
    assert {id: entry["goes_on"] for id, entry in not_in_force("a", "new").items()} == {"a": True, "new": False}
    assert out == "dropped: sentinel\nunchanged: 1 service\n" and "error: service a: " in err
    stranger.close()
    if what == "port":
        reload(xd, logdefaults(xd), wanted, named(xd, "new", a, "127.0.0.1"))
        assert talk(b, b"x") == b"x" and names(a) == "new" and not_in_force() == {}
        assert recv_all(held) == b""


@covers("RELOAD-3")
def test_two_services_change_ports_and_who_waits_is_served_by_the_other(xd):
    a, b = free_port(), free_port()
    pair = lambda one, two: [logdefaults(xd), named(xd, "a", one, "127.0.0.1"), named(xd, "b", two, "127.0.0.1")]
    xd.boot(*pair(a, b), up=[a, b])
    assert control.ctl("pause", "--all")[0] == 0
    waiting = connect(a), connect(b)
    reload(xd, *pair(b, a))
    assert [recv_all(s) for s in waiting] == [b"b\n", b"a\n"]
    assert (names(a), names(b)) == ("b", "a")


@covers("RELOAD-3")
def test_who_has_taken_the_port_of_one_that_stays_gives_it_back(xd):
    a, b, c = free_port(), free_port(), free_port()
    stranger = occupied(c, "127.0.0.1")
    trio = lambda one, two: [logdefaults(xd), named(xd, "a", one, "127.0.0.1"), named(xd, "b", two, "127.0.0.1")]
    xd.boot(*trio(a, b), up=[a, b])
    reload(xd, *trio(b, c))
    assert (names(a), names(b)) == ("a", "b")
    assert all(entry["goes_on"] for entry in not_in_force("a", "b").values())
    stranger.close()


@covers("RELOAD-3")
def test_of_two_services_of_one_id_the_one_that_is_removed_goes(xd):
    a, b, c = free_port(), free_port(), free_port()
    stranger = occupied(c, "127.0.0.1")
    xd.boot(logdefaults(xd), cat("a", a, id="x"), cat("b", b, id="x"), up=[a, b])
    reload(xd, logdefaults(xd), cat("c", c, id="x"))
    assert refused(a) and refused(b)
    stranger.close()


# ---------------------------------------------------------------- what an operator or cps has closed


def closed_by_cps(a):
    assert wait_until(lambda: attempt(a) is None and control.status()[1]["a"]["state"] == "closed", 10)


@covers("RELOAD-7")
@pytest.mark.parametrize("bind", [("127.0.0.1", "127.0.0.2"), (None, "127.0.0.1 127.0.0.2")], ids=["elsewhere", "own socket in the way"])
def test_a_drained_service_that_cannot_move_stays_closed(xd, bind):
    """Where `a` listens everywhere its new address is none of this machine: nobody else can have one of its own."""
    a = free_port()
    before, after = bind
    if before is None:
        after = "127.0.0.1 192.0.2.1"
    else:
        stranger = occupied(a, after)
    xd.boot(logdefaults(xd), named(xd, "a", a, before), up=[a])
    assert control.ctl("drain", "a")[0] == 0 and refused(a)
    reload(xd, logdefaults(xd), named(xd, "a", a, after))
    assert refused(a) and control.status()[1]["a"]["state"] == "drained" and not_in_force("a")["a"]["goes_on"]
    assert control.ctl("resume", "a")[0] == 0
    assert names(a) == "a"


@covers("RELOAD-7", "CPS-3")
def test_a_pause_of_cps_goes_on_where_the_service_cannot_move(xd):
    a = free_port()
    stranger = occupied(a, "127.0.0.2")
    entry = lambda bind: cat("a", a, bind=bind, cps="2 60")
    xd.boot(logdefaults(xd), entry("127.0.0.1"), up=[a])
    closed_by_cps(a)
    reload(xd, logdefaults(xd), entry("127.0.0.2"))
    assert refused(a) and control.status()[1]["a"]["state"] == "closed"
    stranger.close()


@covers("RELOAD-7", "CPS-3")
def test_a_service_that_moves_is_open_there_and_the_status_says_so(xd):
    a = free_port()
    entry = lambda bind: cat("a", a, bind=bind, cps="2 60")
    xd.boot(logdefaults(xd), entry("127.0.0.1"), up=[a])
    closed_by_cps(a)
    reload(xd, logdefaults(xd), entry("127.0.0.2"))
    assert talk(a, b"x", addr="127.0.0.2") == b"x"
    assert control.status()[1]["a"]["state"] == "active"


def test_a_drained_service_moves_from_everywhere_to_one_address(xd):
    a = free_port()
    xd.boot(logdefaults(xd), named(xd, "a", a, None), up=[a])
    assert control.ctl("drain", "a")[0] == 0 and refused(a)
    reload(xd, logdefaults(xd), named(xd, "a", a, "127.0.0.2"))
    assert not_in_force() == {} and refused(a, "127.0.0.2")
    assert control.ctl("resume", "a")[0] == 0
    assert names(a, "127.0.0.2") == "a" and refused(a)


# ---------------------------------------------------------------- logs, filters and files of sockets


@covers("LOG-8")
@pytest.mark.parametrize("before", ["common", "own", "syslog"])
def test_a_log_that_cannot_be_opened_leaves_the_old_one_and_all_else(xd, before):
    a, b = free_port(), free_port()
    own = xd.path("own")
    target = {"common": None, "own": "FILE " + own, "syslog": "SYSLOG daemon"}[before]
    entry = lambda log_type, **kw: cat("a", a, log_type=log_type, log_on_success="PID", **kw)
    xd.boot(logdefaults(xd), entry(target), up=[a])
    held = connect(a)
    out, err = reload(xd, logdefaults(xd), entry("FILE %s/nonexistent/log" % xd.dir, only_from="127.0.0.9"), cat("b", b))
    assert talk(a, b"x") == b"x" and talk(b, b"x") == b"x", "as it was: everybody may come"
    if before != "syslog":
        xd.wait_log("^START: a ", 2, path=own if before == "own" else None)
    held.sendall(b"x")
    assert recv_n(held, 1) == b"x"
    entry = not_in_force("a")["a"]
    assert entry["goes_on"] and "cannot open the log" in entry["why"]
    xd.wait_dlog(r"service a \(.*xinetd.conf:\d+\): cannot open the log .*/nonexistent/log: ")
    code, out, err = control.ctl("status")
    assert "cannot open the log" in out and "(it goes on as it was)" in out
    xd.signal(signal.SIGABRT)
    xd.wait_dlog("Consistency check passed")


@covers("LOG-8", "RELOAD-7")
def test_a_service_whose_log_cannot_be_opened_does_not_move_either(xd):
    a = free_port()
    xd.boot(logdefaults(xd), named(xd, "a", a, "127.0.0.1"), up=[a])
    both = lambda log_type: [logdefaults(xd), named(xd, "a", a, "127.0.0.2", log_type=log_type), named(xd, "b", a, "127.0.0.1")]
    reload(xd, *both("FILE %s/nonexistent/log" % xd.dir))
    assert names(a) == "a" and refused(a, "127.0.0.2") and sorted(not_in_force("a", "b")) == ["a", "b"]
    reload(xd, *both("FILE " + xd.path("log")))
    assert names(a) == "b" and names(a, "127.0.0.2") == "a" and not_in_force() == {}


@covers("LOG-12", "LOG-8")
def test_a_log_that_cannot_be_opened_again_is_written_on(xd):
    a, b = free_port(), free_port()
    os.mkdir(xd.path("logs"))
    text = [logdefaults(xd), cat("a", a, log_type="FILE %s/logs/log" % xd.dir, log_on_success="PID")]
    xd.boot(*text, up=[a])
    os.rename(xd.path("logs"), xd.path("moved"))
    reload(xd, *text, cat("b", b))
    assert talk(a, b"x") == b"x" and talk(b, b"x") == b"x"
    xd.wait_log("^START: a ", path=xd.path("moved/log"))
    assert not_in_force("a")["a"]["goes_on"]


@covers("INT-1")
def test_lists_that_make_no_filter_leave_the_old_ones(xd):
    u = free_port()
    server = xd.script("w", pyscript(UDP_ONCE))
    entry = lambda lists: service("w", u, socket_type="dgram", protocol="udp", wait="yes", flags="INTERCEPT", server=server, only_from=lists)
    xd.boot(logdefaults(xd), entry("127.0.0.1"), up=[("udp", u)])
    reload(xd, logdefaults(xd), entry("127.0.0.2 " + " ".join("10.%d.%d.%d" % (n >> 15, n >> 7 & 255, n << 1 & 255 | 1) for n in range(3000))))
    assert udp_ask(u, timeout=10) and "too long" in not_in_force("w")["w"]["why"]


# ---------------------------------------------------------------- descriptors


@covers("START-15")
@pytest.mark.parametrize("what", ["logs", "kinds"])
def test_a_reload_without_room_is_refused_and_its_sessions_go_on(xd, ports, what):
    """Old and new logs are open side by side, and what changes its kind is kept as it was."""
    many, e = ports(30), free_port()
    target = free_port()
    one = lambda n, p, **kw: cat("s%d" % n, p, log_type="FILE %s/log%d" % (xd.dir, n) if what == "logs" else None, **kw)
    text = lambda **kw: logdefaults(xd) + internal("echo", e) + "".join(one(n, p, **kw) for n, p in enumerate(many))
    limit = 95 if what == "logs" else 62
    xd.boot(text(), up=[e, *many], preexec=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit)))
    before = procs.engine(xd.proc.pid)
    with connect(e) as session:
        session.sendall(b"x")
        assert recv_n(session, 1) == b"x"
        xd.config(text() if what == "logs" else text(server=None, redirect="127.0.0.1 %d" % target))
        code, out, err = control.ctl("reload")
        assert code == 1 and "more than RLIMIT_NOFILE leaves room for" in err, err
        session.sendall(b"y")
        assert recv_n(session, 1) == b"y" and procs.engine(xd.proc.pid) == before
        assert all(talk(p, b"x") == b"x" for p in many)
        assert "was refused: " in control.ctl("status")[1]
