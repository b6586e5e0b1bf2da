"""Life as a daemon: detaching, pid file, signals, exit."""
import os
import signal
import socket
import stat

import pytest

import control
from harness import *
from load import Held
from procs import daemon_processes, fds, field

covers = pytest.mark.covers


def launch(xd, config, *words, stderr=b"", **kw):
    """`stderr`: a pattern for all of what is said there."""
    xd.config(config)
    r = subprocess.run([xd.bin, "-f", xd.conf, "-filelog", xd.daemonlog, "-pidfile", xd.pidfile, *words],
                       stdin=subprocess.DEVNULL, capture_output=True, timeout=60, **kw)
    assert (r.returncode, r.stdout) == (0, b"") and re.fullmatch(stderr, r.stderr), r


@pytest.fixture
def detached(daemon):
    """Start `daemon` as a daemon; returns its pid. Whatever is left is ended."""
    pids = []

    def start(config, *words, **kw):
        launch(daemon, config, *words, **kw)
        pid = wait_until(lambda: read_pid(daemon.pidfile))
        assert pid, daemon.dlog()
        pids.append(pid)
        return pid
    yield start
    for pid in pids:
        for p in [pid] + descendants(pid):
            if alive(p):
                os.kill(p, signal.SIGKILL)


def read_pid(path):
    try:
        with open(path) as f:
            text = f.read()
    except FileNotFoundError:
        return None
    return int(text) if re.fullmatch(r"\d+\n", text) else None


@covers("START-4", "START-5", "START-2", "START-9")
def test_it_detaches(daemon, detached):
    a = free_port()
    pid = detached(cat("a", a))
    daemon.wait_dlog("Started working")
    assert os.getsid(pid) == pid and os.getpgid(pid) == pid
    assert proc_stat(pid)[4] == "0", "no controlling terminal"
    assert [fds(pid)[n] for n in (0, 1, 2)] == ["/dev/null"] * 3
    assert os.readlink("/proc/%d/cwd" % pid) == "/"
    assert talk(a, b"x") == b"x"


@covers("RELOAD-11")
@pytest.mark.needs_sandbox
def test_a_reload_that_leaves_no_service_ends_it_and_whoever_waits_hears_why(daemon, detached):
    pid = detached(cat("a", free_port()))
    daemon.wait_dlog("Started working")
    daemon.config("# nothing\n")
    if daemon.original:
        os.kill(pid, signal.SIGHUP)
    else:
        code, out, err = control.ctl("reload")
        why = "no service is left; the daemon has ended (see -stayalive)"
        assert (code, out, err) == (1, "", "xinetctl: nothing was taken over: %s\n" % why)
    daemon.wait_dlog("No available services. Exiting")
    assert wait_until(lambda: not alive(pid))


@covers("CLI-15")
def test_a_word_of_old_versions_is_regretted_where_its_caller_reads_it(daemon, detached):
    a = free_port()
    detached(cat("a", a), "-shutdownprocs", "3", stderr=rb".*deprecated.*\n")
    daemon.wait_dlog("Started working")
    assert talk(a, b"x") == b"x"


@covers("START-5")
@pytest.mark.parametrize("umask", [0o000, 0o027, 0o777])
def test_the_pid_file_is_readable_for_all(daemon, detached, umask):
    daemon.write("xinetd.pid", "old and longer than a pid\n", 0o600)
    old = os.stat(daemon.pidfile).st_ino
    a = free_port()
    os.link(daemon.pidfile, daemon.path("keep"))                # so that the inode is not used again
    pid = detached(cat("a", a), preexec_fn=lambda: os.umask(umask))
    st = os.stat(daemon.pidfile)
    with open(daemon.pidfile) as f:
        assert f.read() == "%d\n" % pid
    assert stat.S_IMODE(st.st_mode) == 0o644 and st.st_ino != old


@covers("START-5")
def test_a_link_in_the_place_of_the_pid_file_is_replaced(daemon):
    victim = daemon.write("victim", "precious\n")
    os.symlink(victim, daemon.pidfile)
    a = free_port()
    daemon.start(cat("a", a), expect=[a])
    assert not os.path.islink(daemon.pidfile) and open(victim).read() == "precious\n"


@covers("START-8", "CLI-3")
@pytest.mark.parametrize("umask,mode", [(0o000, 0o644), (0o027, 0o640), (0o077, 0o600)])
def test_logs_obey_the_umask(daemon, umask, mode):
    a = free_port()
    daemon.start(logdefaults(daemon) + cat("a", a), expect=[a], preexec=lambda: os.umask(umask))
    daemon.wait_dlog("Started working")
    assert [stat.S_IMODE(os.stat(f).st_mode) for f in (daemon.daemonlog, daemon.svclog)] == [mode] * 2
    assert field(daemon.proc.pid, "Umask") == ["%04o" % (umask | 0o022)]


@covers("SIG-2", "SIG-3", "START-6", "EXIT-1", "MSG-2")
@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGQUIT], ids=["SIGTERM", "SIGQUIT"])
def test_it_ends_and_leaves_the_servers_running(daemon, sig):
    a = free_port()
    daemon.start(logdefaults(daemon) + cat("a", a), expect=[a])
    held, mine = Held(a, 5), daemon_processes(daemon.proc.pid)
    daemon.signal(sig)
    assert daemon.wait_exit() == 0
    assert not os.path.exists(daemon.pidfile)
    held.echo()
    assert wait_until(lambda: not any(alive(p) for p in mine)), "the engine stays behind"
    daemon.wait_dlog("Exiting")


@covers("SIG-2")
def test_the_port_is_free_at_once_after_the_exit(daemon):
    a = free_port()
    for _ in range(5):
        daemon.start(cat("a", a), expect=[a])
        held = Held(a, 3)
        daemon.signal(signal.SIGTERM)
        daemon.wait_exit()
        assert refused(a)
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind(("127.0.0.1", a))
            s.listen()
        held.echo()
        held.close()


@covers("SIG-2")
def test_a_killed_monitor_takes_the_engine_along(xd):
    a = free_port()
    xd.start(cat("a", a), expect=[a])
    held, mine = Held(a, 3), daemon_processes(xd.proc.pid)
    xd.signal(signal.SIGKILL)
    xd.wait_exit()
    assert wait_until(lambda: not any(alive(p) for p in mine)) and refused(a)
    held.echo()


@covers("SIG-4")
def test_sigint_is_ignored(daemon):
    a = free_port()
    daemon.start(cat("a", a), expect=[a])
    daemon.signal(signal.SIGINT)
    daemon.hup()                        # handled after it
    daemon.wait_dlog("Reconfigured: ")
    assert daemon.alive() and talk(a, b"x") == b"x"


@covers("SIG-1")
def test_sigusr2_reloads_too(daemon, ports):
    a, b = ports(2)
    daemon.start(cat("a", a), expect=[a])
    daemon.config(cat("b", b))
    daemon.signal(signal.SIGUSR2)
    daemon.wait_port(b)
    daemon.wait_closed(a)


@covers("START-14", "EXIT-1")
def test_a_configuration_that_is_missing_ends_the_start(daemon):
    daemon.start(args=["-stayalive"])
    assert daemon.wait_exit() == 1
    assert re.search(re.escape(daemon.conf), daemon.dlog())


@covers("START-13", "START-6")
def test_nothing_to_serve_ends_a_daemon(daemon):
    a = free_port()
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", a))
        busy.listen()
        launch(daemon, cat("a", a))
        daemon.wait_dlog("no services")
    assert wait_until(lambda: not os.path.exists(daemon.pidfile))
