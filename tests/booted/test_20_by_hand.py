"""The commands of README.md and docs/migration.md: in with them, and out again."""
import os
import re

import pytest

from harness import BIN, CTL, REPO, connect, recv_n
from pages import commands

BY_HAND = ("systemd", "etc", "man", "completions")


@pytest.fixture
def source(machine):
    """Where the operator types: the source, with the programs that have been built."""
    place = "/root/xinetd-rs"
    machine.run("mkdir -p %s/target/release /usr/local/bin" % place)
    machine.write("/usr/local/bin/cargo", "#!/bin/sh\n", 0o755)
    for program in (BIN, CTL):
        machine.copy(program, place + "/target/release/")
    for directory in BY_HAND:
        machine.copy(os.path.join(REPO, directory), place)
    return lambda commands: machine.run("cd %s\n%s" % (place, commands))


def version():
    with open(os.path.join(REPO, "Cargo.toml")) as f:
        return re.search(r'(?m)^version = "(.*)"$', f.read()).group(1)


def greeting(machine, port):
    with machine.network(), connect(port) as s:
        return recv_n(s, 3)


def test_the_commands_of_the_readme_install_it_and_those_of_the_way_back_remove_it(machine, source):
    machine.run("apt-get -q -y remove xinetd")
    source(commands("README.md", "Installing by hand"))
    assert machine.run("systemctl is-active xinetd; systemctl is-enabled xinetd; systemctl --failed --quiet") == "active\nenabled"
    assert greeting(machine, 110) == b"+OK" and greeting(machine, 143) == b"* O"
    assert machine.run("xinetd -version 2>&1; which itox xconv.pl xinetctl") == "%s libwrap loadavg\n/usr/bin/itox\n/usr/bin/xconv.pl\n/usr/sbin/xinetctl" % version()
    assert "leaves the service out (PORT-1)" in machine.status("xinetctl check --portable")[1]
    source(commands("docs/migration.md", "Back, installed by hand"))
    assert machine.run("systemctl is-active xinetd; systemctl --failed --quiet") == "active"
    assert machine.run("xinetd -version 2>&1").startswith("2.3.15.")


def test_it_serves_again_after_the_power_has_failed(machine, source):
    machine.run("apt-get -q -y remove xinetd")
    source(commands("README.md", "Installing by hand"))
    machine.power_off()
    machine.boot()
    assert machine.run("systemctl is-system-running") == "running"
    assert greeting(machine, 110) == b"+OK"
