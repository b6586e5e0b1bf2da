"""Where the service log and the daemon's own messages can go: STDOUT, STDERR, JSON, JOURNAL, streams by name."""
import datetime
import json
import os
import signal
import subprocess
import time

import pytest

import harness
import journald
from harness import *
from procs import engine, fds
from readers import Stream

covers = pytest.mark.covers
sandbox = pytest.mark.needs_sandbox


@pytest.fixture
def pipe():
    p = Stream.pipe()
    yield p
    p.close()


def begin(xd, text, up, mode="-dontfork", args=(), **kw):
    """The daemon, with streams of the caller's."""
    xd.config(text)
    xd.proc = subprocess.Popen([xd.bin, mode, "-f", xd.conf, "-pidfile", xd.pidfile, *args], stdin=subprocess.DEVNULL,
                               cwd=xd.dir, **kw)
    for port in up:
        xd.wait_port(port)


def served(port, n=1):
    for _ in range(n):
        assert talk(port, b"x") == b"x"


def text_of(lines):
    """Lines of the service log, without stamp, pids and durations."""
    return norm([LOGLINE.match(l).group("text") for l in lines])


BOTH = ["START: a pid=N from=127.0.0.1", "EXIT: a status=0 pid=N duration=N(sec)"]
FIELDS = dict(log_on_success="PID HOST EXIT DURATION", log_on_failure="HOST")


# ---------------------------------------------------------------- streams


@covers("LOG-1", "START-2")
@pytest.mark.parametrize("word,stream", [("STDOUT", "stdout"), ("stderr", "stderr")])
@pytest.mark.parametrize("whose", ["common", "own"])
def test_a_stream_has_the_lines_of_a_file(xd, pipe, word, stream, whose):
    a = free_port()
    text = defaults(log_type=word, **FIELDS) + cat("a", a) if whose == "common" else cat("a", a, log_type=word, **FIELDS)
    pipe.read_on()
    begin(xd, text, [a], args=["-filelog", xd.daemonlog], **{stream: pipe.writer})
    served(a)
    pipe.wait("EXIT: a ")
    assert text_of(pipe.lines) == BOTH


@covers("START-2", "SRV-1")
def test_the_stream_of_the_daemon_is_kept_from_servers_and_the_engine(xd, pipe, ports):
    a, b = ports(2)
    ls = xd.script("ls", "#!/bin/sh\nls -l /proc/self/fd\n")
    pipe.read_on()
    begin(xd, defaults(log_type="STDOUT", **FIELDS) + cat("a", a) + service("b", b, server=ls), [a, b],
          args=["-filelog", xd.daemonlog], stdout=pipe.writer)
    served(a)
    assert pipe.name in fds(xd.proc.pid).values()
    assert fds(xd.proc.pid)[1] == "/dev/null"
    assert pipe.name not in fds(engine(xd.proc.pid)).values()
    assert pipe.name not in talk(b, b"").decode()


@covers("LOG-8", "START-2")
def test_a_daemon_that_has_detached_has_no_stream_and_says_so(xd, ports):
    a, b = ports(2)
    xd.config(cat("a", a, log_type="STDOUT", log_on_success="PID") + cat("b", b))
    subprocess.run([xd.bin, "-f", xd.conf, "-filelog", xd.daemonlog, "-pidfile", xd.pidfile], check=True, timeout=60)
    try:
        xd.wait_dlog("Started working: 1 available service")
        xd.wait_dlog(r"there is no STDOUT to log to: the daemon has detached; start it with -dontfork")
        xd.wait_dlog("Service a failed to start and is deactivated.")
        assert listening(b) and not listening(a)
    finally:
        with open(xd.pidfile) as f:
            os.kill(int(f.read()), signal.SIGTERM)
        assert wait_until(lambda: not os.path.exists(xd.pidfile))


@covers("LOG-8", "LOG-12")
@pytest.mark.parametrize("path", ["/dev/stdout", "/proc/self/fd/1", "/dev/fd/1"])
def test_a_file_that_is_our_standard_output_is_the_one_of_the_start(xd, pipe, path):
    a = free_port()
    text = defaults(log_type="FILE " + path, **FIELDS) + cat("a", a)
    pipe.read_on()
    begin(xd, text, [a], args=["-filelog", xd.daemonlog], stdout=pipe.writer)
    served(a)
    pipe.wait("EXIT: a ")
    xd.hup()
    xd.wait_dlog("Reconfigured: ")
    served(a)
    pipe.wait("EXIT: a ", 2)
    assert text_of(pipe.lines) == BOTH * 2


