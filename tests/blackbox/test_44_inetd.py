"""`-inetd_compat` from outside: what is served, what a reload does, and how it is checked."""
import json
import os
import pwd
import re
import subprocess

import pytest

from harness import *

covers = pytest.mark.covers
sandbox = pytest.mark.needs_sandbox

SAY = "/bin/echo echo"

# Each with the name of a service of its own, which is in services(5) for tcp and udp.
LINES = [
    "@ stream tcp nowait root /bin/echo echo", "  @\tstream\ttcp nowait games.daemon\t/usr/bin/id id", "@ STREAM tcp NOWAIT root /bin/echo echo x # y",
    "@ stream tcp nowait.40 root /bin/echo echo", "@ stream tcp nowait/40 root /bin/echo echo", "@ stream tcp maybe root /bin/echo echo",
    "@ stream tcp nowait nobdy /bin/echo echo", "@ stream tcp nowait 0 /bin/echo echo", "@ stream tcp nowait root:daemon /bin/echo echo",
    "@ stream tcp nowait root.nogrp /bin/echo echo", "@ stream tcp nowait root. /bin/echo echo", "@ stream tcp nowait .root /bin/echo echo",
    "@ stream tcp nowait root.daemon.x /bin/echo echo", "@ stream tcp6 nowait root /bin/echo echo", "@ stream TCP nowait root /bin/echo echo",
    "@ rdm tcp nowait root /bin/echo echo", "x@ stream tcp nowait root /bin/echo echo", "127.0.0.1:@ stream tcp nowait root /bin/echo echo",
    "@ stream tcp nowait root /nonexistent x", "@ stream tcp nowait root internal", "#@ stream tcp nowait root /bin/echo echo",
    "@", "@ stream tcp", "@ stream tcp nowait", "@ stream tcp nowait root", "@/2 stream tcp nowait root /bin/echo echo",
    "@/2 stream rpc/tcp nowait root /bin/echo echo", "@ stream tcp nowait root /bin/echo", "@ stream tcp nowait root bin/echo echo",
]


@pytest.fixture
def names(etc, ports):
    """Ports of the services line0, line1, ..."""
    found = ports(len(LINES))
    etc("services", "".join("line%d %d/tcp\n" % (i, p) for i, p in enumerate(found)), append=True)
    return found


@covers("INETD-1", "INETD-2", "INETD-3", "INETD-5", "INETD-8")
@sandbox
def test_line_by_line_it_serves_what_the_original_serves(beside, etc, names):
    etc("inetd.conf", "".join(line.replace("@", "line%d" % i) + "\n" for i, line in enumerate(LINES)))
    found = []
    for xd in beside:
        xd.boot(args=["-inetd_compat"])
        found.append([talk(p) if listening(p) else None for p in names])
        xd.stop()
    ours, theirs = found
    assert ours == theirs
    assert ours[0] == b"\n" and ours[2] == b"x # y\n" and ours.count(None) > 10


@covers("INETD-6", "RELOAD-1")
@sandbox
def test_a_reload_reads_the_file_again(xd, etc, names):
    a, b = names[:2]
    etc("inetd.conf", "line0 stream tcp nowait root %s old\n" % SAY)
    xd.boot(args=["-inetd_compat"], up=[a], down=[b])
    etc("inetd.conf", "line0 stream tcp nowait root %s new\nline1 stream tcp nowait root %s\n" % (SAY, SAY))
    xd.reload(up=[a, b])
    assert talk(a) == b"new\n"
    etc("inetd.conf", "line1 stream tcp nowait root %s\n" % SAY)
    xd.reload(up=[b])
    xd.wait_closed(a)


@covers("INETD-7", "RELOAD-4")
@sandbox
def test_a_line_that_lost_its_end_keeps_its_service_over_a_reload(xd, etc, names):
    a, b = names[:2]
    etc("inetd.conf", "line0 stream tcp nowait root %s old\n" % SAY)
    xd.boot(args=["-inetd_compat"], up=[a])
    etc("inetd.conf", "line0 stream\nline1 stream tcp nowait root %s new\n" % SAY)
    xd.reload(up=[a, b])
    assert (talk(a), talk(b)) == (b"old\n", b"new\n")
    xd.wait_dlog(r"the line of `line0` has no protocol; it is left out .*\[file=/etc/inetd.conf\] \[line=1\]")


