"""What a service manager sees of the daemon while it runs: the watchdog and the line of its status."""
import os
import signal
import time

import pytest

from harness import *
from procs import engine, field

covers = pytest.mark.covers


def fed(manager):
    return sum("WATCHDOG" in m for m in list(manager.told))


def watched(manager, seconds):
    manager.variables = {"WATCHDOG_USEC": "%d" % (seconds * 1e6)}


def said(manager):
    return [m["STATUS"] for m in list(manager.told) if "STATUS" in m]


# ------------------------------------------------ watchdog

def test_the_watchdog_is_fed_in_time(xd, manager, ports):
    a, = ports(1)
    watched(manager, 3)
    manager.boot(xd, cat("a", a))
    began, before = time.monotonic(), fed(manager)
    manager.wait("WATCHDOG", before + 3)
    assert time.monotonic() - began < 3 * 3
    assert "does not answer" not in xd.dlog() and "onsistency" not in xd.dlog()


def test_without_one_nothing_is_fed(xd, manager, ports):
    a, = ports(1)
    manager.boot(xd, cat("a", a))
    assert talk(a, b"x") == b"x" and fed(manager) == 0


@covers("SIG-2")
def test_an_engine_that_hangs_is_replaced_and_nobody_is_lost(xd, manager, ports):
    a, = ports(1)
    watched(manager, 3)
    manager.boot(xd, cat("a", a))
    held = connect(a)
    held.sendall(b"1")
    assert recv_n(held, 1) == b"1"
    old = engine(xd.proc.pid)
    os.kill(old, signal.SIGSTOP)
    assert wait_until(lambda: field(old, "State")[:1] == ["T"])
    waiting = connect(a)
    waiting.sendall(b"w")
    assert recv_n(waiting, 1) == b"w", "by the next engine"
    assert engine(xd.proc.pid) != old and xd.alive()
    xd.wait_dlog("the engine does not answer and is ended")
    held.sendall(b"2")
    assert recv_n(held, 1) == b"2"
    before = fed(manager)
    manager.wait("WATCHDOG", before + 3)


def test_a_daemon_that_hangs_feeds_nobody_and_blames_no_engine(xd, manager, ports):
    a, = ports(1)
    watched(manager, 2)
    manager.boot(xd, cat("a", a))
    manager.wait("WATCHDOG", 2)
    old = engine(xd.proc.pid)
    xd.signal(signal.SIGSTOP)
    assert wait_until(lambda: field(xd.proc.pid, "State")[:1] == ["T"])
    before = fed(manager)
    time.sleep(3)                       # longer than the watchdog has patience
    assert fed(manager) <= before + 1, "one may have been on its way"
    xd.signal(signal.SIGCONT)
    manager.wait("WATCHDOG", fed(manager) + 3)
    assert engine(xd.proc.pid) == old and "does not answer" not in xd.dlog()


# ------------------------------------------------ status

def test_the_status_counts_services_and_sessions(xd, manager, ports):
    a, b = ports(2)
    manager.boot(xd, cat("a", a), internal("echo", b))
    manager.wait("STATUS")
    with connect(a) as one, connect(b) as two:
        for s in (one, two):
            s.sendall(b"x")
            assert recv_n(s, 1) == b"x"
        assert wait_until(lambda: said(manager)[-1] == "2 services, 2 sessions")
    assert wait_until(lambda: said(manager)[-1] == "2 services, 0 sessions")
    assert said(manager)[0] == "2 services, 0 sessions"


@covers("CPS-3")
def test_the_status_says_what_is_wrong(xd, manager, ports):
    a, b = ports(2)
    manager.boot(xd, cat("a", a, cps="1 60"), cat("b", b, wait="perhaps"))
    manager.wait("STATUS")
    assert said(manager) == ["1 service, 0 sessions; 1 left out: see xinetctl check"]
    come_too_often(a)
    assert wait_until(lambda: said(manager)[-1].endswith("; 1 left out: see xinetctl check; 1 paused by cps"))
    os.unlink(xd.conf)
    xd.hup()
    assert wait_until(lambda: said(manager)[-1].endswith("; the last reload failed: the old configuration is in force"))
    xd.hup(cat("a", a))
    assert wait_until(lambda: said(manager)[-1].startswith("1 service, 0 sessions") and "failed" not in said(manager)[-1])
    assert "left out" not in said(manager)[-1]


def test_many_clients_are_few_words(xd, manager, ports):
    a, = ports(1)
    manager.boot(xd, cat("a", a, instances="UNLIMITED", cps="100000 1"))
    began = time.monotonic()
    for _ in range(200):
        assert talk(a, b"x") == b"x"
    seconds = time.monotonic() - began
    assert len(said(manager)) <= 3 + seconds
