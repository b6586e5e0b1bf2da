"""only_from / no_access, limits, cps, access_times, order of checks."""
import os
import socket
import subprocess
import threading
import time

import pytest

from harness import *

covers = pytest.mark.covers
bug = pytest.mark.bug_in_original
sandbox = pytest.mark.needs_sandbox

SRC = ["127.0.0.1", "127.0.0.2", "127.0.0.5", "127.0.1.1", "127.9.1.1"]


def who(port, clients=SRC, **kw):
    """Which of the clients are served, as a string of y/n."""
    return "".join("y" if attempt(port, b"x", src=c, **kw) == b"x" else "n" for c in clients)


def session(port):
    """A client that an echo service has begun to serve."""
    s = connect(port)
    s.sendall(b"1")
    assert s.recv(1) == b"1"
    return s


# one daemon for the whole table keeps this quick
V4_RULES = [
    ("127.0.0.1", "ynnnn", "ADDR-3"), ("127.0.0.0", "yyyyy", "ADDR-3"), ("127.0.1.0", "nnnyn", "ADDR-3"),
    ("0.0.0.0", "yyyyy", "ADDR-3"),
    ("127.0.0", "yyyyy", "ADDR-4"), ("127.1", "ynnnn", "ADDR-4"), ("127", "nnnnn", "ADDR-4"), ("0", "yyyyy", "ADDR-4"),
    ("0x7f000001", "ynnnn", "ADDR-4"), ("0177.0.0.1", "ynnnn", "ADDR-4"),
    ("127.0.0.0/24", "yyynn", "ADDR-5"), ("127.0.0.0/8", "yyyyy", "ADDR-5"), ("127.0.0.1/32", "ynnnn", "ADDR-5"),
    ("127.0.0.1/31", "ynnnn", "ADDR-5"), ("127.0.0.2/31", "nynnn", "ADDR-5"), ("127.0.0.1/0", "yyyyy", "ADDR-5"),
    ("127.0.0.0/16", "yyyyn", "ADDR-5"),
    ("127.0.0.{1,5}", "ynynn", "ADDR-7"), ("127.0.{0,1}", "yyyyn", "ADDR-7"), ("127.{0,9}", "yyyyy", "ADDR-7"),
    ("127.{9}", "nnnny", "ADDR-7"), ("{127}", "yyyyy", "ADDR-7"), ("{126}", "nnnnn", "ADDR-7"),
    ("127.0.0.1 127.0.0.5", "ynynn", "ADDR-1"), ("", "nnnnn", "ADDR-1"),
    ("no.such.host.invalid 127.0.0.2", "nynnn", "ADDR-17"), ("ALL", "nnnnn", "ADDR-17"), ("127.0.0.*", "nnnnn", "ADDR-17"),
]


@covers("ADDR-1", "ADDR-3", "ADDR-4", "ADDR-5", "ADDR-7", "ADDR-17", "ATTR-12")
def test_ipv4_forms(xd, ports):
    ps = ports(len(V4_RULES))
    xd.boot(*[cat("s%d" % i, p, only_from=rule, cps="0 0") for i, (p, (rule, _, _)) in enumerate(zip(ps, V4_RULES))], up=ps)
    assert [(rule, who(p)) for p, (rule, _, _) in zip(ps, V4_RULES)] == [(rule, wanted) for rule, wanted, _ in V4_RULES]


V6_RULES = [
    ("::1", "ynn", "ADDR-9"), ("::1/127", "ynn", "ADDR-9"), ("::/0", "yyy", "ADDR-11"), ("::", "nnn", "ADDR-11"),
    ("::2/127", "nnn", "ADDR-9"), ("0.0.0.0", "nyy", "ADDR-11"), ("::ffff:127.0.0.2", "nny", "ADDR-12"),
    ("::ffff:127.0.0.0/104", "nyy", "ADDR-12"), ("127.0.0.1", "nyn", "ADDR-12"), ("fe80::/10", "nnn", "ADDR-9"),
]


@covers("ADDR-9", "ADDR-11", "ADDR-12")
@sandbox
def test_ipv6_forms(xd, ports):
    """On dual-stack sockets, from ::1, 127.0.0.1 and 127.0.0.2."""
    ps = ports(len(V6_RULES))
    xd.boot(*[cat("s%d" % i, p, bind=None, only_from=rule) for i, (p, (rule, _, _)) in enumerate(zip(ps, V6_RULES))], up=ps)
    served = lambda p: who(p, [None], addr="::1") + who(p, ["127.0.0.1", "127.0.0.2"])
    assert [(rule, served(p)) for p, (rule, _, _) in zip(ps, V6_RULES)] == [(rule, wanted) for rule, wanted, _ in V6_RULES]


