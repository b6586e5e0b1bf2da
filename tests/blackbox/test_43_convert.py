"""`xinetctl convert`, itox and xconv.pl: inetd.conf in, entries of xinetd.conf out, as the original writes them."""
import json
import os
import random
import subprocess

import pytest

import harness
from harness import *

covers = pytest.mark.covers

LINES = [
    "a stream tcp nowait root /bin/cat cat", "a\tstream tcp  nowait\troot /bin/cat cat -u\tx  y # z", "  a stream tcp wait root /bin/cat cat",
    "", "#", "# a stream", " ", "\t", "  # a", "#a stream tcp nowait root /bin/cat cat", "a#b stream tcp nowait root /bin/cat cat",
    "a", "a stream", "a stream tcp", "a stream tcp nowait", "a stream tcp nowait root", "a stream tcp nowait root /bin/cat",
    "a stream tcp nowait.40 root /bin/cat cat", "a stream tcp wait.x root /bin/cat cat", "a stream tcp .wait root /bin/cat cat",
    "a stream tcp maybe root /bin/cat cat", "a stream tcp WAIT root /bin/cat cat", "a stream tcp waits root /bin/cat cat",
    "a stream tcp nowait/40 root /bin/cat cat", "a stream tcp nowait root.mail /bin/cat cat", "a stream tcp nowait root.a.b /bin/cat cat",
    "a stream tcp nowait root:mail /bin/cat cat", "a stream tcp nowait .mail /bin/cat cat", "a stream tcp nowait root. /bin/cat cat",
    "echo stream tcp nowait root internal", "echo dgram udp wait root.mail internal x y", "echo stream tcp nowait root INTERNAL",
    "echo stream tcp nowait.3 root internal", "r/1-3 dgram rpc/udp wait root /bin/r r", "r/2 stream rpc/tcp wait.7 root /bin/r r x",
    "r dgram rpc/udp wait root /bin/r r", "r/ dgram rpc/udp wait root /bin/r r", "r/1/2 dgram rpc/udp wait root /bin/r r",
    "r/1 dgram udp wait root /bin/r r", "r/1 dgram rpc wait root /bin/r r", "r/1 dgram rpc/ wait root /bin/r r",
    "r/1 dgram rpc/udp/x wait root /bin/r r", "r/1 dgram RPC/udp wait root /bin/r r", "a stream tcp/x nowait.1 root /bin/cat cat", "a stream /tcp nowait root /bin/cat cat",
    "r/1 dgram rpc/udp nowait.3 root internal",
    "/1 stream tcp nowait root /bin/cat cat", "a stream tcp nowait root /usr/sbin/tcpd ind", "a stream tcp nowait root tcpd ind -a -b",
    "a stream tcp nowait root tcpd /x/ind", "a stream tcp nowait root tcpd x/ind", "a stream tcp nowait root //tcpd// ind",
    "a stream tcp nowait root /usr/sbin/tcpd", "a stream tcp nowait root / x", "a stream tcp nowait root tcpdx ind",
    "a stream tcp nowait root /bin/cat cat\r", "a\fstream tcp nowait root /bin/cat cat x", "a stream tcp nowait root /bin/c\xe4t c\xfft",
    "a stream tcp nowait root /bin/cat cat \\", "a stream tcp nowait root /bin/cat cat x\0y z", "127.0.0.1:a stream tcp nowait root /bin/cat cat",
]
OPTIONS = [[], ["-daemon_dir", "/usr/sbin"], ["-daemon_dir", "/usr/sbin/"], ["-daemon_dir", "d//"], ["-daemon_dir", ""]]


def told(r):
    return r.returncode, r.stdout, r.stderr


def ctl(text, *args):
    return told(subprocess.run([CTL, "convert", *args], input=text, capture_output=True, timeout=60))


def same(itox, text, *options):
    """What the original says of `text`; and what it writes, where it does not lose it (ITOX-5)."""
    if not os.access(harness.ORIGINAL_ITOX, os.X_OK):
        pytest.skip("the original is not installed (Debian's package xinetd)")
    theirs = told(subprocess.run([harness.ORIGINAL_ITOX, *options], input=text, capture_output=True, timeout=60))
    ours = told(itox(text, *options))
    if theirs[0] != 0:
        ours, theirs = (ours[0], ours[2]), (theirs[0], theirs[2])
    assert ours == theirs, (text, options)


