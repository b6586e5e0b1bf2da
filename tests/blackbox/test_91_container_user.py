"""A container without root, without a name for its user, and with a root file system that cannot be written to."""
import os
import re
import shutil
import signal
import subprocess

import pytest

import container
from harness import *
from procs import engine, field
from readers import Stream

covers = pytest.mark.covers
pytestmark = pytest.mark.needs_sandbox

UID = 23456


@pytest.fixture
def streams():
    both = Stream.pipe(), Stream.pipe()
    yield [s.read_on() for s in both]
    for s in both:
        s.close()


@pytest.fixture
def low_ports():
    """As Docker has it: an ordinary user may have any port."""
    path = "/proc/sys/net/ipv4/ip_unprivileged_port_start"
    with open(path) as f:
        before = f.read()
    write(path, "0")
    yield
    write(path, before)


def program(name, port=None, **kw):
    kw.setdefault("user", str(UID))
    return service(name, port, **{"server": "/usr/bin/id", **kw})


def begin(xd, streams, text, up, args=("-log-format", "text")):
    out, err = streams
    everything = defaults(log_type="STDOUT", log_on_success="PID HOST EXIT", log_on_failure="HOST")
    one = container.begin_bare(xd, everything + text, UID, up, args, out.writer, err.writer)
    err.wait("Started working")
    return one


def messages(err):
    return [l.removeprefix("xinetd: ") for l in err.lines]


@covers("START-17", "ATTR-46", "DUMP-1")
def test_it_serves_as_whoever_it_is_and_says_what_it_cannot_have(xd, ports, streams):
    a, b, c = ports(3)
    text = program("a", a) + service("b", b, redirect="127.0.0.1 %d" % a, server=None, user=str(UID)) + internal("echo", c)
    one = begin(xd, streams, text, [a, b, c])
    out, err = streams
    for port in (a, b):
        assert talk(port).decode().split() == ["uid=%d" % UID, "gid=%d" % UID, "groups=%d" % UID]
    assert talk(c, b"x") == b"x"
    for pid in (one, engine(one)):
        assert field(pid, "Uid") == [str(UID)] * 4 and field(pid, "CapPrm") == ["0" * 16]
    os.kill(one, signal.SIGUSR1)
    err.wait("xinetd.dump")
    os.kill(one, signal.SIGHUP)
    err.wait("Reconfigured: new=0 old=3 dropped=0")
    os.kill(one, signal.SIGABRT)
    err.wait("Consistency check passed")
    assert talk(c, b"x") == b"x"
    os.kill(one, signal.SIGTERM)
    assert xd.wait_exit() == 0
    lines = norm([LOGLINE.match(l).group("text") for l in out.lines])
    assert sorted(l for l in lines if ": a " in l) == ["EXIT: a status=0 pid=N"] * 2 + ["START: a pid=N from=127.0.0.1"] * 2
    complaints = [m for m in messages(err) if re.match("warning|error", m)]
    assert complaints == [
        "warning: running without root: the engine and all servers run as uid %d, nothing separates them" % UID,
        "error: cannot write the state dump /var/run/xinetd.dump: No such file or directory (os error 2)",
        "warning: Exiting..."]


@covers("START-12", "START-17", "LOG-8", "ATTR-45")
def test_each_thing_that_cannot_be_had_has_a_line_and_costs_its_service_alone(xd, ports, streams):
    a, other, named, logged = ports(4)
    text = (program("other", other, user="0") + program("named", named, user="nobody") + program("low", 79) +
            program("logged", logged, log_type="FILE /var/log/x") + program("file", bind="unix:/run/x", type="UNLISTED", protocol=None) +
            program("a", a))
    one = begin(xd, streams, text, [a])
    err = streams[1]
    assert talk(a).startswith(b"uid=%d " % UID)
    assert not any(listening(p) for p in (79, named, logged))
    for wanted in (
            r"warning: service other: its servers cannot become uid 0, and will not start; `user = %d` can be had$" % UID,
            r"error: there is no user `nobody`|error\[unknown-user\]: there is no user `nobody`",
            r"error: bind failed \(Permission denied \(errno = 13\)\)\. service = low; .*; ports below "
            r"net\.ipv4\.ip_unprivileged_port_start \(1024\) need root or CAP_NET_BIND_SERVICE$",
            r"error: service logged .*: cannot open the log /var/log/x: No such file or directory",
            r"error: bind failed \(the directory /run does not exist: make it"):
        assert len(err.wait(wanted)) == 1
    assert talk(other) == b""
    err.wait(r"error: service other: cannot start /usr/bin/id \(step \d of \d, uid 0\): Operation not permitted")
    os.kill(one, signal.SIGTERM)
    assert xd.wait_exit() == 0


