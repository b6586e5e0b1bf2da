"""SIGABRT and -cc: the daemon's tables agree with each other and with the system."""
import os
import signal

import pytest

from harness import *
from load import Held, Load
from procs import engine

covers = pytest.mark.covers

ENDLESS = dict(instances="UNLIMITED", per_source="UNLIMITED", cps="0 0")


def check(xd):
    """One more check; passed."""
    n = xd.dlog().count("Consistency check")
    xd.signal(signal.SIGABRT)
    xd.wait_dlog("Consistency check", n + 1)
    assert "error" not in xd.dlog().split("Consistency check")[-1], xd.dlog()
    assert "consistency check:" not in xd.dlog(), xd.dlog()


@covers("SIG-6")
def test_nothing_but_good_news_from_a_daemon_at_rest(daemon, ports):
    a, = ports(1)
    daemon.boot(logdefaults(daemon), cat("a", a), up=[a])
    held = Held(a, 3)
    daemon.signal(signal.SIGABRT)
    daemon.wait_dlog("INFO: Consistency check passed")
    held.echo()


@covers("SIG-6", "SIG-7")
def test_a_port_that_cps_has_closed_is_no_contradiction(xd, ports):
    a, = ports(1)
    xd.boot(logdefaults(xd), cat("a", a, cps="1 60"), up=[a])
    held = Held(a, 1)
    come_too_often(a)
    check(xd)
    held.echo()


@covers("SIG-6", "CLI-12")
def test_the_tables_agree_while_clients_come_and_go(xd, ports):
    """Under load, with sessions of the engine's, over reloads and a crash; -cc is silent."""
    a, b, e, r = ports(4)
    text = logdefaults(xd, **ENDLESS) + cat("a", a, per_source_prefix="64 24") + internal("echo", e)
    xd.boot(text, cat("b", b, instances="5"), args=["-cc", "1"], up=[a, b, e])
    held = [Held(a, 5), Held(e, 5)]
    gone = Held(b, 3)
    load = Load(a, 1200)
    for n in (200, 400):
        load.wait_done(n)
        check(xd)
    xd.reload(text, cat("r", r), down=[b])
    check(xd)
    old = engine(xd.proc.pid)
    load.wait_done(600)
    os.kill(old, signal.SIGKILL)
    engine(xd.proc.pid, other_than=old)
    load.wait_done(800)
    check(xd)
    held[0].echo()
    load.finish()
    check(xd)
    passed = xd.dlog().count("Consistency check passed")
    assert passed == 5, "each SIGABRT is answered, and -cc says nothing"
    gone.close()
