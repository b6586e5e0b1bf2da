"""What the system gives the daemon: descriptors, a backlog, families of addresses; and signals that end it."""
import os
import resource
import signal

import pytest

from harness import *
from procs import become_user

covers = pytest.mark.covers
root = pytest.mark.needs_root
sandbox = pytest.mark.needs_sandbox


@covers("START-16", "START-15")
def test_more_services_than_the_soft_limit_are_all_served(xd, ports):
    many = ports(60)
    xd.boot(*[cat("s%d" % n, p) for n, p in enumerate(many)], up=many,
            preexec=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (20, 200)))
    assert [talk(p, b"x") for p in many] == [b"x"] * len(many)


@covers("START-3")
def test_a_limit_of_a_million_descriptors_costs_nothing(xd):
    """As far as the limit here goes: the table of the original has a row for each."""
    a = free_port()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    xd.boot(cat("a", a), up=[a], preexec=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard)))
    with open("/proc/%d/status" % xd.proc.pid) as f:
        data = next(int(l.split()[1]) for l in f if l.startswith("VmData"))
    assert data < 8192


@covers("START-18")
def test_at_least_64_clients_may_wait(daemon):
    a = free_port()
    daemon.boot(cat("a", a), up=[a])
    assert [backlog for _, _, port, backlog in sockets() if port == a][0] >= 64


@covers("START-17", "SRV-18", "SRV-12")
@root
def test_without_root_servers_run_as_the_daemon_does_or_not_at_all(daemon, ports):
    a, b = ports(2)
    os.chmod(daemon.dir, 0o777)
    daemon.boot(logdefaults(daemon), service("a", a, server="/usr/bin/id", server_args="-u", user=str(LONER)),
                cat("b", b, user="nobody"), up=[a, b], preexec=lambda: become_user(LONER))
    assert talk(a) == b"%d\n" % LONER
    assert talk(b, b"x") == b""
    daemon.wait_log("^EXIT: b status=1")


@covers("BIND-1", "BIND-2")
@sandbox
@pytest.mark.parametrize("flags,found,v4", [(None, (6, "::"), True), ("IPv4", (4, "0.0.0.0"), True), ("IPv6", (6, "::"), True),
                                            ("IPv4 IPv6", (6, "::"), True)])
def test_the_family_without_an_address(daemon, flags, found, v4):
    a = free_port()
    daemon.boot(cat("a", a, bind=None, flags=flags), up=[a])
    assert listeners(a) == {found}
    assert (attempt(a, b"x") == b"x") == v4
    assert (attempt(a, b"x", addr="::1") == b"x") == (found[0] == 6)


@covers("SIG-5")
@pytest.mark.parametrize("sig", [signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL], ids=str)
def test_a_fault_is_not_survived(xd, sig):
    """Twice: the runtime looks at the first, and a real fault comes again by itself."""
    a = free_port()
    xd.boot(cat("a", a), up=[a])
    def again():
        xd.signal(sig)
        return wait_until(lambda: not xd.alive(), 0.2)
    assert wait_until(again)            # two that come together are one
    assert xd.wait_exit() == -sig
