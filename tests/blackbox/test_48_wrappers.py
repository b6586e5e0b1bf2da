"""TCP wrappers: hosts.allow and hosts.deny, read for every client (hosts_access(5))."""
import os
import subprocess

import pytest

from harness import *

covers = pytest.mark.covers
sandbox = pytest.mark.needs_sandbox

SRC = ["127.0.0.1", "127.0.0.5", "127.0.0.6", "127.0.0.20"]


def who(port):
    return "".join("y" if attempt(port, b"x", src=src) == b"x" else "n" for src in SRC)


RULES = [
    ("", "", "yyyy"),
    ("", "ALL: ALL\n", "nnnn"),
    ("cat: 127.0.0.5\n", "ALL: ALL\n", "nynn"),
    ("cat: .example.test\n", "ALL: ALL\n", "nynn"),
    ("cat: five.example.test six.other.test\n", "ALL: ALL\n", "nyyn"),
    ("cat: KNOWN\n", "ALL: ALL\n", "yyyn"),
    ("cat: LOCAL\n", "ALL: ALL\n", "ynnn"),
    ("ALL: ALL EXCEPT .test\n", "cat: ALL\n", "ynny"),
    ("", "cat: UNKNOWN\n", "yyyn"),
    ("", "dog: ALL\n", "yyyy"),
    ("", "cat@127.0.0.1: 127.0.0.5\n", "ynyy"),
    ("cat: 127.0.0.5 : deny\n", "", "ynyy"),
    ("", "cat: 127.0.0.5 : allow\ncat: ALL\n", "nynn"),
]


@covers("WRAP-1", "WRAP-3")
@sandbox
def test_rules_hold_from_one_client_to_the_next(daemon, etc):
    """The files change under a running daemon."""
    a = free_port()
    daemon.boot(cat("a", a, flags="IPv4"), up=[a])
    for allow, deny, wanted in RULES:
        etc("hosts.allow", allow)
        etc("hosts.deny", deny)
        assert who(a) == wanted, (allow, deny)


@covers("WRAP-1", "WRAP-2")
@sandbox
def test_the_name_and_the_flag(daemon, ports, etc):
    a, b, c, d = ports(4)
    etc("hosts.deny", "cat: ALL\n")
    daemon.boot(cat("a", a), cat("b", b, flags="NOLIBWRAP"), cat("c", c, libwrap="dog"),
                service("d", d, flags="NAMEINARGS", server="/bin/cat", server_args="tac"), up=[a, b, c, d])
    assert [who(p) for p in (a, b, c, d)] == ["nnnn", "yyyy", "yyyy", "yyyy"]


@covers("WRAP-1")
@sandbox
def test_what_cannot_be_evaluated_lets_nobody_in(xd, etc):
    """A command instead of the server, a user, a file that cannot be read: refused, and said once."""
    a = free_port()
    xd.boot(logdefaults(xd), cat("a", a), up=[a])
    for rule in ("cat: ALL : twist /bin/echo\n", "cat: joe@ALL\n"):
        etc("hosts.allow", rule)
        etc("hosts.deny", "ALL: ALL\n")
        assert who(a) == "nnnn", rule
    xd.wait_dlog(r"/etc/hosts\.allow:1: this rule has a mistake, names a file that the engine cannot read, or asks for something")
    etc("hosts.allow", "cat: ALL\n")
    assert who(a) == "yyyy"
    os.chmod("/etc/hosts.allow", 0)
    assert who(a) == "nnnn"
    xd.wait_dlog(r"/etc/hosts\.allow: the engine's user cannot read it: every client is refused \(it wants mode 644\)$")
    verdict = subprocess.run([CTL, "explain", "a", "-f", xd.conf, "--from", "127.0.0.1"], capture_output=True, text=True).stdout
    assert "/etc/hosts.allow: the engine cannot read it" in verdict, verdict
    os.chmod("/etc/hosts.allow", 0o644)
    assert who(a) == "yyyy"
    assert len([line for line in xd.dlog().splitlines() if "hosts.allow:1:" in line]) == 1


@covers("WRAP-1")
@sandbox
def test_a_file_that_a_rule_refers_to(daemon, etc):
    a = free_port()
    etc("friends", "127.0.0.5\n")
    etc("hosts.allow", "cat: /etc/friends\n")
    etc("hosts.deny", "ALL: ALL\n")
    daemon.boot(cat("a", a, flags="IPv4"), up=[a])
    assert who(a) == "nynn"
    etc("friends", "127.0.0.6\n")
    assert who(a) == "nnyn"


@covers("WRAP-1")
@sandbox
def test_a_file_of_hosts_that_is_kept_elsewhere_and_replaced(daemon, etc):
    """Named while the daemon runs, replaced, and behind a link that is new."""
    a = free_port()
    daemon.boot(cat("a", a, flags="IPv4"), up=[a])
    os.chmod(daemon.dir, 0o755)
    friends = daemon.write("friends", "127.0.0.5\n")
    etc("hosts.allow", "cat: %s\n" % friends)
    etc("hosts.deny", "ALL: ALL\n")
    assert who(a) == "nynn"
    os.rename(daemon.write("next", "127.0.0.6\n"), friends)
    assert who(a) == "nnyn"
    os.rename("/etc/hosts.allow", "/etc/hosts.allow.before")
    os.symlink(daemon.write("rules", "cat: 127.0.0.5\n"), "/etc/hosts.allow")
    assert who(a) == "nynn"


@covers("WRAP-1")
@sandbox
def test_a_file_of_hosts_that_the_engine_may_not_read_is_said_and_denies(xd, etc):
    """The original reads it as root."""
    a = free_port()
    os.chmod(xd.dir, 0o755)
    foes = xd.write("foes", "127.0.0.5\n", 0o600)
    etc("hosts.deny", "cat: %s\n" % foes)
    xd.boot(cat("a", a, flags="IPv4"), up=[a])
    xd.wait_dlog(r"/etc/hosts\.deny:1: this rule has a mistake, names a file that the engine cannot read")
    assert who(a) == "nnnn"
    etc("hosts.deny", "cat: %s.none\n" % foes)
    assert who(a) == "yyyy", "a file that is not there matches nobody (hosts_access(5))"
    etc("hosts.allow", "cat: %s\n" % foes)
    etc("hosts.deny", "")
    assert who(a) == "yyyy"
    xd.wait_dlog(r"/etc/hosts\.allow:1: this rule has a mistake")
