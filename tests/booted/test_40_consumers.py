"""fail2ban, logwatch and Augeas on a system with the package installed."""
import pytest

import mail
from harness import connect, listening, recv_n, refused, talk, wait_until
from test_30_package import install

UNWANTED = "127.0.0.66"
CONF = """defaults
{
	log_type	= SYSLOG authpriv info
	log_on_success	= PID HOST EXIT
	log_on_failure	= HOST
}

includedir /etc/xinetd.d
"""
# A ban is a line in hosts.deny, which the daemon asks. ignoreself: every client here is this machine.
JAIL = """[DEFAULT]
ignoreself = false
ignoreip =
[xinetd-fail]
enabled = true
backend = polling
logpath = /var/log/auth.log
banaction = hostsdeny
maxretry = 3
findtime = 600
bantime = 600
"""


@pytest.fixture
def installed(machine, deb):
    """The package in place of Debian's, with pop3 for all but one address, logging as administrators like it."""
    install(machine, deb)
    mail.prepare(machine)
    machine.write("/etc/xinetd.conf", CONF)
    machine.run("sed -i 's/^}/\\tno_access = %s\\n}/' /etc/xinetd.d/pop3" % UNWANTED)
    machine.run("xinetctl check --strict; systemctl reload xinetd")
    mail.wait_served(machine)
    return machine


def answer(machine, port, src):
    with machine.network(), connect(port, src=src) as s:
        return recv_n(s, 1)


def refuse_three(machine):
    for _ in range(3):
        assert answer(machine, 110, UNWANTED) == b""
    assert wait_until(lambda: machine.read("/var/log/auth.log").count("FAIL: pop3 address from=" + UNWANTED) == 3)


def test_fail2ban_bans_who_was_refused_and_lifts_it_again(installed):
    machine = installed
    assert answer(machine, 143, UNWANTED) == b"*"
    machine.write("/etc/fail2ban/jail.local", JAIL)
    machine.run("rm -f /etc/fail2ban/jail.d/defaults-debian.conf; touch /var/log/auth.log; systemctl start fail2ban")
    assert wait_until(lambda: machine.status("fail2ban-client status xinetd-fail")[0] == 0)
    refuse_three(machine)
    assert wait_until(lambda: UNWANTED in machine.read("/etc/hosts.deny")), machine.run("fail2ban-client status xinetd-fail")
    assert answer(machine, 143, UNWANTED) == b"", "banned from every service"
    assert answer(machine, 143, "127.0.0.1") == b"*"
    machine.run("fail2ban-client unban " + UNWANTED)
    assert answer(machine, 143, UNWANTED) == b"*"


def test_logwatch_reports_connections_and_refusals(installed):
    machine = installed
    mail.pop3(machine).quit()
    refuse_three(machine)
    assert wait_until(lambda: "EXIT: pop3 " in machine.read("/var/log/auth.log"))
    report = machine.run("logwatch --service secure --range all --detail high --output stdout --format text")
    assert "Service pop3" in report and UNWANTED in report, report
    assert "3 Time(s)" in report.split("Refused Connections:")[1], report


def test_what_augeas_changes_a_reload_takes(installed):
    machine = installed
    edit = "set /files/etc/xinetd.d/imap4/service/disable yes\nset /files/etc/xinetd.d/daytime/service/disable no\nsave\n"
    assert "Saved 2 file(s)" in machine.run("augtool <<'END'\n%sEND" % edit)
    assert machine.run("augtool -L print /augeas//error | grep xinetd || true") == ""
    machine.run("systemctl reload xinetd")
    with machine.network():
        assert wait_until(lambda: listening(13) and not listening(143))
        assert talk(13).endswith(b"\n") and refused(143)
    assert 'disable = "yes"' in machine.run("augtool print /files/etc/xinetd.d/imap4/service/disable")