def test_an_ordinary_user_may_have_low_ports_where_the_container_says_so(xd, streams, low_ports):
    begin(xd, streams, program("low", 79), [79])
    assert talk(79).startswith(b"uid=%d " % UID)
    xd.proc.kill()


def test_root_of_a_user_namespace_without_other_users_serves_as_root(xd, streams):
    """What `unshare -r` makes, and a rootless Podman for whom /etc/subuid has nothing."""
    a = free_port()
    out, err = streams
    shutil.copy(xd.bin, xd.path("xinetd"))
    xd.config(program("a", a, user="root"))
    become = ["setpriv", "--reuid", str(UID), "--regid", str(UID), "--clear-groups"]
    command = [*become, *container.UNSHARE, "--map-root-user", xd.path("xinetd"), "-dontfork", "-log-format", "text", "-f", xd.conf]
    one = container.run(xd, command, [a], out.writer, err.writer)
    assert talk(a).startswith(b"uid=0(root) gid=0(root)")
    assert field(engine(one), "CapPrm") == ["0" * 16]
    assert len(err.wait(r"error: root of a user namespace without other users \(setgroups is denied\): the engine stays uid 0")) == 1
    xd.proc.kill()


@covers("START-17")
def test_root_without_capabilities_serves_as_root(xd, streams):
    """`docker run --cap-drop all`."""
    a = free_port()
    out, err = streams
    xd.config(program("a", a, user="root"))
    drop = ["setpriv", "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs"]
    command = [*container.UNSHARE, *drop, xd.bin, "-dontfork", "-log-format", "text", "-f", xd.conf]
    container.run(xd, command, [a], out.writer, err.writer)
    assert talk(a).startswith(b"uid=0(root) gid=0(root)")
    assert len(err.wait("error: root without CAP_SETGID and CAP_SETUID: the engine stays uid 0")) == 1
    xd.proc.kill()


@covers("SRV-12", "START-17")
def test_root_that_cannot_change_groups_gives_them_to_no_other_user(xd, ports, streams):
    a, b = ports(2)
    out, err = streams
    xd.config(program("a", a, user="nobody") + program("b", b, user="root"))
    keep = ["setpriv", "--inh-caps=-all", "--bounding-set=-all,+setuid"]
    command = [*container.UNSHARE, *keep, xd.bin, "-dontfork", "-log-format", "text", "-f", xd.conf]
    container.run(xd, command, [a, b], out.writer, err.writer)
    assert talk(a) == b"" and talk(b).startswith(b"uid=0(root)")
    err.wait(r"service a: its servers cannot become uid \d+, and will not start; `user = 0` can be had$")
    err.wait(r"service a: cannot start /usr/bin/id \(step \d of \d+, groups \[\]\): Operation not permitted")
    xd.proc.kill()


def test_what_was_not_asked_for_is_not_written(xd):
    """No pid file, in a root that could be written to."""
    a = free_port()
    xd.config(program("a", a, user="root"))
    before = os.listdir("/run")
    one = container.run(xd, [*container.UNSHARE, xd.bin, "-dontfork", "-log-format", "text", "-f", xd.conf], [a],
                        subprocess.DEVNULL, subprocess.DEVNULL)
    assert talk(a)
    os.kill(one, signal.SIGTERM)
    assert xd.wait_exit() == 0
    assert set(os.listdir("/run")) - set(before) <= {"xinetd"}      # the control socket
