"""As process 1 of a container: whose children are reaped, and how it ends."""
import os
import re
import signal
import subprocess
import time

import pytest

import container
import fakeident
from harness import *
from load import Held, Load
from procs import engine, zombies
from readers import Stream

covers = pytest.mark.covers
pytestmark = pytest.mark.needs_sandbox

STUBBORN = "#!/bin/sh\ntrap '' TERM\necho $$\nwhile :; do sleep 1; done\n"


@pytest.fixture
def pipe():
    p = Stream.pipe()
    yield p
    p.close()


def pairs(xd):
    """How often each START of the log has its EXIT."""
    lines = xd.log()
    of = lambda word: sorted(re.findall(r"^%s: (\S+)" % word, "\n".join(lines), re.M))
    assert of("START") == of("EXIT"), "\n".join(lines)
    return len(of("START"))


def exits(xd, name):
    return [re.search(r"(?:status|signal)=\d+", l).group() for l in xd.log() if re.match("EXIT: %s " % name, l)]


# ---------------------------------------------------------------- orphans


@covers("SIG-1")
def test_children_that_lose_their_server_are_reaped_all_at_once_and_never_taken_for_servers(daemon, ports):
    a, b = ports(2)
    gate = daemon.path("gate")
    os.mkfifo(gate)
    family = daemon.script("family", pyscript("""
import os, sys
null = os.open("/dev/null", os.O_RDWR)
for n in (0, 1, 2):
    os.dup2(null, n)
for n in range(1000):
    if os.fork() == 0:
        os.open(%r, os.O_RDONLY)
        os._exit(7)
""" % gate))
    one = container.begin(daemon, logdefaults(daemon) + service("family", a, server=family) + cat("b", b), [a, b])
    daemon.wait_dlog("Started working")
    before = len(children(one))
    assert talk(a) == b""
    daemon.wait_log("^EXIT: family status=0")
    assert len(children(one)) == before + 1000
    held = Held(b, 3)
    os.close(os.open(gate, os.O_WRONLY))
    assert wait_until(lambda: len(children(one, zombies=True)) == before + 3), len(children(one, zombies=True))
    held.echo()
    held.close()
    daemon.wait_log("^EXIT: b status=0", 3)
    assert pairs(daemon) == 4 and zombies(one) == []
    daemon.proc.kill()


@covers("SIG-1")
def test_what_was_started_beside_it_is_reaped_too(xd):
    a = free_port()
    one = container.begin(xd, logdefaults(xd) + cat("a", a), [a])
    before = wait_until(lambda: children(one))
    container.enter(one, "sh", "-c", "for i in 1 2 3; do sleep 100 & done")
    beside = set(children(one)) - set(before)
    assert len(beside) == 3
    for pid in beside:
        os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: children(one, zombies=True) == before), children(one, zombies=True)
    assert xd.log() == []
    xd.proc.kill()


# ---------------------------------------------------------------- the end


@covers("SIG-2", "EXIT-1")
def test_sigterm_lets_sessions_come_to_their_own_ends(xd, ports):
    """Those of servers, and those that the engine serves."""
    a, b, c = ports(3)
    text = logdefaults(xd) + cat("a", a) + service("b", b, redirect="127.0.0.1 %d" % a, server=None) + internal("echo", c)
    one = container.begin(xd, text, [a, b, c], args=["-drain", "60"])
    held = [Held(port, 3) for port in (a, b, c)]
    xd.wait_log("^START", 12)
    os.kill(one, signal.SIGTERM)
    xd.wait_dlog(r"Stopping: 12 sessions may go on for 60 seconds$")
    assert all(refused(port) for port in (a, b, c))
    os.kill(one, signal.SIGHUP)             # too late
    for sessions in held:
        sessions.echo()
    for sessions in held:
        assert xd.alive()
        sessions.close()
    assert xd.wait_exit() == 0
    assert pairs(xd) == 12 and set(exits(xd, ".*")) == {"status=0"}
    assert "reconfiguration" not in xd.dlog() and xd.dlog().count("Exiting...") == 1


