"""Services that come, go, move and become others while clients are on every way into them: whatever
the two processes say to each other then, the daemon goes on."""
import os
import random
import signal
import socket
import threading

import pytest

import control
import fakeident
from harness import *
from load import Crowd
from procs import engine

SECONDS = float(os.environ.get("SOAK_SECONDS", "20")) / 2
ENGINE_KILLS = 15.0                     # seconds between two: six in a minute are too many

ACCEPTS = """
import socket
l = socket.socket(fileno=0)
l.settimeout(0.3)
try:
    while True:
        c, _ = l.accept()
        with c:
            c.sendall(c.recv(100))
except OSError:
    pass
"""

NAMED = dict(log_on_success="PID HOST EXIT DURATION USERID", log_on_failure="HOST USERID")


class Shifting:
    """A daemon whose configuration is another one at each reload."""
    NAMES = ["named", "strict", "mux", "turns", "waits", "echo", "sink", "flows"]

    def __init__(self, xd):
        self.xd, self.port = xd, {name: free_port() for name in self.NAMES}
        os.chmod(xd.dir, 0o755)
        self.paths = [xd.path("one"), xd.path("two")]
        self.banner = xd.write("banner", "hello " * 100000)
        self.accepts = xd.script("accepts", pyscript(ACCEPTS))
        xd.start(self.text(), expect=[self.port["sink"]])
        xd.wait_dlog("Started working")

    def choices(self):
        """For each service what it may be; None: it is not there."""
        p, two = self.port, dict(bind="127.0.0.2")
        to_sink = dict(server=None, redirect="127.0.0.1 %d" % p["sink"])
        mux = lambda kind, **kw: service("behind", type=kind + " UNLISTED", server="/bin/cat", bind=None, **kw)
        path = lambda bind, **kw: service("path", bind=bind, protocol=None, server="/bin/cat", **kw)
        one, other = ("unix:" + path for path in self.paths)
        flows = lambda **kw: service("flows", p["flows"], socket_type="dgram", protocol="udp", server=None,
                                     redirect="127.0.0.1 %d" % p["sink"], **kw)
        return [[None, cat("named", p["named"], **NAMED), cat("named", p["named"], **NAMED, **two), cat("named", p["named"], **NAMED, **to_sink)],
                [None, cat("strict", p["strict"], flags="IDONLY", **NAMED), cat("strict", p["strict"], flags="IDONLY", instances="1", **NAMED)],
                [None, internal("tcpmux", p["mux"]), internal("tcpmux", p["mux"]), internal("tcpmux", p["mux"], **two)],
                [None, mux("TCPMUX"), mux("TCPMUXPLUS", **NAMED), mux("TCPMUX", banner_success=self.banner)],
                [path(one), path(other), path(one, banner_success=self.banner), path(other, **NAMED), path(one + " " + other)],
                [cat("turns", p["turns"]), cat("turns", p["turns"], **to_sink), cat("turns", p["turns"], banner=self.banner), None],
                [None, service("waits", p["waits"], server=self.accepts, wait="yes"), service("waits", p["waits"], server=self.accepts, wait="yes", **two)],
                [None, internal("echo", p["echo"]), internal("echo", p["echo"], **two), internal("echo", p["echo"], instances="2")],
                [None, flows(), flows(**two)]]

    def text(self, choose=lambda among: among[0]):
        limits = dict(cps="0 0", instances="UNLIMITED", per_source="UNLIMITED")
        entries = [choose(among) for among in self.choices()]
        return logdefaults(self.xd, **limits) + cat("sink", self.port["sink"]) + "".join(filter(None, entries))

    def reload(self, choose=random.choice):
        before = self.xd.dlog().count("Reconfigured: ")
        self.xd.hup(self.text(choose))
        return wait_until(lambda: self.xd.dlog().count("Reconfigured: ") > before or not self.xd.alive(), 20) and self.xd.alive()

    def ask(self, s):
        """A word and its echo, if the client gets so far; some take their time to read."""
        with s:
            s.settimeout(3)
            s.sendall(b"x\n")
            if random.random() < 0.3:
                threading.Event().wait(random.random())         # a slow reader
            while d := s.recv(1 << 16):
                if d.endswith(b"x\n"):
                    return True

    def come(self):
        name = random.choice(["named", "strict", "turns", "waits", "echo"])
        try:
            return self.ask(connect(self.port[name], addr=random.choice(["127.0.0.1", "127.0.0.2"]), timeout=3))
        except OSError:
            return False

    def come_by_name(self):
        try:
            s = connect(self.port["mux"], addr=random.choice(["127.0.0.1", "127.0.0.2"]), timeout=3)
            s.sendall(b"behind\r\n")
            return self.ask(s)
        except OSError:
            return False

    def come_by_path(self):
        s = socket.socket(socket.AF_UNIX)
        try:
            s.connect(random.choice(self.paths))
            return self.ask(s)
        except OSError:
            s.close()
            return False

    def send(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(b"x", ("127.0.0.%d" % random.choice([1, 2]), self.port["flows"]))
        return True

    def be_served(self):
        return attempt(self.port["sink"], b"x") == b"x"

    def check(self):
        self.xd.signal(signal.SIGABRT)
        return True

    def steer(self):
        """Pauses, drains, resumes and ends the sessions of services, which may be gone."""
        name = random.choice(["named", "strict", "behind", "turns", "echo", "path", "waits", "flows"])
        deed, names = random.choice([("pause", 1), ("drain", 1), ("resume", 1), ("resume", 1), ("kill", 0)])
        return bool(control.ask({deed: {"named": [name]} if names else {"service": name}}))

    def kill_engine(self):
        old = engine(self.xd.proc.pid)
        os.kill(old, signal.SIGKILL)
        return engine(self.xd.proc.pid, other_than=old)

    def crowd(self):
        crowd = Crowd()
        for act, pause, times in [(self.come, 0.05, 6), (self.come_by_name, 0.05, 2), (self.come_by_path, 0.02, 4), (self.send, 0.05, 1),
                                  (self.be_served, 0.05, 1), (self.check, 0.5, 1), (self.steer, 0.1, 1), (self.reload, 0.3, 1)]:
            crowd.add(act, pause, times)
        crowd.add(self.kill_engine, ENGINE_KILLS, spread=0.1)
        return crowd


def answer_late(connection, ports):
    """What the hosts of the clients say: sooner or later, a name or none."""
    def answer():
        words = random.choice(["USERID : UNIX : ann", "ERROR : NO-USER"])
        try:
            connection.sendall(("%s : %s\r\n" % (ports, words)).encode())
            connection.close()
        except OSError:
            pass                        # nobody wants to know any more
    threading.Timer(random.random(), answer).start()


@pytest.mark.covers("RELOAD-2", "RELOAD-4", "RELOAD-7", "IDENT-1", "MUX-1", "REDIR-1", "WAIT-1", "HARD-6")
@pytest.mark.needs_sandbox
def test_nothing_that_is_on_its_way_during_a_reload_ends_the_daemon(xd):
    host, daemon = fakeident.Host(answer_late), Shifting(xd)
    try:
        crowd = daemon.crowd()
        try:
            crowd.act_for(SECONDS)
        finally:
            assert xd.alive() and not re.search("broke the protocol|refused our messages", xd.dlog()), xd.dlog()
        print(dict(crowd.done))
        idle = [act for act in ("come", "come_by_name", "come_by_path", "be_served", "steer", "reload") if not crowd.done[act]]
        assert idle == []
        assert daemon.reload(lambda among: None)
        assert wait_until(lambda: len(descendants(xd.proc.pid)) == 1), "servers remain"
    finally:
        host.close()
    assert "Consistency check detected" not in xd.dlog(), xd.dlog()
    passed = xd.dlog().count("Consistency check passed")
    xd.signal(signal.SIGABRT)
    xd.wait_dlog("Consistency check passed", passed + 1)
