"""What a server is told about its connection, and where its standard error goes."""
import os
import socket
import threading

import pytest

from harness import *

covers = pytest.mark.covers
root = pytest.mark.needs_root
sandbox = pytest.mark.needs_sandbox

ENV = {"PATH": "/usr/bin:/bin", "FOO": "bar"}


def told(daemon, environ=ENV, defs="", addr="127.0.0.1", **kw):
    """The environment of one server, and both ends of its connection."""
    a = free_port()
    daemon.boot(defs, service("a", a, server="/usr/bin/env", **kw), up=[a], env=environ)
    s = connect(a, addr)
    ends = s.getsockname(), s.getpeername()
    out = recv_all(s).decode().splitlines()
    return dict(line.split("=", 1) for line in out), ends


def additions(ends):
    """What UCSPI and systemd call the ends of a connection."""
    (ip, port, *_), (here, own, *_) = ends
    return {"PROTO": "TCP", "TCPREMOTEIP": ip, "TCPREMOTEPORT": str(port), "TCPLOCALIP": here, "TCPLOCALPORT": str(own),
            "REMOTE_ADDR": ip, "REMOTE_PORT": str(port)}


@covers("SRV-5", "SRV-8")
@pytest.mark.parametrize("bind,addr", [("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("::", "127.0.0.1"), ("::", "::1")])
def test_a_server_is_told_both_ends_beside_what_the_original_tells(beside, bind, addr):
    ours, theirs = beside
    (got, ends), (wanted, _) = (told(daemon, bind=bind, addr=addr) for daemon in (ours, theirs))
    wanted["REMOTE_HOST"] = ends[0][0]      # BIND-11
    assert got == {**wanted, **additions(ends)}


@covers("SRV-5")
def test_peer_env_switches_the_additions_off(beside):
    ours, theirs = (told(daemon, peer_env="no")[0] for daemon in beside)
    assert ours == theirs


def test_peer_env_may_stand_in_defaults_and_a_service_has_the_last_word(mk):
    assert "PROTO" not in told(mk(), defs=defaults(peer_env="no"))[0]
    assert "PROTO" in told(mk(), defs=defaults(peer_env="no"), peer_env="yes")[0]


STALE = {name: "stale" for name in additions((("", 0), ("", 0)))}


@pytest.mark.parametrize("kw", [{}, {"passenv": " ".join(STALE)}], ids=["all", "passenv"])
def test_what_the_daemon_was_told_about_its_own_connection_reaches_no_server(xd, kw):
    got, ends = told(xd, environ=dict(ENV, UDPREMOTEIP="stale", **STALE), **kw)
    assert {name: got[name] for name in STALE} == additions(ends) and "UDPREMOTEIP" not in got


def test_without_additions_nothing_is_taken_away(beside):
    ours, theirs = (told(daemon, environ=dict(ENV, **STALE), peer_env="no")[0] for daemon in beside)
    assert ours == theirs and ours["TCPREMOTEIP"] == "stale"


@covers("SRV-5", "SRV-7")
def test_a_line_of_env_wins_over_all_but_remote_host(xd):
    got, ends = told(xd, env="PROTO=https REMOTE_ADDR=here REMOTE_HOST=me")
    assert got == {**ENV, **additions(ends), "PROTO": "https", "REMOTE_ADDR": "here", "REMOTE_HOST": "127.0.0.1"}


# ------------------------------------------------------------ stderr

BOTH = "#!/bin/sh\necho to the client\necho to the log: $1 >&2\n"


@covers("SRV-1")
def test_standard_error_is_the_connection_as_always(daemon, ports):
    a, = ports(1)
    daemon.boot(service("a", a, server=daemon.script("both", BOTH), server_args="x"), up=[a])
    assert talk(a, shut=False) == b"to the client\nto the log: x\n"


def test_null_is_nowhere_and_log_is_the_standard_error_of_a_daemon_in_the_foreground(xd, ports):
    a, b = ports(2)
    both = xd.script("both", BOTH)
    xd.boot(service("a", a, server=both, server_args="null", stderr="null"),
            service("b", b, server=both, server_args="log", stderr="log"), up=[a, b])
    assert talk(a, shut=False) == talk(b, shut=False) == b"to the client\n"
    with open(xd.path("stderr")) as f:
        assert f.read().splitlines()[-1] == "to the log: log"


class Journal:
    """Where journald takes streams, which is ours alone in the sandbox."""

    PATH = "/run/systemd/journal/stdout"

    def __init__(self):
        os.makedirs(os.path.dirname(self.PATH), exist_ok=True)
        self.s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.s.bind(self.PATH)
        self.s.listen(10)
        self.streams = []
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                c, _ = self.s.accept()
            except OSError:
                return
            self.streams.append(b"")
            threading.Thread(target=self.read, args=(len(self.streams) - 1, c), daemon=True).start()

    def read(self, n, c):
        while d := c.recv(4096):
            self.streams[n] += d

    def close(self):
        os.unlink(self.PATH)
        self.s.shutdown(socket.SHUT_RDWR)
        self.s.close()


@pytest.fixture
def journal():
    j = Journal()
    yield j
    j.close()


def detached(xd, config):
    """A daemon in the background; it ends with the test."""
    sentinel = free_port()
    xd.start(config + cat("sentinel", sentinel), mode=None)
    assert xd.wait_exit() == 0
    xd.wait_dlog("Started working")
    return int(open(xd.pidfile).read())


HEADER = "%s\n\n6\n0\n0\n0\n0\n"


@sandbox
@root
def test_a_daemon_in_the_background_gives_its_servers_the_journal(xd, ports, journal):
    a, b = ports(2)
    both = xd.script("both", BOTH)
    pid = detached(xd, service("a", a, server=both, server_args="1", stderr="log", id="first", user="nobody") +
                   service("b", b, server=both, server_args="2", stderr="log"))
    try:
        assert all(talk(a, shut=False) == b"to the client\n" for _ in range(2))
        assert talk(b, shut=False) == b"to the client\n"
        want = {HEADER % "first" + "to the log: 1\n" * 2, HEADER % "b" + "to the log: 2\n"}
        assert wait_until(lambda: {s.decode() for s in journal.streams} == want), journal.streams
    finally:
        os.kill(pid, 15)
        wait_until(lambda: not alive(pid))


@sandbox
def test_without_a_journal_a_daemon_in_the_background_says_what_is_lost(xd, ports):
    a, = ports(1)
    pid = detached(xd, service("a", a, server=xd.script("both", BOTH), server_args="1", stderr="log"))
    try:
        assert talk(a, shut=False) == b"to the client\n"
        xd.wait_dlog(r"service a: what its servers write to standard error is lost \(`stderr = log`\): ")
    finally:
        os.kill(pid, 15)
        wait_until(lambda: not alive(pid))