@covers("SIG-2")
def test_who_does_not_end_is_ended_before_docker_stop_loses_patience(xd, ports):
    a, b = ports(2)
    one = container.begin(xd, logdefaults(xd) + cat("a", a) + service("b", b, server=xd.script("b", STUBBORN)), [a, b])
    held, (stubborn, _) = Held(a, 3), start_sleeper(b)
    begin = time.monotonic()
    os.kill(one, signal.SIGTERM)
    xd.wait_log("^EXIT: a signal=15", 3)
    assert 4 <= time.monotonic() - begin < 8
    assert xd.wait_exit() == 0
    assert 8 <= time.monotonic() - begin < 10
    assert pairs(xd) == 4 and exits(xd, "b") == ["signal=9"]
    stubborn.close()
    held.close()


@covers("SIG-2", "SIG-4")
@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_the_wait(xd, ports, first, second):
    a, b = ports(2)
    one = container.begin(xd, logdefaults(xd) + cat("a", a) + internal("echo", b), [a, b], args=["-drain", "60"])
    held = [Held(a, 3), Held(b, 3)]
    xd.wait_log("^START", 6)
    os.kill(one, first)
    xd.wait_dlog("Stopping: 6 sessions")
    held[0].echo()
    os.kill(one, second)
    assert xd.wait_exit() == 0
    assert pairs(xd) == 6 and set(exits(xd, ".*")) == {"signal=15"}


@covers("SIG-2")
def test_without_a_session_it_ends_at_once(xd):
    a = free_port()
    one = container.begin(xd, cat("a", a), [a])
    begin = time.monotonic()
    os.kill(one, signal.SIGTERM)
    assert xd.wait_exit() == 0 and time.monotonic() - begin < 3.5      # of four seconds
    assert "Stopping: " not in xd.dlog()


@covers("SIG-2")
def test_in_the_midst_of_a_crowd_every_start_has_its_exit(xd):
    """Who waits in the backlog when the port is closed is reset; who has been let in is served."""
    a = free_port()
    one = container.begin(xd, logdefaults(xd, instances="UNLIMITED", per_source="UNLIMITED", cps="0 0") + cat("a", a), [a])
    load = Load(a, 3000)
    load.wait_done(200)
    os.kill(one, signal.SIGTERM)
    assert xd.wait_exit() == 0
    load.finish()
    assert load.refused > 0 and pairs(xd) >= load.done >= 200
    assert set(exits(xd, "a")) == {"status=0"}


@covers("SIG-2")
def test_a_client_that_was_accepted_gets_its_server_during_the_wait(xd):
    """Its host is asked for the user first, and takes its time."""
    a = free_port()
    asked = fakeident.Host(lambda connection, ports: None)
    try:
        one = container.begin(xd, logdefaults(xd, log_on_success="HOST USERID EXIT PID") + cat("a", a), [a], args=["-drain", "60"])
        with connect(a) as s:
            s.sendall(b"x")
            assert wait_until(lambda: asked.queries and asked.held)
            os.kill(one, signal.SIGTERM)
            xd.wait_closed(a)
            assert xd.alive()
            query = asked.queries[0][0].decode().strip()
            asked.held[0].sendall((query + " : USERID : UNIX : ann\r\n").encode())
            assert s.recv(1) == b"x"
        assert xd.wait_exit() == 0
        assert pairs(xd) == 1 and exits(xd, "a") == ["status=0"]
    finally:
        asked.close()


@covers("SIG-2", "WAIT-1")
def test_a_server_that_has_the_socket_goes_on_with_it(xd):
    a = free_port()
    server = xd.script("server", pyscript(TCP_ACCEPT))
    one = container.begin(xd, logdefaults(xd) + service("a", a, wait="yes", server=server, server_args="2"), [a], args=["-drain", "60"])
    assert b"|" in talk(a)
    os.kill(one, signal.SIGTERM)
    xd.wait_dlog("Stopping: 1 session may")
    assert b"|" in talk(a)
    assert xd.wait_exit() == 0 and refused(a)
    assert pairs(xd) == 1