@covers("CLI-14")
@sandbox
def test_without_the_file_the_daemon_starts_and_check_says_so(xd, names):
    xd.boot(args=["-inetd_compat"])
    xd.wait_dlog(": there is no /etc/inetd.conf")
    r = subprocess.run([BIN, "-t", "-inetd_compat", "-f", xd.conf], capture_output=True, timeout=60)
    assert r.returncode == 0 and b"note: there is no /etc/inetd.conf: only xinetd.conf is read" in r.stderr


@covers("CLI-14")
@sandbox
def test_t_checks_both_files(xd, etc, names):
    xd.config(cat("a", free_port()))
    etc("inetd.conf", "line0 stream tcp nowait root %s\nline1 stream tcp nowait nobdy %s\n" % (SAY, SAY))
    t = lambda *args: subprocess.run([BIN, "-t", "-f", xd.conf, *args], capture_output=True, timeout=60)
    assert t().returncode == 0
    r = t("-inetd_compat")
    assert r.returncode == 1
    assert b"/etc/inetd.conf:2:25: error: there is no user `nobdy`" in r.stderr
    assert b"1 error in 2 files; 2 services would start, 1 left out" in r.stderr


def ctl(*args):
    r = subprocess.run([CTL, *args], stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    return r.returncode, r.stdout.decode(), r.stderr.decode()


@pytest.fixture
def tree(xd):
    """pop3 and imap4 are known by name wherever it runs."""
    xd.config(logdefaults(xd, only_from="192.0.2.0/24"))
    me = pwd.getpwuid(os.geteuid()).pw_name
    xd.inetd = xd.write("inetd.conf", "pop3 stream tcp nowait %s /bin/cat cat -u\nimap4 stream tcp nowait.40 %s /bin/cat cat\n" % (me, me))
    return xd


@covers("INETD-2", "INETD-4")
def test_check_reads_the_file_it_is_told_to(tree):
    code, out, _ = ctl("check", "--format", "short", "--inetd-compat=" + tree.inetd, "--legacy", tree.conf)
    lines = out.splitlines()
    assert code == 0
    assert lines[0].startswith("%s:2:18: warning: `nowait.40` is taken as `nowait`: the limit of 40 is NOT in force" % tree.inetd)
    assert [l for l in lines if "does not apply `only_from` of `defaults` here (INETD-4)" in l]
    assert ctl("check", "--format", "short", tree.conf) == (0, "", "")
    summary = json.loads(ctl("check", "--format", "json", "--inetd-compat=" + tree.inetd, tree.conf)[1])["summary"]
    assert (summary["services"], summary["files"], summary["not_in_force"]) == (2, 2, 1)


def test_explain_and_dump_name_its_lines(tree):
    code, out, _ = ctl("explain", "pop3", "-f", tree.conf, "--inetd-compat=" + tree.inetd)
    assert code == 0 and out.startswith("pop3, %s:1\n" % tree.inetd)
    assert re.search(r"(?m)^  server_args +. -u +%s:1$" % re.escape(tree.inetd), out)
    assert ctl("explain", "pop3", "-f", tree.conf)[0] == 1
    missing = ctl("dump", "--inetd-compat=" + tree.path("nothing"), tree.conf)
    assert (missing[0], json.loads(missing[1])["files"]) == (0, [tree.conf])
    services = json.loads(ctl("dump", "--inetd-compat=" + tree.inetd, tree.conf)[1])["services"]
    assert [(s["id"], s["state"], s["at"]["line"]) for s in services] == [("pop3", "starts", 1), ("imap4", "starts", 2)]
    assert services[0]["attributes"]["user"]["from"] == [{"file": tree.inetd, "line": 1, "column": 24, "defaults": False}]
