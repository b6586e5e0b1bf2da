"""Logs that take nothing: everybody is served meanwhile, lines wait, and what is lost is counted and told."""
import fcntl
import os
import signal
import socket
import subprocess

import pytest

import journald
from harness import *
from load import Load
from readers import Logger, Stream
from sandbox import _mount, libc

covers = pytest.mark.covers
sandbox = pytest.mark.needs_sandbox

CLIENTS = 200
FIELDS = dict(log_on_success="PID HOST EXIT DURATION", log_on_failure="HOST", cps="0 0")
LONG = "x" * 400                        # an id; a few hundred lines of it are more than waits for one log


def all_served(port, clients=CLIENTS):
    assert Load(port, clients).finish().outcome() == {"done": clients, "refused": 0, "broken": 0}


def starts(lines):
    return sum("START: " in l for l in lines)


def lost(text, log):
    """How many lines of `log` were told to be lost, in all."""
    return sum(int(n) for n in re.findall(r"(\d+) lines for %s are lost" % log, text))


@pytest.fixture
def unread():
    made = []

    def make(**kw):
        made.append(Logger(**kw))
        return made[-1]
    yield make
    for u in made:
        if u.s.fileno() >= 0:
            u.close()


# ---------------------------------------------------------------- loggers


@covers("HARD-6", "LOG-1")
@sandbox
def test_a_syslog_that_nobody_reads_holds_up_nobody_and_loses_nothing(xd, unread):
    a, log = free_port(), unread()
    xd.boot(defaults(log_type="SYSLOG daemon info", **FIELDS), cat("a", a), up=[a])
    all_served(a)
    log.read_on()
    log.wait("EXIT: a ", CLIENTS)
    assert starts(log.lines) == CLIENTS and "lost" not in xd.dlog()
    started = [l.split("pid=")[1].split()[0] for l in log.lines if "START: " in l]
    assert len(set(started)) == CLIENTS, "no line twice"


@covers("LOG-1")
@sandbox
def test_a_burst_loses_nothing_to_a_logger_that_reads(xd, unread):
    """Its socket holds ten messages (net.unix.max_dgram_qlen), where nobody has raised that."""
    a, clients, log = free_port(), 1000, unread().read_on()
    xd.boot(defaults(log_type="SYSLOG daemon info", **FIELDS), cat("a", a), up=[a])
    assert Load(a, clients, 50).finish().done == clients
    log.wait("EXIT: a ", clients)
    assert starts(log.lines) == clients and "syslog" not in xd.dlog()


@covers("HARD-6", "LOG-1")
@sandbox
def test_what_syslog_has_lost_is_counted_and_told(xd, unread):
    """More than waits for it: refusals, which are cheap, with a long id."""
    a, b, log = free_port(), free_port(), unread()
    refusals = 3000
    xd.boot(defaults(log_type="SYSLOG daemon info", **FIELDS), cat("a", a), cat("b", b, id=LONG, instances="0"), up=[a, b])
    refused = Load(b, refusals)
    all_served(a)
    assert refused.finish(120).done == 0
    xd.wait_dlog("syslog takes no lines: ")
    log.read_on()
    xd.wait_dlog(r"\d+ lines for syslog are lost")
    talk(a, b"x")
    came = lambda: sum(bool(re.search(": (START|EXIT|FAIL): ", l)) for l in list(log.lines))
    total = lambda: came() + lost(xd.dlog(), "syslog")
    assert wait_until(lambda: total() == refusals + 2 * (CLIENTS + 1)), (came(), xd.dlog())
    assert lost(xd.dlog(), "syslog") > 0


@covers("HARD-6")
@sandbox
def test_a_stopped_journal_holds_up_nobody_and_loses_nothing(xd):
    if not journald.installed():
        pytest.skip("needs systemd-journald")
    a, journal = free_port(), journald.Journald()
    try:
        xd.boot(defaults(log_type="JOURNAL", **FIELDS), cat("a", a), up=[a])
        journal.signal(signal.SIGSTOP)
        all_served(a)
        journal.signal(signal.SIGCONT)
        journal.wait(CLIENTS, "XINETD_EVENT=EXIT")
        assert len({r["XINETD_PID"] for r in journal.records("XINETD_EVENT=START")}) == CLIENTS
    finally:
        journal.close()


@covers("HARD-6", "LOG-1")
@sandbox
def test_a_syslog_that_comes_late_gets_the_lines_from_before(xd, unread):
    a = free_port()
    xd.boot(defaults(log_type="SYSLOG daemon info", **FIELDS), cat("a", a), up=[a])
    all_served(a)
    xd.wait_dlog("syslog takes no lines: No such file or directory")
    log = unread().read_on()
    log.wait("EXIT: a ", CLIENTS)
    assert starts(log.lines) == CLIENTS
    xd.wait_dlog("syslog takes lines again; none is lost")


