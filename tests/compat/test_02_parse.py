"""Configuration grammar, include, includedir, defaults merging, checks."""
import os
import resource

import pytest

from harness import *

covers = pytest.mark.covers
bug = pytest.mark.bug_in_original


def edited(old, new):
    """Entry `a` with one textual change."""
    def f(port):
        t = cat("a", port)
        assert old in t, (old, t)
        return t.replace(old, new)
    return f


CASES = [
    # title, ids, make(port) -> text of entry "a", comes up?
    ("comment-and-blank-lines", ["PARSE-2"], lambda p: "# c\n\n   # d\n" + cat("a", p).replace("{", "# x\n\n{\n \t\n  # y"), True),
    ("comment-before-brace", ["PARSE-2"], edited("service a\n{", "service a\n# c\n\n{"), True),
    ("no-space-after-operator", ["PARSE-9"], edited("wait = no", "wait =no"), True),
    ("many-blanks", ["PARSE-9", "PARSE-4"], edited("wait = no", " \t wait \t = \t  no \t "), True),
    ("no-space-before-operator", ["PARSE-9", "PARSE-10"], edited("wait = no", "wait= no"), False),
    ("no-space-around-operator", ["PARSE-9", "PARSE-10"], edited("wait = no", "wait=no"), False),
    ("unknown-operator", ["PARSE-9", "PARSE-10"], edited("wait = no", "wait *= no"), False),
    ("split-operator", ["PARSE-9", "PARSE-10"], edited("wait = no", "wait + = no"), False),
    ("colon-operator", ["PARSE-9", "PARSE-10"], edited("wait = no", "wait : no"), False),
    ("brace-on-header-line", ["PARSE-7"], edited("service a\n{", "service a {"), False),
    ("brace-with-comment", ["PARSE-7"], edited("\n{", "\n{ # x"), False),
    ("brace-indented", ["PARSE-7", "PARSE-8"], lambda p: cat("a", p).replace("\n{", "\n \t{ ").replace("\n}", "\n\t } "), True),
    ("header-indented", ["PARSE-6"], lambda p: "\t " + cat("a", p), True),
    ("extra-words-in-header", ["PARSE-6"], edited("service a", "service a and more"), True),
    ("header-without-name", ["PARSE-21"], edited("service a", "service"), False),
    ("missing-open-brace", ["PARSE-7"], edited("\n{", ""), False),
    ("keywords-any-case", ["PARSE-6", "PARSE-27"], lambda p: cat("a", p).replace("service", "SERVICE").replace(
        "socket_type = stream", "Socket_Type = STREAM").replace("wait = no", "WAIT = No").replace("UNLISTED", "unlisted"), True),
    ("unknown-attribute", ["PARSE-12"], lambda p: cat("a", p, frobnicate="yes"), True),
    ("mdns", ["ATTR-41"], lambda p: cat("a", p, mdns="no"), True),
    ("attribute-twice", ["PARSE-15"], lambda p: cat("a", p, wait=["no", "yes"]), True),
    ("plus-on-scalar", ["PARSE-16"], lambda p: cat("a", p, instances="+= 0"), True),
    ("minus-on-scalar", ["PARSE-16"], lambda p: cat("a", p, server_args="-= 3"), True),
    ("only-plus-on-required-scalar", ["PARSE-16", "CHK-2"], lambda p: cat("a", p, wait="+= no"), False),
    ("too-many-values-required", ["PARSE-13", "PARSE-3", "CHK-2"], edited("wait = no", "wait = no # comment"), False),
    ("too-many-values-optional", ["PARSE-13", "PARSE-3"], lambda p: cat("a", p, nice="5 # five"), True),
    ("no-value-optional", ["PARSE-13", "ATTR-39"], lambda p: cat("a", p, nice=""), True),
    ("no-value-required", ["PARSE-13", "CHK-2"], lambda p: cat("a", p, user=""), False),
    ("bad-value", ["PARSE-17"], lambda p: cat("a", p, wait="maybe"), False),
    ("disable-yes", ["ATTR-30"], lambda p: cat("a", p, disable="yes"), False),
    ("disable-no", ["ATTR-30"], lambda p: cat("a", p, disable="no"), True),
    ("disable-bad", ["ATTR-30"], lambda p: cat("a", p, disable="perhaps"), False),
    ("disable-first-wins-no", ["PARSE-15"], lambda p: cat("a", p, disable=["no", "yes"]), True),
    ("disable-yes-then-garbage", ["PARSE-19"], edited("wait = no", "disable = yes\n\twait= no\n\tfoo bar"), False),
    ("include-inside-entry", ["INC-7", "PARSE-10"], edited("}", "\tinclude /etc/x\n}"), False),
    ("close-brace-missing-at-eof", ["PARSE-23"], None, False),
]


