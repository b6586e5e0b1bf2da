"""Several addresses in `bind`, which xinetd 2.3.15 does not have (PARSE-14)."""
import json
import os
import re
import signal
import socket
import subprocess

import pytest

from harness import *
from load import Held
from procs import engine, frozen, tcp_inode

covers = pytest.mark.covers
ENDLESS = dict(instances="UNLIMITED", per_source="UNLIMITED", cps="0 0")
BOTH = {(4, "127.0.0.1"), (6, "::1")}


def echoes(port, addr):
    return attempt(port, b"x", addr=addr) == b"x"


@covers("PARSE-14", "BIND-3")
def test_each_address_is_served_and_no_other(xd):
    a = free_port()
    xd.boot(logdefaults(xd), cat("a", a, bind="127.0.0.1 ::1"), up=[a])
    assert listeners(a) == BOTH
    assert echoes(a, "127.0.0.1") and echoes(a, "::1")
    assert not echoes(a, "127.0.0.2")
    assert [line.split("from=")[1] for line in xd.wait_log("^START: a", 2)] == ["127.0.0.1", "::1"]


@covers("BIND-1", "BIND-11", "PARSE-14")
def test_all_of_both_families(xd):
    """Beside 0.0.0.0 `::` is for IPv6: else they would be in each other's way."""
    a = free_port()
    xd.boot(logdefaults(xd), cat("a", a, bind="0.0.0.0 ::"), up=[a])
    assert listeners(a) == {(4, "0.0.0.0"), (6, "::")}
    assert echoes(a, "127.0.0.3") and echoes(a, "::1")
    xd.wait_log("^START: a .*from=127.0.0.1$")


@covers("PARSE-14", "DEF-19", "BIND-4")
def test_addresses_of_defaults_are_inherited_as_a_whole(xd, ports):
    a, b, c = ports(3)
    xd.boot(logdefaults(xd, bind="127.0.0.1 ::1"), cat("a", a, bind=None), cat("b", b, bind="127.0.0.2"),
            cat("c", c, bind=None, flags="IPv4"), up=[a, b], down=[c])
    assert listeners(a) == BOTH
    assert listeners(b) == {(4, "127.0.0.2")}
    xd.wait_dlog("the flag IPv4 contradicts `bind`")


@covers("START-12")
def test_one_address_that_cannot_be_had_costs_the_service(xd):
    a = free_port()
    with occupied(a, "127.0.0.2"):
        xd.boot(logdefaults(xd), cat("a", a, bind="127.0.0.1 127.0.0.2"))
        assert listeners(a) == {(4, "127.0.0.2")}
    xd.wait_dlog(r"bind failed \(.*\)\. service = a; 127\.0\.0\.2:%d/tcp" % a)
    xd.wait_dlog("Service a failed to start and is deactivated")
    xd.reload(logdefaults(xd), cat("a", a, bind="127.0.0.1 127.0.0.2"), up=[a])
    assert listeners(a) == {(4, "127.0.0.1"), (4, "127.0.0.2")}


@covers("RELOAD-2", "RELOAD-7")
def test_an_address_more_ends_no_session_and_one_less_does(xd):
    a = free_port()
    xd.boot(logdefaults(xd, **ENDLESS), cat("a", a, bind="127.0.0.1"), up=[a])
    held = Held(a, 3)
    with frozen(xd):
        waiting = connect(a)
        waiting.sendall(b"w")
        xd.config(logdefaults(xd, **ENDLESS) + cat("a", a, bind="::1 127.0.0.1"))
        xd.signal(signal.SIGHUP)
    xd.wait_dlog("Reconfigured: new=0 old=1 dropped=1")      # without the sentinel
    assert recv_n(waiting, 1) == b"w"
    held.echo()
    assert listeners(a) == BOTH and echoes(a, "::1")

    second = connect(a, addr="::1")
    second.sendall(b"s")
    assert recv_n(second, 1) == b"s"
    inode = tcp_inode(a, table="tcp6")
    xd.hup(logdefaults(xd, **ENDLESS) + cat("a", a, bind="127.0.0.4 ::1"))
    xd.wait_dlog("Reconfigured: ", 2)
    assert tcp_inode(a, table="tcp6") == inode, "with whoever waits in its backlog"
    assert listeners(a) == {(4, "127.0.0.4"), (6, "::1")}
    assert recv_all(second) == b"" and all(recv_all(s) == b"" for s in held.sockets)


