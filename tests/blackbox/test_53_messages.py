"""The daemon's own messages in the words that people search for (MSG-2, MSG-3), of ours and of the original."""
import os
import resource
import signal
import socket

import pytest

from harness import *

covers = pytest.mark.covers
sandbox = pytest.mark.needs_sandbox


def said(daemon, *texts):
    """Each is a message, from its beginning or from its level on; in this order."""
    at = 0
    for text in texts:
        rx = re.compile(r"(?m)^\d\d/\d+/\d+@\d\d:\d\d:\d\d xinetd\[\d+\]: (?:[A-Z]+: )?" + text)
        assert wait_until(lambda: rx.search(daemon.dlog(), at)), "/%s/ is not said after %d:\n%s" % (text, at, daemon.dlog())
        at = rx.search(daemon.dlog(), at).start()


@covers("MSG-1", "MSG-2")
def test_start_reload_and_end(daemon, ports):
    a, b, c = ports(3)
    daemon.boot(cat("a", a), service("b", b, server=daemon.script("s", SLEEPER)), up=[a, b])
    s, pid = start_sleeper(b)
    daemon.reload(cat("a", a, instances=5), cat("c", c), up=[a, c], down=[b])
    s.close()
    signal_number = 9 if daemon.original else 15
    said(daemon, r"\S.* started with .* options compiled in\.$", r"Started working: 3 available services$",
         r"Starting reconfiguration$")
    for text in [r"readjusting service a$", r"service b deactivated$", "Sending signal %d to b server %d$" % (signal_number, pid)]:
        said(daemon, text)
    said(daemon, r"NOTICE: Starting reconfiguration$", r"NOTICE: Swapping defaults$", r"NOTICE: Reconfigured: new=2 old=1 dropped=2 \(services\)$")
    daemon.signal(signal.SIGTERM)
    assert daemon.wait_exit() == 0
    said(daemon, r"Reconfigured: ", r"Exiting\.\.\.$")


@covers("MSG-1", "MSG-2", "START-12")
def test_a_port_that_is_taken(daemon):
    a, taken = free_port(), socket.socket()
    taken.bind(("127.0.0.1", a))
    taken.listen()
    daemon.boot(cat("a", a, id="the-id"), down=[])
    said(daemon, r"bind failed \(Address already in use \(errno = 98\)\)\. service = the-id\b",
         r"Service the-id failed to start and is deactivated\.$")
    taken.close()


@covers("MSG-2", "START-12")
def test_an_address_that_the_machine_has_not(daemon):
    daemon.boot(cat("a", free_port(), bind="192.0.2.1", id="the-id"))
    said(daemon, r"bind failed \(Cannot assign requested address \(errno = 99\)\)\. service = the-id\b")


@covers("MSG-2", "CPS-3")
def test_a_service_that_cps_closes(daemon):
    a = free_port()
    daemon.boot(cat("name", a, id="the-id", cps="2 1"), up=[a])
    come_too_often(a)
    said(daemon, r"Deactivating service name due to excessive incoming connections\.  Restarting in 1 seconds\.$",
         r"Activating service name$")


@covers("MSG-2", "WRAP-2")
@sandbox
def test_a_client_that_tcp_wrappers_refuse(daemon, etc):
    etc("hosts.deny", "cat: ALL\n")
    a = free_port()
    daemon.boot(cat("a", a, id="the-id"), up=[a])
    assert talk(a, b"x") == b""
    said(daemon, r"INFO: libwrap refused connection to the-id \(libwrap=cat\) from 127\.0\.0\.1$")


@covers("MSG-3", "BAN-2")
def test_a_banner_that_is_missing(daemon):
    a = free_port()
    daemon.boot(cat("a", a, banner="/nonexistent/banner"), up=[a])
    assert talk(a, b"x") == b"x"
    said(daemon, r"service = a, open of banner /nonexistent/banner failed")


@covers("MSG-3")
def test_a_child_of_nobody(daemon):
    """As process 1, or when a program with children becomes the daemon by exec."""
    def child():
        if os.fork() == 0:
            os.execv("/bin/sleep", ["sleep", "0.5"])
    daemon.boot(cat("a", free_port()), preexec=child)
    said(daemon, r"unknown child process \d+ died")


@covers("MSG-3", "RETRY-2")
@pytest.mark.needs_root
def test_a_fork_that_fails(daemon):
    a, user = free_port(), LONER

    def become():
        os.setgroups([]), os.setgid(user), os.setuid(user)
        limit = 2 if daemon.original else 3
        resource.setrlimit(resource.RLIMIT_NPROC, (limit, limit))
    os.chmod(daemon.dir, 0o777)
    held = []
    daemon.boot(service("a", a, server=daemon.script("s", SLEEPER), user=str(user), flags="NORETRY", cps="0 0"), up=[a],
                preexec=become)
    for _ in range(4):
        held.append(connect(a))
    said(daemon, r"a: fork failed: Resource temporarily unavailable \(errno = 11\)")
    for s in held:
        s.close()


def mistakes(entries):
    """One service for each, with a port of its own."""
    base = lambda n: {"type": "UNLISTED", "port": free_port(), "id": "i%d" % n, "server": "/bin/cat"}
    return "".join(service(name, **{**base(n), **kw}) for n, (name, kw, _) in enumerate(entries))


MISTAKES = [
    ("a", dict(wait=None), "Service i0 missing attribute wait - DISABLING"),
    ("a", dict(user="nobdy"), "Error parsing attribute user - DISABLING SERVICE"),
    ("a", dict(user="nobdy"), "Unknown user: nobdy"),
    ("a", dict(group="nogrp"), "Unknown group: nogrp"),
    ("a", dict(frobnicate="1"), "bad service attribute: frobnicate"),
    ("a", dict(instances=["1", "2"]), "Service a: attribute already set: instances"),
    ("a", dict(nice="1 2"), "attribute nice expects 1 values and 2 values were specified"),
    ("a", dict(port=None), "Unlisted service: a must have a port entry"),
    ("no-such-service", dict(type=None, port=None), "Port not specified and can't find service: no-such-service with getservbyname"),
    ("smtp", dict(type=None, port="26"), "Service smtp expects port 25, not 26"),
    ("a", dict(server="/etc/passwd"), "Server /etc/passwd is not executable"),
    ("frob", dict(type="INTERNAL UNLISTED", server=None), "No such internal service: frob/stream - DISABLING"),
]


@covers("MSG-3", "PARSE-28")
@sandbox
def test_each_mistake_of_an_entry_has_its_sentence(daemon):
    daemon.boot(defaults(socket_type="stream"), mistakes(MISTAKES))
    missing = [text for _, _, text in MISTAKES if text not in daemon.dlog()]
    assert missing == [] and "attribute: socket_type should not be in default section" in daemon.dlog(), daemon.dlog()


@covers("MSG-3")
def test_services_that_are_the_same_are_named(daemon, ports):
    a, b = ports(2)
    daemon.boot(cat("a", a, id="i"), cat("a", a, id="i"), cat("c", b, id="j"), cat("d", b, id="k"))
    said(daemon, r"service: \w id: i not unique or is a duplicate - DISABLING")
    said(daemon, r"service: \w id: \w is unique but its identical to service: \w id: \w - DISABLING")


@covers("MSG-3", "RELOAD-1")
def test_a_reload_that_fails(daemon):
    daemon.boot(cat("a", free_port()))
    os.unlink(daemon.conf)
    daemon.signal(signal.SIGHUP)
    said(daemon, r"reconfiguration failed")
