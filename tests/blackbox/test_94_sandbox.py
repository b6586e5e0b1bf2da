"""What the kernel keeps the engine to: files and signals (Landlock), system calls (seccomp)."""
import json
import os
import re
import signal
import socket

import pytest

import control
import fakeident
from harness import *
from procs import comm, engine, field

covers = pytest.mark.covers
root = pytest.mark.needs_root
sandbox = pytest.mark.needs_sandbox

SOURCE = os.path.join(REPO, "src/sys/sandbox/calls.rs")


def up(xd, **kw):
    a = free_port()
    xd.boot(logdefaults(xd), cat("a", a, **kw), up=[a])
    assert talk(a, b"x") == b"x"
    return engine(xd.proc.pid)


@sandbox
def test_the_engine_is_confined_and_status_says_so(xd):
    e = up(xd)
    assert field(e, "Seccomp") == ["2"] and field(e, "NoNewPrivs") == ["1"]
    told = json.loads(control.ctl("status", "--json")[1])["daemon"]["engine"]
    assert (told["pid"], told["landlock"], told["seccomp"]) == (e, True, True)


def test_the_monitor_and_servers_are_not(xd):
    a = free_port()
    xd.boot(service("a", a, server="/bin/cat", server_args="/proc/self/status"), up=[a])
    server = dict(l.split(":", 1) for l in talk(a).decode().splitlines())
    assert server["Seccomp"].split() == field(xd.proc.pid, "Seccomp") == field(os.getpid(), "Seccomp")
    assert server["NoNewPrivs"].split() == field(os.getpid(), "NoNewPrivs")


def under_strace(xd, *options):
    """The daemon is traced from its start; it stays our child."""
    xd.bin = xd.script("traced", '#!/bin/sh\nexec strace -D -ff -qq %s %s "$@"\n' % (" ".join(options), xd.bin))


@sandbox
@root
def test_what_the_kernel_lacks_is_done_without_and_said(xd):
    under_strace(xd, "-o /dev/null", "-e inject=landlock_create_ruleset,seccomp:error=ENOSYS")
    e = up(xd)
    assert field(e, "Seccomp") == field(os.getpid(), "Seccomp")
    head = control.ctl("status")[1].splitlines()[0]
    assert re.search(r"; engine pid %d, up \d+ \w+ \(NOT CONFINED: no Landlock, no seccomp\)$" % e, head), head


def calls():
    """{group: names} of the table; what is asked of the machine's kind is x86_64's."""
    with open(SOURCE) as f:
        text = f.read()
    text = re.sub(r'#\[cfg\(not\(target_arch = "x86_64"\)\)\]\s*libc::SYS_\w+,', "", text)
    groups = {m[1]: set(re.findall(r"libc::SYS_(\w+)", m[2]))
              for m in re.finditer(r"const (\w+): &\[c_long\] = &\[(.*?)\n\];", text, re.S)}
    groups["RULES"] = set(re.findall(r"insert\(libc::SYS_(\w+)", text))
    return groups


