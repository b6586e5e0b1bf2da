"""Command line, start-up, daemonising."""
import os
import pty
import resource
import select
import signal
import socket
import subprocess
import time

import pytest

from harness import *
import harness

covers = pytest.mark.covers
bug = pytest.mark.bug_in_original


def run(args):
    return subprocess.run([harness.BIN] + args, stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=60)


@covers("CLI-1", "CLI-5", "CLI-9", "CLI-12", "CLI-18", "CLI-19")
@pytest.mark.parametrize("args", [
    ["-f"], ["-filelog"], ["-syslog"], ["-pidfile"], ["-limit"], ["-logprocs"], ["-cc"], ["-shutdownprocs"],
    ["-limit", "x"], ["-limit", "5x"], ["-limit", ""], ["-limit", "99999999999999999999999"],
    ["-logprocs", "x"], ["-cc", "x"], ["-cc", "-1"], ["-cc", "5x"],
    ["-filelog", "/dev/null", "-syslog", "daemon"], ["-syslog", "daemon", "-filelog", "/dev/null"],
    ["extra"], ["-"], ["-dontfork", "extra"], ["-dontfork", "-"],
], ids=lambda a: " ".join(a) or "none")
def test_usage_error(args):
    r = run(args)
    assert r.returncode == 1
    assert r.stdout == b""
    assert b"Usage: " in r.stderr


@covers("CLI-15", "CLI-16", "EXIT-1")
@pytest.mark.parametrize("args", [
    ["-version"], ["-reuse", "-version"], ["-stayalive", "-version"], ["-inetd_compat", "-version"],
    ["-limit", "5", "-version"], ["-cc", "3", "-version"], ["-logprocs", "3", "-version"],
    ["-shutdownprocs", "3", "-version"], ["-d", "-version"], ["-version", "extra"], ["-version", "-f"],
], ids=" ".join)
def test_version(args):
    r = run(args)
    assert r.returncode == 0
    assert r.stdout == b""
    last = r.stderr.decode().splitlines()[-1]
    assert re.match(r"\S+", last) and "libwrap" in last.split()


@covers("CLI-17")
@pytest.mark.parametrize("opt", ["-inetd_ipv6", "-nosuchoption"])
def test_unknown_option_is_not_fatal(opt):
    assert run([opt, "-version"]).returncode == 0


@covers("CLI-3")
def test_filelog_cannot_be_opened(xd):
    xd.config(cat("a", free_port()))
    r = run(["-dontfork", "-f", xd.conf, "-filelog", "/nonexistent/dir/log"])
    assert r.returncode == 1
    assert b"log" in r.stderr


@covers("START-7")
@bug
def test_pidfile_removed_when_configuration_missing(xd):
    run(["-dontfork", "-f", "/nonexistent.conf", "-filelog", xd.daemonlog, "-pidfile", xd.pidfile])
    assert not os.path.exists(xd.pidfile)


@covers("START-4")
def test_parent_exits_zero_whatever_happens(xd):
    r = run(["-f", "/nonexistent.conf", "-filelog", xd.daemonlog, "-pidfile", xd.pidfile])
    assert r.returncode == 0


def start_daemon(xd, *args):
    r = run(["-f", xd.conf, "-filelog", xd.daemonlog, "-pidfile", xd.pidfile] + list(args))
    assert r.returncode == 0

    def pid():
        try:
            return int(open(xd.pidfile).read())
        except (OSError, ValueError):
            return None
    return wait_until(pid)


@covers("START-13", "START-6")
def test_no_services_ends_the_daemon(xd):
    def running():
        out = []
        for p in descendants(os.getpid()):
            try:
                if xd.conf in open("/proc/%d/cmdline" % p).read().split("\0"):
                    out.append(p)
            except OSError:
                pass
        return out
    xd.config("# nothing\n")
    run(["-f", xd.conf, "-filelog", xd.daemonlog, "-pidfile", xd.pidfile])
    assert wait_until(lambda: not running())
    assert not os.path.exists(xd.pidfile)


@covers("CLI-8", "PARSE-26", "RELOAD-11")
def test_stayalive_without_services(xd):
    p = free_port()
    xd.config("\n")
    pid = start_daemon(xd, "-stayalive")
    try:
        xd.wait_dlog("Started working: 0 ")
        for n in (0, 1):
            xd.config(cat("a", p))
            os.kill(pid, signal.SIGHUP)
            assert wait_until(lambda: listening(p))
            xd.config("\n")
            os.kill(pid, signal.SIGHUP)
            assert wait_until(lambda: not listening(p))
            xd.wait_dlog("Reconfigured: ", 2 * n + 2)
        assert alive(pid)
    finally:
        os.kill(pid, signal.SIGTERM)
    assert wait_until(lambda: not alive(pid))


@covers("RELOAD-11", "START-6")
def test_reload_to_nothing_ends_the_daemon(xd):
    p = free_port()
    xd.config(cat("a", p))
    pid = start_daemon(xd)
    assert wait_until(lambda: listening(p))
    xd.config("\n")
    os.kill(pid, signal.SIGHUP)
    assert wait_until(lambda: not alive(pid))
    assert not os.path.exists(xd.pidfile)


