"""Real augtool edits our files, our checker takes what it writes, and an overlay is not in its way."""
import os
import shutil
import subprocess

import pytest

from harness import *

AUGTOOL = shutil.which("augtool") or "/usr/bin/augtool"
pytestmark = pytest.mark.skipif(not os.access(AUGTOOL, os.X_OK), reason="augtool is not installed (Debian's package augeas-tools)")


@pytest.fixture
def tree(xd, ports):
    """A root with etc/xinetd.conf and etc/xinetd.d, as Augeas looks for them."""
    xd.root = xd.path("root")
    xd.d = os.path.join(xd.root, "etc/xinetd.d")
    os.makedirs(xd.d)
    xd.main = os.path.join(xd.root, "etc/xinetd.conf")
    xd.pa, xd.pb = ports(2)
    write(xd.main, "# The main file.\ndefaults\n{\n\tlog_type\t= SYSLOG daemon info\n\tinstances\t= 60\n}\n\nincludedir %s\n" % xd.d)
    write(os.path.join(xd.d, "a"), "# What a is for.\n" + cat("a", xd.pa))
    return xd


def aug(xd, *commands):
    """Runs `commands`, saves, and returns what it says about them and about files that it cannot read."""
    script = xd.write("commands", "\n".join(commands + ("save", "match /augeas/files//error", "")))
    r = subprocess.run([AUGTOOL, "-r", xd.root, "-f", script], stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, cwd="/")
    assert r.returncode == 0, r.stdout.decode()
    return r.stdout.decode()


def edit(xd, *commands):
    out = aug(xd, *commands)
    assert "Saved 1 file(s)" in out and "/augeas" not in out, out


def check(xd, *args):
    r = subprocess.run([CTL, "check", "--strict", *args, xd.main], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, timeout=60, cwd="/")
    assert r.returncode == 0, r.stdout.decode() + r.stderr.decode()
    return r.stdout.decode()


def text(xd, name):
    with open(os.path.join(xd.d, name)) as f:
        return f.read()


A = "/files/etc/xinetd.d/a/service"
B = "/files/etc/xinetd.d/b/service"


def test_what_augtool_sets_and_adds_is_accepted(tree):
    before = text(tree, "a")
    edit(tree,
         "set %s/only_from/value[1] 10.0.0.0/8" % A, "set %s/only_from/value[2] 192.0.2.1" % A,
         "set %s/log_on_success/value[1] HOST" % A, "clear %s/log_on_success/add" % A,
         "mv %s/log_on_success/add /files/none" % A, "rm /files/none")
    assert text(tree, "a").startswith(before.rstrip("}\n").rstrip()), "nothing else is touched"
    assert "only_from = 10.0.0.0/8 192.0.2.1\n" in text(tree, "a")
    assert "1 service would start" in check(tree)
    edit(tree, "set %s/disable yes" % A)
    assert "disable = yes" in text(tree, "a") and "1 switched off" in check(tree)


def test_a_service_that_augtool_writes_is_accepted(tree):
    edit(tree, "set %s b" % B, "set %s/type/value UNLISTED" % B, "set %s/port %d" % (B, tree.pb),
         "set %s/socket_type stream" % B, "set %s/wait no" % B, "set %s/user %s" % (B, ME),
         "set %s/server /bin/cat" % B, "set %s/server_args/value[1] -u" % B,
         "set %s/cps/value[1] 25" % B, "set %s/cps/value[2] 30" % B, "set %s/instances 5" % B,
         "set %s/no_access/value 192.0.2.66" % B)
    assert text(tree, "b").startswith("service b\n{\n")
    out = check(tree, "--portable")
    assert "no mistakes" in out and "2 services would start" in out


def test_defaults_that_augtool_writes_are_accepted(tree):
    D = "/files/etc/xinetd.conf/defaults"
    edit(tree, "set %s/per_source 5" % D, "set %s/only_from/value 127.0.0.1" % D, "set %s/mdns no" % D,
         "set %s/disabled/value a" % D)
    with open(tree.main) as f:
        assert "disabled = a\n" in f.read()
    r = subprocess.run([CTL, "check", "--strict", tree.main], stdout=subprocess.PIPE, timeout=60, cwd="/")
    assert (r.returncode, b"warning" in r.stdout) == (0, False) and b"1 switched off" in r.stdout


def test_what_we_switch_augtool_reads(tree):
    for verb, value in (("disable", "yes"), ("enable", "no")):
        assert subprocess.run([CTL, verb, "-f", tree.main, "a"], stdout=subprocess.DEVNULL, timeout=60).returncode == 0
        out = aug(tree, "print %s/disable" % A)
        assert '%s/disable = "%s"' % (A, value) in out and "/augeas" not in out, out


def test_what_an_overlay_says_is_no_concern_of_augtool(tree):
    local = "service a\n{\n\tinstances\t= 5\n\tfrobnicate\t= yes\n}\n"
    write(os.path.join(tree.d, "a.local"), local)
    out = aug(tree, "set %s/nice 5" % A)
    assert "Saved 1 file(s)" in out and "nice = 5\n" in text(tree, "a")
    assert re.findall("/augeas/files(.*)/error", out) == ["/etc/xinetd.d/a.local"], "of itself alone"
    assert text(tree, "a.local") == local
    page = subprocess.run([CTL, "explain", "-f", tree.main, "a"], stdout=subprocess.PIPE, timeout=60).stdout.decode()
    assert re.search(r"nice +=? *= 5 +%s" % re.escape(os.path.join(tree.d, "a:")), page)
    assert re.search(r"instances +=? *= 5 +%s" % re.escape(os.path.join(tree.d, "a.local:3")), page)


def test_the_same_line_in_the_file_itself_hides_it_from_augtool(tree):
    write(os.path.join(tree.d, "a"), text(tree, "a").replace("{\n", "{\n\tfrobnicate\t= yes\n"))
    out = aug(tree, "match %s" % A)
    assert "/augeas/files/etc/xinetd.d/a/error" in out and "(no matches)" in out
