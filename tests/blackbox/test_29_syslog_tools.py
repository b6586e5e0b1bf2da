"""The service log in syslog, and what fail2ban makes of it."""
import os
import shutil
import subprocess

import pytest

from harness import *

pytestmark = pytest.mark.needs_sandbox
FILTER = "/etc/fail2ban/filter.d/xinetd-fail.conf"


def service_lines(syslog, pid):
    """Service lines with process ids and durations blanked; the daemon's own left out."""
    out = []
    for line in syslog.lines:
        m = re.match(r"<(\d+)>(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d )?(\S+)\[(\d+)\]: (.*)$", line)
        assert m, line
        if m.group(4).startswith(("START", "EXIT", "FAIL")):
            out.append("<%s>%s[%s]: %s" % (m.group(1), m.group(2), "PID" if m.group(3) == str(pid) else "OTHER", m.group(4)))
    return norm(out)


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
    else:                               # as a syslogd writes it: priority off, host in
        syslog.wait("FAIL: pop3 address", len(sources))
        text = "".join(re.sub(r"^<\d+>([A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d )?", lambda m: (m.group(1) or time.strftime("%b %d %T ")) + "host ", l) + "\n"
                       for l in syslog.lines)
    log = daemon.write("tofind.log", text)
    r = subprocess.run(["fail2ban-regex", "--print-all-matched", log, FILTER], capture_output=True, text=True, timeout=60)
    found = re.findall(r"(?m)^\|\s.*FAIL: pop3 address from=(\S+)$", r.stdout)
    assert sorted(found) == sorted(sources), r.stdout + r.stderr
    assert ", %d matched, " % len(sources) in r.stdout