@covers("LOG-1")
def test_json_goes_to_standard_output_by_its_name(xd, pipe):
    a = free_port()
    pipe.read_on()
    begin(xd, defaults(log_type="JSON /dev/stdout", **FIELDS) + cat("a", a), [a], args=["-log-format", "json"],
          stdout=pipe.writer, stderr=pipe.writer)
    served(a)
    pipe.wait("EXIT")
    got = [json.loads(l) for l in pipe.lines]
    assert [o["event"] for o in got if "event" in o] == ["START", "EXIT"]
    assert "Started working: 1 available service" in [o["message"] for o in got if "level" in o]


def container(xd, path, first, stream):
    """Runs it in a process name space of its own; returns when one client has been served."""
    a = free_port()
    xd.config(defaults(log_type="FILE " + path, **FIELDS) + cat("a", a))
    command = [xd.bin, "-dontfork", "-f", xd.conf, "-filelog", xd.daemonlog, "-pidfile", xd.pidfile]
    if first == "a shell":
        command = ["sh", "-c", '"$@"; exit $?', "sh", *command]
    xd.proc = subprocess.Popen(["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", *command],
                               stdin=subprocess.DEVNULL, stdout=stream, stderr=stream)
    xd.wait_port(a)
    served(a)


@covers("LOG-1", "LOG-8")
@sandbox
@pytest.mark.parametrize("path,first", [("/proc/1/fd/1", "a shell"), ("/proc/1/fd/2", "a shell"), ("/proc/1/fd/2", "the daemon")])
def test_the_streams_of_process_1_of_a_container_take_the_log(daemon, pipe, path, first):
    """29 files of the corpus log so, because xinetd 2.3.15 has no word for standard output."""
    container(daemon, path, first, pipe.read_on().writer)
    pipe.wait("EXIT: a ")
    daemon.proc.kill()                  # and with it all of its container
    assert text_of(pipe.lines) == BOTH


@covers("LOG-8", "START-2")
@sandbox
def test_as_process_1_the_daemon_has_still_the_standard_output_that_its_files_mean(xd, pipe):
    """Of the original's it is /dev/null by then."""
    container(xd, "/proc/1/fd/1", "the daemon", pipe.read_on().writer)
    pipe.wait("EXIT: a ")
    xd.proc.kill()
    assert text_of(pipe.lines) == BOTH


def test_a_log_file_that_is_given_as_standard_output_is_written_where_the_others_write(xd):
    a = free_port()
    out = xd.path("out")
    with open(out, "wb") as f:
        f.write(b"before\n")
        f.flush()
        begin(xd, defaults(log_type="STDOUT", **FIELDS) + cat("a", a), [a], args=["-filelog", xd.daemonlog], stdout=f)
        served(a)
        assert wait_until(lambda: b"EXIT" in open(out, "rb").read())
        f.write(b"after\n")
    lines = open(out).read().splitlines()
    assert (lines[0], lines[-1], text_of(lines[1:-1])) == ("before", "after", BOTH)


# ---------------------------------------------------------------- JSON


def events(path):
    with open(path) as f:
        return [json.loads(line) for line in f]


def wait_events(path, count):
    got = wait_until(lambda: os.path.exists(path) and (lambda e: e if len(e) >= count else None)(events(path)))
    assert got, open(path).read() if os.path.exists(path) else "no file"
    return got


@covers("LOG-2", "LOG-3", "LOG-4", "LOG-7")
def test_json_has_the_facts_of_the_line_and_the_time_in_utc(xd, ports):
    a, b, c = ports(3)
    log, killed = xd.path("log.json"), xd.script("k", "#!/bin/sh\nulimit -c 0\nkill -9 $$\n")
    before = int(time.time())
    xd.boot(defaults(log_type="JSON " + log, **FIELDS), cat("a", a, id='the-"id"\\\u00e4'), service("b", b, server=killed),
            cat("c", c, instances="0"), up=[a, b, c], env=dict(os.environ, TZ="Pacific/Auckland"))
    served(a), talk(b), talk(c)
    got = wait_events(log, 5)
    after = time.time()
    for event in got:
        when = datetime.datetime.strptime(event.pop("time"), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.timezone.utc)
        assert before <= when.timestamp() <= after
        event["pid"] = bool(event.pop("pid", None))
        event["duration"] = event.get("duration", 0) < 60
    key = lambda e: (e["service"], e["event"])
    base = {"pid": True, "duration": True}
    assert sorted(got, key=key) == sorted([
        dict(base, event="START", service='the-"id"\\\u00e4', peer="127.0.0.1"),
        dict(base, event="EXIT", service='the-"id"\\\u00e4', status=0),
        dict(base, event="START", service="b", peer="127.0.0.1"), dict(base, event="EXIT", service="b", signal=9),
        dict(base, event="FAIL", service="c", reason="service_limit", peer="127.0.0.1", pid=False),
    ], key=key)


