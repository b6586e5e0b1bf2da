"""`xinetctl convert` and itox: inetd.conf in, entries of xinetd.conf out, as the original writes them."""
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
    return told(subprocess.run([CTL, "convert", *args], input=text, capture_output=True, timeout=20))


def same(itox, text, *options):
    """What the original says of `text`; and what it writes, where it does not lose it (ITOX-5)."""
    if not os.access(harness.ORIGINAL_ITOX, os.X_OK):
        pytest.skip("the original is not installed (Debian's package xinetd)")
    theirs = told(subprocess.run([harness.ORIGINAL_ITOX, *options], input=text, capture_output=True, timeout=20))
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
    code, out, err = ctl(b"", str(tmp_path / "nothing"))
    assert (code, out) == (2, b"") and err.startswith(b"xinetctl: cannot read %s/nothing: " % os.fsencode(str(tmp_path)))
    assert ctl(b"", "--frobnicate")[0] == 2


def test_an_output_that_takes_nothing_is_status_1():
    with open("/dev/full", "wb") as full:
        r = subprocess.run([CTL, "convert"], input=b"a stream tcp nowait root internal\n", stdout=full, stderr=subprocess.PIPE, timeout=20)
    assert r.returncode == 1 and b"cannot write" in r.stderr


def test_what_is_converted_is_checked_without_a_mistake(itox, xd):
    lines = b"".join(b"%s stream tcp nowait root /bin/cat cat -u\n" % name for name in (b"pop3", b"imap4"))
    xd.config(itox(lines).stdout.decode())
    r = subprocess.run([CTL, "check", "--strict", xd.conf], stdout=subprocess.PIPE, timeout=20)
    assert r.returncode == 0 and b"2 services would start" in r.stdout, r.stdout