@pytest.mark.parametrize("title,ids,make,good", [
    pytest.param(*c, id=c[0], marks=[covers(*c[1])]) for c in CASES if c[2]])
def test_entry_syntax(xd, title, ids, make, good):
    """Entry `a` in between two good ones: the neighbours always come up."""
    a, b, c = free_port(), free_port(), free_port()
    xd.boot(cat("before", b), make(a), cat("after", c), up=[b, c] + ([a] if good else []),
            down=[] if good else [a])
    if good:
        assert talk(a, b"x") == b"x"


@covers("PARSE-5")
@bug
def test_crlf_line_ends(xd):
    a = free_port()
    xd.boot(cat("a", a).replace("\n", "\r\n"))
    assert wait_until(lambda: listening(a))
    assert talk(a, b"x") == b"x"


@covers("PARSE-8", "PARSE-22")
@pytest.mark.parametrize("edit", [lambda t: t.replace("\n}", "\n} # end"), lambda t: t.replace("}\n", "")],
                         ids=["comment-after-brace", "missing-brace"])
def test_unclosed_entry_takes_the_next_one_with_it(xd, edit):
    a, b, c = free_port(), free_port(), free_port()
    xd.boot(edit(cat("a", a)), cat("b", b), cat("c", c), up=[c], down=[a])


@covers("PARSE-20")
def test_misspelled_entry_is_skipped_as_a_block(xd):
    a, b = free_port(), free_port()
    xd.boot(cat("a", a).replace("service a", "servce a"), cat("b", b), up=[b], down=[a])


@covers("PARSE-11")
@bug
@pytest.mark.parametrize("edit", [
    lambda t: t.replace("wait = no", "foo\nwait = no"),     # next line in column one
    lambda t: t.replace("}", "foo\n}"),                     # last line of the entry
], ids=["unindented-next-line", "before-close"])
def test_word_without_operator_harms_only_its_entry(xd, edit):
    a, b, c = free_port(), free_port(), free_port()
    xd.config(cat("a", a) + edit(cat("b", b)) + cat("c", c))
    xd.start()
    xd.wait_port(a)
    assert wait_until(lambda: listening(c))
    assert not listening(b)


@covers("PARSE-14")
@bug
@pytest.mark.needs_sandbox
def test_bind_with_two_addresses_does_not_listen_everywhere(xd):
    a = free_port()
    xd.boot(cat("a", a, bind="127.0.0.1 127.0.0.2"))
    assert not any(addr in ("::", "0.0.0.0") for fam, addr in listeners(a))


@covers("PARSE-18")
@bug
@pytest.mark.parametrize("how", ["disable-no", "enabled"])
def test_broken_service_stays_disabled(xd, how):
    a = free_port()
    if how == "disable-no":
        xd.boot(cat("a", a, no_access="127.0.0.1 127.0.0.{x}", disable="no"))
    else:
        xd.boot(defaults(enabled="a sentinel"), cat("a", a, no_access="127.0.0.1 127.0.0.{x}"))
    assert not listening(a)