@covers("LOG-6")
def test_json_has_no_fact_that_was_not_asked_for(xd):
    a, log = free_port(), xd.path("log.json")
    xd.boot(defaults(log_type="JSON " + log, log_on_success="EXIT"), cat("a", a), up=[a])
    served(a)
    assert [sorted(e) for e in wait_events(log, 2)] == [["event", "service", "time"], ["event", "service", "status", "time"]]


@covers("LOG-10", "LOG-11", "LOG-12")
def test_json_has_limits_and_is_rotated_as_a_file(xd):
    a, log = free_port(), xd.path("log.json")
    text = defaults(log_type="JSON %s 300 600" % log, **FIELDS) + cat("a", a)
    xd.boot(text, up=[a])
    served(a, 10)
    xd.wait_dlog("Size of common log exceeded hard limit")
    assert 600 < os.stat(log).st_size < 800 and all(e["service"] == "a" for e in events(log))
    assert len(re.findall("exceeded soft limit", xd.dlog())) == len(re.findall("exceeded hard limit", xd.dlog())) == 1
    os.rename(log, log + ".1")
    xd.reload(text)
    served(a)
    assert wait_until(lambda: {e["event"] for e in wait_events(log, 2)} == {"START", "EXIT"})


# ---------------------------------------------------------------- the journal


@pytest.fixture
def journal():
    if not journald.installed():
        pytest.skip("needs systemd-journald")
    j = journald.Journald()
    yield j
    j.close()


@covers("LOG-2", "LOG-3", "LOG-4")
@sandbox
def test_the_journal_gets_the_line_and_a_field_for_each_fact(xd, ports, journal):
    a, b = ports(2)
    xd.boot(defaults(log_type="JOURNAL", **FIELDS), cat("a", a), cat("b", b, instances="0"), up=[a, b])
    served(a), talk(b)
    start, = journal.wait(1, "XINETD_EVENT=START")
    end, = journal.wait(1, "XINETD_EVENT=EXIT")
    fail, = journal.wait(1, "XINETD_EVENT=FAIL", "XINETD_SERVICE=b")
    pid = start["XINETD_PID"]
    assert start["MESSAGE"] == "START: a pid=%s from=127.0.0.1" % pid and start["XINETD_PEER"] == "127.0.0.1"
    assert (end["XINETD_STATUS"], end["XINETD_PID"], end["XINETD_SERVICE"]) == ("0", pid, "a") and int(end["XINETD_DURATION"]) < 60
    assert fail["MESSAGE"] == "FAIL: b service_limit from=127.0.0.1" and fail["XINETD_REASON"] == "service_limit"
    for record in (start, end, fail):
        assert (record["PRIORITY"], record["SYSLOG_IDENTIFIER"], record["SYSLOG_FACILITY"]) == ("6", "xinetd", "3")
        assert int(record["_PID"]) == xd.proc.pid and record["_TRANSPORT"] == "journal"


@covers("LOG-12")
@sandbox
def test_the_journal_may_begin_late_and_be_started_anew(xd, journal):
    a = free_port()
    journal.stop()
    xd.boot(defaults(log_type="JOURNAL", **FIELDS), cat("a", a), up=[a])
    served(a)
    xd.wait_dlog("the journal takes no lines: No such file")
    for n in (1, 2):
        journal.start()
        journal.wait(n * 2 - 1, "XINETD_EVENT=EXIT")
        served(a)
        journal.wait(n * 2, "XINETD_EVENT=EXIT")
        if n == 1:
            journal.stop()
            served(a)
    assert len(journal.wait(4, "XINETD_EVENT=START")) == 4
    xd.wait_dlog("the journal takes lines again; none is lost", 2)


# ---------------------------------------------------------------- what the tools say


