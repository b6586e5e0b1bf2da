"""INTERCEPT: whom only_from, no_access and access_times refuse, the server never sees."""
import os
import signal
import time

import pytest

from harness import *
from procs import engine

covers = pytest.mark.covers
sandbox = pytest.mark.needs_sandbox

SEES = """
import os, socket
s = socket.socket(fileno=0)
seen = open(%r, "ab", 0)
while True:
    if s.type == socket.SOCK_STREAM:
        c, a = s.accept()
        seen.write(a[0].encode() + b"\\n")
        c.sendall(c.recv(100))
        c.close()
    else:
        d, a = s.recvfrom(100)
        seen.write(a[0].encode() + b"\\n")
        s.sendto(d, a)
"""


class Kind:
    def __init__(self, name):
        self.is_stream = name == "stream"
        self.entry = {} if self.is_stream else dict(socket_type="dgram", protocol="udp")

    def up(self, port):
        return [port if self.is_stream else ("udp", port)]

    def ask(self, port, **kw):
        """Whether there is an answer."""
        return bool(attempt(port, b"x", **kw) if self.is_stream else udp_ask(port, b"x", **kw))

    def hears_nothing(self, port, **kw):
        return not self.ask(port, timeout=0.4, **kw)


@pytest.fixture(params=["stream", "dgram"])
def kind(request):
    return Kind(request.param)


def entry(xd, port, kind, **kw):
    body = SEES % xd.path("seen")
    return service("a", port, server=xd.script("sees", pyscript(body)), wait="yes", flags=kw.pop("flags", "INTERCEPT"), **dict(kind.entry, **kw))


def seen(xd):
    try:
        return set(open(xd.path("seen")).read().replace("::ffff:", "").split())
    except FileNotFoundError:
        return set()


@covers("INT-1", "ADDR-1", "ADDR-2")
@sandbox
def test_everybody_is_checked_before_the_server_sees_them(xd, kind):
    a = free_port()
    xd.boot(logdefaults(xd), entry(xd, a, kind, bind=None, only_from="127.0.0.1 127.0.0.4 ::1", no_access="127.0.0.4"),
            up=kind.up(a))
    assert kind.hears_nothing(a, src="127.0.0.2"), "nobody runs yet"
    assert kind.ask(a, src="127.0.0.1")
    assert kind.hears_nothing(a, src="127.0.0.2") and kind.hears_nothing(a, src="127.0.0.4"), "now one does"
    assert kind.ask(a, src="127.0.0.1") and kind.ask(a, addr="::1")
    assert seen(xd) == {"127.0.0.1", "::1"}
    assert len(xd.wait_log("^START: a ")) == 1


@covers("INT-1", "RELOAD-6")
@sandbox
def test_new_lists_hold_for_a_server_that_runs_and_for_a_new_engine(xd, kind):
    a = free_port()
    flags = dict(flags="INTERCEPT IPv4", bind=None)
    xd.boot(logdefaults(xd), entry(xd, a, kind, only_from="127.0.0.1", **flags), up=kind.up(a))
    assert kind.ask(a, src="127.0.0.1") and kind.hears_nothing(a, src="127.0.0.2")
    xd.reload(logdefaults(xd), entry(xd, a, kind, only_from="127.0.0.2", **flags))
    assert kind.ask(a, src="127.0.0.2") and kind.hears_nothing(a, src="127.0.0.1")
    old = engine(xd.proc.pid)
    os.kill(old, signal.SIGKILL)
    engine(xd.proc.pid, other_than=old)
    assert kind.ask(a, src="127.0.0.2") and kind.hears_nothing(a, src="127.0.0.1")


@covers("INT-1", "RELOAD-2")
@sandbox
def test_without_the_flag_its_lists_hold_nobody_back(xd, kind):
    a = free_port()
    xd.boot(logdefaults(xd), entry(xd, a, kind, bind=None, flags="INTERCEPT IPv4", only_from="127.0.0.1"), up=kind.up(a))
    assert kind.hears_nothing(a, src="127.0.0.2")
    xd.reload(logdefaults(xd), entry(xd, a, kind, bind=None, flags="IPv4"), up=kind.up(a))
    assert kind.ask(a, src="127.0.0.2")


@covers("INT-1", "TIME-1")
def test_outside_its_hours_nobody_gets_through(xd, ports, kind):
    a, b = ports(2)
    hour = time.localtime().tm_hour
    now, other = "0:00-23:59", "%d:00-%d:30" % ((hour + 2) % 24, (hour + 2) % 24)
    xd.boot(entry(xd, a, kind, access_times=now), entry(xd, b, kind, access_times=other, id="b"), up=kind.up(a))
    assert kind.ask(a) and kind.hears_nothing(b)


@covers("INT-1", "ADDR-14")
def test_names_cannot_be_checked_so_the_service_is_left_out(xd, kind):
    a = free_port()
    port = a if kind.is_stream else ("udp", a)
    xd.boot(entry(xd, a, kind, only_from="127.0.0.1 .example.org"), down=[port])
    assert "INTERCEPT checks addresses only, and `.example.org` of `only_from` is a name" in xd.dlog()
