"""RPC services with the real rpcbind: registered while they are served, and no longer."""
import json
import os
import re
import signal
import socket
import struct
import subprocess
import threading
import time

import pytest

import control
from harness import *
from load import Load
from procs import comm, engine, engines, field, steal, uid
from rpcbind import SOCKET, Rpcbind

covers = pytest.mark.covers
pytestmark = pytest.mark.needs_sandbox

P = 536870999
ROOT = "superuser"


@pytest.fixture
def rpcbind():
    r = Rpcbind()
    yield r
    r.stop()


def rpc(name="r", **kw):
    return service(name, **dict(dict(type="RPC UNLISTED", rpc_number=P, rpc_version="2", server="/bin/cat"), **kw))


def versions(known):
    return sorted(v for v, _ in known)


def port_of(known):
    """The one port of all that is known."""
    ports = {p for p, _ in known.values()}
    assert len(ports) == 1, known
    return ports.pop()


# ------------------------------------------------ while it is served

@covers("RPC-1", "RPC-3", "PORT-5")
@pytest.mark.parametrize("last", [signal.SIGTERM, signal.SIGQUIT])
def test_a_program_is_registered_while_the_daemon_runs(daemon, rpcbind, last):
    before = rpcbind.known()
    daemon.boot(rpc(rpc_version="2-3"))
    known = rpcbind.known(P)
    assert set(known) == {(2, "tcp"), (3, "tcp")}
    assert talk(port_of(known), b"x") == b"x"
    daemon.signal(last)
    assert daemon.wait_exit() == 0
    assert rpcbind.known() == before


@covers("RPC-1")
def test_each_transport_that_leads_to_the_socket_is_registered(xd, rpcbind):
    xd.boot(rpc("both", bind=None), rpc("six", bind=None, flags="IPv6", v6only="yes", rpc_number=P + 1),
            rpc("one", bind="::1", rpc_number=P + 2), rpc("four", bind="127.0.0.1", rpc_number=P + 3))
    both = rpcbind.known(P)
    assert set(both) == {(2, "tcp"), (2, "tcp6")}
    assert talk(port_of(both), b"x") == b"x" and talk(port_of(both), b"x", addr="::1") == b"x"
    for number, netid, address in ((1, "tcp6", "::."), (2, "tcp6", "::1."), (3, "tcp", "127.0.0.1.")):
        assert set(rpcbind.known(P + number)) == {(2, netid)}
        assert rpcbind.address(P + number, 2, netid).startswith(address)


@covers("RPC-1", "CPS-3")
def test_the_port_is_the_same_after_a_pause(xd, rpcbind):
    xd.boot(rpc(cps="2 1"))
    port = port_of(rpcbind.known(P))
    come_too_often(port)
    xd.wait_dlog("Deactivating service r due to excessive")
    xd.wait_dlog("Activating service r")
    assert talk(port, b"x") == b"x"


@covers("DUMP-1", "CLI-6")
def test_the_dump_and_the_debug_output_show_program_versions_and_port(xd, rpcbind):
    xd.config(rpc(rpc_version="2-3"))
    xd.start(mode="-d", filelog=False)
    err = lambda: open(xd.path("stderr")).read()
    assert wait_until(lambda: "Started working: 1 available" in err())
    port = port_of(rpcbind.known(P))
    assert "  listen = 127.0.0.1:%d/tcp\n  rpc    = program %d, versions 2 to 3\n" % (port, P) in err()
    xd.signal(signal.SIGUSR1)
    assert wait_until(lambda: "generated state dump" in err())
    dump = open("/run/xinetd.dump").read()
    os.unlink("/run/xinetd.dump")
    for line in ("port = %d" % port, "RPC data: program number = %d" % P, "RPC data: version = 2-3"):
        assert "\t\t%s\n" % line in dump


def test_explain_and_dump_show_program_and_versions(xd):
    xd.config(rpc(rpc_version="2-3"))
    said = subprocess.run([CTL, "explain", "--file", xd.conf, "r"], capture_output=True, text=True, timeout=60).stdout
    assert "program %d, versions 2 to 3" % P in said, said
    found = subprocess.run([CTL, "dump", xd.conf], capture_output=True, timeout=60).stdout
    values = json.loads(found)["services"][0]["attributes"]
    assert (values["rpc_number"]["value"], values["rpc_version"]["value"]) == (str(P), "2-3")