def traced(directory):
    """What engines asked the kernel for once they were confined: [(call, arguments and answer)]."""
    tasks = {}
    for name in os.listdir(directory):
        with open(os.path.join(directory, name), errors="replace") as f:
            tasks[int(name.split(".")[1])] = f.read().splitlines()
    found = []

    def follow(lines):
        for line in lines:
            call = re.match(r"(\w+)\((.*)", line)
            if not call:
                continue
            found.append(call.groups())
            thread = re.search(r"CLONE_THREAD.* = (\d+)$", line)
            if thread and call[1].startswith("clone"):
                follow(tasks[int(thread[1])])
    for lines in tasks.values():
        confined = [n for n, line in enumerate(lines) if line.startswith("seccomp(SECCOMP_SET_MODE_FILTER")]
        if confined and any("xinetd-engine" in line for line in lines[:confined[0]]):
            follow(lines[confined[0] + 1:])
    return found


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the table differs by machine")
@sandbox
@root
def test_every_call_in_the_table_is_used_and_none_is_missing(xd, ports, etc):
    """A day's work under strace(1): what is never asked for need not be permitted."""
    trace = xd.path("trace")
    os.mkdir(trace)
    under_strace(xd, "-e signal=none", "-o %s/t" % trace)
    everything(xd, ports, etc)
    xd.stop()
    assert wait_until(lambda: not any(comm(p) == "strace" for p in descendants(os.getpid())))
    asked = traced(trace)
    names, table = {call for call, _ in asked}, calls()
    refused = {call for call, rest in asked if rest.endswith("ENOSYS (Function not implemented)")}
    assert refused == {"clone3"}, "and clone(2) serves as well"
    assert names - set().union(*table.values()) == refused
    assert table["USED"] - names == set(), "nothing here needs them: move them, or take them out"
    elsewhere = {"open": "the old openat(2)", "tgkill": "abort(3)", "prctl": "an engine that outlives its monitor"}
    assert table["RULES"] - names == set(elsewhere)
    assert not table["USED"] & table["SPARE"] and not table["USED"] & table["MODULES"]


def everything(xd, ports, etc):
    """One of each: banners, ident, names, rules, redirects, datagrams, a wait service, tcpmux, a crash."""
    cat_, ident, name, far, udp, echo, wait, mux = ports(8)
    etc("hosts", "127.0.0.1 here.example\n")
    etc("hosts.allow", "ALL: here.example\n")
    etc("nsswitch.conf", "hosts: files dns\n")
    etc("resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    target = socket.create_server(("127.0.0.1", 0))
    other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    other.bind(("127.0.0.1", 0))
    internal = dict(type="INTERNAL UNLISTED", server=None)
    host = fakeident.Host(lambda c, ports: (c.sendall((ports + " : USERID : UNIX : ann\r\n").encode()), c.close()))
    xd.boot(
        logdefaults(xd), cat("a", cat_, banner=xd.write("banner", "hello\n")),
        cat("i", ident, log_on_success="PID HOST USERID"), cat("n", name, only_from="here.example"),
        service("r", far, redirect="127.0.0.1 %d" % target.getsockname()[1]),
        service("u", udp, socket_type="dgram", protocol="udp", redirect="127.0.0.1 %d" % other.getsockname()[1]),
        service("echo", echo, socket_type="dgram", protocol="udp", id="e", **internal),
        service("w", wait, wait="yes", server=xd.script("once", pyscript(
            "import socket\ns = socket.socket(fileno=0)\nc, _ = s.accept()\nc.sendall(b'once')"))),
        service("tcpmux", mux, type="INTERNAL UNLISTED", server=None), up=[cat_, ident, name, far, ("udp", udp), ("udp", echo), wait, mux])
    assert talk(cat_, b"x") == b"hello\nx"
    assert talk(ident, b"x") == b"x" and talk(name, b"x") == b"x" and talk(wait) == b"once"
    assert talk(name, b"x", src="127.0.0.9") == b"", "no name server knows it"
    host.close()
    relay(far, target)
    for port in udp, echo:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(10)
            client.sendto(b"ping", ("127.0.0.1", port))
            if port == udp:
                other.sendto(*other.recvfrom(100))
            assert client.recv(100) == b"ping"
    assert talk(mux, b"help\r\n")
    before = engine(xd.proc.pid)
    os.kill(before, signal.SIGKILL)
    assert engine(xd.proc.pid, other_than=before)
    assert talk(cat_, b"x") == b"hello\nx"


def relay(port, target):
    """Much, so that it is spliced, and an end that the other side is told of."""
    client = connect(port)
    far, _ = target.accept()
    block = b"x" * 65536
    for _ in range(64):
        client.sendall(block)
        left = len(block)
        while left:
            left -= len(far.recv(left))
    client.shutdown(socket.SHUT_WR)
    assert far.recv(1) == b""
    far.sendall(b"done")
    far.close()
    assert client.recv(10) == b"done" and client.recv(1) == b""
    client.close()
