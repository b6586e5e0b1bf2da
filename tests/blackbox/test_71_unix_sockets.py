"""Sockets of unix(7) in `bind`, which xinetd 2.3.15 does not have (ATTR-26)."""
import contextlib
import json
import os
import random
import re
import shutil
import signal
import socket
import stat
import struct
import subprocess
import threading
import time

import pytest

from harness import *
from procs import engine

covers = pytest.mark.covers
root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
NOBODY = 65534
FILTER = "/etc/fail2ban/filter.d/xinetd-fail.conf"


@pytest.fixture
def at(xd):
    """Paths of sockets, in a directory that others may enter."""
    os.chmod(xd.dir, 0o755)
    return lambda name="s": xd.path(name)


def over(path, name="a", **kw):
    """A service that echoes, on a socket in the file system."""
    kw.setdefault("server", "/bin/cat")
    return service(name, bind="unix:" + path, protocol=None, **kw)


def dial(path, kind=socket.SOCK_STREAM, timeout=None):
    s = socket.socket(socket.AF_UNIX, kind)
    s.settimeout(patience(timeout))
    try:
        s.connect(path)
    except OSError:
        s.close()
        raise
    return s


def ask(path, data=b"x", kind=socket.SOCK_STREAM):
    """What a service answers to `data`; None if nobody listens, or lets us in."""
    try:
        with dial(path, kind) as s:
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
            return recv_all(s)
    except OSError:
        return None