@covers("SIG-2")
def test_flows_of_datagrams_have_no_end_to_wait_for(xd, ports):
    a, b = ports(2)
    text = logdefaults(xd) + internal("echo", a, "dgram") + service("b", b, socket_type="dgram", protocol="udp",
                                                                    redirect="127.0.0.1 %d" % a, server=None)
    one = container.begin(xd, text, [("udp", a), ("udp", b)], args=["-drain", "60"])
    assert udp_ask(b, b"x") == b"x"
    os.kill(one, signal.SIGTERM)
    assert xd.wait_exit() == 0
    assert exits(xd, "b") == ["signal=15"]


@covers("SIG-2")
def test_when_the_engine_dies_during_the_wait_servers_are_still_waited_for(xd, ports):
    a, b = ports(2)
    one = container.begin(xd, logdefaults(xd) + cat("a", a) + internal("echo", b), [a, b], args=["-drain", "60"])
    held, cut = Held(a, 3), Held(b, 3)
    xd.wait_log("^START", 6)
    os.kill(one, signal.SIGTERM)
    xd.wait_dlog("Stopping: 6 sessions")
    os.kill(engine(one), signal.SIGKILL)
    xd.wait_log("^EXIT: echo-stream signal=9", 3)
    held.echo()
    held.close()
    assert xd.wait_exit() == 0
    assert pairs(xd) == 6 and exits(xd, "a") == ["status=0"] * 3
    cut.close()


@covers("SIG-3", "SIG-4")
@pytest.mark.parametrize("mode,sig,status", [("-dontfork", signal.SIGQUIT, 0), ("-d", signal.SIGINT, 1)])
def test_an_end_at_once_has_every_exit_in_the_log(xd, mode, sig, status):
    """The kernel ends the servers, and they are not forgotten for that."""
    a = free_port()
    one = container.begin(xd, logdefaults(xd) + cat("a", a), [a], mode=mode, filelog=mode != "-d")
    held = Held(a, 5)
    os.kill(one, sig)
    assert xd.wait_exit() == status
    assert pairs(xd) == 5 and exits(xd, "a") == ["signal=9"] * 5
    held.close()


@covers("SIG-2")
def test_the_original_cuts_every_session(mk):
    """What the difference is."""
    if not os.access(ORIGINAL_BIN, os.X_OK):
        pytest.skip("the original is not installed (Debian's package xinetd)")
    xd = mk(binary=ORIGINAL_BIN)
    a = free_port()
    one = container.begin(xd, logdefaults(xd) + cat("a", a), [a])
    held = Held(a, 3)
    os.kill(one, signal.SIGTERM)
    assert xd.wait_exit() == 0
    assert [recv_all(s) for s in held.sockets] == [b""] * 3
    assert len(xd.log()) == 3, "no EXIT line"


@covers("SIG-2")
def test_elsewhere_sessions_are_waited_for_if_that_is_asked_for(xd):
    a = free_port()
    xd.start(logdefaults(xd) + cat("a", a), expect=[a], args=["-drain", "60"])
    held = Held(a, 3)
    xd.signal(signal.SIGTERM)
    xd.wait_dlog("Stopping: 3 sessions")
    assert refused(a)
    held.echo()
    held.close()
    assert xd.wait_exit() == 0
    assert pairs(xd) == 3


@pytest.mark.parametrize("seconds", ["", "-1", "4s", "99999999999"])
def test_what_is_no_number_of_seconds_is_a_mistake(xd, seconds):
    run = subprocess.run([xd.bin, "-drain", seconds], capture_output=True, text=True, timeout=60)
    assert run.returncode == 1 and run.stderr.startswith("Usage: ")