@covers("PARSE-24", "HARD-1")
@pytest.mark.parametrize("offset", [0, 5000])
def test_line_of_8000_bytes(xd, offset):
    a = free_port()
    line = "\tonly_from = 127.0.0.1 " + "10.0.0.1 " * 880
    xd.boot("#" + "z" * 98 + "\n" * 1 + ("#" + "z" * 98 + "\n") * (offset // 100),
            cat("a", a).replace("}", line[:8000] + "\n}"), up=[a])
    assert talk(a, b"x") == b"x"


@covers("PARSE-25")
@bug
def test_line_of_40000_bytes(xd):
    a, b = free_port(), free_port()
    line = "\tonly_from = " + "10.0.0.1 " * 4500 + "127.0.0.1"
    xd.config(cat("a", a).replace("}", line + "\n}") + cat("b", b))
    xd.start(expect=[b])
    assert wait_until(lambda: listening(a))
    assert talk(a, b"x") == b"x"


@covers("PARSE-24")
@pytest.mark.parametrize("size", [4096, 8192, 16384, 24576])
def test_file_size_at_buffer_boundaries(xd, size):
    a = free_port()
    body = cat("a", a).rstrip("\n")
    n = size - len(body)
    pad = ("#" + "y" * 62 + "\n") * (n // 64)
    rest = n - len(pad)
    pad += "\n" * rest
    xd.start(pad + body, expect=[a])


@covers("PARSE-4")
def test_no_quoting(xd):
    a = free_port()
    xd.boot(service("a", a, server="/bin/echo", server_args="\"x y\" 'z' a\\ b $HOME ~ * {1,2}"), up=[a])
    assert talk(a) == b"\"x y\" 'z' a\\ b $HOME ~ * {1,2}\n"


# ---------------------------------------------------------------- include

@covers("INC-2", "INC-3")
def test_includedir_filter(xd, ports):
    names = ["b", "a", "Z", "0", "link", "#x#", "c.conf", ".hidden", "d~", "e.rpmsave"]
    ps = dict(zip(names, ports(len(names))))
    os.makedirs(xd.path("d/dir"))
    for i, (n, p) in enumerate(ps.items()):
        if n == "link":
            xd.write("real", cat("s%d" % i, p))
            os.symlink(xd.path("real"), xd.path("d/link"))
        else:
            xd.write("d/" + n, cat("s%d" % i, p))
    os.symlink("/nonexistent", xd.path("d/dangling"))
    xd.boot("includedir %s\n" % xd.path("d"), up=[ps[n] for n in names[:6]], down=[ps[n] for n in names[6:]])


@covers("INC-1", "INC-4", "PARSE-6")
def test_missing_includes_are_skipped(xd):
    a, b = free_port(), free_port()
    xd.boot("include /no/such/place/x\nincludedir /no/such/place\n", cat("a", a), up=[a])


@covers("INC-1", "PARSE-23")
def test_error_in_included_file_is_contained(xd, ports):
    a, b, c = ports(3)
    xd.write("one", cat("b", b) + cat("a", a).rstrip("}\n"))
    xd.boot("include %s\n" % xd.path("one"), cat("c", c), up=[b, c], down=[a])


@covers("INC-6")
def test_self_include_does_not_kill_the_daemon(xd):
    a = free_port()
    xd.config("include %s\n" % xd.conf + cat("a", a))
    xd.start(preexec=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)))
    xd.wait_port(a)
    assert talk(a, b"x") == b"x"


# ---------------------------------------------------------------- defaults

@covers("DEF-4", "DEF-5", "DEF-15", "ATTR-12")
def test_only_from_merging(xd, ports):
    ps = ports(5)
    src = ["127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.1"]
    xd.boot(defaults(only_from=["127.0.0.2", "127.0.0.3"]),
            cat("a", ps[0]), cat("b", ps[1], only_from="127.0.0.4"), cat("c", ps[2], only_from="+= 127.0.0.4"),
            cat("d", ps[3], only_from="-= 127.0.0.2"), cat("e", ps[4], only_from=["127.0.0.4", "+= 127.0.0.1"]), up=ps)
    got = [[talk(p, b"y", src=s) == b"y" for s in src] for p in ps]
    assert got == [[True, True, False, False], [False, False, True, False], [True, True, True, False],
                   [False, True, False, False], [False, False, True, True]]


@covers("DEF-2", "DEF-5", "DEF-19", "ATTR-8", "ATTR-27", "ATTR-29")
def test_scalar_defaults_and_overrides(xd, ports):
    a, b, c, d = ports(4)
    xd.boot(logdefaults(xd, instances="0", per_source="0"),
            cat("a", a), cat("b", b, instances="UNLIMITED"), cat("c", c, instances="unlimited", per_source="UNLIMITED"),
            cat("d", d, instances="3", per_source="1"), up=[a, b, c, d])
    for p in (a, b):
        assert talk(p, b"x") == b""
    for p in (c, d):
        assert talk(p, b"x") == b"x"
    xd.wait_log("^FAIL", 2)
    fails = [l for l in xd.log() if l.startswith("FAIL")]
    assert fails == ["FAIL: a service_limit from=127.0.0.1", "FAIL: b per_source_limit from=127.0.0.1"]


@covers("DEF-2", "ATTR-36", "ATTR-28", "ATTR-26")
@pytest.mark.needs_root
def test_umask_groups_bind_defaults(xd, ports):
    a, b, c = ports(3)
    um = xd.script("um", "#!/bin/sh\numask\n")
    xd.boot(defaults(umask="077", groups="yes", bind="127.0.0.3"),
            service("a", a, bind=None, server=um), service("b", b, bind="127.0.0.1", server=um, umask="027"),
            service("c", c, user="games", group="daemon", server="/usr/bin/id"), up=[a, b, c])
    assert talk(a, addr="127.0.0.3") == b"0077\n"
    assert refused(a)
    assert talk(b) == b"0027\n"
    assert b"60(games)" in talk(c)


