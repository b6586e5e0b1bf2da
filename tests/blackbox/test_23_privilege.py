"""Who may do what: the engine nothing, the monitor one thing at a time."""
import os
import pwd

import pytest

from harness import *
from load import Held
from procs import comm, daemon_processes, engine, fds, field, holders, open_for_writing, tcp_inode, uid

root = pytest.mark.needs_root
CAPS = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"]


def account():
    for name in ("xinetd", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            pass


def up(xd, **kw):
    a = free_port()
    xd.start(logdefaults(xd) + cat("a", a, **kw), expect=[a])
    return a, engine(xd.proc.pid)


@root
def test_the_engine_is_somebody_who_owns_nothing(xd):
    _, e = up(xd)
    who = account()
    assert field(e, "Uid") == [str(who.pw_uid)] * 4 and who.pw_uid != 0
    assert field(e, "Gid") == [str(who.pw_gid)] * 4
    assert set(field(e, "Groups")) <= {str(who.pw_gid)}


@root
def test_the_engine_has_no_capability_and_gets_none(xd):
    _, e = up(xd)
    assert {c: int(field(e, c)[0], 16) for c in CAPS} == dict.fromkeys(CAPS, 0)
    assert field(e, "NoNewPrivs") == ["1"]


@root
@pytest.mark.needs_sandbox
def test_without_an_account_of_its_own_the_engine_is_nobody(xd, etc):
    with open("/etc/passwd") as f:
        lines = f.readlines()
    etc("passwd", "".join(l for l in lines if not l.startswith("xinetd:")))
    _, e = up(xd)
    assert field(e, "Uid")[0] == str(pwd.getpwnam("nobody").pw_uid)
    assert len(xd.wait_dlog("(?m)^.*nobody.*$")) == 1


@root
@pytest.mark.needs_sandbox
def test_with_an_account_of_its_own_the_engine_uses_it(xd, etc):
    with open("/etc/passwd") as f:
        lines = f.readlines()
    etc("passwd", "".join(l for l in lines if not l.startswith("xinetd:")) + "xinetd:x:4711:4712:engine:/:/usr/sbin/nologin\n")
    _, e = up(xd)
    assert (field(e, "Uid"), field(e, "Gid")) == (["4711"] * 4, ["4712"] * 4)


@root
def test_the_engine_can_write_no_log_and_no_configuration(xd):
    a, e = up(xd)
    assert talk(a, b"x") == b"x"
    xd.wait_log("^EXIT: a")
    assert xd.svclog in open_for_writing(xd.proc.pid).values()
    assert not {xd.svclog, xd.daemonlog, xd.conf} & set(fds(e).values())
    assert {n: f for n, f in open_for_writing(e).items() if n > 2} == {}      # 2 is where we left it


def test_the_monitor_has_one_thread(xd):
    a, _ = up(xd)
    held = Held(a, 10)
    xd.hup()
    xd.wait_dlog("Reconfigured: ")
    held.echo()
    assert field(xd.proc.pid, "Threads") == ["1"]


def test_the_processes_say_what_they_are(xd):
    _, e = up(xd)
    assert comm(xd.proc.pid).startswith("xinetd") and comm(e) == "xinetd-engine"
    with open("/proc/%d/cmdline" % e) as f:
        assert f.read().split("\0")[0] == "xinetd: engine"


@root
def test_nobody_who_reads_from_a_client_is_root(xd, ports):
    """Neither before a connection is handed over nor after."""
    a, _ = up(xd, user="nobody")
    s = connect(a)
    s.sendall(b"x")
    assert s.recv(1) == b"x"
    inode = tcp_inode(a, s.getsockname()[1])
    having = wait_until(lambda: len(h := holders(inode, xd.proc.pid)) == 1 and h)
    assert having and all(uid(p) == pwd.getpwnam("nobody").pw_uid for p in having), having


@root
def test_a_connection_that_waits_to_be_judged_is_the_engines(xd):
    """The listening sockets that root holds are never read from."""
    a, e = up(xd)
    inode = tcp_inode(a)
    assert wait_until(lambda: set(holders(inode, xd.proc.pid)) == {xd.proc.pid, e})
    polled = [t for t in fds(xd.proc.pid).items() if "eventpoll" in t[1]]
    for fd, _ in polled:
        with open("/proc/%d/fdinfo/%d" % (xd.proc.pid, fd)) as f:
            watched = [int(l.split()[1]) for l in f if l.startswith("tfd:")]
        assert "socket:[%d]" % tcp_inode(a) not in [fds(xd.proc.pid).get(n) for n in watched]


def unprivileged():
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)


@root
def test_an_ordinary_user_is_served_and_told_once(xd):
    a = free_port()
    os.chmod(xd.dir, 0o777)
    xd.start(logdefaults(xd) + cat("a", a, user="nobody"), expect=[a], preexec=unprivileged)
    assert talk(a, b"x") == b"x"
    xd.hup()
    xd.wait_dlog("Reconfigured: ")
    assert talk(a, b"x") == b"x"
    e = engine(xd.proc.pid)
    assert uid(e) == 65534 and e in daemon_processes(xd.proc.pid)
    assert field(e, "NoNewPrivs") == ["1"] and int(field(e, "CapEff")[0], 16) == 0
    assert len(xd.wait_dlog("WARNING: .*separat")) == 1
