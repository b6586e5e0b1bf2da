"""The service log in syslog, and what fail2ban makes of it."""
import os
import shutil
import subprocess

import pytest

from harness import *
from procs import engines, frozen

covers = pytest.mark.covers
pytestmark = pytest.mark.needs_sandbox
FILTER = "/etc/fail2ban/filter.d/xinetd-fail.conf"
LOGWATCH = next((d for d in ("/usr/share/logwatch", os.path.join(REPO, "target/logwatch/usr/share/logwatch")) if os.path.isdir(d)), None)


def service_lines(syslog, pid):
    """Service lines with process ids and durations blanked; the daemon's own left out."""
    out = []
    for line in syslog.lines:
        m = re.match(r"<(\d+)>(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d )?(\S+)\[(\d+)\]: (.*)$", line)
        assert m, line
        if m.group(4).startswith(("START", "EXIT", "FAIL")):
            out.append("<%s>%s[%s]: %s" % (m.group(1), m.group(2), "PID" if m.group(3) == str(pid) else "OTHER", m.group(4)))
    return norm(out)


def as_written_by_syslogd(lines):
    """The messages as a file of syslogd has them: the priority off, a host in front."""
    stamp = lambda m: (m.group(1) or time.strftime("%b %d %T ")) + "host "
    return "".join(re.sub(r"^<\d+>([A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d )?", stamp, l) + "\n" for l in lines)


def test_lines_have_the_form_that_scripts_look_for(daemon, syslog, ports):
    a, b = ports(2)
    daemon.start(logdefaults(daemon, log_type="SYSLOG daemon info") + cat("pop3", a) + cat("full", b, instances="0"), expect=[a, b])
    assert talk(a, b"x") == b"x" and talk(b, b"x") == b""
    syslog.wait("EXIT: pop3"), syslog.wait("FAIL: full")
    assert sorted(service_lines(syslog, daemon.proc.pid)) == [
        "<30>xinetd[PID]: EXIT: pop3 status=0 pid=N duration=N(sec)",
        "<30>xinetd[PID]: FAIL: full service_limit from=127.0.0.1",
        "<30>xinetd[PID]: START: pop3 pid=N from=127.0.0.1",
    ]


@pytest.mark.parametrize("value,priority", [("daemon", 30), ("mail", 22), ("local3 warning", 156), ("AUTHPRIV Notice", 85),
                                            ("ftp debug", 95), ("auth emerg", 32)])
def test_facility_and_level_are_the_entrys(daemon, syslog, value, priority):
    a = free_port()
    daemon.start(service("a", a, server="/bin/true", log_type="SYSLOG " + value, log_on_success="PID HOST"), expect=[a])
    talk(a)
    assert syslog.wait("START: a ")[0].startswith("<%d>" % priority)


def test_the_daemons_own_messages_go_to_its_facility(daemon, syslog):
    a = free_port()
    daemon.start(cat("a", a), filelog=False, args=["-syslog", "local2"], expect=[a])
    assert re.match(r"<149>.*xinetd\[%d\]: .*Started working: 1 available service" % daemon.proc.pid,
                    syslog.wait("Started working")[0])


def test_no_peer_can_forge_a_line(daemon, syslog):
    """An id with what syslog treats specially arrives as it is, in one line."""
    a = free_port()
    daemon.start(logdefaults(daemon, log_type="SYSLOG daemon") + cat("a", a, id="%n%s%m"), expect=[a])
    talk(a, b"FAIL: a address from=10.0.0.1\n")
    syslog.wait("EXIT: ")
    assert [l.split(": ", 1)[1].split(" ")[1] for l in service_lines(syslog, daemon.proc.pid)] == ["%n%s%m"] * 2


def test_a_missing_or_restarted_syslog_costs_nothing(daemon):
    a = free_port()
    daemon.start(logdefaults(daemon, log_type="SYSLOG daemon") + cat("a", a), expect=[a])
    assert talk(a, b"x") == b"x"
    for _ in range(2):
        log = Syslog()
        try:
            assert talk(a, b"x") == b"x"
            log.wait("START: a ")
        finally:
            log.close()
        assert talk(a, b"x") == b"x"


@pytest.mark.skipif(not (shutil.which("fail2ban-regex") and os.path.exists(FILTER)), reason="needs fail2ban")
@pytest.mark.parametrize("target", ["SYSLOG daemon info", "FILE"])
def test_fail2ban_finds_every_refusal(daemon, syslog, target):
    a = free_port()
    sources = ["127.0.0.%d" % i for i in range(2, 12)]
    daemon.start(logdefaults(daemon, log_type=target if target != "FILE" else "FILE " + daemon.svclog, log_on_failure="HOST") +
                 cat("pop3", a, no_access=" ".join(sources)), expect=[a])
    assert talk(a, b"x") == b"x"
    for src in sources:
        assert talk(a, b"x", src=src) == b""
    if target == "FILE":
        daemon.wait_log("^FAIL: pop3 address", len(sources))
        text = "\n".join(daemon.raw_log()) + "\n"
    else:
        syslog.wait("FAIL: pop3 address", len(sources))
        text = as_written_by_syslogd(syslog.lines)
    log = daemon.write("tofind.log", text)
    r = subprocess.run(["fail2ban-regex", "--print-all-matched", log, FILTER], capture_output=True, text=True, timeout=60)
    found = re.findall(r"(?m)^\|\s.*FAIL: pop3 address from=(\S+)$", r.stdout)
    assert sorted(found) == sorted(sources), r.stdout + r.stderr
    assert ", %d matched, " % len(sources) in r.stdout


