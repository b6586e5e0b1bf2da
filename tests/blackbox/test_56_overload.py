"""Descriptors, processes or threads run out: service slows, says so once, and recovers by itself."""
import os
import resource
import signal

import pytest

from harness import *
from procs import become_user, cpu, engine, fds, set_limit

covers = pytest.mark.covers
root = pytest.mark.needs_root

LIMIT = 256                             # what each of these daemons may open, in better times


def boot(xd, *entries, uid=0, limits={}, **kw):
    def pre():
        for resource_, limit in {resource.RLIMIT_NOFILE: (LIMIT, LIMIT), **limits}.items():
            resource.setrlimit(resource_, limit)
        if uid:
            become_user(uid)
    os.chmod(xd.dir, 0o777)
    xd.boot(logdefaults(xd), *entries, preexec=pre, **kw)


def descriptors(pid, spare):
    """Leave a process so many descriptors beyond the highest that is open."""
    set_limit(pid, nofile=(LIMIT if spare is None else max(fds(pid)) + 1 + spare, LIMIT))


def processes(pid, n):
    set_limit(pid, nproc=(n, 50))


def ask(port, n):
    """Clients that have said something and wait for the answer."""
    them = [connect(port) for _ in range(n)]
    for s in them:
        s.sendall(b"x")
    return them


def answers(them):
    got = []
    for s in them:
        try:
            got.append(s.recv(1))
        except ConnectionResetError:
            got.append(b"")
        s.close()
    return got


def said(xd, words):
    return [l for l in xd.dlog().splitlines() if words in l]


def is_idle(pid, seconds=0.5):
    """Time is the subject: a loop that spins shows in it."""
    before = cpu(pid)
    time.sleep(seconds)
    return cpu(pid) - before < seconds / 4


@covers("CPS-6", "MSG-3")
@root
def test_an_engine_without_descriptors_leaves_clients_in_the_backlog_and_says_so_twice(xd, ports):
    a, b = ports(2)
    boot(xd, cat("a", a), cat("b", b), up=[a, b])
    descriptors(engine(xd.proc.pid), 0)
    them = ask(a, 20) + ask(b, 20)
    xd.wait_dlog("service [ab], accept: Too many open files .errno = 24.; clients wait")
    assert is_idle(engine(xd.proc.pid)) and is_idle(xd.proc.pid)
    descriptors(engine(xd.proc.pid), None)
    assert answers(them) == [b"x"] * 40
    assert len(said(xd, "accept:")) == 1
    xd.wait_dlog("accept: Too many.*; [0-9]+ times in [0-9]+ seconds, and not in the last 10$", timeout=60)
    assert len(said(xd, "accept:")) == 2 and not [l for l in xd.log() if l.startswith("FAIL")]


@covers("LOG-4")
@root
def test_a_monitor_without_descriptors_loses_one_connection_at_most(xd, ports):
    a, = ports(1)
    boot(xd, cat("a", a), up=[a])
    descriptors(xd.proc.pid, 0)
    them = ask(a, 30)
    xd.wait_dlog("no available descriptors: a connection from 127.0.0.1 is lost")
    assert is_idle(xd.proc.pid)
    descriptors(xd.proc.pid, None)
    assert sorted(answers(them)) == [b""] + [b"x"] * 29
    assert len(xd.wait_log("^FAIL: a fork from=127.0.0.1$")) == 1 == len(said(xd, "no available descriptors"))


@covers("RETRY-2", "LOG-4")
@root
def test_a_storm_of_failed_forks_has_a_line_each_in_the_service_log_and_one_in_the_daemons(xd, ports):
    a, = ports(1)
    boot(xd, cat("a", a, user=str(LONER), flags="NORETRY", cps="0 0"), uid=LONER, up=[a])
    processes(xd.proc.pid, 1)
    for _ in range(10):
        assert answers(ask(a, 30)) == [b""] * 30
    assert len(xd.wait_log("^FAIL: a fork from=127.0.0.1$", 300)) == 300
    assert len(said(xd, "fork failed")) == 1
    processes(xd.proc.pid, 50)
    assert talk(a, b"x") == b"x"


@covers("RETRY-1")
@root
def test_more_than_may_wait_for_a_fork_are_refused_at_once(xd, ports):
    a, = ports(1)
    boot(xd, cat("a", a, user=str(LONER), cps="0 0"), uid=LONER, up=[a])
    processes(xd.proc.pid, 1)
    them = ask(a, LIMIT // 8 + 10)
    xd.wait_log("^FAIL: a fork from=127.0.0.1$", 10)
    processes(xd.proc.pid, 50)
    assert sorted(answers(them)) == [b""] * 10 + [b"x"] * (LIMIT // 8)


@root
def test_an_engine_that_cannot_be_started_is_awaited(xd, ports):
    a, = ports(1)
    boot(xd, cat("a", a), up=[a])
    descriptors(xd.proc.pid, 0)
    os.kill(engine(xd.proc.pid), signal.SIGKILL)
    xd.wait_dlog("cannot start the engine: Too many open files")
    them = ask(a, 5)
    assert is_idle(xd.proc.pid)
    descriptors(xd.proc.pid, None)
    assert answers(them) == [b"x"] * 5
    assert len(said(xd, "cannot start the engine")) == 1


@root
def test_the_soft_limit_on_processes_leaves_room_for_the_engine(daemon, ports):
    """One process is one daemon, for who set such a limit for the original."""
    a, = ports(1)
    boot(daemon, cat("a", a, user=str(LONER), flags="NORETRY"), uid=LONER, limits={resource.RLIMIT_NPROC: (1, 50)}, up=[a])
    assert talk(a, b"x") == b""
    daemon.wait_log("^FAIL: a fork from=127.0.0.1$")


@covers("ADDR-13", "BAN-3")
@root
def test_an_engine_without_threads_to_spare_knows_no_names_and_lives(xd, ports):
    a, b, c = ports(3)
    boot(xd, cat("a", a, user=str(LONER), only_from="localhost"), cat("b", b, user=str(LONER), no_access="localhost"),
         cat("c", c, user=str(LONER), banner=xd.write("hi", "hi ")), uid=LONER, up=[a, b, c])
    one = engine(xd.proc.pid)
    processes(one, 1)
    for _ in range(8):                  # more crashes than are forgiven
        assert talk(a, b"x") == b"" and talk(b, b"x", src="127.0.0.9") == b"" and talk(c, b"x") == b"x"
    processes(one, 50)
    assert talk(a, b"x") == b"x" and talk(b, b"x", src="127.0.0.9") == b"x" and talk(c, b"x") == b"hi x"
    assert engine(xd.proc.pid) == one


@covers("SRV-17")
def test_a_program_that_cannot_be_executed_does_not_fill_the_log(xd, ports):
    a, = ports(1)
    program = xd.script("gone", "#!/bin/sh\n")
    xd.boot(logdefaults(xd), service("a", a, server=program), up=[a])
    os.unlink(program)
    for _ in range(20):
        assert talk(a, b"") == b""
    xd.wait_log("^EXIT: a status=1", 20)
    assert len(said(xd, "execv( %s ) failed" % program)) == 1