@covers("ADDR-10")
@bug
@sandbox
def test_an_ipv6_host_with_its_prefix_is_that_host(xd):
    a = free_port()
    xd.boot(cat("a", a, bind=None, only_from="::1/128"), up=[a])
    assert who(a, [None], addr="::1") + who(a, ["127.0.0.1"]) == "yn"


@covers("ADDR-18")
@pytest.mark.parametrize("what", ["127.0.0.1,127.0.0.2", "127.0.0.{1,2", "127.0.0.{1;2}", "127.0.0.{1, 2}"])
def test_commas_and_broken_braces_are_rejected(xd, ports, what):
    a, b = ports(2)
    xd.boot(cat("a", a, only_from=what), cat("b", b, no_access=what), down=[a, b])


@covers("ADDR-19", "DEF-15")
def test_an_entry_is_taken_off_a_list_where_it_is_the_same(xd, ports):
    a, b, c = ports(3)
    xd.boot(defaults(only_from="127.0.0.0/24 127.9.1.1"), cat("a", a, only_from="-= 127.9.1.1"),
            cat("b", b, only_from="-= 127.0.0.1"), cat("c", c, only_from="-= 127.0.0.0/24"), up=[a, b, c])
    assert [who(p) for p in (a, b, c)] == ["yyynn", "yyyny", "nnnny"]


@covers("ADDR-6")
def test_prefix_over_32_is_not_wider(xd):
    a = free_port()
    xd.boot(cat("a", a, only_from="127.0.0.1/33"))
    assert not listening(a) or who(a) == "ynnnn"


@covers("ADDR-1", "ADDR-2", "ADDR-17", "ATTR-13")
def test_no_access_and_both(xd, ports):
    rules = [
        (dict(no_access="127.0.0.1"), "nyyyy"), (dict(no_access="127.0.0.0"), "nnnnn"), (dict(no_access=""), "yyyyy"),
        (dict(no_access="127.0.0.{1,2}"), "nnyyy"),
        (dict(only_from="127.0.0.0", no_access="127.0.0.2"), "ynyyy"),
        (dict(only_from="127.0.0.2", no_access="127.0.0.0"), "nnnnn"),
        (dict(only_from="127.0.0.2", no_access="127.0.0.2"), "nnnnn"),
        (dict(only_from="127.0.0.2 127.0.0.5", no_access="127.0.0.0/24"), "nnnnn"),
        (dict(only_from="127.0.0.0/24", no_access="127.0.1.1"), "yyynn"),
    ]
    ps = ports(len(rules))
    xd.boot(*[cat("s%d" % i, p, **r[0]) for i, (p, r) in enumerate(zip(ps, rules))], up=ps)
    assert [who(p) for p in ps] == [r[1] for r in rules]


@covers("ADDR-17")
@bug
def test_unparsable_no_access_does_not_open_the_service(xd):
    a = free_port()
    xd.boot(cat("a", a, no_access="no.such.host.invalid"))
    assert not listening(a)


NAMED = ["127.0.0.1", "127.0.0.5", "127.0.0.6", "127.0.0.7", "127.0.0.20"]

NAME_RULES = [
    (dict(only_from="five.example.test"), "nynnn"), (dict(only_from="FIVE.example.TEST"), "nynnn"),
    (dict(only_from="five"), "nnnnn"),                      # an alias: not the name that the address has
    (dict(only_from=".example.test"), "nynyn"), (dict(only_from=".TEST 127.0.0.20"), "nyyyy"),
    (dict(only_from="localhost 127.0.0.6"), "ynynn"),
    (dict(no_access="five.example.test"), "ynyyy"), (dict(no_access=".example.test"), "ynyny"),
    (dict(only_from="127.0.0.0/8", no_access=".test"), "ynnny"),
]


@covers("ADDR-13", "ADDR-14", "ADDR-15", "ADDR-2")
@sandbox
@pytest.mark.parametrize("stack", ["IPv4", "dual"])
def test_host_and_domain_names(xd, ports, stack):
    ps = ports(len(NAME_RULES))
    extra = dict(flags="IPv4") if stack == "IPv4" else {}
    xd.boot(*[cat("s%d" % i, p, **r[0], **extra) for i, (p, r) in enumerate(zip(ps, NAME_RULES))], up=ps)
    assert [who(p, NAMED) for p in ps] == [r[1] for r in NAME_RULES]


