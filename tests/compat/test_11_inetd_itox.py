"""-inetd_compat, and the filters itox and xconv.pl."""
import os
import subprocess
import time

import pytest

import harness
from harness import *

covers = pytest.mark.covers
bug = pytest.mark.bug_in_original
sandbox = pytest.mark.needs_sandbox


@pytest.fixture
def inetd(xd, etc, ports):
    """start(lines, config): names oin0.. are in /etc/services."""
    ps = ports(8)
    etc("services", "".join("oin%d %d/%s\n" % (i, p, "udp" if i == 7 else "tcp") for i, p in enumerate(ps)), append=True)

    def start(lines, *config, **kw):
        etc("inetd.conf", lines)
        xd.boot(*config, args=kw.pop("args", ["-inetd_compat"]), **kw)
        return ps
    start.ports = ps
    return start


@covers("INETD-1", "INETD-2", "INETD-3", "INETD-8", "CLI-14")
@sandbox
def test_inetd_conf(xd, inetd):
    P = inetd.ports
    inetd("""# comment
oin0 stream tcp nowait root /bin/cat other /proc/self/cmdline
oin1\tstream\ttcp\tnowait\tgames.daemon\t/usr/bin/id id
oin2 stream tcp nowait.40 root /bin/cat cat
oin3 stream tcp nowait no-such-user /bin/cat cat
oin4 stream tcp6 nowait root /bin/cat cat
oin5 stream tcp nowait root:daemon /bin/cat cat
no-such-service stream tcp nowait root /bin/cat cat
oin6 stream tcp nowait root /nonexistent x
oin7 dgram udp wait root %s u
""" % xd.script("u", pyscript(UDP_ONCE)), up=[P[0], P[1], P[2], P[6], ("udp", P[7])], down=[P[3], P[4], P[5]])
    assert talk(P[0]) == b"other\0/proc/self/cmdline\0"
    assert b"uid=5(games) gid=1(daemon)" in talk(P[1]) and b"60(games)" in talk(P[1])
    assert talk(P[2], b"x") == b"x"
    assert talk(P[6], b"x") == b""
    assert udp_ask(P[7], b"hi").endswith(b"|hi")


@covers("CLI-14")
@sandbox
def test_inetd_conf_is_ignored_without_the_option(xd, inetd):
    inetd("oin0 stream tcp nowait root /bin/cat cat\n", args=[], down=[inetd.ports[0]])


@covers("INETD-3", "LOG-2", "LIM-1")
@sandbox
def test_defaults_apply_to_inetd_services(xd, inetd, etc):
    P = inetd.ports
    etc("hosts.deny", "ALL: ALL\n")                     # NOLIBWRAP
    inetd("oin0 stream tcp nowait root /bin/cat cat\n", logdefaults(xd, instances="1", bind="127.0.0.1"), up=[P[0]])
    s = connect(P[0])
    s.sendall(b"1")
    assert s.recv(1) == b"1"
    assert talk(P[0], b"x") == b""
    xd.wait_log("^FAIL: oin0 service_limit from=127.0.0.1$")
    s.close()


@covers("INETD-4")
@bug
@sandbox
def test_default_addresses_apply_to_inetd_services(xd, inetd):
    P = inetd.ports
    inetd("oin0 stream tcp nowait root /bin/cat cat\n", defaults(only_from="127.0.0.9", bind="127.0.0.1"), up=[P[0]])
    assert talk(P[0], b"x") == b""


@covers("INETD-5")
@sandbox
def test_inetd_internal_services(xd, inetd):
    inetd("""time stream tcp nowait root internal
time dgram udp wait root internal
daytime stream tcp nowait root internal
echo stream tcp nowait root internal
echo dgram udp wait root internal
""", up=[37, 13, 7, ("udp", 37), ("udp", 7)])
    assert len(talk(37)) == 4 and talk(7, b"x") == b"x" and udp_ask(7, b"y") == b"y" and len(udp_ask(37)) == 4


@covers("INETD-6", "CHK-6")
@sandbox
def test_xinetd_entry_wins(xd, inetd):
    P = inetd.ports
    inetd("oin0 stream tcp nowait root /bin/echo echo inetd\noin1 stream tcp nowait root /bin/echo echo inetd\n",
          service("oin0", bind=None, server="/bin/echo", server_args="xinetd"), up=[P[0], P[1]])
    assert talk(P[0]) == b"xinetd\n" and talk(P[1]) == b"inetd\n"


@covers("INETD-6", "DEF-8")
@sandbox
def test_disabled_list_applies_to_inetd_services(xd, inetd):
    P = inetd.ports
    inetd("oin0 stream tcp nowait root /bin/cat cat\noin1 stream tcp nowait root /bin/cat cat\n",
          defaults(disabled="oin1"), up=[P[0]], down=[P[1]])


@covers("INETD-7")
@bug
@sandbox
def test_short_inetd_line_is_skipped(xd, inetd):
    P = inetd.ports
    xd.config(cat("a", P[5]))
    with open("/etc/inetd.conf", "w") as f:
        f.write("oin0 stream\noin1 stream tcp nowait root /bin/cat cat\n")
    try:
        xd.start(args=["-inetd_compat"])
        assert wait_until(lambda: listening(P[1]))
    finally:
        os.unlink("/etc/inetd.conf")


# ---------------------------------------------------------------- itox

def line(name, value):
    return "\t%-15s = %s\n" % (name, value)


