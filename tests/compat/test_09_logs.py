"""Service logs: formats, files, limits, syslog."""
import os
import signal
import socket
import time

import pytest

from harness import *

covers = pytest.mark.covers
bug = pytest.mark.bug_in_original
sandbox = pytest.mark.needs_sandbox


@covers("LOG-1", "LOG-2", "LOG-3")
def test_file_line_format(xd):
    a = free_port()
    xd.boot(logdefaults(xd), cat("a", a), up=[a])
    t0 = time.time()
    talk(a, b"x")
    xd.wait_log("^EXIT")
    t1 = time.time()
    raw = xd.raw_log()
    assert len(raw) == 2
    stamps = set()
    for t in range(int(t0), int(t1) + 1):
        lt = time.localtime(t)
        stamps.add("%02d/%d/%d@%02d:%02d:%02d" % (lt.tm_year % 100, lt.tm_mon, lt.tm_mday, lt.tm_hour, lt.tm_min, lt.tm_sec))
    for line in raw:
        stamp, text = line.split(": ", 1)
        assert stamp in stamps
    assert re.match(r"^START: a pid=(\d+) from=127\.0\.0\.1$", raw[0].split(": ", 1)[1])
    assert re.match(r"^EXIT: a status=0 pid=(\d+) duration=\d+\(sec\)$", raw[1].split(": ", 1)[1])


OPTS = [
    ("PID", ["START: a pid=N"]), ("HOST", ["START: a from=127.0.0.1"]), ("PID HOST", ["START: a pid=N from=127.0.0.1"]),
    ("EXIT", ["START: a", "EXIT: a status=7"]), ("DURATION", ["START: a", "EXIT: a duration=N(sec)"]),
    ("EXIT PID", ["START: a pid=N", "EXIT: a status=7 pid=N"]), ("USERID", ["START: a"]),
    ("EXIT DURATION", ["START: a", "EXIT: a status=7 duration=N(sec)"]),
    ("DURATION EXIT HOST PID", ["START: a pid=N from=127.0.0.1", "EXIT: a status=7 pid=N duration=N(sec)"]),
    ("pid Exit", ["START: a pid=N", "EXIT: a status=7 pid=N"]), ("", []),
]


@covers("LOG-2", "LOG-3", "LOG-6", "ATTR-9", "PARSE-27")
@pytest.mark.parametrize("opts,want", OPTS, ids=lambda v: v.replace(" ", "+") or "none" if isinstance(v, str) else None)
def test_success_options(xd, opts, want):
    a, b = free_port(), free_port()
    sc = xd.script("s", "#!/bin/sh\nexit 7\n")
    xd.boot(defaults(log_type="FILE " + xd.svclog), service("a", a, server=sc, log_on_success=opts),
            cat("end", b, log_on_success="EXIT"), up=[a, b])
    talk(a, b"")
    for line in want:
        xd.wait_log("^%s: a" % line.split(":")[0])
    talk(b, b"")
    xd.wait_log("^EXIT: end")
    assert [l for l in norm(xd.log()) if " end" not in l] == want


@covers("LOG-6")
def test_no_log_type_no_log(xd):
    a = free_port()
    xd.boot(defaults(log_on_success="PID HOST", log_on_failure="HOST"), cat("a", a), up=[a])
    assert talk(a, b"x") == b"x"
    assert not os.path.exists(xd.svclog)


@covers("LOG-3")
@pytest.mark.parametrize("sig", [9, 15, 11])
def test_exit_by_signal(xd, sig):
    a = free_port()
    sc = xd.script("s", "#!/bin/sh\nulimit -c 0\nkill -%d $$\n" % sig)
    xd.boot(logdefaults(xd), service("a", a, server=sc), up=[a])
    talk(a, b"")
    xd.wait_log(r"^EXIT: a signal=%d pid=\d+ duration=\d+\(sec\)$" % sig)


@covers("LOG-3")
def test_duration(xd):
    a = free_port()
    xd.boot(logdefaults(xd), service("a", a, server="/bin/sleep", server_args="2"), up=[a])
    begin = time.monotonic()
    s = connect(a)
    l = xd.wait_log("^EXIT: a")[0]
    s.close()
    assert 2 <= int(re.search(r"duration=(\d+)\(sec\)", l).group(1)) <= time.monotonic() - begin + 1


