"""Reload, statement by statement, asked of both daemons where they agree."""
import os
import signal
import socket
import time

import pytest

from harness import *
from load import Held
from procs import tcp_inode

covers = pytest.mark.covers
sandbox = pytest.mark.needs_sandbox

STUBBORN = "#!/bin/sh\ntrap '' TERM\necho $$\nwhile :; do sleep 0.05; done\n"


@covers("RELOAD-2")
def test_everything_but_the_identity_is_replaced(daemon):
    a = free_port()
    script = lambda name: service("a", a, server=daemon.script(name, "#!/bin/sh\necho %s $X $(umask)\n" % name), env="X=" + name,
                                  umask={"one": "022", "two": "027"}[name])
    daemon.boot(script("one"), up=[a])
    assert talk(a) == b"one one 0022\n"
    inode = tcp_inode(a)
    daemon.reload(script("two"), up=[a])
    assert talk(a) == b"two two 0027\n" and tcp_inode(a) == inode


@covers("RELOAD-6")
@pytest.mark.parametrize("tighter,reason", [(dict(only_from="127.0.0.9"), "address"), (dict(instances="1"), "service_limit"),
                                            (dict(access_times=NEVER), "time"), (dict(per_source="2"), "per_source_limit")],
                         ids=lambda v: v if isinstance(v, str) else "")
def test_running_servers_are_not_checked_again_but_count(daemon, tighter, reason):
    a = free_port()
    daemon.boot(logdefaults(daemon), cat("a", a), up=[a])
    held = Held(a, 2)
    daemon.reload(logdefaults(daemon), cat("a", a, **tighter), up=[a])
    assert talk(a, b"x") == b""
    daemon.wait_log("^FAIL: a %s from=127.0.0.1$" % reason)
    held.echo()
    held.close()


@covers("RELOAD-7", "RELOAD-10")
def test_another_address_ends_the_servers_and_opens_a_new_socket(daemon):
    a = free_port()
    entry = lambda bind: logdefaults(daemon) + service("a", a, server=daemon.script("sl", SLEEPER), bind=bind)
    daemon.boot(entry("127.0.0.1"), up=[a])
    s, pid = start_sleeper(a)
    daemon.reload(entry("127.0.0.2"))
    assert listeners(a) == {(4, "127.0.0.2")}
    assert recv_all(s) == b"" and wait_until(lambda: not alive(pid))
    s, pid = start_sleeper(a, addr="127.0.0.2")
    s.close()
    daemon.wait_dlog("Reconfigured: new=1 old=1 dropped=1 .services.")      # one of them is the sentinel


@covers("RELOAD-7", "BIND-1")
@sandbox
def test_an_address_added_ends_the_servers_too(daemon):
    a = free_port()
    entry = lambda bind: service("a", a, server=daemon.script("sl", SLEEPER), bind=bind)
    daemon.boot(entry(None), up=[a])
    s, pid = start_sleeper(a)
    daemon.reload(entry("127.0.0.2"))
    assert listeners(a) == {(4, "127.0.0.2")}
    assert recv_all(s) == b"" and wait_until(lambda: not alive(pid))


@covers("RELOAD-8")
@sandbox
def test_an_ipv6_address_removed_is_noticed(xd):
    a = free_port()
    xd.boot(cat("a", a, bind="::1"), up=[a])
    xd.reload(cat("a", a, bind=None), up=[a])
    assert listeners(a) == {(6, "::")} and talk(a, b"x") == b"x"


@covers("RELOAD-9", "CPS-2")
def test_cps_counts_anew_after_a_reload(daemon):
    a = free_port()
    text = logdefaults(daemon) + cat("a", a, cps="4 60")
    daemon.boot(text, up=[a])
    early_in_a_second()
    assert [talk(a, b"x") for _ in range(4)] == [b"x"] * 4
    daemon.reload(text, up=[a])
    assert [talk(a, b"x") for _ in range(4)] == [b"x"] * 4


@covers("RELOAD-10")
def test_the_last_message_counts_what_came_stayed_and_went(daemon, ports):
    a, b, c, d = ports(4)
    daemon.start(cat("a", a) + cat("b", b) + cat("c", c), expect=[a, b, c])
    daemon.wait_dlog("Started working: 3 available services")
    daemon.hup(cat("a", a, nice="1") + cat("b", b) + cat("d", d))
    daemon.wait_dlog("Reconfigured: new=1 old=2 dropped=1 .services.")
    assert talk(d, b"x") == b"x" and refused(c)


@covers("RELOAD-15", "START-12")
def test_a_service_that_could_not_start_is_tried_as_a_new_one(daemon, ports):
    a, b = ports(2)
    taken = socket.socket()
    taken.bind(("127.0.0.1", a))
    taken.listen()
    daemon.start(cat("a", a) + cat("b", b), expect=[b])
    daemon.wait_dlog("Service a failed to start and is deactivated.")
    daemon.wait_dlog("Started working: 1 available service$")
    taken.close()
    daemon.hup()
    daemon.wait_dlog("Reconfigured: new=1 old=1 dropped=0 .services.")
    assert talk(a, b"x") == b"x"


@covers("RELOAD-4", "RELOAD-5", "HARD-3", "HARD-6", "MSG-2")
def test_a_server_that_ignores_sigterm_is_killed_after_four_seconds_and_nobody_waits(xd, ports):
    a, b, c = ports(3)
    xd.boot(logdefaults(xd), service("a", a, server=xd.script("st", STUBBORN)), cat("b", b), up=[a, b])
    s, pid = start_sleeper(a)
    begin = time.monotonic()
    xd.reload(logdefaults(xd), cat("b", b), cat("c", c), up=[b, c], down=[a])
    assert talk(b, b"x") == b"x" and talk(c, b"x") == b"x"
    xd.reload(logdefaults(xd), cat("b", b), up=[b], down=[a, c])
    assert alive(pid) and time.monotonic() - begin < 3, "somebody waited"
    xd.wait_dlog("Sending signal 15 to a server %d" % pid)
    assert wait_until(lambda: not alive(pid))
    assert 3.9 < time.monotonic() - begin                   # time is the subject
    xd.wait_dlog("Sending signal 9 to a server %d" % pid)
    xd.wait_log(r"^EXIT: a signal=9 pid=%d duration=([4-9]|[1-9]\d)\(" % pid)
    s.close()


@covers("RELOAD-11", "RELOAD-4")
def test_without_services_it_ends_when_its_servers_have(xd, ports):
    """In the background, without -stayalive: status 1 is the child's, so the log tells."""
    a, = ports(1)
    xd.start(logdefaults(xd) + service("a", a, server=xd.script("sl", SLEEPER)), mode=None, expect=[a])
    s, pid = start_sleeper(a)
    daemon = int(open(xd.pidfile).read())
    xd.config(logdefaults(xd))
    os.kill(daemon, signal.SIGHUP)
    xd.wait_dlog("No available services. Exiting")
    xd.wait_log("^EXIT: a signal=15 pid=%d" % pid)
    assert wait_until(lambda: not alive(daemon)) and not os.path.exists(xd.pidfile)
    s.close()
