"""The engine dies: the monitor starts another, and clients hardly notice."""
import ctypes
import os
import signal

import pytest

from harness import *
from load import Held, Load
from procs import engine, engines, frozen, zombies

ENDLESS = dict(instances="UNLIMITED", per_source="UNLIMITED", cps="0 0")


def crash(xd):
    """Kill the engine; returns when its successor is there."""
    old = engine(xd.proc.pid)
    os.kill(old, signal.SIGKILL)
    return engine(xd.proc.pid, other_than=old)


def test_under_load_nobody_is_refused_and_sessions_go_on(xd):
    a = free_port()
    xd.start(logdefaults(xd, **ENDLESS) + cat("a", a), expect=[a])
    held = Held(a, 20)
    load = Load(a, 1500)
    for n in (200, 600, 1000):
        load.wait_done(n)
        crash(xd)
        held.echo()
    load.finish()
    # what the engine had accepted and not yet handed over dies with it
    assert load.refused == 0 and load.broken <= 3 * 16 and load.done >= 1500 - 3 * 16, load.outcome()
    held.echo()
    assert wait_until(lambda: not zombies(xd.proc.pid))


def test_exit_lines_are_still_written(xd):
    a = free_port()
    xd.start(logdefaults(xd, **ENDLESS) + service("a", a, server=xd.script("s", SLEEPER)), expect=[a])
    running = [start_sleeper(a) for _ in range(10)]
    os.kill(engine(xd.proc.pid), signal.SIGKILL)
    for _, pid in running[:5]:
        os.kill(pid, signal.SIGTERM)
    xd.wait_log("^EXIT: a signal=15", 5)
    engine(xd.proc.pid)
    for _, pid in running[5:]:
        os.kill(pid, signal.SIGTERM)
    lines = norm(xd.wait_log("^EXIT: a signal=15", 10))
    assert set(lines) == {"EXIT: a signal=15 pid=N duration=N(sec)"}
    assert len([l for l in xd.log() if l.startswith("START")]) == 10


def test_clients_wait_in_the_backlog_meanwhile(xd):
    a = free_port()
    xd.start(cat("a", a, **ENDLESS), expect=[a])
    with frozen(xd):
        os.kill(engine(xd.proc.pid), signal.SIGKILL)
        waiting = [connect(a) for _ in range(60)]
        for s in waiting:
            s.sendall(b"waiting")
    assert all(recv_n(s, 7) == b"waiting" for s in waiting)


def test_counts_are_still_right_afterwards(xd, ports):
    a, b = ports(2)
    xd.start(logdefaults(xd) + cat("a", a, instances="3") + cat("b", b, per_source="2"), expect=[a, b])
    one, two = Held(a, 3), Held(b, 2)
    crash(xd)
    assert talk(a, b"x") == b"" and talk(b, b"x") == b""
    assert talk(b, b"x", src="127.0.0.2") == b"x"
    xd.wait_log("^FAIL: a service_limit from=127.0.0.1$")
    xd.wait_log("^FAIL: b per_source_limit from=127.0.0.1$")
    one.close(1), two.close(1)
    xd.wait_log("^EXIT: a"), xd.wait_log("^EXIT: b", 2)
    assert all(wait_until(lambda: talk(port, b"x") == b"x") for port in (a, b))
    one.echo(), two.echo()


def test_a_new_engine_obeys_the_configuration_of_the_last_reload(xd, ports):
    a, b = ports(2)
    xd.start(logdefaults(xd) + cat("a", a), expect=[a])
    xd.hup(logdefaults(xd) + cat("a", a, only_from="127.0.0.2") + cat("b", b))
    xd.wait_dlog("Reconfigured: ")
    crash(xd)
    assert talk(a, b"x") == b"" and talk(a, b"x", src="127.0.0.2") == b"x" and talk(b, b"x") == b"x"


def test_a_crash_during_a_reload_is_survived(xd, ports):
    a, b = ports(2)
    xd.start(logdefaults(xd) + cat("a", a), expect=[a])
    held = Held(a, 2)
    with frozen(xd):
        xd.hup(logdefaults(xd) + cat("a", a) + cat("b", b))
        os.kill(engine(xd.proc.pid), signal.SIGKILL)
    xd.wait_port(b)
    held.echo()
    assert talk(a, b"x") == b"x" and talk(b, b"x") == b"x"


def test_five_crashes_in_a_minute_end_the_daemon(xd):
    a = free_port()
    xd.start(logdefaults(xd) + cat("a", a), expect=[a])
    held, kills = Held(a, 2), 0
    while xd.alive():
        old = engine(xd.proc.pid)
        os.kill(old, signal.SIGKILL)
        kills += 1
        assert kills <= 6, "a sixth engine was started"
        wait_until(lambda: not xd.alive() or any(e != old for e in engines(xd.proc.pid)))
    assert kills >= 5
    assert xd.wait_exit() > 0
    assert not os.path.exists(xd.pidfile) and not listening(a)
    held.echo()


@pytest.mark.needs_root
def test_an_engine_that_is_stopped_and_may_not_be_killed_does_not_keep_the_daemon(xd):
    CAP_KILL, PR_CAPBSET_DROP = 5, 24
    a = free_port()
    xd.start(cat("a", a), expect=[a], preexec=lambda: ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_KILL, 0, 0, 0))
    stopped = engine(xd.proc.pid)
    os.kill(stopped, signal.SIGSTOP)
    try:
        xd.signal(signal.SIGTERM)
        assert xd.wait_exit() == 0
        xd.wait_dlog("the engine, process %d, cannot be ended" % stopped)
    finally:
        os.kill(stopped, signal.SIGKILL)