REFUSED = {                             # service -> what refuses its clients, and with which word
    "addr": (dict(no_access="127.0.0.0/8"), "address"),
    "wrap": (dict(libwrap="wrapped"), "libwrap"),
    "hours": (dict(access_times=NEVER), "time"),
    "full": (dict(instances="0"), "service_limit"),
    "source": (dict(per_source="0"), "per_source_limit"),
    "load": (dict(max_load="-1"), "load"),
    "fast": (dict(cps="1 30"), "connections per second"),
    "all": ({}, "process_limit"),
}


@pytest.fixture
def every_refusal(daemon, syslog, etc):
    """The log of a daemon that has refused one client for each reason, in syslogd's form. A fork
    that fails is the subject of another test."""
    etc("hosts.deny", "wrapped: ALL\n")
    ports = {name: free_port() for name in REFUSED}
    door = free_port()
    entries = [cat(name, ports[name], **kw) for name, (kw, _) in REFUSED.items()]
    held = service("held", door, server=daemon.script("sleeper", SLEEPER))
    daemon.start(logdefaults(daemon, log_type="SYSLOG daemon info", log_on_failure="HOST") + "".join(entries) + held,
                 args=["-limit", "1"], expect=[door, *ports.values()])
    with frozen(daemon):                # both at once
        early_in_a_second()
        first, second = (connect(ports["fast"]) for _ in range(2))
    assert recv_all(second) == b""
    first.close()
    syslog.wait("EXIT: fast ")
    for name in REFUSED:                # one after the other: each server counts for -limit until it is gone
        assert wait_until(lambda: not children_of(daemon))
        if name not in ("fast", "all"):
            assert attempt(ports[name], b"x") == b"", name
            syslog.wait("FAIL: %s " % name)
    s, _ = start_sleeper(door)
    assert attempt(ports["all"], b"x") == b""
    syslog.wait("FAIL: all ")
    s.close()
    daemon.stop()
    return as_written_by_syslogd(syslog.lines)


def children_of(daemon):
    return [p for p in children(daemon.proc.pid, zombies=True) if p not in engines(daemon.proc.pid)]


@covers("LOG-4")
def test_every_refusal_is_logged_with_its_reason_and_host(every_refusal):
    found = dict(re.findall(r"(?m): FAIL: (\w+) (.*) from=127\.0\.0\.1$", every_refusal))
    assert found == {name: reason for name, (_, reason) in REFUSED.items()}


@pytest.mark.skipif(not (shutil.which("fail2ban-regex") and os.path.exists(FILTER)), reason="needs fail2ban")
def test_fail2ban_finds_the_refusals_that_its_filter_knows(every_refusal, tmp_path):
    """Debian's filter knows two of the reasons, in which the client itself is unwanted."""
    log = tmp_path / "log"
    log.write_text(every_refusal)
    r = subprocess.run(["fail2ban-regex", "--print-all-matched", log, FILTER], capture_output=True, text=True, timeout=60)
    matched = r.stdout.split("Matched line(s):")[1].split("`-")[0]
    assert sorted(re.findall(r"(?m)FAIL: (.*) from=127\.0\.0\.1$", matched)) == ["addr address", "wrap libwrap"], r.stdout


@pytest.mark.skipif(not LOGWATCH, reason="needs logwatch")
def test_logwatch_counts_connections_and_refusals(every_refusal):
    """Its script gets lines without stamp and host; the reasons that it does not know it lists."""
    lines = "".join(re.sub(r"^\w{3} [ \d]\d [\d:]{8} host ", "", l) + "\n" for l in every_refusal.splitlines())
    r = subprocess.run(["perl", "-I" + LOGWATCH + "/lib", LOGWATCH + "/scripts/services/secure"], input=lines, text=True,
                       capture_output=True, timeout=60, env=dict(os.environ, LOGWATCH_DETAIL_LEVEL="10", LOGWATCH_DATE_RANGE="all"))
    part = lambda title: (re.search(r"(?ms)^%s\n(.*?)(?:\n\n|\Z)" % re.escape(title), r.stdout) or [""])[0]
    per_service = lambda text: dict(re.findall(r"Service (\w+)[^:]*:\n\s+(?:127\.0\.0\.1|localhost)[^:]*: (\d+) Time", text))
    started = {name: str(len(re.findall("START: %s " % name, lines))) for name in set(re.findall(r"START: (\w+) ", lines))}
    assert started["fast"] == started["held"] == "1"
    assert per_service(part("Connections:")) == started, r.stdout
    known = {n: "1" for n, (_, reason) in REFUSED.items() if reason in ("address", "libwrap", "service_limit", "connections per second")}
    assert per_service(part("Refused Connections:")) == known, r.stdout
    unmatched = re.findall(r"xinetd: (.*): 1 Time", part("**Unmatched Entries**"))
    assert sorted(u for u in unmatched if u.startswith("FAIL")) == sorted(
        "FAIL: %s %s from=127.0.0.1" % (n, reason) for n, (_, reason) in REFUSED.items() if n not in known)