@covers("INETD-9")
def test_a_line_of_inetd_conf_is_registered_too(xd, rpcbind, etc):
    etc("rpc", "test-rpc %d\n" % P, append=True)
    etc("inetd.conf", "test-rpc/2-4 stream rpc/tcp nowait root /bin/cat cat\n")
    xd.boot(args=["-inetd_compat"])
    assert {v for v, _ in rpcbind.known(P)} == {2, 3, 4}


# ------------------------------------------------ ways out

@covers("RPC-3")
@pytest.mark.parametrize("how", ["no services left", "engine lost", "violation"])
def test_nothing_stays_registered_whatever_ends_the_daemon(xd, rpcbind, how):
    xd.config(rpc())
    xd.start(mode="-d", filelog=False)
    assert wait_until(lambda: rpcbind.known(P))
    if how == "no services left":
        xd.hup(rpc(disable="yes"))
    elif how == "violation":
        s = socket.socket(fileno=steal(engine(xd.proc.pid), 3))
        s.send(b"\xff" * 64)
    else:
        for _ in range(6):
            last = engine(xd.proc.pid)
            os.kill(last, signal.SIGKILL)
            wait_until(lambda: not xd.alive() or set(engines(xd.proc.pid)) - {last})
    assert xd.wait_exit() == (3 if how == "violation" else 1)
    assert not rpcbind.known(P)


@covers("RPC-3")
def test_what_a_killed_daemon_left_behind_is_replaced(mk, rpcbind):
    first, second = mk(), mk()
    first.boot(rpc(rpc_version="2-3"))
    stale = port_of(rpcbind.known(P))
    first.signal(signal.SIGKILL)
    first.wait_exit()
    first.wait_closed(stale)                # the engine is not as quick
    blocked = socket.socket()
    blocked.bind(("127.0.0.1", stale))      # so that it is another port
    assert port_of(rpcbind.known(P)) == stale
    second.boot(rpc(rpc_version="2-3"))
    known = rpcbind.known(P)
    assert versions(known) == [2, 3] and port_of(known) != stale
    assert talk(port_of(known), b"x") == b"x"


@covers("SIG-2", "SIG-3")
@pytest.mark.parametrize("sig, survives", [(signal.SIGTERM, False), (signal.SIGQUIT, True)])
def test_sigterm_ends_the_servers_of_rpc_services_and_sigquit_does_not(daemon, rpcbind, sig, survives):
    a = free_port()
    sleeper = daemon.script("s", SLEEPER)
    daemon.boot(rpc(server=sleeper), service("a", a, server=sleeper), up=[a])
    _, of_rpc = start_sleeper(port_of(rpcbind.known(P)))
    _, other = start_sleeper(a)
    daemon.signal(sig)
    daemon.wait_exit()
    assert alive(other)
    if survives:
        assert alive(of_rpc)
    else:
        assert wait_until(lambda: not alive(of_rpc))


@covers("SIG-2")
def test_a_server_that_does_not_mind_sigterm_ends_all_the_same(xd, rpcbind):
    xd.boot(rpc(server=xd.script("s", "#!/bin/sh\ntrap '' TERM\necho $$\nwhile :; do sleep 60; done\n")))
    _, pid = start_sleeper(port_of(rpcbind.known(P)))
    xd.signal(signal.SIGTERM)
    assert xd.wait_exit() == 0
    assert wait_until(lambda: not alive(pid))


# ------------------------------------------------ reload

@covers("RPC-3", "RELOAD-2")
def test_other_versions_get_the_same_port(daemon, rpcbind):
    sleeper = daemon.script("s", SLEEPER)
    daemon.boot(rpc(rpc_version="2", server=sleeper))
    before = rpcbind.known(P)
    _, pid = start_sleeper(port_of(before))
    daemon.reload(rpc(rpc_version="3", server=sleeper))
    after = rpcbind.known(P)
    assert versions(after) == [3] and port_of(after) == port_of(before)
    assert alive(pid)