@covers("LOG-1")
@sandbox
def test_a_syslog_that_is_a_stream_is_spoken_to_as_one(daemon, unread):
    a = free_port()
    log = unread(kind=socket.SOCK_STREAM).read_on()
    daemon.boot(defaults(log_type="SYSLOG mail notice", **FIELDS), cat("a", a), up=[a])
    assert talk(a, b"x") == b"x"
    log.wait("EXIT: a ")
    assert [re.sub(r"\A<21>\w{3} [ \d]\d \d\d:\d\d:\d\d xinetd\[\d+\]: ", "", l) for l in norm(log.lines)] == [
        "START: a pid=N from=127.0.0.1", "EXIT: a status=0 pid=N duration=N(sec)"]


@covers("HARD-6")
@sandbox
def test_a_stream_that_nobody_accepts_or_reads_holds_up_nobody(xd, unread):
    a = free_port()
    log = unread(kind=socket.SOCK_STREAM)
    xd.boot(defaults(log_type="SYSLOG daemon", **FIELDS), cat("a", a, id=LONG), up=[a])
    all_served(a)
    log.read_on()
    log.wait("EXIT: ", CLIENTS)
    assert starts(log.lines) == CLIENTS and all(l.startswith("<30>") for l in log.lines), "whole messages only"


@covers("HARD-6", "LOG-1")
@sandbox
@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
def test_a_logger_that_is_started_anew_is_found_again(xd, unread, kind):
    a = free_port()
    xd.boot(defaults(log_type="SYSLOG daemon", **FIELDS), cat("a", a), up=[a])
    for _ in range(3):
        log = unread(kind=kind).read_on()
        assert talk(a, b"x") == b"x"
        log.wait("EXIT: a ")
        log.close()
        assert talk(a, b"x") == b"x"


@covers("HARD-6", "MSG-1")
@sandbox
def test_messages_wait_for_a_syslog_that_nobody_reads(xd, ports, unread):
    ps, log = ports(30), unread()
    text = defaults(cps="0 0") + "".join(cat("s%d" % i, p) for i, p in enumerate(ps))
    xd.start(text, filelog=False, args=["-syslog", "local2"], expect=ps)
    for _ in range(5):
        xd.hup()
        all_served(ps[0], 20)
    log.read_on()
    last = log.wait("Reconfigured: ")[-1]
    assert last.startswith("<149>") and xd.alive()
    xd.signal(signal.SIGTERM)
    assert xd.wait_exit() == 0
    log.wait("Exiting...")
    assert not any("are lost" in l for l in log.lines), "there was room for all of them"


# ---------------------------------------------------------------- files


@covers("LOG-8", "HARD-6")
def test_a_full_disk_costs_lines_and_no_client(xd):
    a = free_port()
    xd.boot(defaults(log_type="FILE /dev/full", log_on_success="PID", cps="0 0"), cat("a", a, id=LONG), up=[a])
    all_served(a)
    xd.wait_dlog("the common log takes no lines: No space left on device")
    xd.signal(signal.SIGTERM)
    assert xd.wait_exit() == 0
    assert lost(xd.dlog(), "the common log") == CLIENTS
    assert len(re.findall("takes no lines", xd.dlog())) == 1, "told once, not for each line"


@covers("LOG-8", "LOG-12", "HARD-6")
@sandbox
@pytest.mark.parametrize("whose", ["common", "own"])
def test_a_disk_that_has_room_again_gets_what_waited(xd, whose):
    a, b, disk = free_port(), free_port(), xd.path("disk")
    os.mkdir(disk)
    _mount("tmpfs", disk, "tmpfs", 0, "size=64k")
    try:
        write(disk + "/ballast", "x" * 61440)
        log = "FILE %s/log" % disk
        if whose == "common":
            text = defaults(log_type=log, **FIELDS) + cat("a", a)
        else:
            text = defaults(**FIELDS) + cat("a", a, log_type=log)
        xd.boot(text, cat("b", b), up=[a, b])
        all_served(a)
        xd.wait_dlog("the %s log takes no lines: No space left on device" % ("a" if whose == "own" else whose))
        xd.reload(text, cat("b", b), up=[a, b])
        os.unlink(disk + "/ballast")
        xd.wait_log("EXIT: a ", CLIENTS, path=disk + "/log")
        lines = xd.log(disk + "/log")
        assert starts(lines) == CLIENTS and len(lines) == 2 * CLIENTS and not any(l.startswith("??") for l in lines)
        xd.wait_dlog("takes lines again; none is lost")
    finally:
        xd.stop()
        libc.umount(disk.encode())


@covers("LOG-8", "HARD-6")
def test_a_fifo_without_a_reader_keeps_what_it_holds_for_the_next_one(xd):
    a, fifo = free_port(), xd.path("fifo")
    os.mkfifo(fifo)
    xd.boot(defaults(log_type="FILE " + fifo, **FIELDS), cat("a", a), up=[a])
    all_served(a)
    lines = []
    for n in (1, 2):                    # the reader may go and come back
        with open(fifo) as f:
            while starts(lines) < n * CLIENTS or not lines[-1].split(": ")[1] == "EXIT" or len(lines) < n * 2 * CLIENTS:
                lines.append(f.readline())
        if n == 1:
            all_served(a)
    assert len(lines) == 4 * CLIENTS and all(l.endswith("\n") for l in lines)


