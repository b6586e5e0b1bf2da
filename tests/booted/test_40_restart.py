"""systemctl restart, stop and reload, and a daemon that is killed, with clients all the while."""
import os
import socket
import threading

import pytest

from harness import BIN, CTL, REPO, cat, connect, internal, recv_n, refused, service, wait_until

TCP, ECHO, PATH = 9007, 9008, "/run/x.sock"


@pytest.fixture
def ours(machine):
    """Debian's daemon is gone, ours is there with its unit, and serves three services."""
    machine.run("apt-get -q -y remove xinetd")
    for program in (BIN, CTL):
        machine.copy(program, "/usr/sbin/")
    for name, place in (("service", "systemd/system/xinetd.service"), ("sysusers", "sysusers.d/xinetd.conf"),
                        ("tmpfiles", "tmpfiles.d/xinetd.conf")):
        with open(os.path.join(REPO, "systemd/xinetd." + name)) as f:
            machine.write("/etc/" + place, f.read())
    configure(machine)
    machine.run("systemd-sysusers && systemd-tmpfiles --create xinetd.conf && systemctl daemon-reload && systemctl start xinetd")
    return machine


def configure(machine, *more):
    machine.write("/etc/xinetd.conf", "".join([
        cat("echo", TCP, id="tcp", instances="UNLIMITED", cps="100000 1", user="root"),
        internal("echo", ECHO),
        service("u", bind="unix:" + PATH, protocol=None, server="/bin/cat", user="root"), *more]))


class Clients:
    """One after the other, each with a word and its echo, until the end of the block."""

    def __init__(self, machine, port, clients=3):
        self.machine, self.port, self.over, self.done, self.wrong = machine, port, threading.Event(), 0, []
        self.threads = [threading.Thread(target=self._run, daemon=True) for _ in range(clients)]

    def _run(self):
        with self.machine.network():
            while not self.over.is_set():
                try:
                    with connect(self.port) as s:
                        s.sendall(b"x")
                        got = recv_n(s, 1)
                    self.done += got == b"x"
                    if got != b"x":
                        self.wrong.append(got)
                except OSError as cause:
                    self.wrong.append(cause)

    def __enter__(self):
        for t in self.threads:
            t.start()
        self.more()
        return self

    def more(self, n=20):
        goal = self.done + n
        assert wait_until(lambda: self.done >= goal), self.wrong

    def __exit__(self, *_):
        self.over.set()
        for t in self.threads:
            t.join(30)


def held(machine, port):
    """A session, open."""
    with machine.network():
        s = connect(port)
    return s


def echoes(s, word=b"held"):
    s.sendall(word)
    return recv_n(s, len(word)) == word


def main_pid(machine):
    return machine.run("systemctl show --value --property MainPID xinetd")


def test_nobody_is_refused_by_five_restarts(ours):
    with held(ours, TCP) as session, held(ours, ECHO) as built_in, Clients(ours, TCP) as clients:
        assert echoes(session) and echoes(built_in)
        for _ in range(5):
            before = main_pid(ours)
            ours.run("systemctl reset-failed xinetd && systemctl restart xinetd")       # not too often for StartLimitBurst=
            assert main_pid(ours) != before
            clients.more()
        assert echoes(session) and echoes(built_in), "neither a server nor an engine is cut off"
    assert not clients.wrong
    assert ours.run("systemctl is-active xinetd; systemctl --failed --quiet") == "active"


def test_nobody_is_refused_when_the_daemon_is_killed(ours):
    with Clients(ours, TCP) as clients:
        before = main_pid(ours)
        ours.run("kill -KILL " + before)
        assert wait_until(lambda: main_pid(ours) not in ("0", before))
        clients.more()
    # a connection that the engine has accepted and not handed on is lost with it
    assert len([c for c in clients.wrong if not isinstance(c, ConnectionRefusedError)]) <= 3
    assert not [c for c in clients.wrong if isinstance(c, ConnectionRefusedError)]


def test_after_a_stop_everybody_is_refused(ours):
    ours.run("test -S %s; systemctl stop xinetd" % PATH)
    with ours.network():
        assert wait_until(lambda: refused(TCP))
    ask = "import socket; socket.socket(socket.AF_UNIX).connect(%r)" % PATH
    assert "Refused" in ours.status("/usr/bin/python3 -c '%s'" % ask.replace("'", '"'))[1]
    ours.run("systemctl start xinetd")
    with held(ours, TCP) as session:
        assert echoes(session)
    assert ours.run("/usr/bin/python3 -c '%s'; systemctl --failed --quiet" % ask.replace("'", '"')) == ""


def test_a_service_that_a_reload_drops_is_closed(ours):
    configure(ours, cat("other", TCP + 9, user="root"))
    ours.run("systemctl reload xinetd")
    with held(ours, TCP + 9) as session:
        assert echoes(session)
    configure(ours)
    ours.run("systemctl reload xinetd")
    with ours.network():
        assert refused(TCP + 9) and not refused(TCP)
    ours.run("systemctl restart xinetd")
    with ours.network():
        assert refused(TCP + 9) and not refused(TCP)


def property_of(machine, name):
    return machine.run("systemctl show --value --property %s xinetd" % name)


def test_the_status_says_what_there_is(ours):
    assert wait_until(lambda: property_of(ours, "StatusText") == "3 services, 0 sessions")
    with held(ours, TCP) as session:
        assert echoes(session)
        assert wait_until(lambda: property_of(ours, "StatusText") == "3 services, 1 session")
        assert "Status: \"3 services, 1 session\"" in ours.run("systemctl status xinetd")


def test_a_daemon_that_hangs_is_killed_and_started_anew(ours):
    ours.write("/run/systemd/system/xinetd.service.d/soon.conf", "[Service]\nWatchdogSec=2s\n")
    ours.run("systemctl daemon-reload && systemctl restart xinetd")
    with Clients(ours, TCP) as clients:
        before = main_pid(ours)
        ours.run("kill -STOP " + before)
        assert wait_until(lambda: main_pid(ours) not in ("0", before), 30)
        clients.more()
    assert not [c for c in clients.wrong if isinstance(c, ConnectionRefusedError)]
    assert "watchdog" in ours.run("journalctl -u xinetd").lower()
    assert ours.run("systemctl is-active xinetd; systemctl --failed --quiet") == "active"
