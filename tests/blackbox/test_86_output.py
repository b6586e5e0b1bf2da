"""What xinetctl prints reaches its reader, or its status says that it does not."""
import os
import subprocess

import pytest

from harness import *

pytestmark = pytest.mark.needs_sandbox

COMMANDS = ["help", "--version", "check -f CONF", "dump -f CONF", "explain a -f CONF", "explain --attribute port", "status",
            "status --json", "sessions", "sessions --json", "connections -n", "connections --json", "denied", "reload", "convert /etc/inetd.conf"]


@pytest.fixture
def command(request, xd, etc):
    a = free_port()
    etc("inetd.conf", "a stream tcp nowait root internal\n")
    xd.boot(cat("a", a), up=[a])
    words = request.param.replace("check -f CONF", "check CONF").replace("dump -f CONF", "dump CONF").replace("CONF", xd.conf)
    return [CTL] + words.split()


def status(command, output):
    r = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.PIPE, text=True, timeout=60)
    return r.returncode, r.stderr


@pytest.mark.parametrize("command", COMMANDS, indirect=True)
def test_a_full_disk_is_a_failure_and_said(command):
    assert status(command, subprocess.DEVNULL) == (0, "")
    with open("/dev/full", "w") as full:
        code, said = status(command, full)
    assert code == 1 and "cannot write: No space left on device" in said


@pytest.mark.parametrize("command", COMMANDS, indirect=True)
def test_a_reader_that_has_seen_enough_is_none(command):
    r, w = os.pipe()
    os.close(r)
    assert status(command, w) == (0, "")
    os.close(w)