# ---------------------------------------------------------------- streams


def begin(xd, text, up, *args, **streams):
    xd.config(text)
    xd.proc = subprocess.Popen([xd.bin, "-dontfork", "-f", xd.conf, "-pidfile", xd.pidfile, *args], stdin=subprocess.DEVNULL,
                               **streams)
    for port in up:
        xd.wait_port(port)


def accounted_for(xd, out, lines):
    """Each line has come, or it has been told that it is lost; the last EXIT lines may be late for either."""
    found = lambda: (len(out.lines), lost(xd.dlog(), "the common log"))
    assert wait_until(lambda: sum(found()) == lines), found()


@covers("HARD-6")
@pytest.mark.parametrize("kind", ["pipe", "socket", "terminal"])
def test_a_stream_that_nobody_reads_holds_up_nobody_and_keeps_its_flags(xd, kind):
    a, out = free_port(), getattr(Stream, kind)()
    clients = 4 * CLIENTS if kind == "socket" else CLIENTS
    begin(xd, defaults(log_type="STDOUT", **FIELDS) + cat("a", a, id=LONG), [a], "-filelog", xd.daemonlog, stdout=out.writer)
    all_served(a, clients)
    xd.wait_dlog("the common log takes no lines: nobody reads it")
    assert not fcntl.fcntl(out.writer, fcntl.F_GETFL) & os.O_NONBLOCK, "others have it open too"
    out.read_on()
    xd.wait_dlog(r"\d+ lines for the common log are lost")
    accounted_for(xd, out, 2 * clients)
    assert all(LOGLINE.match(l) for l in out.lines), "no line is torn"
    all_served(a, 1)
    accounted_for(xd, out, 2 * clients + 2)
    xd.stop()
    out.close()


@covers("HARD-6", "SIG-8")
def test_a_reader_that_goes_away_ends_nothing(xd):
    """As `xinetd -dontfork | head` does."""
    a, out = free_port(), Stream.pipe()
    begin(xd, defaults(log_type="STDOUT", **FIELDS) + cat("a", a), [a], "-log-format", "text", stdout=out.writer, stderr=out.writer)
    out.close()
    all_served(a)
    assert xd.alive()
    xd.signal(signal.SIGTERM)
    assert xd.wait_exit() == 0


@covers("HARD-6")
@pytest.mark.needs_root
def test_a_pipe_that_cannot_be_opened_anew_is_asked_before_each_write(xd):
    """Somebody else's: then its flags can only be left alone."""
    a, out = free_port(), Stream.pipe()
    os.chmod(xd.dir, 0o777)
    nobody = lambda: (os.setgroups([]), os.setgid(65534), os.setuid(65534))
    begin(xd, defaults(log_type="STDOUT", **FIELDS) + cat("a", a, id=LONG, user="nobody"), [a], "-filelog", xd.daemonlog,
          stdout=out.writer, preexec_fn=nobody)
    all_served(a)
    xd.wait_dlog("the common log takes no lines: ")
    out.read_on()
    xd.wait_dlog(r"\d+ lines for the common log are lost")
    accounted_for(xd, out, 2 * CLIENTS)
    assert all(LOGLINE.match(l) for l in out.lines), "no line is torn"
    xd.stop()
    out.close()


@covers("HARD-6")
@pytest.mark.parametrize("form", ["text", "json"])
def test_a_standard_error_that_nobody_reads_holds_up_nobody(xd, ports, form):
    """More messages than wait: a reload says something about each service."""
    ps, err = ports(60), Stream.pipe()
    text = "".join(cat("s%d" % i, p, id=LONG * 3 + str(i)) for i, p in enumerate(ps)) + defaults(**FIELDS)
    begin(xd, text, ps, "-log-format", form, stderr=err.writer)
    for _ in range(25):
        xd.hup()
        all_served(ps[0], 10)
    all_served(ps[0])
    err.read_on()
    assert wait_until(lambda: re.search(rb"(\d+) messages are lost", err.text)), err.text[-300:]
    assert talk(ps[1], b"x") == b"x" and xd.alive()
    xd.signal(signal.SIGTERM)
    assert xd.wait_exit() == 0
    assert wait_until(lambda: b"Exiting..." in err.text), "what comes later is there again"
    err.close()


def test_the_last_words_are_heard_though_the_reader_is_slow(xd):
    """Of a daemon that ends at once, with more to say than a pipe holds."""
    err = Stream.pipe()
    fcntl.fcntl(err.writer, fcntl.F_SETPIPE_SZ, 4096)
    xd.config("".join(cat("s%d" % i, free_port(), nice="none") for i in range(40)))
    xd.proc = subprocess.Popen([xd.bin, "-d", "-f", xd.conf, "-pidfile", xd.pidfile], stdin=subprocess.DEVNULL,
                               stderr=err.writer)
    err.read_on()
    assert xd.wait_exit() == 1
    assert wait_until(lambda: b"no services. Exiting..." in err.text), err.text[-300:]
    assert err.text.count(b"error[bad-number]") == 40
    err.close()