@covers("LOG-7", "ATTR-18")
def test_id_is_logged(xd):
    a = free_port()
    xd.boot(logdefaults(xd), cat("name", a, id="the-id:%m/%s"), up=[a])
    talk(a, b"x")
    xd.wait_log(r"^EXIT: the-id:%m/%s status=0")
    assert xd.log()[0].startswith("START: the-id:%m/%s pid=")


@covers("LOG-8", "LOG-9", "DEF-18")
def test_files_are_created_and_appended(xd, ports):
    a, b = ports(2)
    own = xd.path("own.log")
    xd.write("service.log", "old line\n", 0o600)
    xd.boot(logdefaults(xd), cat("a", a), cat("b", b, log_type="FILE " + own, log_on_success="PID"), up=[a, b],
            preexec=lambda: os.umask(0o022))
    assert os.stat(own).st_mode & 0o777 == 0o644
    talk(a, b"x")
    talk(b, b"x")
    xd.wait_log("^START: a")
    xd.wait_log("^START: b", path=own)
    assert open(xd.svclog).read().startswith("old line\n")
    assert not any(" b " in l for l in xd.raw_log())


@covers("ATTR-52", "LOG-10")
@pytest.mark.parametrize("spec,limited", [("300", False), ("1M", False), ("0 0", False), ("1k 2K", True)])
def test_default_hard_limit(xd, spec, limited):
    a, b, last = free_port(), free_port(), xd.path("last.log")
    xd.boot(internal("time", a, log_type="FILE %s %s" % (xd.svclog, spec), log_on_success="PID HOST", cps="0 0"),
            cat("last", b, log_type="FILE " + last, log_on_success="EXIT"), up=[a, b])
    for _ in range(60):
        talk(a)
    talk(b)
    xd.wait_log("^EXIT: last", path=last)
    assert (len(xd.log()) < 60) == limited


@covers("LOG-11")
@bug
def test_soft_limit_warning(xd):
    a = free_port()
    xd.boot(internal("time", a, log_type="FILE %s 300 100K" % xd.svclog, log_on_success="PID HOST"), up=[a])
    for _ in range(20):
        talk(a)
    xd.wait_dlog("(?i)soft limit")


@covers("LOG-12", "RELOAD-9")
def test_reload_reopens_service_logs(xd, ports):
    a, b = ports(2)
    own = xd.path("own.log")
    text = logdefaults(xd) + cat("a", a) + cat("b", b, log_type="FILE " + own)
    xd.boot(text, up=[a, b])
    talk(a, b"1"), talk(b, b"1")
    xd.wait_log("^EXIT: a"), xd.wait_log("^EXIT: b", path=own)
    for f in (xd.svclog, own):
        os.rename(f, f + ".1")
    xd.reload(text)
    talk(a, b"2"), talk(b, b"2")
    xd.wait_log("^EXIT: a"), xd.wait_log("^EXIT: b", path=own)
    assert len(xd.log(xd.svclog + ".1")) == 2 and len(xd.log(own + ".1")) == 2


@covers("LOG-13")
@bug
def test_reload_reopens_the_daemon_log(xd):
    xd.boot()
    xd.wait_dlog("Started working")
    os.rename(xd.daemonlog, xd.daemonlog + ".1")
    xd.reload()
    assert wait_until(lambda: os.path.exists(xd.daemonlog))


# ---------------------------------------------------------------- syslog names


@covers("ATTR-51", "ATTR-11", "PARSE-27")
def test_syslog_names(xd, ports):
    good = ["daemon", "auth", "authpriv", "user", "mail", "lpr", "news", "uucp", "ftp", "local0", "local7", "LOCAL1",
            "daemon emerg", "daemon alert", "daemon crit", "daemon err", "daemon warning", "daemon notice", "daemon info",
            "daemon debug", "daemon INFO"]
    bad = ["kern", "cron", "local8", "daemon error", "daemon warn", "daemon panic"]
    ps = ports(len(good + bad))
    xd.boot(*[cat("s%d" % i, p, log_type="SYSLOG " + v) for i, (p, v) in enumerate(zip(ps, good + bad))],
            up=ps[:len(good)], down=ps[len(good):])