@contextlib.contextmanager
def as_user(uid, gid=None):
    """The effective user of this process, for a moment."""
    groups = os.getgroups()
    os.setgroups([])
    os.setegid(uid if gid is None else gid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


def shape(path):
    found = os.lstat(path)
    return stat.S_ISSOCK(found.st_mode), stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid


def boot(xd, *entries, **kw):
    xd.boot(logdefaults(xd, **kw), *entries)


def test_a_client_is_served_and_known_by_its_user(xd, at):
    script = xd.script("env", "#!/bin/sh\nenv | grep -E '^(REMOTE|PROTO|TCP|UNIX)' | sort\n")
    boot(xd, over(at()), over(at("t"), "t", server=script))
    assert ask(at(), b"hello") == b"hello"
    me = os.geteuid()
    start, = xd.wait_log("^START: a")
    assert re.fullmatch(r"START: a pid=\d+ from=unix:uid=%d" % me, start)
    xd.wait_log(r"^EXIT: a status=0 pid=\d+ duration=\d+\(sec\)$")
    said = dict(line.split("=", 1) for line in ask(at("t"), b"").decode().splitlines())
    assert said == {"REMOTE_HOST": "unix:uid=%d" % me, "PROTO": "UNIX", "UNIXREMOTEEUID": str(me),
                    "UNIXREMOTEEGID": str(os.getegid()), "UNIXREMOTEPID": str(os.getpid())}


@root
def test_owner_and_mode_are_what_the_entry_says_whatever_the_umask_is(xd, at):
    boot(xd, over(at(), "a"), over(at("b"), "b", socket_group="daemon"),
         over(at("c"), "c", socket_mode="0666", socket_user="nobody", umask="077"),
         over(at("d"), "d", socket_group="4", socket_mode="606"), preexec=lambda: os.umask(0o077))
    daemon = 1
    assert shape(at("s")) == (True, 0o600, 0, 0)
    assert shape(at("b")) == (True, 0o660, 0, daemon)
    assert shape(at("c")) == (True, 0o666, NOBODY, 0)
    assert shape(at("d")) == (True, 0o606, 0, 4)
    with as_user(NOBODY):
        for path, gets_in in (("s", False), ("b", False), ("c", True), ("d", True)):
            assert (ask(at(path)) == b"x") == gets_in, path
    with as_user(NOBODY, gid=daemon):
        assert ask(at("b")) == b"x"
    xd.wait_log("^START: b .*from=unix:uid=65534$")


@root
@covers("LIM-1", "LIM-3")
def test_users_are_sources(xd, at):
    boot(xd, over(at(), socket_mode="0666", per_source="1"))
    first = dial(at())
    first.sendall(b"1")
    assert recv_n(first, 1) == b"1"
    assert ask(at()) in (b"", None)
    xd.wait_log("^FAIL: a per_source_limit from=unix:uid=0$")
    with as_user(NOBODY):
        assert ask(at()) == b"x"
    first.close()
    assert wait_until(lambda: ask(at()) == b"x")


@covers("ACC-1", "TIME-1")
def test_what_is_not_about_addresses_holds(xd, at, tmp_path):
    now = time.localtime().tm_hour
    closed = "%d:00-%d:00" % ((now + 2) % 22, (now + 2) % 22 + 1)
    boot(xd, over(at(), instances="0"), over(at("t"), "t", access_times=closed),
         over(at("b"), "b", banner=xd.write("banner", "welcome\n")))
    assert ask(at()) in (b"", None)
    xd.wait_log("^FAIL: a service_limit from=unix:uid=%d$" % os.geteuid())
    assert ask(at("t")) in (b"", None)
    xd.wait_log("^FAIL: t time from=unix:uid=%d$" % os.geteuid())
    assert ask(at("b"), b"x") == b"welcome\nx"


@pytest.mark.needs_sandbox
@covers("WRAP-1", "ACC-7", "IDENT-4")
def test_lists_of_addresses_are_not_asked_and_that_is_said(xd, at, etc):
    etc("hosts.deny", "ALL: ALL\n")
    boot(xd, over(at(), only_from="192.0.2.1", no_access="127.0.0.1", flags="IDONLY", log_on_success="+= USERID"))
    assert ask(at()) == b"x"
    xd.wait_dlog(r"`only_from` does not apply to clients of unix:%s, who have no address: its permissions decide" % at())
    xd.wait_dlog("`no_access` does not apply to clients of")
    xd.wait_log("^USERID: a UNIX : 0$")


@pytest.mark.skipif(not (shutil.which("fail2ban-regex") and os.path.exists(FILTER)), reason="needs fail2ban")
def test_fail2ban_takes_no_user_for_an_address(xd, tmp_path):
    """Not even for a reason that it acts upon."""
    lines = ["Nov 25 12:00:00 h xinetd[7]: FAIL: a %s from=unix:uid=%s" % (why, uid)
             for why in ("address", "libwrap", "per_source_limit") for uid in ("0", "1000", "4294967295")]
    log = tmp_path / "log"
    log.write_text("".join(line + "\n" for line in lines))
    r = subprocess.run(["fail2ban-regex", str(log), FILTER], capture_output=True, text=True, timeout=60)
    assert re.search(r"Lines: %d lines, \d+ ignored, 0 matched" % len(lines), r.stdout), r.stdout


@covers("CPS-3")
def test_while_cps_keeps_the_service_closed_clients_wait(xd, at):
    """The kernel has no way back for a unix socket that has stopped listening."""
    boot(xd, over(at(), cps="2 1"))
    early_in_a_second()
    for _ in range(3):
        ask(at())
    xd.wait_dlog("Deactivating service a")
    waiting = dial(at())
    waiting.sendall(b"w")
    assert recv_n(waiting, 1) == b"w"
    assert "Activating service a" in xd.dlog()
    waiting.close()


def test_the_file_goes_with_the_service_and_with_the_daemon(xd, at):
    boot(xd, over(at("a"), "a"), over(at("b"), "b"))
    xd.reload(logdefaults(xd), over(at("a"), "a"))
    assert ask(at("a")) == b"x"
    assert not os.path.exists(at("b"))
    xd.signal(signal.SIGTERM)
    xd.wait_exit()
    assert not os.path.exists(at("a"))


def test_a_file_that_somebody_has_replaced_stays(xd, at):
    boot(xd, over(at("a"), "a"), over(at("b"), "b"))
    os.unlink(at("a"))
    other = socket.socket(socket.AF_UNIX)
    other.bind(at("a"))
    other.listen()
    xd.write("precious", "precious")
    os.rename(xd.path("precious"), at("b"))
    xd.signal(signal.SIGTERM)
    xd.wait_exit()
    dial(at("a")).close()
    assert open(at("b")).read() == "precious"


def test_what_a_crash_has_left_is_replaced_and_nothing_else(xd, at):
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(at("stale"))
    stale.close()
    live = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    live.bind(at("live"))
    live.listen()
    xd.write("file", "precious")
    os.symlink(at("file"), at("link"))
    boot(xd, *(over(at(name), name) for name in ("stale", "live", "file", "link")))
    assert ask(at("stale")) == b"x"
    for name, why in (("live", "somebody else listens there"), ("file", "a file that is no socket has this name"),
                      ("link", "a file that is no socket has this name")):
        xd.wait_dlog(r"bind failed \(%s\)\. service = %s; unix:%s, " % (why, name, at(name)))
    dial(at("live"), socket.SOCK_SEQPACKET).close()
    assert open(at("file")).read() == "precious" and os.path.islink(at("link"))


def test_a_daemon_that_was_killed_is_followed_by_one_that_serves(xd, at):
    boot(xd, over(at()))
    xd.proc.kill()
    xd.wait_exit()
    assert wait_until(lambda: ask(at()) is None) and os.path.exists(at())        # the engine is not as quick
    boot(xd, over(at()))
    assert ask(at()) == b"x"


def test_a_directory_that_is_missing_is_named_with_the_way_out(xd, at):
    boot(xd, over(xd.path("d/s")))
    xd.wait_dlog(r"bind failed \(the directory %s does not exist: make it, or have systemd make it" % xd.path("d"))
    os.mkdir(xd.path("d"))
    xd.reload(logdefaults(xd), over(xd.path("d/s")))
    assert ask(xd.path("d/s")) == b"x"


@root
@covers("RELOAD-2")
def test_a_reload_changes_the_owner_and_keeps_socket_and_sessions(xd, at):
    boot(xd, over(at()))
    held, inode = dial(at()), os.stat(at()).st_ino
    xd.reload(logdefaults(xd), over(at(), socket_mode="0666", socket_user="nobody", nice="1"))
    assert shape(at()) == (True, 0o666, NOBODY, 0) and os.stat(at()).st_ino == inode
    held.sendall(b"h")
    assert recv_n(held, 1) == b"h"
    os.chmod(at(), 0o640)
    xd.reload(logdefaults(xd), over(at(), socket_mode="0666", socket_user="nobody"))
    assert shape(at())[1] == 0o640, "what somebody has changed by hand is not changed back"


@covers("RELOAD-3", "RELOAD-7")
def test_a_socket_is_handed_on_or_made_anew(xd, at):
    boot(xd, over(at("a"), id="one"), over(at("b"), "b"))
    inode = os.stat(at("a")).st_ino
    xd.reload(logdefaults(xd), over(at("a"), id="two", socket_mode="0640"), over(at("b"), "b", socket_type="seqpacket"))
    assert os.stat(at("a")).st_ino == inode and shape(at("a"))[1] == 0o640
    assert ask(at("a")) == b"x"
    assert ask(at("b"), kind=socket.SOCK_SEQPACKET) == b"x"
    xd.reload(logdefaults(xd), over(at("c"), id="two"))
    assert ask(at("c")) == b"x" and sorted(os.listdir(xd.dir)).count("a") == 0
    assert not os.path.exists(at("b"))


@covers("BIND-8")
def test_one_service_on_addresses_of_both_kinds(xd, at):
    a = free_port()
    xd.boot(logdefaults(xd), cat("a", a, bind="127.0.0.1 unix:%s ::1" % at(), only_from="127.0.0.1"), up=[a])
    assert ask(at()) == b"x" and talk(a, b"x") == b"x"
    assert attempt(a, b"x", addr="::1") != b"x"
    xd.wait_log("^FAIL: a address from=::1$")
    assert [line.split("from=")[1] for line in xd.wait_log("^START: a", 2)] == ["unix:uid=%d" % os.geteuid(), "127.0.0.1"]


def test_a_name_without_a_file(xd, at):
    name = "xinetd-test-%d" % os.getpid()
    boot(xd, over("@" + name))
    assert ask("\0" + name) == b"x"
    xd.reload(logdefaults(xd))
    assert ask("\0" + name) is None


def test_packets_keep_their_bounds(xd, at):
    boot(xd, over(at(), socket_type="seqpacket"))
    s = dial(at(), socket.SOCK_SEQPACKET)
    for packet in (b"one", b"and two", b"3"):
        s.send(packet)
    assert [s.recv(100) for _ in range(3)] == [b"one", b"and two", b"3"]
    s.close()
    xd.wait_log("^EXIT: a status=0")


ACCEPTS = """#!/usr/bin/python3
import socket
l = socket.socket(fileno=0)
c, _ = l.accept()
c.sendall(c.recv(100).upper())
"""
READS = """#!/usr/bin/python3
import socket
s = socket.socket(fileno=0)
s.settimeout(1)
try:
    while True:
        data, sender = s.recvfrom(100)
        s.sendto(data.upper(), sender)
except socket.timeout:
    pass
"""


@covers("WAIT-1", "WAIT-4", "ACC-7")
@pytest.mark.parametrize("kind", ["stream", "seqpacket"])
def test_a_server_may_accept_itself(xd, at, kind):
    boot(xd, over(at(), wait="yes", socket_type=kind, server=xd.script("accepts", ACCEPTS)))
    for _ in range(3):
        assert ask(at(), b"x", getattr(socket, "SOCK_" + kind.upper())) == b"X"
    assert len(xd.wait_log("^START: a .*from=<no address>$", 3)) == 3


@covers("WAIT-1", "WAIT-3")
def test_a_server_may_read_datagrams(xd, at):
    boot(xd, over(at(), wait="yes", socket_type="dgram", server=xd.script("reads", READS)),
         over(at("t"), "t", wait="yes", socket_type="dgram", server="/bin/true"))
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.settimeout(patience())
    s.bind(at("client"))
    for data in (b"one", b"two"):
        s.sendto(data, at())
    assert [s.recv(100), s.recv(100)] == [b"ONE", b"TWO"]
    xd.wait_log("^START: a .*from=<no address>$")
    for _ in range(2):
        s.sendto(b"nobody reads this", at("t"))
    xd.wait_log("^EXIT: t", 2)
    s.close()
    assert len([line for line in xd.log() if line.startswith("START: t")]) == 2, "each is dropped unread"


def test_internal_services_and_redirect(xd, at):
    a = free_port()
    xd.boot(logdefaults(xd), cat("a", a),
            service("echo", bind="unix:" + at("echo"), protocol=None, type="INTERNAL UNLISTED", user=None),
            over(at("r"), "r", server=None, redirect="127.0.0.1 %d" % a),
            over(at("u"), "u", server=None, redirect="unix:" + at("v")), over(at("v"), "v"), up=[a])
    for path in ("echo", "r"):
        assert ask(at(path), b"x" * 10000) == b"x" * 10000, path
    os.chmod(at("v"), 0o666)
    assert ask(at("u")) == b"x"


def test_an_engine_that_crashes_is_replaced(xd, at):
    boot(xd, over(at(), instances="1"))
    held, first = dial(at()), engine(xd.proc.pid)
    held.sendall(b"h")
    assert recv_n(held, 1) == b"h"
    os.kill(first, signal.SIGKILL)
    engine(xd.proc.pid, other_than=first)
    assert ask(at()) in (b"", None), "its session is still counted"
    held.close()
    assert wait_until(lambda: ask(at()) == b"x")


@pytest.mark.needs_sandbox
def test_explain_and_dump_show_it(xd, at):
    boot(xd, over(at(), socket_mode="0640"))
    shown = subprocess.run([CTL, "explain", "-f", xd.conf, "a"], capture_output=True, text=True).stdout
    assert re.search(r"listens on +unix:%s\n" % at(), shown) and re.search(r"socket_mode += 0640", shown), shown
    shown = subprocess.run([CTL, "explain", "-f", xd.conf, "a", "--from", "127.0.0.1"], capture_output=True, text=True).stdout
    assert "a client from 127.0.0.1 cannot reach unix:" + at() in shown
    shown = json.loads(subprocess.run([CTL, "dump", xd.conf], capture_output=True, text=True).stdout)
    entry = next(one for one in shown["services"] if one["id"] == "a")
    assert entry["listen"] == [{"address": "unix:" + at(), "port": None, "protocol": None, "socket_type": "stream",
                                "v6only": False}]


def test_curl_talks_to_a_server_behind_it(xd, at):
    page = xd.script("page", "#!/bin/sh\nread line\nprintf 'HTTP/1.0 200 OK\\r\\n\\r\\nhello\\n'\n")
    boot(xd, over(at(), server=page))
    r = subprocess.run(["curl", "-s", "--unix-socket", at(), "http://localhost/"], capture_output=True, timeout=60)
    assert r.stdout == b"hello\n"


@covers("RELOAD-7", "HARD-6")
def test_another_path_under_load_ends_nothing_but_the_servers_there(xd, at):
    """Orders about the old socket are under way while the new one is in force already."""
    paths, over_and_out = [at("one"), at("two")], threading.Event()
    entry = lambda n: logdefaults(xd, cps="0 0", instances="UNLIMITED", per_source="UNLIMITED") + over(paths[n % 2])
    xd.start(entry(0))
    assert wait_until(lambda: ask(paths[0]) == b"x")

    def come():
        while not over_and_out.is_set():
            ask(random.choice(paths))
    crowd = [threading.Thread(target=come, daemon=True) for _ in range(6)]
    for t in crowd:
        t.start()
    for n in range(1, 13):
        xd.hup(entry(n))
        xd.wait_dlog("Reconfigured: ", n, timeout=20)
        assert wait_until(lambda: ask(paths[n % 2]) == b"x")
    over_and_out.set()
    for t in crowd:
        t.join(10)
    assert xd.alive() and "protocol" not in xd.dlog()


@covers("RELOAD-7", "BAN-4")
def test_who_still_reads_a_banner_when_the_path_changes_goes_as_the_servers_do(xd, at):
    banner = "hello " * 200000
    entry = lambda name: logdefaults(xd) + over(at(name), banner_success=xd.write("banner", banner))
    xd.start(entry("one"))
    assert wait_until(lambda: os.path.exists(at("one")))
    with dial(at("one")) as s:
        assert s.recv(1) == b"h"
        xd.hup(entry("two"))
        xd.wait_dlog("Reconfigured: ")
        assert recv_all(s) == banner[1:].encode(), "and nobody serves it"
    with dial(at("two")) as s:
        assert recv_n(s, len(banner)) == banner.encode()
        s.sendall(b"x")
        assert s.recv(1) == b"x"
    assert "protocol" not in xd.dlog()