# ---------------------------------------------------------------- foreground and logs


@covers("START-4", "CLI-7")
@pytest.mark.parametrize("args", [[], ["-stayalive"]])
def test_process_1_stays_in_the_foreground_where_the_original_ends_its_container(beside, pipe, args):
    ours, original = beside
    a = free_port()
    original.config(cat("a", a))
    assert subprocess.run([*container.UNSHARE, original.bin, "-f", original.conf, *args], timeout=60).returncode == 0
    assert not listening(a)
    one = container.begin(ours, cat("a", a), [a], args, mode=None, filelog=False, stderr=pipe.read_on().writer)
    assert pipe.wait("process 1") == ["xinetd: process 1 stays in the foreground, as with -dontfork"]
    assert talk(a, b"x") == b"x"
    ours.hup = lambda: os.kill(one, signal.SIGHUP)
    ours.config("")
    ours.hup()
    pipe.wait("Reconfigured: new=0 old=0 dropped=1")
    assert ours.alive()
    os.kill(one, signal.SIGTERM)
    assert ours.wait_exit() == 0


@covers("LOG-1", "LOG-8")
@pytest.mark.parametrize("target", ["STDOUT", "JSON /dev/stdout", "FILE /dev/stdout", "FILE /proc/1/fd/1"])
@pytest.mark.parametrize("stream", ["pipe", "file", "/dev/null", "closed"])
def test_standard_output_takes_the_log_whatever_it_is(xd, pipe, target, stream):
    a = free_port()
    file = open(xd.path("out"), "a+") if stream == "file" else None
    null = open("/dev/null", "w") if stream == "/dev/null" else None
    reader, gone = os.pipe()
    os.close(reader)
    to = {"pipe": pipe.read_on().writer, "file": file, "/dev/null": null, "closed": gone}[stream]
    one = container.begin(xd, defaults(log_type=target, log_on_success="PID EXIT") + cat("a", a), [a],
                          args=["-log-format", "json"], filelog=False, stdout=to, stderr=to)
    for _ in range(50):
        assert talk(a, b"x") == b"x"
    os.kill(one, signal.SIGTERM)
    assert xd.wait_exit() == 0
    os.close(gone)
    if stream not in ("pipe", "file"):
        return
    pipe.lines if file else pipe.wait("Exiting")
    lines = open(xd.path("out")).read().splitlines() if file else pipe.lines
    for word in ("START", "EXIT"):
        assert len([l for l in lines if re.search(r'%s: a |"event":"%s"' % (word, word), l)]) == 50, lines[-3:]
    assert len([l for l in lines if '"message"' in l and "Started working" in l]) == 1


@covers("INC-3", "RELOAD-1")
def test_a_configmap_of_kubernetes_is_read_and_read_anew(xd, ports):
    """Its files are links into a directory whose name has a dot, and which is exchanged as a whole."""
    a, b = ports(2)
    os.mkdir(xd.path("xinetd.d"))

    def publish(version, port):
        os.mkdir(xd.path("xinetd.d/..%d" % version))
        xd.write("xinetd.d/..%d/service" % version, cat("a", port))
        os.symlink("..%d" % version, xd.path("xinetd.d/..data_tmp"))
        os.rename(xd.path("xinetd.d/..data_tmp"), xd.path("xinetd.d/..data"))
    publish(1, a)
    os.symlink("..data/service", xd.path("xinetd.d/service"))
    one = container.begin(xd, "includedir %s\n" % xd.path("xinetd.d"), [a])
    publish(2, b)
    container.enter(one, "sh", "-c", "kill -HUP 1")
    xd.wait_port(b)
    xd.wait_closed(a)
    os.kill(one, signal.SIGTERM)
    assert xd.wait_exit() == 0
    assert "WARNING" not in re.sub(".*there is no user `xinetd`.*|.*Exiting.*", "", xd.dlog())