@covers("RPC-3", "RELOAD-2", "RELOAD-3", "RELOAD-7")
def test_a_program_that_is_gone_or_moved_is_registered_where_it_is(xd, rpcbind):
    xd.boot(rpc(), rpc("other", rpc_number=P + 1))
    first = port_of(rpcbind.known(P))
    xd.reload(rpc(bind="127.0.0.2"))
    second = port_of(rpcbind.known(P))
    assert second != first and not listening(first)
    assert talk(second, b"x", addr="127.0.0.2") == b"x"
    assert not rpcbind.known(P + 1)
    xd.reload(rpc(rpc_number=P + 2))
    assert not rpcbind.known(P)
    assert talk(port_of(rpcbind.known(P + 2)), b"x") == b"x"
    xd.reload(rpc(rpc_number=P + 2, bind="::1"))
    assert set(rpcbind.known(P + 2)) == {(2, "tcp6")}
    xd.reload(rpc(rpc_number=P + 2, disable="yes"))
    assert not rpcbind.known(P + 2)


@covers("RELOAD-3")
def test_a_new_program_gets_a_port_of_its_own(xd, rpcbind):
    xd.boot(rpc("a"), rpc("b", rpc_number=P + 1))
    before = {port_of(rpcbind.known(P + n)) for n in (0, 1)}
    xd.reload(rpc("c", rpc_number=P + 2), rpc("d", rpc_number=P + 3))
    after = {port_of(rpcbind.known(P + n)) for n in (2, 3)}
    assert len(before | after) == 4
    assert all(talk(port, b"x") == b"x" for port in after)


@covers("RPC-4")
def test_halves_of_a_program_do_not_take_each_other_away(xd, rpcbind):
    assert rpcbind.tell(1, P, 2, "udp", "0.0.0.0.100.1")
    xd.boot(rpc())
    assert set(rpcbind.known(P)) == {(2, "tcp"), (2, "udp")}
    xd.reload(rpc(rpc_version="3"))
    assert set(rpcbind.known(P)) == {(3, "tcp"), (2, "udp")}
    xd.reload()
    assert set(rpcbind.known(P)) == {(2, "udp")}


@covers("RPC-1")
def test_a_reload_tells_an_rpcbind_that_has_forgotten(xd, rpcbind):
    entry = rpc(server=xd.script("s", SLEEPER))
    xd.boot(entry)
    port = port_of(rpcbind.known(P))
    _, pid = start_sleeper(port)
    rpcbind.stop()
    rpcbind.start()
    assert not rpcbind.known(P)
    xd.reload(entry)
    assert port_of(rpcbind.known(P)) == port
    assert alive(pid)


# ------------------------------------------------ real servers, over UDP

UDP = dict(socket_type="dgram", protocol="udp", wait="yes", user="root", bind=None, type="RPC")


def utmp(user, line, host):
    """A record of utmp(5): somebody is logged in."""
    return struct.pack("<hxxi32s4s32s256s2hi2i4i20x", 7, os.getpid(), line, b"1", user, host, 0, 0, 0, int(time.time()), 0,
                       0, 0, 0, 0)


def ask(*command):
    run = subprocess.run(command, capture_output=True, text=True, timeout=60)
    return run.stdout + run.stderr


@covers("RPC-1", "RPC-3", "WAIT-3")
def test_rstatd_and_rusersd_are_found_and_answer(daemon, rpcbind):
    with open("/run/utmp", "wb") as f:
        f.write(utmp(b"alice", b"tty1", b"somewhere"))
    daemon.boot(logdefaults(daemon), service("rstatd", server="/usr/sbin/rpc.rstatd", rpc_version="2-3", **UDP),
                service("rusersd", server="/usr/sbin/rpc.rusersd", rpc_version="2", **UDP))
    for program, version in ((100001, 2), (100001, 3), (100002, 2)):
        said = ask("rpcinfo", "-u", "127.0.0.1", str(program), str(version))
        assert said == "program %d version %d ready and waiting\n" % (program, version)
    assert "1 user, load " in ask("rup", "127.0.0.1")
    assert ask("rusers", "127.0.0.1").split() == ["localhost", "alice"]
    daemon.wait_log("^START: rstatd pid=[0-9]+ from=")
    daemon.wait_log("^START: rusersd pid=[0-9]+ from=")
    daemon.signal(signal.SIGTERM)
    assert daemon.wait_exit() == 0
    assert not rpcbind.known() & {100001, 100002}
    assert not [p for p in children(os.getpid()) if comm(p).startswith("rpc.")]