@covers("ADDR-16")
@bug
@sandbox
def test_network_names(xd):
    a = free_port()
    xd.boot(cat("a", a, only_from="testnet"), up=[a])
    assert who(a) == "nnnny"


# ---------------------------------------------------------------- what is logged

@covers("ACC-2", "ACC-3", "LOG-4", "LIM-6")
def test_address_refusal_of_forking_service(xd):
    a = free_port()
    xd.boot(logdefaults(xd), cat("a", a, only_from="127.0.0.9"), up=[a])
    assert talk(a, b"x") == b""
    if ORIGINAL:                        # decided in its child, after START
        xd.wait_log("^EXIT: a")
        assert sorted(norm(xd.log())) == ["EXIT: a status=0 pid=N duration=N(sec)", "FAIL: a address from=127.0.0.1",
                                          "START: a pid=N from=127.0.0.1"]
    else:                               # a successor decides before it forks
        xd.wait_log("^FAIL: a address")
        assert xd.log() == ["FAIL: a address from=127.0.0.1"]


@covers("ACC-4")
def test_address_refusal_of_non_forking_service(xd):
    a = free_port()
    xd.boot(logdefaults(xd), internal("daytime", a, only_from="127.0.0.9"), up=[a])
    assert talk(a) == b""
    xd.wait_log("^FAIL")
    assert xd.log() == ["FAIL: daytime-stream address from=127.0.0.1"]


@covers("ACC-1", "ACC-2", "LOG-4", "TIME-1")
def test_order_of_parent_checks(xd, ports):
    combos = [
        (dict(max_load="-1", access_times=NEVER, instances="0", per_source="0"), "load"),
        (dict(access_times=NEVER, instances="0", per_source="0"), "time"),
        (dict(instances="0", per_source="0", only_from="127.0.0.9"), "service_limit"),
        (dict(per_source="0", only_from="127.0.0.9"), "per_source_limit"),
    ]
    ps = ports(len(combos) + 1)
    xd.boot(logdefaults(xd), *[cat("s%d" % i, p, **c) for i, (p, (c, _)) in enumerate(zip(ps, combos))],
            cat("plain", ps[-1], only_from="127.0.0.9"), up=ps)
    for p in ps[:-1]:
        assert talk(p, b"x") == b""
    xd.wait_log("^FAIL", 4)
    assert xd.log() == ["FAIL: s%d %s from=127.0.0.1" % (i, w) for i, (_, w) in enumerate(combos)]


@covers("ACC-1", "CPS-3")
def test_cps_comes_before_load(xd):
    a = free_port()
    xd.boot(logdefaults(xd), cat("a", a, cps="1 30", max_load="-1"), up=[a])
    come_too_often(a)
    xd.wait_log("^FAIL: a connections per second")
    *before, last = [l.split(" ", 2)[2] for l in xd.log()]
    assert set(before) == {"load from=127.0.0.1"} and last == "connections per second from=127.0.0.1"


@covers("LIM-1", "LIM-6", "LOG-4", "ATTR-8")
def test_instances(xd, ports):
    a, b = ports(2)
    xd.boot(logdefaults(xd), cat("a", a, instances="2"), cat("z", b, instances="0"), up=[a, b])
    cs = [session(a) for _ in range(2)]
    assert talk(a, b"x") == b"" and talk(a, b"x", src="127.0.0.2") == b""
    assert talk(b, b"x") == b""
    assert xd.wait_log("^FAIL", 3) == ["FAIL: a service_limit from=127.0.0.1",
                                       "FAIL: a service_limit from=127.0.0.2",
                                       "FAIL: z service_limit from=127.0.0.1"]
    cs.pop().close()
    xd.wait_log("^EXIT: a")
    assert wait_until(lambda: talk(a, b"x") == b"x")        # who counts may hear of it after who logs


@covers("LIM-2")
def test_instances_do_not_limit_non_forking_services(xd):
    a = free_port()
    xd.boot(internal("time", a, instances="1"), up=[a])
    assert all(len(talk(a)) == 4 for _ in range(5))


