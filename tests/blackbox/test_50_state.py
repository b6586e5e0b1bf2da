"""The state dump of SIGUSR1: what it says, and that nobody can turn it against the daemon."""
import os
import re
import signal

import pytest

from harness import *

covers = pytest.mark.covers
sandbox = pytest.mark.needs_sandbox

DUMP = "/var/run/xinetd.dump"


@pytest.fixture(autouse=True)
def no_dump_yet():
    if os.path.lexists(DUMP):
        os.unlink(DUMP)
    yield
    if os.path.lexists(DUMP):
        os.unlink(DUMP)


def dumped(daemon):
    """The text of one more dump."""
    n = open(DUMP).read().count("END OF DUMP") if os.path.exists(DUMP) else 0
    daemon.signal(signal.SIGUSR1)
    assert wait_until(lambda: os.path.exists(DUMP) and open(DUMP).read().count("END OF DUMP") == n + 1)
    return "INTERNAL STATE DUMP:" + open(DUMP).read().split("INTERNAL STATE DUMP:")[-1]


def attributes(text, name):
    """The attribute lines of a service, by their names."""
    part = re.search(r"(?ms)^Service = %s$.*?^$" % name, text).group(0)
    return dict(re.findall(r"(?m)^\t+([^=:\n]+?)\s*[=:]\s*(.*)$", part))


@covers("DUMP-1")
@sandbox
def test_each_attribute_has_its_line(daemon, ports):
    a, b = ports(2)
    daemon.boot(logdefaults(daemon),
                cat("a", a, id="first", only_from="127.0.0.1", instances="7", nice="3", umask="022",
                    flags="IPv4 NODELAY", cps="5 6", per_source="2"),
                cat("b", b), up=[a, b])
    found = attributes(dumped(daemon), "a")
    wanted = {"id": "first", "socket_type": "stream", "port": str(a), "Instances": "7", "wait": "no", "user": "0",
              "Nice": "3", "PER_SOURCE": "2", "Server": "/bin/cat", "Server argv": "cat", "running servers": "0"}
    assert {key: found.get(key) for key in wanted} == wanted
    assert found["Protocol (name,number)"] == "(tcp,6)" and found["State"] == "Active"
    assert "127.0.0.1" in found["Only from"] and "NODELAY" in found["flags"]
    daemon.wait_dlog("generated state dump in file /var/run/xinetd.dump|state dump", free=True)


@covers("DUMP-1", "CPS-3")
@sandbox
def test_a_service_that_cps_has_closed_is_disabled(daemon, ports):
    a, b = ports(2)
    daemon.boot(logdefaults(daemon), cat("a", a, cps="1 60"), cat("b", b), up=[a, b])
    come_too_often(a)
    daemon.wait_dlog("Deactivating service a")
    text = dumped(daemon)
    assert attributes(text, "a")["State"] == "Disabled" and attributes(text, "b")["State"] == "Active"


@covers("DUMP-1")
@sandbox
def test_the_environment_of_a_server_is_nobodys_business(xd):
    a = free_port()
    xd.boot(cat("a", a, env="TOKEN=secret PLAIN=x"), up=[a])
    text = dumped(xd)
    assert "TOKEN PLAIN" in text and "secret" not in text


@sandbox
@pytest.mark.parametrize("trap", ["symlink", "hard link", "fifo", "directory"])
def test_a_trap_where_the_file_should_be_is_left_alone(xd, trap):
    a = free_port()
    victim = xd.path("victim")
    open(victim, "w").close()
    if trap == "symlink":
        os.symlink(victim, DUMP)
    elif trap == "hard link":
        victim = "/var/run/victim"
        open(victim, "w").close()
        os.link(victim, DUMP)
    elif trap == "fifo":
        os.mkfifo(DUMP)
    else:
        os.mkdir(DUMP)
    try:
        xd.boot(cat("a", a), up=[a])
        xd.signal(signal.SIGUSR1)
        xd.wait_dlog("cannot write the state dump")
        assert os.path.getsize(victim) == 0
        assert talk(a, b"x") == b"x"
    finally:
        if trap == "directory":
            os.rmdir(DUMP)
