"""Signals, state dump, reconfiguration."""
import os
import resource
import signal
import socket

import pytest

from harness import *

covers = pytest.mark.covers
bug = pytest.mark.bug_in_original
sandbox = pytest.mark.needs_sandbox


@covers("SIG-2")
def test_wait_server_survives_sigterm(xd):
    a = free_port()
    xd.boot(service("a", a, server=xd.script("acc", pyscript(TCP_ACCEPT)), server_args="5", wait="yes"), up=[a])
    pid = int(talk(a).split(b"|")[0])
    xd.signal(signal.SIGTERM)
    xd.wait_exit()
    assert alive(pid)
    assert int(talk(a).split(b"|")[0]) == pid           # it holds the listening socket


@covers("SIG-4")
def test_harmless_signals(xd):
    a = free_port()
    xd.boot(cat("a", a), up=[a])
    for s in (signal.SIGINT, signal.SIGALRM, signal.SIGPIPE, signal.SIGWINCH, signal.SIGIO, signal.SIGCONT, signal.SIGTSTP,
              signal.SIGTTIN, signal.SIGVTALRM, signal.SIGURG, signal.SIGTRAP, signal.SIGSYS):
        xd.signal(s)
        assert talk(a, b"x") == b"x" and xd.alive(), s


@covers("SIG-6", "SIG-1")
def test_consistency_check(xd):
    a = free_port()
    xd.boot(cat("a", a), up=[a])
    xd.signal(signal.SIGABRT)
    xd.wait_dlog("(?i)consistency check passed", free=True)
    assert talk(a, b"x") == b"x" and xd.alive()


@covers("DUMP-1", "DUMP-2", "SIG-1")
@sandbox
def test_state_dump(xd, ports):
    f = "/var/run/xinetd.dump"
    if os.path.exists(f):
        os.unlink(f)
    a, b = ports(2)
    xd.boot(logdefaults(xd), service("sleepy", a, server=xd.script("sl", SLEEPER), instances="7"),
            cat("other", b, only_from="127.0.0.1", flags="NODELAY"), up=[a, b])
    s, pid = start_sleeper(a)
    for n in (1, 2):
        xd.signal(signal.SIGUSR1)
        assert wait_until(lambda: os.path.exists(f) and open(f).read().count("END OF DUMP") == n)
    s.close()
    t = open(f).read()
    assert os.stat(f).st_mode & 0o777 == 0o644
    wanted = [r"(?m)^INTERNAL STATE DUMP: ", r"(?m)^Current time: ", r"(?m)^Service = sleepy$", r"(?m)^Service = other$",
              r"(?m)^\s*State = Active$", r"pid = %d\b" % pid, r"(?m)^running_servers = 1$"]
    if ORIGINAL:                        # details nobody should depend on
        wanted += [r"(?m)^active_services = 3$", r"(?m)^available_services = 3$", r"(?m)^config_file = ",
                   r"(?m)^Server table dump:", r"(?m)^Retry table dump:", r"port = %d\b" % a, r"Instances = 7\b"]
    for want in wanted:
        assert re.search(want, t), want
    xd.wait_dlog("state dump", free=True)


# ---------------------------------------------------------------- reload


@covers("RELOAD-2", "RELOAD-3")
@pytest.mark.parametrize("old,new", [
    (dict(), dict(wait="yes")), (dict(), dict(id="other")), (dict(), dict(port="new")),
    (dict(redirect="127.0.0.1 9"), dict()),
], ids=["wait", "id", "port", "redirect"])
def test_identity_changes(xd, ports, old, new):
    """A change of identity closes and reopens; other changes do not."""
    a, b = ports(2)
    xd.boot(cat("a", a, **old), up=[a])
    p = b if new.pop("port", None) else a
    if new.get("wait"):
        new["server"] = xd.script("acc", pyscript(TCP_ACCEPT))
    xd.reload(cat("a", p, **new), up=[p], down=[a] if p != a else [])
    assert talk(p, b"x") != b"" if new.get("wait") else talk(p, b"x") == b"x"


@covers("RELOAD-5")
@bug
def test_exit_line_of_a_killed_server_tells_the_signal(xd):
    a = free_port()
    xd.boot(logdefaults(xd), service("a", a, server=xd.script("sl", SLEEPER)), up=[a])
    s, pid = start_sleeper(a)
    xd.reload(logdefaults(xd), down=[a])
    assert re.search(r"signal=(9|15)", xd.wait_log("^EXIT: a ")[0])
    s.close()