@covers("ITOX-1", "ITOX-2", "ITOX-3", "ITOX-4")
@pytest.mark.parametrize("options", OPTIONS, ids=" ".join)
def test_each_line_becomes_what_the_original_makes_of_it(itox, options):
    for line in LINES:
        for end in ("\n", "", "\n\n"):
            same(itox, (line + end).encode("latin-1"), *options)


@covers("ITOX-1", "ITOX-4")
def test_files_of_many_lines_are_converted_alike(itox):
    dice = random.Random(1)
    for _ in range(100):
        lines = [dice.choice(LINES[:4] + LINES[17:]) for _ in range(dice.randrange(30))]
        same(itox, "\n".join(lines).encode("latin-1"), *dice.choice(OPTIONS))


@covers("ITOX-4")
@pytest.mark.parametrize("options", [["x"], ["-daemon_dir"], ["a", "b", "c"], ["--help"], ["-x", "d"], ["daemon"]], ids=" ".join)
def test_the_command_line_is_judged_alike(itox, options):
    same(itox, b"a stream tcp nowait root tcpd x\n", *options)


@covers("ITOX-5")
def test_what_was_converted_before_a_mistake_is_written(itox):
    good = b"a stream tcp nowait root /bin/cat cat\n"
    alone = itox(good).stdout
    assert alone.startswith(b"service a\n{\n") and alone.endswith(b"}\n\n")
    assert told(itox(good + b"b stream\n" + good)) == (1, alone, b"Line 2: protocol missing \n")
    assert ctl(good + b"b stream\n")[:2] == (1, alone)


def test_long_lines_are_one_entry_each(itox):
    word = b"y" * 100000
    out = itox(b"a stream tcp nowait root /bin/cat cat " + word + b" z\n").stdout
    assert b"\tserver_args     = " + word + b" z\n}\n" in out


def test_xinetctl_convert_has_the_options_of_xinetctl(itox, tmp_path):
    text = b"a stream tcp nowait root /usr/sbin/tcpd ind\n"
    path = tmp_path / "inetd.conf"
    path.write_bytes(text)
    wanted = told(itox(text, "-daemon_dir", "/d"))
    assert wanted[0] == 0 and b"= /d/ind\n" in wanted[1]
    assert ctl(text, "--daemon-dir", "/d") == wanted
    assert ctl(b"", "--daemon-dir=/d", str(path)) == wanted
    assert ctl(text) == (1, b"", b"a line starts tcpd: say --daemon-dir DIR\n")
    code, out, err = ctl(b"", str(tmp_path / "nothing"))
    assert (code, out) == (2, b"") and err.startswith(b"xinetctl: cannot read %s/nothing: " % os.fsencode(str(tmp_path)))
    assert ctl(b"", "--frobnicate")[0] == 2


def test_an_output_that_takes_nothing_is_status_1():
    with open("/dev/full", "wb") as full:
        r = subprocess.run([CTL, "convert"], input=b"a stream tcp nowait root internal\n", stdout=full, stderr=subprocess.PIPE, timeout=60)
    assert r.returncode == 1 and b"cannot write" in r.stderr


def test_what_is_converted_is_checked_without_a_mistake(itox, xd):
    lines = b"".join(b"%s stream tcp nowait root /bin/cat cat -u\n" % name for name in (b"pop3", b"imap4"))
    xd.config(itox(lines).stdout.decode())
    r = subprocess.run([CTL, "check", "--strict", xd.conf], stdout=subprocess.PIPE, timeout=60)
    assert r.returncode == 0 and b"2 services would start" in r.stdout, r.stdout


# ---------------------------------------------------------------- xconv.pl