@covers("RPC-4", "RELOAD-2")
def test_both_halves_of_a_program_come_and_go_by_themselves(xd, rpcbind):
    half = dict(server="/usr/sbin/rpc.rstatd", rpc_version="3", type="RPC", bind=None)
    tcp = service("rstatd", id="tcp", **half)
    udp = service("rstatd", id="udp", **dict(UDP, **half))
    xd.boot(tcp, udp)
    both = rpcbind.known(100001)
    assert set(both) == {(3, "tcp"), (3, "tcp6"), (3, "udp"), (3, "udp6")}
    xd.reload(udp)
    left = rpcbind.known(100001)
    assert set(left) == {(3, "udp"), (3, "udp6")} and left.items() <= both.items()
    assert ask("rpcinfo", "-u", "127.0.0.1", "100001", "3").endswith("ready and waiting\n")
    xd.reload(tcp)
    assert set(rpcbind.known(100001)) == {(3, "tcp"), (3, "tcp6")}


# ------------------------------------------------ rpcbind is not there, or bad company

@covers("RPC-2", "RELOAD-15", "START-12")
def test_without_rpcbind_the_service_is_left_out_until_a_reload_finds_it(xd):
    a = free_port()
    entries = (rpc(), cat("a", a))
    xd.boot(*entries, up=[a])
    log = xd.dlog()
    assert "Started working: 2 available services" in log
    assert re.search(r"No versions registered for RPC service r \(.*/xinetd.conf:1\): program %d, version 2: "
                     r"rpcbind is not running .* start it and reload$" % P, log, re.M)
    assert "Service r failed to start and is deactivated." in log
    rpcbind = Rpcbind()
    try:
        xd.reload(*entries)
        assert "Reconfigured: new=2 old=1 dropped=1" in xd.dlog()
        assert talk(port_of(rpcbind.known(P)), b"x") == b"x"
    finally:
        rpcbind.stop()


@covers("RPC-2", "START-13")
def test_a_daemon_that_has_only_rpc_services_ends_without_rpcbind(xd):
    xd.config(rpc())
    xd.start(mode="-d", filelog=False)
    assert xd.wait_exit() == 1


@covers("RPC-2")
def test_a_service_that_runs_is_not_dropped_because_rpcbind_is_gone(xd, rpcbind):
    sleeper = xd.script("s", SLEEPER)
    xd.boot(rpc(server=sleeper))
    port = port_of(rpcbind.known(P))
    _, pid = start_sleeper(port)
    rpcbind.stop()
    xd.reload(rpc(server=sleeper, rpc_version="3"), rpc("new", rpc_number=P + 1))
    assert xd.wait_dlog("RPC service r .* it goes on, and rpcbind is told again every minute$")
    assert "Reconfigured: new=1 old=1 dropped=1" in xd.dlog(), "only the sentinel is new"
    assert alive(pid) and listening(port)
    rpcbind.start()
    xd.reload(rpc(server=sleeper, rpc_version="3"))
    known = rpcbind.known(P)
    assert versions(known) == [3] and port_of(known) == port