@covers("RELOAD-7")
def test_addresses_that_cannot_all_be_had_change_nothing(xd):
    a = free_port()
    xd.boot(logdefaults(xd, **ENDLESS), cat("a", a, bind="127.0.0.1 127.0.0.4"), up=[a])
    held = Held(a, 3)
    with occupied(a, "127.0.0.2"):
        for bind in ("127.0.0.3 127.0.0.2", "127.0.0.1 127.0.0.4 127.0.0.3 127.0.0.2", "0.0.0.0 127.0.0.2"):
            xd.reload(logdefaults(xd, **ENDLESS), cat("a", a, bind=bind))
            assert listeners(a) == {(4, "127.0.0.1"), (4, "127.0.0.2"), (4, "127.0.0.4")}, bind
            held.echo()
            assert echoes(a, "127.0.0.4")
    xd.wait_dlog("service a goes on as it was", 3)


@covers("RELOAD-3", "RELOAD-7", "BIND-8")
def test_services_may_exchange_addresses(xd):
    a = free_port()
    conf = [logdefaults(xd), cat("a", a, bind="127.0.0.1 127.0.0.2", id="one", server="/bin/cat"),
            service("a", a, bind="127.0.0.3", id="two", server=xd.script("two", "#!/bin/sh\necho two\n"))]
    xd.boot(*conf, up=[a])
    assert echoes(a, "127.0.0.2") and attempt(a, b"", addr="127.0.0.3") == b"two\n"
    conf[1] = conf[1].replace("127.0.0.1 127.0.0.2", "127.0.0.1 127.0.0.3")
    conf[2] = conf[2].replace("127.0.0.3", "127.0.0.2")
    xd.reload(*conf, up=[a])
    assert echoes(a, "127.0.0.1") and echoes(a, "127.0.0.3")
    assert attempt(a, b"", addr="127.0.0.2") == b"two\n"


@covers("CPS-3")
def test_cps_closes_all_addresses_and_opens_them_again(xd):
    a = free_port()
    xd.boot(logdefaults(xd), cat("a", a, bind="127.0.0.1 ::1", cps="2 1"), up=[a])
    attempt(a, b"x", addr="::1")
    come_too_often(a)
    xd.wait_dlog("Deactivating service a")
    assert refused(a) and refused(a, addr="::1")
    xd.wait_dlog("Activating service a")
    assert wait_until(lambda: echoes(a, "127.0.0.1")) and echoes(a, "::1")


@covers("CPS-3", "RELOAD-2")
def test_an_address_that_comes_while_the_others_are_closed_is_closed(xd):
    a = free_port()
    xd.boot(logdefaults(xd), cat("a", a, bind="127.0.0.1", cps="1 3"), up=[a])
    come_too_often(a)
    xd.wait_dlog("Deactivating service a")
    xd.reload(logdefaults(xd), cat("a", a, bind="127.0.0.1 ::1", cps="1 3"))
    assert refused(a) and refused(a, addr="::1")
    xd.wait_dlog("Activating service a")
    assert wait_until(lambda: echoes(a, "::1"))


@covers("LIM-1", "LIM-3")
def test_limits_count_all_addresses_together(xd):
    a = free_port()
    xd.boot(logdefaults(xd), cat("a", a, bind="127.0.0.1 ::1", instances="1"), up=[a])
    s = connect(a)
    s.sendall(b"1")
    assert recv_n(s, 1) == b"1"
    assert not echoes(a, "::1")
    xd.wait_log("^FAIL: a service_limit from=::1$")
    s.close()
    assert wait_until(lambda: echoes(a, "::1"))


def test_an_engine_that_crashes_is_replaced_at_all_addresses(xd):
    a = free_port()
    xd.boot(logdefaults(xd), cat("a", a, bind="127.0.0.1 ::1"), up=[a])
    first = engine(xd.proc.pid)
    os.kill(first, signal.SIGKILL)
    engine(xd.proc.pid, other_than=first)
    assert echoes(a, "127.0.0.1") and echoes(a, "::1")


@covers("DUMP-1")
@pytest.mark.needs_sandbox
def test_explain_dump_and_the_state_show_all_of_them(xd):
    a = free_port()
    xd.boot(logdefaults(xd), cat("a", a, bind="127.0.0.1 ::1"), up=[a])
    shown = subprocess.run([CTL, "explain", "-f", xd.conf, "a"], capture_output=True, text=True).stdout
    assert re.search(r"listens on +127\.0\.0\.1:%d/tcp; \[::1\]:%d/tcp\n" % (a, a), shown), shown
    shown = json.loads(subprocess.run([CTL, "dump", xd.conf], capture_output=True, text=True).stdout)
    entry = next(one for one in shown["services"] if one["id"] == "a")
    assert [(one["address"], one["port"]) for one in entry["listen"]] == [("127.0.0.1", a), ("::1", a)]
    assert entry["attributes"]["bind"]["value"] == ["127.0.0.1", "::1"]
    xd.signal(signal.SIGUSR1)
    assert wait_until(lambda: os.path.exists("/var/run/xinetd.dump"))
    assert wait_until(lambda: "Bind = 127.0.0.1 ::1\n" in open("/var/run/xinetd.dump").read())
    os.unlink("/var/run/xinetd.dump")
