"""Fixtures of the booted tests: a machine of each release, in turn."""
import glob
import os
import shutil

import pytest

import machine as machines
import roots


@pytest.fixture(params=roots.RELEASES)
def release(request):
    if os.geteuid() != 0:
        pytest.skip("booting needs root")
    if not shutil.which("systemd-nspawn"):
        pytest.skip("systemd-nspawn is not installed (Debian's package systemd-container)")
    if not roots.is_whole(request.param):
        pytest.skip("there is no %s to boot: tests/booted/roots.py makes it" % request.param)
    return request.param


@pytest.fixture
def machine(release):
    """A machine that has booted, with Debian's xinetd installed and running."""
    with machines.Machine(release) as m:
        yield m


@pytest.fixture
def deb():
    """The package, as tests/booted/package has built it."""
    found = glob.glob(os.path.join(os.path.dirname(roots.PLACE), "debian", "xinetd-rs_*.deb"))
    if not found:
        pytest.skip("there is no package to install: tests/booted/package builds it")
    return found[0]