@covers("HARD-6", "RPC-2")
def test_an_rpcbind_that_does_not_answer_delays_nobody(xd, rpcbind):
    a = free_port()
    rpcbind.freeze()
    xd.start(logdefaults(xd, cps="0 0", instances="UNLIMITED", per_source="UNLIMITED")
             + rpc() + rpc("second", rpc_number=P + 1) + cat("a", a), expect=[a])
    load = Load(a, 100)
    load.finish()
    assert load.done == 100 and load.refused == 0
    assert "failed to start" not in xd.dlog(), "they were served while it was waited for"
    child = wait_until(lambda: [p for p in children(xd.proc.pid) if comm(p) == "xinetd-rpcbind"])[0]
    assert uid(child) == uid(engine(xd.proc.pid)) != 0
    assert field(child, "CapBnd") == field(child, "CapPrm") == ["0" * 16]
    assert field(child, "NoNewPrivs") == ["1"]
    xd.hup()                                # has to wait, and is not forgotten
    xd.wait_dlog("rpcbind does not answer", 2)
    rpcbind.thaw()
    xd.wait_dlog("Reconfigured: new=2 old=1 dropped=0")
    assert rpcbind.known(P) and rpcbind.known(P + 1)
    rpcbind.freeze()
    xd.signal(signal.SIGTERM)
    assert xd.wait_exit() == 0
    assert "rpcbind could not be told" in xd.dlog()


@covers("RPC-2", "RPC-3")
def test_what_an_rpcbind_hears_too_late_is_taken_back(xd, rpcbind):
    rpcbind.freeze()
    xd.start(rpc() + cat("a", free_port()))
    xd.wait_dlog("Started working: 1 available service")
    rpcbind.thaw()
    assert wait_until(lambda: rpcbind.known(P)), "the word of a process that was killed"
    xd.reload()
    assert wait_until(lambda: not rpcbind.known(P))


class Impostor(threading.Thread):
    """Answers like no rpcbind does."""

    def __init__(self, answer):
        super().__init__(daemon=True)
        self.answer = answer
        self.s = socket.socket(socket.AF_UNIX)
        self.s.bind(SOCKET)
        self.s.listen()
        self.start()

    def run(self):
        try:
            while True:
                c, _ = self.s.accept()
                c.recv(1000)
                c.sendall(self.answer)
                c.close()
        except OSError:
            pass

    def close(self):
        self.s.shutdown(socket.SHUT_RDWR)
        self.s.close()
        os.unlink(SOCKET)


@covers("RPC-2")
@pytest.mark.parametrize("how", ["hangs up", "another call", "endless", "empty fragments"])
def test_an_impostor_is_not_believed(xd, how):
    impostor = Impostor({"hangs up": b"", "another call": b"\x80\0\0\x1c" + bytes(28),
                         "endless": b"\xff" * 100000, "empty fragments": bytes(100000)}[how])
    try:
        xd.boot(rpc())
        said = "has hung up" if how == "hangs up" else "does not answer as rpcbind does"
        xd.wait_dlog("No versions registered for RPC service r .*" + said)
        assert "Started working: 1 available service" in xd.dlog()
    finally:
        impostor.close()


@covers("RPC-1")
def test_an_rpcbind_of_another_container_is_found_by_its_port(xd, rpcbind):
    os.unlink(SOCKET)
    xd.boot(rpc())
    rpcbind.stop()                          # its files are of no use without the socket
    xd.wait_dlog("Started working: 2 available services")


@covers("RPC-1")
def test_without_root_only_our_own_is_registered(mk, rpcbind):
    xd = mk()
    os.chown(xd.dir, 65534, 65534)
    assert rpcbind.tell(1, P + 1, 2, "tcp", "0.0.0.0.100.1")
    xd.boot(rpc(user="nobody"), rpc("taken", rpc_number=P + 1, user="nobody"), preexec=lambda: os.setuid(65534))
    assert {owner for _, owner in rpcbind.known(P).values()} == {"65534"}
    assert rpcbind.known(P + 1) == {(2, "tcp"): (25601, ROOT)}
    xd.wait_dlog("for RPC service taken .*another user has registered")
    xd.signal(signal.SIGTERM)
    xd.wait_exit()
    assert not rpcbind.known(P) and rpcbind.known(P + 1)


@covers("RPC-2")
def test_who_is_not_registered_is_not_in_force_and_that_is_said_at_a_reload_too(xd):
    a = free_port()
    xd.boot(cat("a", a), rpc(), up=[a])
    for _ in range(2):
        entry = control.status()[2]["r"]
        assert "rpcbind is not running" in entry["why"] and not entry["goes_on"] and entry["place"]["line"] > 0
        code, out, err = control.ctl("reload")
        assert code == 0 and "%s:%d: error: service r: " % (entry["place"]["file"], entry["place"]["line"]) in err, err
