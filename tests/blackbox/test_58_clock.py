"""The wall clock is set, back and forward by an hour: what is counted in seconds goes on as if nothing had happened."""
import mmap
import os
import struct
import subprocess
import time

import pytest

from harness import *
from procs import become_user, set_limit

covers = pytest.mark.covers
pytestmark = pytest.mark.needs_sandbox

HOUR = 3600
HERE = os.path.dirname(os.path.abspath(__file__))


@pytest.fixture
def wallclock(etc):
    """wallclock(seconds): how far the clock of every daemon that starts in this test is off."""
    os.chmod("/run", 0o755)
    where = "/run/wallclock"
    os.makedirs(where, exist_ok=True)
    step, library = where + "/step", where + "/wallclock.so"
    with open(step, "wb") as f:
        f.write(struct.pack("l", 0))
    subprocess.check_call(["cc", "-shared", "-fPIC", "-Wall", "-Werror", "-O1", '-DSTEP="%s"' % step, "-o", library, HERE + "/wallclock.c"])
    etc("ld.so.preload", library + "\n")

    def put(seconds):
        with open(step, "r+b") as f:
            with mmap.mmap(f.fileno(), 8) as page:
                page[:] = struct.pack("l", seconds)
    yield put
    os.unlink(step)


def is_off(xd, hours):
    """The daemon believes in the time that it is told."""
    stamp = time.strptime(xd.raw_log()[-1].split(": ")[0], "%y/%m/%d@%H:%M:%S")
    return abs(time.mktime(stamp) - time.time() - hours * HOUR) < 60


@covers("HARD-5", "CPS-3")
@pytest.mark.parametrize("step", [-HOUR, HOUR], ids=["back", "forward"])
def test_cps_opens_the_port_when_its_seconds_are_over(beside, wallclock, step):
    """The original waits for an hour when its clock goes back, and not at all when it goes forward."""
    ports = {}
    for xd in beside:
        ports[xd] = free_port()
        xd.boot(logdefaults(xd), cat("a", ports[xd], cps="1 3"), up=[ports[xd]])
    for xd in reversed(beside):         # ours last: its three seconds are measured
        come_too_often(ports[xd])
    wallclock(step)
    begin, ours = time.monotonic(), ports[beside[0]]
    assert wait_until(lambda: listening(ours))
    assert 1.5 < time.monotonic() - begin                   # time is the subject
    assert talk(ours, b"x") == b"x"
    beside[0].wait_log("^EXIT: a", 2)
    assert is_off(beside[0], step // HOUR)
    if step < 0:
        assert not listening(ports[beside[1]]), "or the clock was not set"


@covers("HARD-5", "CPS-1")
@pytest.mark.parametrize("step", [-HOUR, HOUR], ids=["back", "forward"])
def test_requests_of_one_second_are_counted_together_whatever_the_clock_says(xd, wallclock, step):
    a = free_port()
    xd.boot(logdefaults(xd), cat("a", a, cps="3 60"), up=[a])
    early_in_a_second()
    assert [talk(a, b"x") for _ in range(3)] == [b"x"] * 3
    wallclock(step)
    assert talk(a, b"x") == b""
    xd.wait_log("^FAIL: a connections per second")
    assert is_off(xd, step // HOUR)


@covers("HARD-5", "SENS-5", "SENS-2")
@pytest.mark.parametrize("step", [-HOUR, HOUR], ids=["back", "forward"])
def test_who_is_locked_out_stays_so(xd, ports, wallclock, step):
    trap, a = ports(2)
    xd.boot(logdefaults(xd), service("trap", trap, type="INTERNAL UNLISTED", flags="SENSOR", deny_time="1"), cat("a", a), up=[trap, a])
    assert talk(trap, src="127.0.0.2") == b""
    wallclock(step)
    assert talk(a, b"x", src="127.0.0.2") == b"" and talk(a, b"x") == b"x"
    xd.reload(logdefaults(xd), cat("a", a), up=[a])
    assert talk(a, b"x", src="127.0.0.2") == b""
    xd.wait_log("^FAIL: a address from=127.0.0.2$", 2)
    assert is_off(xd, step // HOUR)


@covers("HARD-5", "RETRY-1", "RELOAD-4", "LOG-3")
@pytest.mark.parametrize("step", [-HOUR, HOUR], ids=["back", "forward"])
def test_retries_kills_and_durations_take_their_seconds(xd, ports, wallclock, step):
    a, b = ports(2)
    os.chmod(xd.dir, 0o777)
    stubborn = xd.script("st", "#!/bin/sh\ntrap '' TERM\necho $$\nwhile :; do sleep 0.05; done\n")
    text = logdefaults(xd) + cat("a", a, user=str(LONER))
    xd.boot(text, service("b", b, server=stubborn, user=str(LONER)), up=[a, b], preexec=lambda: become_user(LONER))
    s, pid = start_sleeper(b)
    set_limit(xd.proc.pid, nproc=(1, 50))
    waiting = connect(a)
    waiting.sendall(b"x")
    xd.wait_dlog("a: fork failed")
    begin = time.monotonic()
    wallclock(step)
    xd.reload(text, down=[b])
    set_limit(xd.proc.pid, nproc=(50, 50))
    assert wait_until(lambda: not alive(pid))
    assert 3.5 < time.monotonic() - begin                   # time is the subject, four seconds
    assert waiting.recv(1) == b"x"
    assert 4.5 < time.monotonic() - begin                   # and five
    xd.wait_log(r"^EXIT: b signal=9 pid=%d duration=([4-9]|[1-9]\d)\(" % pid)
    assert is_off(xd, step // HOUR)
    waiting.close()


@covers("TIME-1", "HARD-5")
def test_hours_of_access_follow_the_clock_that_people_see(xd, wallclock):
    a = free_port()
    now = time.gmtime()
    noon = dict(os.environ, TZ="NOON%+d" % (now.tm_hour - 12))
    xd.boot(logdefaults(xd), cat("a", a, access_times="12:00-12:59"), up=[a], env=noon)
    while time.gmtime().tm_min == 59 and time.gmtime().tm_sec > 50:
        time.sleep(0.5)                                     # not just before the hour: the clock is the subject
    assert talk(a, b"x") == b"x"
    for step in (HOUR, -HOUR):
        wallclock(step)
        assert talk(a, b"x") == b""
        wallclock(0)
        assert talk(a, b"x") == b"x"
    xd.wait_log("^FAIL: a time from=127.0.0.1$", 2)