@covers("LIM-3", "BIND-11")
@sandbox
def test_per_source_on_dual_stack(xd):
    a = free_port()
    xd.boot(cat("a", a, bind=None, per_source="1"), up=[a])
    s = session(a)
    assert talk(a, b"x") == b""
    assert talk(a, b"x", src="127.0.0.2") == b"x"
    assert talk(a, b"x", addr="::1") == b"x"
    s.close()


@covers("LIM-4", "ATTR-31")
def test_max_load(xd, ports):
    a, b = ports(2)
    xd.boot(logdefaults(xd), cat("a", a, max_load="-1"), cat("b", b, max_load="100000.5"), up=[a, b])
    assert talk(a, b"x") == b"" and talk(b, b"x") == b"x"
    xd.wait_log("^FAIL: a load from=127.0.0.1$")
    xd.wait_dlog("excessive load")


# ---------------------------------------------------------------- cps

@covers("CPS-4")
def test_cps_zero_is_unlimited(xd):
    a = free_port()
    xd.boot(internal("time", a, cps="0 5"), up=[a])
    assert all(len(talk(a)) == 4 for _ in range(120))


@covers("CPS-7")
def test_cps_stop_keeps_running_servers_and_survives_reload(xd):
    a = free_port()
    xd.boot(cat("a", a, cps="2 4"), up=[a])
    s = session(a)
    come_too_often(a)
    s.sendall(b"2")
    assert s.recv(1) == b"2"
    xd.reload(cat("a", a, cps="2 4"))
    assert not listening(a)
    assert wait_until(lambda: listening(a))
    s.close()


@covers("CPS-5")
@bug
def test_cps_restart_keeps_the_instance_count(xd):
    a = free_port()
    xd.boot(logdefaults(xd), cat("a", a, cps="2 1", instances="2"), up=[a])
    early_in_a_second()
    cs = [session(a) for _ in range(2)]
    attempt(a, b"x")
    xd.wait_closed(a)
    assert wait_until(lambda: listening(a))
    time.sleep(1.5)                     # a new cps window: time is the subject
    assert talk(a, b"x") == b""
    xd.wait_log("^FAIL: a service_limit")
    for s in cs:
        s.close()


# ---------------------------------------------------------------- access_times

@covers("TIME-1", "ATTR-14", "LOG-4")
def test_access_times(xd, ports):
    def fm(m):
        return "%d:%02d" % divmod(m, 60)
    while time.gmtime().tm_sec > 45:
        time.sleep(0.5)                                 # not just before the next minute: the clock is the subject
    now = time.gmtime()
    m = 12 * 60 + now.tm_min                            # in a zone where it is noon now
    noon = dict(os.environ, TZ="NOON%+d" % (now.tm_hour - 12))
    rules = [("%s-%s" % (fm(m - 5), fm(m + 5)), True), ("%s-%s" % (fm(m), fm(m + 1)), True),
             ("%s-%s" % (fm(m - 1), fm(m)), True), ("%s-%s" % (fm(m + 2), fm(m + 3)), False),
             ("%s-%s" % (fm(m - 3), fm(m - 2)), False), ("0:00-0:01 %s-23:59" % fm(m - 1), True), ("0:00-23:59", True)]
    ps = ports(len(rules))
    xd.boot(logdefaults(xd), *[cat("s%d" % i, p, access_times=r[0]) for i, (p, r) in enumerate(zip(ps, rules))], up=ps, env=noon)
    assert [talk(p, b"x") == b"x" for p in ps] == [r[1] for r in rules]
    xd.wait_log("^FAIL: s3 time from=127.0.0.1$")


# ---------------------------------------------------------------- wait services and parent checks

@covers("ACC-6")
@bug
@pytest.mark.parametrize("kind", ["dgram", "stream"])
def test_wait_service_recovers_from_a_parent_refusal(xd, ports, kind):
    a, b = ports(2)
    if kind == "dgram":
        w = service("w", b, server=xd.script("u", pyscript(UDP_ONCE)), socket_type="dgram", protocol="udp", wait="yes")
        ask = lambda: udp_ask(b, b"1", timeout=0.6)
    else:
        w = service("w", b, server=xd.script("t", pyscript(TCP_ACCEPT)), wait="yes")
        ask = lambda: attempt(b, b"", timeout=0.6)
    xd.boot(logdefaults(xd), cat("a", a), w, args=["-limit", "1"], up=[a])
    s = connect(a)
    s.sendall(b"1")
    s.recv(1)
    ask()
    xd.wait_log("^FAIL: w process_limit")
    s.close()
    xd.wait_log("^EXIT: a")
    assert wait_until(ask)