@covers("RELOAD-4")
@bug
def test_removed_service_servers_get_sigterm_first(xd):
    a = free_port()
    mark = xd.path("mark")
    os.chmod(xd.dir, 0o777)
    xd.boot(service("a", a, server=xd.script("sl", "#!/bin/sh\ntrap 'echo term > %s; exit 0' TERM\necho $$\n"
                                             "while :; do sleep 0.05; done\n" % mark)), up=[a])
    s, pid = start_sleeper(a)
    xd.reload(down=[a])
    assert wait_until(lambda: os.path.exists(mark))
    s.close()


@covers("RELOAD-7", "RELOAD-8")
@sandbox
@pytest.mark.parametrize("old,new,v4", [
    (dict(), dict(flags="IPv4"), True), (dict(flags="IPv4"), dict(), True),
    pytest.param(dict(), dict(v6only="yes"), False, marks=bug),
    pytest.param(dict(v6only="yes"), dict(), True, marks=bug)], ids=str)
def test_family_change(xd, old, new, v4):
    a = free_port()
    xd.boot(cat("a", a, bind=None, **old), up=[a])
    xd.reload(cat("a", a, bind=None, **new), up=[a])
    assert (attempt(a, b"x") == b"x") == v4
    assert (attempt(a, b"x", addr="::1") == b"x") == (new.get("flags") != "IPv4")


@covers("RELOAD-9", "DEF-10")
def test_new_defaults_are_used(xd):
    a = free_port()
    xd.boot(logdefaults(xd), cat("a", a), up=[a])
    assert talk(a, b"x") == b"x"
    xd.reload(logdefaults(xd, instances="0", log_on_failure="ATTEMPT"), cat("a", a), up=[a])
    assert talk(a, b"x") == b""
    xd.wait_log("^FAIL: a service_limit$")


@covers("RELOAD-12", "WAIT-1")
def test_wait_service_keeps_its_server(xd):
    a = free_port()
    w = lambda **k: service("a", a, server=xd.script("acc", pyscript(TCP_ACCEPT)), server_args="4", wait="yes", **k)
    xd.boot(logdefaults(xd), w(), up=[a])
    pid = talk(a).split(b"|")[0]
    xd.reload(logdefaults(xd), w(nice="1"), up=[a])
    assert talk(a).split(b"|")[0] == pid
    assert len([l for l in xd.log() if l.startswith("START")]) == 1
    xd.reload(logdefaults(xd), down=[])
    assert wait_until(lambda: not alive(int(pid)))


@covers("RELOAD-2", "RELOAD-9")
def test_connections_in_the_backlog_survive_a_reload(xd):
    a = free_port()
    xd.boot(cat("a", a), up=[a])
    cs = []
    for i in range(5):
        xd.signal(signal.SIGHUP)
        for _ in range(4):
            s = connect(a)
            s.sendall(b"%d" % i)
            cs.append((s, b"%d" % i))
    assert all(s.recv(5) == d for s, d in cs)
    for s, _ in cs:
        s.close()


@covers("RELOAD-13", "HARD-2")
@bug
def test_many_replacements(xd):
    """Each reload replaces one service; the daemon must not run out of slots."""
    a = free_port()
    xd.boot(cat("a", a), up=[a], preexec=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (24, 24)))
    try:
        for i in range(30):
            xd.hup(cat("a", a, id="a%d" % i))
            xd.wait_dlog("Reconfigured: ", i + 1)
        assert attempt(a, b"x") == b"x"
    finally:
        if xd.alive():
            xd.proc.kill()


@covers("RELOAD-2")
def test_many_reloads_without_change(xd):
    a = free_port()
    text = logdefaults(xd) + cat("a", a)
    xd.boot(text, up=[a])
    n = len(os.listdir("/proc/%d/fd" % xd.proc.pid))
    for i in range(20):
        xd.hup(text)
        xd.wait_dlog("Reconfigured: ", i + 1)
    xd.reload(text)
    assert talk(a, b"x") == b"x"
    assert len(os.listdir("/proc/%d/fd" % xd.proc.pid)) <= n + 1


@covers("HARD-6", "ACC-1")
def test_slow_clients_do_not_block(xd, ports):
    """Clients that connect and say nothing must not stop other services."""
    m, a = ports(2)
    xd.boot(internal("tcpmux", m), cat("a", a), up=[m, a])
    idle = [connect(m) for _ in range(10)]
    assert talk(a, b"x") == b"x"
    for s in idle:
        s.close()