@covers("DEF-6")
@bug
def test_bad_value_in_defaults_gives_nonzero_status(xd):
    xd.start("defaults\n{\n\tinstances = lots\n}\n" + cat("a", free_port()))
    assert xd.wait_exit() != 0


@covers("DEF-9")
def test_log_type_twice_in_defaults_is_an_error(xd):
    xd.start(logdefaults(xd).replace("}", "\tlog_type = SYSLOG daemon\n}") + cat("a", free_port()))
    xd.wait_exit()


@covers("DEF-11", "PARSE-13")
def test_wrong_count_in_defaults_is_ignored(xd):
    a = free_port()
    xd.boot(defaults(instances="0 0", cps="3"), cat("a", a), up=[a])
    assert talk(a, b"x") == b"x"


@covers("DEF-10")
def test_late_defaults_scalars_reach_earlier_services(xd):
    a = free_port()
    xd.boot(cat("a", a), logdefaults(xd, log_on_success="PID", instances="0"), up=[a])
    assert talk(a, b"x") == b""
    xd.wait_log("^FAIL: a service_limit")


# ---------------------------------------------------------------- checks

@covers("CHK-2", "CHK-3", "CHK-19", "ATTR-1", "ATTR-2", "ATTR-3", "PORT-3", "PORT-4", "PARSE-17")
@pytest.mark.parametrize("kw,good", [
    (dict(user=None), False), (dict(wait=None), False), (dict(server=None), False),
    (dict(socket_type=None), True), (dict(protocol=None), True), (dict(socket_type=None, protocol=None), False),
    (dict(port=None), False), (dict(server="/nonexistent"), False), (dict(server="/etc/passwd"), False),
    (dict(user="no-such-user"), False), (dict(group="no-such-group"), False), (dict(group=None), True),
    (dict(protocol="tcp6"), False), (dict(socket_type="weird"), False), (dict(protocol="udp"), False),
    (dict(socket_type="dgram", protocol="tcp", wait="yes"), False),
    (dict(port="70000"), False), (dict(port="http"), False),
    (dict(port="-1"), False),
], ids=str)
def test_required_attributes(xd, kw, good):
    a = free_port()
    d = dict(type="UNLISTED", port=a, server="/bin/cat")
    d.update(kw)
    p = d.pop("port")
    text = service("a", **d)
    if p is not None:
        text = text.replace("{", "{\n\tport = %s" % p, 1)
    xd.boot(text, up=[a] if good else [], down=[] if good else [a])


@covers("ATTR-8", "ATTR-14", "ATTR-22", "ATTR-23", "ATTR-27", "ATTR-28", "ATTR-29", "ATTR-31", "ATTR-32", "ATTR-33",
        "ATTR-34", "ATTR-35", "ATTR-36", "ATTR-39", "ATTR-43", "ATTR-44", "ATTR-51", "NUM-2", "TIME-1", "TIME-2")