# Lines of which the script makes what xinetd takes; it knows all white space.
ALIKE = [line for line in LINES if len(line.split()) > 6 and not line.startswith("  #") and "internal" not in line and " .mail" not in line] + [
    "", "#", " ", "\t", "#a stream", "r dgram rpc/udp", "a stream sunrpctcp nowait root /bin/cat cat",
    "a stream tcp nowait u:g.h /bin/cat cat", "a stream tcp nowait u.:. /bin/cat cat", "a stream tcp nowait u:.g /bin/cat cat",
    "a stream unix know root /bin/cat cat", "a\vstream\ftcp6 NOWAIT root /bin/cat cat\xa0b\x85", "a stream tcp wait.no root /bin/cat cat",
]
# Lines that the script makes something else of, or nothing that xinetd takes.
OTHERS = LINES + ["echo stream tcp nowait root internal", "time stream tcp nowait root internal", "ssh stream tcp nowait root /usr/lib/internal/cat cat",
                  "nntp stream tcp nowait root /bin/cat", "nntp stream tcp nowait .mail /bin/cat cat", " # imap2 stream tcp nowait root /bin/cat cat"]
# Names of services(5), so that something is served.
SERVED = ["%s stream tcp nowait root /bin/cat cat -u" % name for name in ("ftp", "smtp", "pop3", "finger")] + [
    "telnet stream tcp nowait.40 games:mail /bin/cat x", "tftp dgram udp wait nobody.nogroup /bin/cat /usr/sbin/tcpd"]


@pytest.fixture
def script():
    """The original's xconv.pl, as `xconv`."""
    if not os.access(harness.ORIGINAL_XCONV, os.X_OK):
        pytest.skip("the original is not installed (Debian's package xinetd)")
    return lambda text: subprocess.run([harness.ORIGINAL_XCONV], input=text, capture_output=True, timeout=60)


def entries(r):
    """What stands behind `defaults`; status and warnings agree on what is left out."""
    assert r.returncode == 0
    return r.stdout.split(b"}\n\n", 1)[1], r.stderr.count(b"Warning: ")


@covers("XCONV-2", "XCONV-3")
def test_each_line_becomes_what_xconv_makes_of_it(xconv, script):
    assert len(ALIKE) > 30
    for line in ALIKE:
        for end in ("\n", "", "\n\n", "\r\n"):
            text = (line + end).encode("latin-1")
            assert entries(xconv(text)) == entries(script(text)), text


def services(path, text):
    """What would start, by id, with its values."""
    path.write_bytes(text)
    r = subprocess.run([CTL, "dump", path], stdout=subprocess.PIPE, timeout=60, check=True)
    document = json.loads(r.stdout)
    assert document["starts"]
    return {s["id"]: (s["listen"], {name: a["value"] for name, a in s["attributes"].items()})
            for s in document["services"] if s["state"] == "starts"}


@covers("XCONV-1", "XCONV-2", "XCONV-5")
def test_what_the_script_serves_is_served_alike(xconv, script, tmp_path):
    dice, more = random.Random(2), 0
    for _ in range(60):
        lines = [dice.choice(dice.choice((ALIKE, OTHERS, SERVED))) for _ in range(dice.randrange(40))] + dice.sample(SERVED, 2)
        text = "\n".join(lines).encode("latin-1").replace(b"\0", b"")
        theirs, ours = (services(tmp_path / "conf", program(text).stdout) for program in (script, xconv))
        more += len(ours) - len(theirs)
        assert theirs and {i: ours.get(i) for i in theirs} == theirs, text
    assert more > 30, "internal services, and servers without arguments"


@covers("XCONV-5")
def test_a_line_that_says_too_little_is_named(xconv):
    r = xconv(b"a stream\n # b\nc stream tcp nowait root\nd stream tcp nowait .x /bin/cat cat\n")
    assert r.returncode == 0 and b"service" not in entries(r)[0]
    assert r.stderr == (b"Warning: Service a not added: line 1: protocol missing\nWarning: Service c not added: line 3: server missing\n"
                        b"Warning: Service d not added: line 4: user missing\n")


@covers("XCONV-1", "XCONV-5")
@pytest.mark.needs_sandbox
def test_what_xconv_makes_is_served_by_both(xconv, daemon):
    text = xconv(b"echo stream tcp nowait root internal\nftp stream tcp nowait root /bin/cat\npop3 stream tcp nowait root /bin/cat x /proc/self/cmdline\n")
    daemon.boot(text.stdout.decode().replace("/var/log/servicelog", daemon.svclog), up=[7, 21, 110])
    assert talk(7, b"e") == b"e" and talk(21, b"c") == b"c" and talk(110) == b"x\0/proc/self/cmdline\0"