@covers("CLI-7")
def test_dontfork_stays_without_services_and_in_session(xd):
    xd.start("\n")
    xd.wait_dlog("Started working: 0 ")
    p = free_port()
    xd.hup(cat("a", p))
    xd.wait_port(p)
    assert os.getsid(xd.proc.pid) == os.getsid(0)
    assert os.getpgid(xd.proc.pid) == os.getpgid(0)


def on_pty(args, sig=None, ready=None):
    pid, fd = pty.fork()
    if pid == 0:
        os.execv(harness.BIN, [harness.BIN] + args)
    out, end, sent = b"", time.monotonic() + patience(), False
    try:
        while time.monotonic() < end:
            r, _, _ = select.select([fd], [], [], 0.05)
            if r:
                try:
                    d = os.read(fd, 65536)
                except OSError:
                    d = b""
                out += d
            if sig and not sent and ready():
                os.kill(pid, sig)
                sent = True
            w, st = os.waitpid(pid, os.WNOHANG)
            if w:
                return os.waitstatus_to_exitcode(st), out
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        return "still running", out
    finally:
        os.close(fd)


@covers("CLI-6", "EXIT-1", "START-13")
def test_debug_mode_no_services(xd):
    xd.config("\n")
    rc, _ = on_pty(["-d", "-f", xd.conf])
    assert rc == 1


@covers("START-8", "SRV-9")
@pytest.mark.parametrize("inherited,want", [(0o022, "0022"), (0o002, "0022"), (0o102, "0122"), (0o077, "0077")])
def test_umask_is_inherited_or_022(xd, inherited, want):
    p = free_port()
    sc = xd.script("um", "#!/bin/sh\numask\n")
    xd.boot(service("a", p, server=sc), up=[p], preexec=lambda: os.umask(inherited))
    assert talk(p).decode().strip() == want


@covers("START-2")
def test_inherited_descriptors_are_closed(xd):
    p = free_port()
    xd.config(cat("a", p))
    r, w = os.pipe()
    os.set_inheritable(w, True)
    proc = subprocess.Popen([harness.BIN, "-dontfork", "-f", xd.conf, "-filelog", xd.daemonlog],
                            stdin=subprocess.DEVNULL, close_fds=False)
    os.close(w)
    try:
        assert wait_until(lambda: listening(p))
        assert select.select([r], [], [], patience())[0] and os.read(r, 1) == b""
    finally:
        proc.terminate()
        proc.wait(patience())
        os.close(r)


@covers("START-10")
@bug
def test_relative_configuration_path_on_reload(xd):
    p, q = free_port(), free_port()
    xd.config(cat("a", p))
    xd.start(conf_arg=False, args=["-f", "xinetd.conf"], cwd=xd.dir, expect=[p])
    xd.hup(cat("a", p) + cat("b", q))
    assert wait_until(lambda: listening(q))


def busy_port():
    p = free_port()
    s = socket.socket()
    s.bind(("127.0.0.1", p))
    s.listen()
    return p, s


@covers("START-11")
def test_bind_delay(xd):
    p, s = busy_port()
    xd.config(cat("a", p))
    xd.start(env=dict(os.environ, XINETD_BIND_DELAY="200000"))
    time.sleep(0.6)                     # some delays pass, and some tries fail: they are the subject
    s.close()
    assert wait_until(lambda: listening(p))


@covers("START-11")
def test_bind_delay_too_large_is_ignored(xd):
    p, s = busy_port()
    t = time.monotonic()
    xd.boot(cat("a", p), env=dict(os.environ, XINETD_BIND_DELAY="600000"))
    assert time.monotonic() - t < 5.5               # obeyed, it would take six seconds
    s.close()
    assert not listening(p)


@covers("START-15", "HARD-2")
def test_descriptor_budget(xd, ports):
    ps = ports(45)
    xd.config("".join(cat("s%d" % i, p) for i, p in enumerate(ps)))
    xd.start(preexec=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40)))
    xd.wait_port(ps[0])
    xd.wait_dlog("Started working: ")
    n = sum(listening(p) for p in ps)
    assert 10 < n < 40
    assert xd.alive()
    assert talk(ps[0], b"ok") == b"ok"


@covers("START-1", "MSG-2")
def test_start_messages(xd):
    p = free_port()
    xd.boot(cat("a", p), up=[p])
    xd.wait_dlog(r"started with .*options compiled in\.")
    xd.wait_dlog(r"Started working: 2 available services")


@covers("CLI-21", "MSG-1")
def test_filelog_line_format(xd):
    p = free_port()
    xd.boot(cat("a", p), up=[p])
    xd.wait_dlog("Started working")
    for line in xd.dlog().splitlines():
        if line.strip():
            assert re.match(r"\d\d/\d{1,2}/\d{1,2}@\d\d:\d\d:\d\d \S+\[%d\]: (DEBUG|INFO|NOTICE|WARNING|ERROR|CRITICAL): "
                            % xd.proc.pid, line), line
