"""What a service manager is told: readiness, reload, stop, and messages with priorities."""
import os
import re
import signal
import time

import pytest

from harness import *
from manager import Manager
from procs import engine


def test_ready_comes_when_every_service_listens(xd, manager, ports):
    ps = ports(30)
    xd.start("".join(cat("s%d" % i, p) for i, p in enumerate(ps)), env=manager.env())
    assert manager.wait("READY")[0]["READY"] == "1"
    assert all(listening(p) for p in ps)
    assert manager.from_pids == {xd.proc.pid}, "only the main process may speak (NotifyAccess=main)"


def test_an_engine_is_there_when_ready_is_told(xd, manager):
    a = free_port()
    xd.start(cat("a", a), env=manager.env())
    manager.wait("READY")
    assert talk(a, b"x") == b"x" and engine(xd.proc.pid)


def test_a_reload_is_announced_with_the_time_and_ends_with_ready(xd, manager, ports):
    a, b = ports(2)
    xd.start(cat("a", a), env=manager.env())
    manager.wait("READY")
    before = time.monotonic_ns() // 1000
    xd.hup(cat("a", a) + cat("b", b))
    manager.wait("READY", 2)
    assert listening(b)
    stamp = int(manager.wait("RELOADING")[0]["MONOTONIC_USEC"])
    assert before <= stamp <= time.monotonic_ns() // 1000
    assert manager.keys() == ["READY", "RELOADING", "READY"]


def test_a_manager_that_takes_nothing_keeps_nobody_waiting(xd, manager, ports):
    a, b = ports(2)
    manager.stuff()
    xd.start(cat("a", a), env=manager.env(), expect=[a])
    held = connect(a)                       # a session more: words for the status
    assert talk(a, b"x") == b"x"
    for entry in (cat("b", b), ""):
        done = xd.dlog().count("Reconfigured")
        xd.hup(cat("a", a) + entry)
        assert wait_until(lambda: xd.dlog().count("Reconfigured") > done)
    assert talk(a, b"y") == b"y" and not manager.keys()
    xd.signal(signal.SIGTERM)
    assert xd.wait_exit() == 0
    held.close()


def test_a_manager_that_was_busy_hears_what_counts_afterwards(xd, manager, ports):
    a, b = ports(2)
    manager.stuff()
    xd.start(cat("a", a), env=manager.env(), expect=[a])
    assert talk(a, b"x") == b"x"
    for entry in (cat("b", b), ""):
        done = xd.dlog().count("Reconfigured")
        xd.hup(cat("a", a) + entry)
        assert wait_until(lambda: xd.dlog().count("Reconfigured") > done)
    manager.is_deaf.clear()
    manager.wait("READY", 2)
    assert manager.keys() == ["READY", "RELOADING", "READY"], "of the reloads the last is enough"
    xd.signal(signal.SIGTERM)
    assert xd.wait_exit() == 0
    manager.wait("STOPPING")


def test_a_manager_with_a_name_that_is_no_file_is_told_too(xd, manager):
    name = "@" + manager.path
    named = Manager("\0" + manager.path)
    try:
        xd.start(cat("a", free_port()), env=dict(manager.env(), NOTIFY_SOCKET=name))
        named.wait("READY")
    finally:
        named.close()


def test_a_failed_reload_ends_with_ready_too(xd, manager):
    a = free_port()
    xd.start(cat("a", a), env=manager.env())
    manager.wait("READY")
    os.unlink(xd.conf)
    xd.hup()
    manager.wait("READY", 2)
    assert manager.keys() == ["READY", "RELOADING", "READY"] and talk(a, b"x") == b"x"


def test_stopping_is_told(xd, manager):
    a = free_port()
    xd.start(cat("a", a), env=manager.env(), expect=[a])
    manager.wait("READY")
    xd.signal(signal.SIGTERM)
    assert xd.wait_exit() == 0
    manager.wait("STOPPING")
    assert manager.keys() == ["READY", "STOPPING"]


def test_ready_is_never_told_when_the_start_fails(xd, manager):
    xd.start(defaults(instances="lots") + cat("a", free_port()), env=manager.env())
    assert xd.wait_exit() == 1
    assert "READY" not in manager.keys()


def test_a_new_engine_does_not_speak_to_the_manager(xd, manager):
    a = free_port()
    xd.start(cat("a", a), env=manager.env())
    manager.wait("READY")
    old = engine(xd.proc.pid)
    os.kill(old, signal.SIGKILL)
    engine(xd.proc.pid, other_than=old)
    assert talk(a, b"x") == b"x"
    assert manager.keys().count("STOPPING") == 0 and manager.from_pids == {xd.proc.pid}


def test_servers_know_nothing_of_the_manager(xd, manager):
    a = free_port()
    xd.start(service("a", a, server="/usr/bin/env"), env=manager.env(KEPT="yes"))
    manager.wait("READY")
    env = talk(a, shut=False).decode()
    assert "NOTIFY_SOCKET" not in env and "KEPT=yes" in env


def journal_start(xd, text, matching):
    """Start with stderr on a pipe that JOURNAL_STREAM names, or only pretends to."""
    r, w = os.pipe()
    st = os.fstat(w)
    xd.config(text)
    xd.proc = subprocess.Popen([xd.bin, "-dontfork", "-f", xd.conf, "-pidfile", xd.pidfile], stdin=subprocess.DEVNULL, stderr=w,
                               env=dict(os.environ, JOURNAL_STREAM="%d:%d" % (st.st_dev, st.st_ino + (not matching))))
    os.close(w)
    return os.fdopen(r, "rb")


def lines_until_exit(xd, pipe):
    xd.signal(signal.SIGTERM)
    with pipe:
        return pipe.read().decode().splitlines()


def test_under_the_journal_every_line_has_its_priority(xd):
    a = free_port()
    pipe = journal_start(xd, cat("a", a, frobnicate="yes") + cat("b", free_port(), wait="maybe"), True)
    xd.wait_port(a)
    assert talk(a, b"x") == b"x"            # it has started
    lines = [l for l in lines_until_exit(xd, pipe) if l]
    assert lines and all(re.match(r"<[0-7]>\S", l) for l in lines), lines
    assert any(re.match(r"<5>.*Started working: 1 available service", l) for l in lines), lines
    assert any(l.startswith("<4>") and "frobnicate" in l for l in lines), lines
    assert any(l.startswith("<3>") and "maybe" in l for l in lines), lines
    assert not any("\x1b" in l for l in lines)


@pytest.mark.needs_sandbox
def test_a_stream_that_is_not_the_journal_gets_no_priorities(xd, syslog):
    a = free_port()
    pipe = journal_start(xd, cat("a", a), False)
    xd.wait_port(a)
    assert talk(a, b"x") == b"x"            # it has started
    assert not any(re.match(r"<\d>", l) for l in lines_until_exit(xd, pipe))


def test_a_server_has_no_descriptor_of_the_journal(xd):
    a = free_port()
    pipe = journal_start(xd, service("a", a, server="/bin/ls", server_args="/proc/self/fd"), True)
    xd.wait_port(a)
    assert sorted(map(int, talk(a, shut=False).split())) == [0, 1, 2, 3]       # 3 is the directory itself
    lines_until_exit(xd, pipe)