@pytest.mark.parametrize("value", ["STDOUT", "STDERR", "JOURNAL", "JSON /dev/null", "JSON /dev/null 1024 2048"])
def test_the_tools_know_each_kind(xd, value):
    a = free_port()
    xd.config(cat("a", a, log_type=value.lower() if "/" not in value else value))
    out = subprocess.run([CTL, "explain", "-f", xd.conf, "a"], capture_output=True, text=True).stdout
    assert re.search(r"(?m)^\s*log_type\s+= %s\b" % re.escape(value), out), out
    found = json.loads(subprocess.run([CTL, "dump", xd.conf], capture_output=True, text=True).stdout)
    assert value.split()[0] in json.dumps(found)
    check = lambda *more: subprocess.run([CTL, "check", *more, xd.conf], capture_output=True, text=True)
    assert check().returncode == 0
    portable = check("--portable")
    assert portable.returncode == 1 and "does not know this kind of log: it leaves the service out" in portable.stdout


def test_what_the_tools_say_of_the_original_is_so(mk, xd):
    """A kind of log that it does not know costs it the service, or everything."""
    if not os.access(harness.ORIGINAL_BIN, os.X_OK):
        pytest.skip("the original is not installed")
    old, a, b = mk(binary=harness.ORIGINAL_BIN), free_port(), free_port()
    old.boot(cat("a", a, log_type="STDOUT"), cat("b", b), up=[b], down=[a])
    old.stop()
    old.start(defaults(log_type="JSON " + old.path("x")) + cat("a", a))
    assert old.wait_exit() == 0


@sandbox
@covers("DUMP-1")
def test_the_state_dump_has_the_kind(xd):
    a = free_port()
    xd.boot(defaults(log_type="STDERR"), cat("a", a), cat("b", free_port(), log_type="JOURNAL"), up=[a])
    xd.signal(signal.SIGUSR1)
    path = "/var/run/xinetd.dump"
    assert wait_until(lambda: os.path.exists(path) and "END OF DUMP" in open(path).read())
    text = open(path).read()
    os.unlink(path)
    assert "\t\tLogging to STDERR\n" in text and "\t\tLogging to JOURNAL\n" in text


# ---------------------------------------------------------------- the daemon's own messages


def test_messages_as_json_go_to_standard_error(xd, pipe):
    a = free_port()
    pipe.read_on()
    begin(xd, cat("a", a, frobnicate='"yes"') + cat("b", free_port(), wait="maybe"), [a], args=["-log-format", "json"],
          stderr=pipe.writer)
    xd.hup()
    pipe.wait("Reconfigured")
    got = [json.loads(l) for l in pipe.lines]
    assert all(sorted(o) == ["level", "message", "time"] and re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$", o["time"]) for o in got)
    messages = {o["message"]: o["level"] for o in got}
    assert messages["Started working: 1 available service"] == "notice"
    assert [l for m, l in messages.items() if "frobnicate" in m and xd.conf + ":" in m] == ["warning"]
    assert [l for m, l in messages.items() if "maybe" in m and m.startswith(xd.conf + ":")] == ["error"]


def test_messages_as_json_go_to_the_file_that_is_named(xd):
    a = free_port()
    xd.start(cat("a", a), args=["-log-format", "json"], expect=[a])
    xd.wait_dlog("Started working")
    assert all("message" in json.loads(l) for l in xd.dlog().splitlines())


@pytest.mark.parametrize("args", [[], ["-syslog", "daemon", "-dontfork"], ["-dontfork", "-log-format", "xml"]])
def test_a_format_for_what_goes_to_syslog_is_a_mistake(xd, args):
    xd.config(cat("a", free_port()))
    run = subprocess.run([xd.bin, "-log-format", "json", *args, "-f", xd.conf], capture_output=True, text=True, timeout=60)
    assert run.returncode == 1 and "Usage: " in run.stderr


@sandbox
def test_without_syslog_messages_go_to_standard_error(xd, pipe):
    """In a container nobody listens at /dev/log: what the daemon has to say would be lost."""
    a = free_port()
    pipe.read_on()
    assert not os.path.exists("/dev/log")
    begin(xd, cat("a", a), [a], stderr=pipe.writer)
    assert pipe.wait("Started working") == ["xinetd: Started working: 1 available service"]


@sandbox
def test_with_syslog_they_go_there_unless_a_format_is_asked_for(xd, pipe, syslog):
    a = free_port()
    pipe.read_on()
    begin(xd, cat("a", a), [a], stderr=pipe.writer)
    syslog.wait("Started working")
    assert pipe.lines == []
    xd.stop()
    begin(xd, cat("a", a), [a], args=["-log-format", "text"], stderr=pipe.writer)
    pipe.wait("^xinetd: Started working")
