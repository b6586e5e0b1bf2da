"""What must not bring the daemon down, deafen it, or lose its counts."""
import fcntl
import os
import shutil
import signal
import socket

import pytest

from harness import *
from procs import engine

covers = pytest.mark.covers
root = pytest.mark.needs_root

RTSIG = 36      # a real-time signal: in no list of names


@covers("LOG-3", "LIM-6")
def test_a_server_that_dies_of_a_real_time_signal_is_logged_and_gives_its_place_back(mk):
    xd, a = mk(), free_port()
    xd.boot(logdefaults(xd), service("a", a, instances="1", server=xd.script("s", "#!/bin/sh\nread x\nkill -%d $$\n" % RTSIG)),
            up=[a])
    assert talk(a, b"go\n") == b""
    xd.wait_log("^EXIT: a signal=%d " % RTSIG)
    # Who counts may hear of it after who logs: the next one may come too soon.
    exits = lambda: len([l for l in xd.log() if l.startswith("EXIT: a signal=%d " % RTSIG)])
    assert wait_until(lambda: talk(a, b"go\n") == b"" and exits() > 1)


def test_an_engine_that_dies_of_a_real_time_signal_is_replaced(mk):
    xd, a = mk(), free_port()
    xd.boot(cat("a", a), up=[a])
    old = engine(xd.proc.pid)
    os.kill(old, RTSIG)
    assert wait_until(lambda: engine(xd.proc.pid) not in (None, old))
    assert talk(a, b"x") == b"x"


@covers("CPS-3", "BAN-1")
@pytest.mark.parametrize("banner", [False, True], ids=["plain", "banner"])
def test_a_port_closed_by_cps_opens_again_beside_its_sessions(mk, banner):
    xd, a = mk(), free_port()
    more = dict(banner=xd.write("ban", "")) if banner else {}
    xd.boot(cat("a", a, cps="2 1", **more), up=[a])
    held = []
    for _ in range(2):
        s = connect(a)
        s.sendall(b"1")
        assert s.recv(1) == b"1"
        held.append(s)
    come_too_often(a)
    thief = socket.socket()
    thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    with pytest.raises(OSError):
        thief.bind(("127.0.0.1", a))
    thief.close()
    assert wait_until(lambda: listening(a))
    assert talk(a, b"x") == b"x"
    for s in held:
        s.sendall(b"2")
        assert s.recv(1) == b"2"
        s.close()


@covers("SIG-2", "EXIT-1")
def test_sigterm_at_any_moment_of_the_start_ends_with_status_0(mk):
    xd, a = mk(), free_port()
    for _ in range(25):
        xd.start(cat("a", a), expect=[a])
        xd.signal(signal.SIGTERM)
        assert xd.wait_exit() == 0, xd.dlog()


@covers("BAN-1", "RELOAD-2")
def test_a_reload_may_take_away_the_banner_that_is_being_read(mk):
    xd, a = mk(), free_port()
    text = logdefaults(xd)
    xd.boot(text, cat("a", a, banner=xd.write("ban", "x" * 1000000), banner_success=xd.write("suc", "+")), up=[a])
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    s.connect(("127.0.0.1", a))
    s.settimeout(patience())
    assert s.recv(1) == b"x"
    xd.reload(text, cat("a", a), up=[a])
    got = recv_n(s, 1000000 - 1)
    assert set(got) == set(b"x")
    s.sendall(b"y")
    # Where the kernel had taken all of the first banner at once, the second came before the reload.
    first = recv_n(s, 1)
    assert first == b"y" or first == b"+" and recv_n(s, 1) == b"y"
    s.close()
    assert xd.alive() and talk(a, b"z") == b"z"


@covers("LOG-8", "HARD-6")
def test_a_log_that_nobody_reads_stops_nothing(mk):
    xd, a = mk(), free_port()
    os.mkfifo(xd.path("pipe"))
    reader = os.open(xd.path("pipe"), os.O_RDONLY | os.O_NONBLOCK)
    xd.boot(defaults(log_type="FILE " + xd.path("pipe"), log_on_success="PID HOST EXIT DURATION", cps="0 0"),
            cat("a", a), up=[a])
    for _ in range(1500):
        assert talk(a, b"x") == b"x"
    os.close(reader)
    assert xd.alive()


@covers("RETRY-2")
@root
def test_a_server_that_is_slow_to_execute_costs_no_client(mk):
    """As on a machine that is busy; this one may be so busy that it is too slow even for that."""
    assert any(is_served_late(mk()) for _ in range(5))


def is_served_late(xd):
    """Whether a client is whose server has to wait in execve(2) for a lease on its program (fcntl(2))."""
    a, program = free_port(), shutil.copy("/bin/cat", xd.path("cat"))
    xd.boot(cat("a", a, server=program), up=[a])
    with open(program, "rb") as f:
        fcntl.fcntl(f, fcntl.F_SETSIG, signal.SIGWINCH)     # which is ignored; SIGIO would not be
        fcntl.fcntl(f, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        with connect(a) as s:
            s.sendall(b"x")
            assert wait_until(lambda: fcntl.fcntl(f, fcntl.F_GETLEASE) != fcntl.F_WRLCK), "nobody wants it"
            time.sleep(0.3)             # time is the subject
            fcntl.fcntl(f, fcntl.F_SETLEASE, fcntl.F_UNLCK)
            return recv_n(s, 1) == b"x"


@covers("SRV-15", "ATTR-32")
@root
def test_a_limit_that_cannot_be_had_does_not_keep_a_server_from_starting(daemon):
    a = free_port()
    daemon.boot(cat("a", a, rlimit_files="UNLIMITED"), up=[a])
    assert talk(a, b"x") == b"x"


@covers("SIG-8", "SIG-1")
def test_sigchld_blocked_at_start_keeps_nobody_a_zombie(mk):
    xd, a = mk(), free_port()
    xd.boot(logdefaults(xd), cat("a", a), up=[a],
            preexec=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD]))
    talk(a, b"x")
    xd.wait_log("^EXIT: a status=0")


@covers("RELOAD-5", "LOG-9")
def test_the_last_exit_of_a_removed_service_is_in_its_own_log(mk):
    xd, a = mk(), free_port()
    own = xd.path("own.log")
    xd.boot(logdefaults(xd), service("a", a, server=xd.script("sl", SLEEPER), log_type="FILE " + own), up=[a])
    s, pid = start_sleeper(a)
    xd.reload(logdefaults(xd), down=[a])
    xd.wait_log(r"^EXIT: a signal=15 pid=%d " % pid, path=own)
    s.close()