@pytest.mark.parametrize("attr,value,good", [
    ("instances", "-1", False), ("instances", "x", False), ("instances", "5x", False), ("instances", "+5", True),
    ("per_source", "-1", False), ("per_source", "UNLIMITED", True),
    ("cps", "5 x", False), ("cps", "x 5", False), ("cps", "5 5", True), ("cps", "0 0", True), ("cps", "5", True),
    ("max_load", "0", False), ("max_load", "x", False), ("max_load", "2.5", True),
    ("nice", "x", False), ("nice", "+3", True), ("groups", "maybe", False),
    ("umask", "022", True), ("umask", "1000", False), ("umask", "8", False), ("umask", "0777", True),
    ("deny_time", "5", True), ("deny_time", "NEVER", True), ("deny_time", "FOREVER", True), ("deny_time", "5m", False),
    ("v6only", "maybe", False),
    ("rlimit_as", "100M", True), ("rlimit_as", "1024k", True), ("rlimit_as", "10G", False), ("rlimit_as", "UNLIMITED", True),
    ("rlimit_cpu", "10", True), ("rlimit_cpu", "5K", False), ("rlimit_files", "100", True),
    ("flags", "", False), ("flags", "NOSUCHFLAG", False), ("flags", "reuse nodelay KEEPALIVE", True),
    ("type", "", False), ("type", "NOSUCHTYPE UNLISTED", False),
    ("server_args", "", False), ("env", "", True), ("env", "NOEQUALS", False), ("env", "-= A=b", False),
    ("passenv", "", True), ("passenv", "NO_SUCH_VARIABLE_X", True), ("only_from", "", True), ("no_access", "", True),
    ("log_on_success", "", True), ("log_on_success", "FOO", False), ("log_on_failure", "FOO", False),
    ("log_type", "", False), ("log_type", "SYSLOG", False), ("log_type", "SYSLOG nosuch", False),
    ("log_type", "SYSLOG daemon nosuch", False), ("log_type", "SYSLOG daemon info", True),
    ("log_type", "syslog LOCAL3 Warning", True), ("log_type", "FILE", False), ("log_type", "FILE /dev/null x", False),
    ("log_type", "FILE /dev/null 600 300", False), ("log_type", "FILE /dev/null 1 2 3", False),
    ("log_type", "PIPE /dev/null", False), ("log_type", "FILE /nonexistent/dir/log", False),
    ("access_times", "", False), ("access_times", "5:00-4:00", False),
    ("access_times", "5:00-5:00", False), ("access_times", "5-6", False), ("access_times", "1:60-2:00", False),
    ("access_times", "00:00-23:59", True), ("access_times", "0:0-9:5 10:00-11:00", True),
    ("redirect", "127.0.0.1", True), ("redirect", "no.such.host.invalid 80", False), ("redirect", "127.0.0.1 nosuchsvc", False),
    ("redirect", "127.0.0.1 70000", False),
    ("rpc_version", "3-2", False), ("rpc_version", "x", False), ("rpc_number", "x", False),
    ("bind", "no.such.host.invalid", False), ("bind", "127.0.0.999", False),
    ("port", "0", True),
], ids=lambda v: str(v).replace("/", "_") or "empty")
def test_attribute_values(xd, attr, value, good):
    a = free_port()
    if attr == "port":
        xd.boot(cat("a", a).replace("port = %d" % a, "port = %s" % value), up=[])
        return
    kw = {attr: value}
    if attr == "type":
        text = cat("a", a).replace("type = UNLISTED", "type = " + value)
    else:
        text = cat("a", a, **kw)
    xd.boot(text, up=[a] if good else [], down=[] if good else [a])


@covers("CHK-4", "CHK-5", "BIND-8")
def test_duplicates(xd, ports):
    a, b, c, d = ports(4)
    xd.boot(cat("a", a), cat("a", b),                                            # same id, other port
            service("b", c, server="/bin/echo", server_args="one"),
            service("c", c, server="/bin/echo", server_args="two"),              # same port, other id
            service("d", d, server="/bin/echo", server_args="one"),
            service("d", d, server="/bin/echo", server_args="two"),
            service("e", d, bind="127.0.0.2", server="/bin/echo", server_args="three"), up=[a, b, c, d])
    assert talk(c) == b"one\n" and talk(d) == b"one\n" and talk(d, addr="127.0.0.2") == b"three\n"


@covers("CHK-6")
@bug
@pytest.mark.needs_sandbox
def test_duplicate_udp_services_without_bind(xd):
    a = free_port()
    kw = dict(socket_type="dgram", protocol="udp", wait="yes", bind=None)
    xd.boot(cat("a", a, **kw), cat("b", a, **kw), up=[("udp", a)])
    assert sum(1 for x in sockets("udp") if x[2] == a) == 1


# ---------------------------------------------------------------- /etc/services

@covers("PORT-1", "PORT-2", "PORT-3", "CHK-18", "ATTR-20")
@pytest.mark.needs_sandbox
def test_listed_services(xd, ports, etc):
    t, u, other = ports(3)
    etc("services", "test-svc %d/tcp test-alias\ntest-svc %d/udp\n" % (t, u), append=True)

    def listed(name, **kw):
        port = kw.pop("port", None)
        text = service(name, server="/bin/cat", **kw)
        return text.replace("{", "{\n\tport = %d" % port, 1) if port else text
    xd.boot(listed("test-svc"), listed("test-svc", socket_type="dgram", protocol="udp", wait="yes"),
            up=[t, ("udp", u)])
    xd.reload(listed("test-alias", id="x"), up=[t])
    xd.reload(listed("test-svc", port=other, id="y"), down=[t, other])
    xd.reload(listed("test-svc", port=t, id="z"), up=[t])
    xd.reload(listed("test-nosuch", port=other, id="v"), down=[t, other])
    xd.reload(listed("test-nosuch", port=other, id="w", type="UNLISTED"), up=[other])
    xd.reload(listed("test-svc", protocol=None, id="u"), up=[t])
