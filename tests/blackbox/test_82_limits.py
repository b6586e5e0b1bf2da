"""Limits at the door, asked of both daemons: -limit, cps, per_source over IPv6, access_times."""
import subprocess
import time

import pytest

from harness import *

covers = pytest.mark.covers
sandbox = pytest.mark.needs_sandbox


def session(port, **kw):
    """A client that an echo service has begun to serve."""
    s = connect(port, **kw)
    s.sendall(b"1")
    assert s.recv(1) == b"1"
    return s


@covers("LIM-5", "LIM-6", "CLI-9", "ACC-1", "LOG-4")
def test_the_process_limit_is_over_all_services_and_comes_before_addresses(daemon, ports):
    a, b, c = ports(3)
    daemon.boot(logdefaults(daemon), cat("a", a), cat("b", b), cat("c", c, only_from="127.0.0.9"), args=["-limit", "2"],
                up=[a, b, c])
    one, two = session(a), session(b)
    for port, name in ((a, "a"), (b, "b"), (c, "c")):
        assert talk(port, b"x") == b""
        daemon.wait_log("^FAIL: %s process_limit from=127.0.0.1$" % name)
    one.close()
    daemon.wait_log("^EXIT: a")
    assert wait_until(lambda: talk(b, b"x") == b"x")
    two.close()


@covers("CLI-9")
def test_a_process_limit_of_zero_is_none(daemon):
    a = free_port()
    daemon.boot(cat("a", a), args=["-limit", "0"], up=[a])
    for s in [session(a) for _ in range(3)]:
        s.close()


@covers("CPS-1", "CPS-2", "CPS-3", "LOG-4")
def test_the_request_after_the_rate_closes_the_port_for_a_while(daemon):
    a = free_port()
    daemon.boot(logdefaults(daemon), cat("a", a, cps="3 2"), up=[a])
    early_in_a_second()
    assert [talk(a, b"x") for _ in range(3)] == [b"x"] * 3
    assert talk(a, b"x") == b""
    closed = time.monotonic()
    daemon.wait_log("^FAIL: a connections per second from=127.0.0.1$")
    daemon.wait_dlog("Deactivating service a due to excessive incoming connections.  Restarting in 2 seconds.$")
    assert refused(a) and not listening(a)
    assert wait_until(lambda: listening(a))
    assert 1 < time.monotonic() - closed                    # time is the subject, in whole seconds
    daemon.wait_dlog("Activating service a$")
    assert talk(a, b"x") == b"x"


@covers("CPS-1")
def test_the_rate_is_the_length_of_its_window_too(beside):
    """Two at once, and two more when as many seconds have passed; the third is one too many."""
    port = {}
    for xd in beside:
        port[xd] = free_port()
        xd.boot(cat("a", port[xd], cps="2 60"), up=[port[xd]])
    early_in_a_second()
    for xd in beside:
        assert [talk(port[xd], b"x") for _ in range(2)] == [b"x"] * 2
    last = int(time.time())
    while time.time() < last + 2.05:
        time.sleep(0.05)                                    # the clock is the subject
    for xd in beside:
        assert [attempt(port[xd], b"x") for _ in range(3)] == [b"x", b"x", b""]
        assert wait_until(lambda: not listening(port[xd]))


@covers("CPS-4")
def test_by_default_fifty_a_second_are_served_and_then_none_for_ten(daemon):
    a = free_port()
    daemon.boot(logdefaults(daemon), service("a", a, server="/bin/true"), up=[a])
    early_in_a_second()
    held = []
    while len(held) < 1000 and "Deactivating" not in daemon.dlog():
        try:
            held.append(connect(a))
        except (ConnectionRefusedError, ConnectionResetError):      # reset: it was still in the backlog
            break
    daemon.wait_dlog("Deactivating service a due to excessive incoming connections.  Restarting in 10 seconds.$")
    daemon.wait_log("^FAIL: a connections per second")
    assert len([l for l in daemon.log() if l.startswith("START")]) >= 50
    for s in held:
        s.close()


@covers("LIM-3")
@sandbox
def test_per_source_counts_single_addresses_of_ipv6(daemon):
    a = free_port()
    subprocess.check_call(["ip", "address", "add", "2001:db8::2", "dev", "lo", "nodad"])
    try:
        daemon.boot(logdefaults(daemon), cat("a", a, bind=None, per_source="1"), up=[a])
        s = session(a, addr="::1")
        assert talk(a, b"x", addr="::1") == b""
        daemon.wait_log("^FAIL: a per_source_limit from=::1$")
        assert talk(a, b"x", addr="::1", src="2001:db8::2") == b"x"
        s.close()
        daemon.wait_log("^EXIT: a", 2)
        assert wait_until(lambda: talk(a, b"x", addr="::1") == b"x")
    finally:
        subprocess.check_call(["ip", "address", "del", "2001:db8::2/128", "dev", "lo"])


@covers("LIM-3")
@sandbox
def test_per_source_prefix_counts_networks_of_ipv6(xd):
    neighbours, a = ["2001:db8::2", "2001:db8::3", "2001:db8:0:1::2"], free_port()
    for address in neighbours:
        subprocess.check_call(["ip", "address", "add", address, "dev", "lo", "nodad"])
    try:
        xd.boot(logdefaults(xd), cat("a", a, bind=None, per_source="1", per_source_prefix="64"), up=[a])
        s = session(a, addr="::1", src=neighbours[0])
        assert talk(a, b"x", addr="::1", src=neighbours[1]) == b""
        xd.wait_log("^FAIL: a per_source_limit from=2001:db8::3$")
        assert talk(a, b"x", addr="::1", src=neighbours[2]) == b"x"
        assert talk(a, b"x") == b"x" and talk(a, b"x", src="127.0.0.2") == b"x"
        s.close()
    finally:
        for address in neighbours:
            subprocess.check_call(["ip", "address", "del", address + "/128", "dev", "lo"])


@covers("TIME-1", "TIME-2")
@pytest.mark.parametrize("hours", ["22:00-6:00", "10:00-10:00", "24:00-24:00", "7-9", "7:60-9:00", "8:00 - 9:00", "25:00-26:00"])
def test_hours_that_are_none_keep_the_service_out(daemon, hours):
    a = free_port()
    daemon.boot(cat("a", a, access_times=hours), down=[a])


@covers("TIME-2")
def test_a_day_may_end_at_24(xd):
    a = free_port()
    xd.boot(cat("a", a, access_times="00:00-24:00"), up=[a])
    assert talk(a, b"x") == b"x"


@covers("BAN-5", "SENS-1", "BAN-2")
def test_a_sensor_and_an_internal_service_show_banners_too(daemon, ports):
    a, b = ports(2)
    fail = daemon.write("fail", "go away\n")
    daemon.boot(logdefaults(daemon), service("trap", a, type="INTERNAL UNLISTED", flags="SENSOR", banner_fail=fail),
                internal("echo", b, banner=daemon.write("hi", "hi "), banner_success=daemon.write("ok", "in ")), up=[a, b])
    assert talk(a) == b"go away\n"
    assert talk(b, b"x") == b"hi in x"
    daemon.wait_log("^FAIL: trap address from=127.0.0.1$")