@covers("ITOX-3")
def test_itox_tcpd(itox):
    t = b"talk dgram udp wait root /usr/sbin/tcpd in.talkd\nfinger stream tcp nowait root /usr/sbin/tcpd /opt/fingerd -u\n"
    r = itox(t, "-daemon_dir", "/usr/lib/d/")
    assert r.returncode == 0
    out = r.stdout.decode()
    assert line("server", "/usr/lib/d/in.talkd") in out and line("server", "/opt/fingerd") in out and line("server_args", "-u") in out
    assert itox(t).returncode == 1


@covers("ITOX-4", "ITOX-1")
@pytest.mark.parametrize("text,args,rc", [("", [], 0), ("a b\n", [], 1), ("a stream tcp nowait root /bin/x\n", [], 1),
                                          ("", ["x"], 1), ("", ["-daemon_dir"], 1), ("", ["a", "b", "c"], 1)])
def test_itox_errors(itox, text, args, rc):
    r = itox(text.encode(), *args)
    assert r.returncode == rc
    assert bool(r.stderr) == bool(rc)


# ---------------------------------------------------------------- xconv.pl

@pytest.fixture
def converted(xd, etc, ports, xconv):
    """converted(lines): the daemon serves what xconv.pl makes of them; names are xcv0.. (the last is udp)."""
    found = ports(8)
    etc("services", "".join("xcv%d %d/%s\n" % (i, p, "udp" if i == 7 else "tcp") for i, p in enumerate(found)), append=True)

    def start(lines, **kw):
        r = xconv(lines.encode())
        assert (r.returncode, r.stderr) == (0, b"")
        xd.boot(r.stdout.decode().replace("/var/log/servicelog", xd.svclog), **kw)
        return found
    start.ports = found
    return start


@covers("XCONV-1", "XCONV-2")
@sandbox
def test_xconv_makes_a_whole_file_that_is_served(xd, converted):
    P = converted.ports
    converted("""# comment
xcv0 stream tcp nowait root /bin/cat other /proc/self/cmdline
xcv1\tstream\ttcp\tnowait.40\tgames.daemon\t/usr/bin/id id

xcv2 stream tcp nowait games:daemon /usr/bin/id id\r
  xcv3 stream tcp nowait/40 root /bin/cat cat
xcv4 stream tcp nowait no-such-user /bin/cat cat
xcv5 stream tcp6 nowait root /bin/cat cat
no-such-service stream tcp nowait root /bin/cat cat
xcv7 dgram udp wait root %s u
""" % xd.script("u", pyscript(UDP_ONCE)), up=[*P[:4], ("udp", P[7])], down=P[4:6])
    assert talk(P[0]) == b"other\0/proc/self/cmdline\0"
    assert b"uid=5(games) gid=1(daemon)" in talk(P[1]) and b"uid=5(games) gid=1(daemon)" in talk(P[2])
    assert talk(P[3], b"x") == b"x"
    assert udp_ask(P[7], b"hi").endswith(b"|hi")
    xd.wait_log("^START: xcv3 pid=\\d+ from=(::ffff:)?127.0.0.1$")
    assert not [line for line in xd.log() if line.startswith("EXIT")], "log_on_success = HOST PID"


@covers("XCONV-1", "XCONV-2")
@sandbox
def test_xconv_leaves_tcpd_where_it_is(xd, converted, etc):
    P = converted.ports
    etc("hosts.deny", "ALL: ALL\n")
    etc("hosts.allow", "sentinel: ALL\nid: ALL\nxcv0: ALL\n")
    converted("xcv0 stream tcp nowait games /usr/sbin/tcpd /usr/bin/id\nxcv1 stream tcp nowait games /usr/sbin/tcpd /bin/cat\n", up=P[:2])
    assert b"(games)" in talk(P[0])
    assert talk(P[1], b"x") == b""


@covers("XCONV-5")
@bug
@sandbox
def test_xconv_makes_internal_services_that_are_served(converted):
    converted("daytime stream tcp nowait root internal\necho stream tcp nowait root internal\necho dgram udp wait root internal\n",
              up=[13, 7, ("udp", 7)])
    assert talk(7, b"x") == b"x" and udp_ask(7, b"y") == b"y"


@covers("XCONV-5")
@bug
@sandbox
def test_xconv_serves_a_line_without_arguments(converted):
    P = converted.ports
    converted("xcv0 stream tcp nowait root /bin/cat\n", up=[P[0]])
    assert talk(P[0], b"x") == b"x"


@covers("XCONV-3", "XCONV-4")
@pytest.mark.parametrize("options", [[], ["/nonexistent"], ["--help"], ["-daemon_dir", "/x"]], ids=" ".join)
def test_xconv_names_what_it_leaves_out_and_succeeds(xconv, options):
    good = b"a stream tcp nowait root /bin/cat cat\n"
    r = xconv(good + b"rstatd/1-3 dgram rpc/udp wait root /bin/r r\n" + good, *options)
    assert r.returncode == 0
    assert r.stdout.count(b"\nservice a\n") == 2 and b"rstatd" not in r.stdout
    assert r.stderr.startswith(b"Warning: Service rstatd/1-3 not added")
    assert xconv(good, *options).stderr == b""


@covers("XCONV-4")
def test_xconv_that_cannot_write_says_so():
    program = harness.XCONV or harness.CTL
    with open("/dev/full", "wb") as full:
        r = subprocess.run(["xconv.pl"], executable=program, input=b"", stdout=full, stderr=subprocess.PIPE, timeout=60)
    assert r.returncode == 1 and b"No space left" in r.stderr
