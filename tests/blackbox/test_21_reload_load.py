"""Reload: under load nobody is turned away, and a mistake changes nothing."""
import os

import pytest

from harness import *
from load import Held, Load
from procs import frozen, tcp_inode

covers = pytest.mark.covers
ENDLESS = dict(instances="UNLIMITED", per_source="UNLIMITED", cps="0 0")


def reloads(xd, n):
    xd.wait_dlog("Reconfigured: ", n)


@covers("RELOAD-2", "RELOAD-9", "RELOAD-10")
def test_ten_reloads_under_load_lose_no_connection(daemon, ports):
    a, b, c = ports(3)
    conf = [logdefaults(daemon, **ENDLESS) + cat("a", a, nice=n, **ENDLESS) + cat(*other)
            for n, other in (("0", ("b", b)), ("1", ("c", c)))]
    daemon.start(conf[0], expect=[a, b])
    held = Held(a, 20)
    for i in range(1, 11):
        load = Load(a)
        load.wait_done(50)
        daemon.hup(conf[i % 2])
        reloads(daemon, i)
        load.wait_done(load.done + 50)
        held.echo()
        assert load.finish().outcome() == {"done": load.done, "refused": 0, "broken": 0}
    held.echo()
    assert listening(b) and not listening(c)


@covers("RELOAD-2", "RELOAD-3", "RELOAD-10")
def test_an_unchanged_service_keeps_socket_backlog_and_sessions(daemon, ports):
    kept, gone, new = ports(3)
    daemon.start(logdefaults(daemon) + cat("kept", kept, cps="0 0") + service("gone", gone, server=daemon.script("s", SLEEPER)),
                 expect=[kept, gone])
    held, (lost, pid), inode = Held(kept, 5), start_sleeper(gone), tcp_inode(kept)
    with frozen(daemon):
        waiting = [connect(kept) for _ in range(40)]
        for s in waiting:
            s.sendall(b"waiting")
        daemon.hup(logdefaults(daemon) + cat("kept", kept, cps="0 0") + cat("new", new))
    reloads(daemon, 1)
    assert all(recv_n(s, 7) == b"waiting" for s in waiting)
    held.echo()
    assert tcp_inode(kept) == inode
    assert talk(new, b"x") == b"x" and refused(gone)
    assert wait_until(lambda: not alive(pid))
    assert recv_all(lost) == b""


def says_where(xd, path, line):
    """The message names file and line, as `file:line:column` or in the log's own way."""
    where = r"%s:%d:\d+|\[file=%s\] \[line=%d\]" % (re.escape(path), line, re.escape(path), line)
    return xd.wait_dlog(where)


def line_of(path, text):
    with open(path) as f:
        return next(n for n, l in enumerate(f, 1) if text in l)


@covers("DEF-6", "RELOAD-14")
def test_a_mistake_in_defaults_changes_nothing_and_says_where(xd, ports):
    a, b = ports(2)
    xd.start(logdefaults(xd) + cat("a", a), expect=[a])
    held, inode = Held(a, 3), tcp_inode(a)
    xd.hup(logdefaults(xd, instances="lots") + cat("b", b) + cat("a", a, instances="0"))
    says_where(xd, xd.conf, line_of(xd.conf, "lots"))
    xd.wait_dlog("(?i)reconfiguration failed|configuration.* (is|stays) unchanged|keep.* configuration", free=True)
    held.echo()
    assert talk(a, b"x") == b"x" and not listening(b) and tcp_inode(a) == inode
    xd.hup(logdefaults(xd) + cat("a", a) + cat("b", b))
    reloads(xd, 1)
    held.echo()
    assert talk(b, b"x") == b"x"


@covers("RELOAD-1")
def test_a_main_file_that_cannot_be_read_changes_nothing(daemon):
    a = free_port()
    daemon.start(logdefaults(daemon) + cat("a", a), expect=[a])
    held = Held(a, 3)
    os.rename(daemon.conf, daemon.conf + ".away")
    daemon.hup()
    daemon.wait_dlog(re.escape(daemon.conf) + "|reconfiguration failed")
    held.echo()
    assert talk(a, b"x") == b"x"
    os.rename(daemon.conf + ".away", daemon.conf)
    daemon.hup()
    reloads(daemon, 1)
    held.echo()


@covers("RELOAD-4")
@pytest.mark.parametrize("mistake", [("wait = no", "wait = perhaps"), ("user = ", "user = no-such-user-"), ("\twait = no", "\twait= no"),
                                     ("server = /bin/cat", "server = /bin/no-such-cat")], ids=lambda m: m[1].split(" ")[0].strip())
def test_a_faulty_entry_keeps_its_old_service_running(xd, ports, mistake):
    a, b, c = ports(3)
    xd.start(logdefaults(xd) + cat("a", a) + cat("b", b), expect=[a, b])
    held, inode = Held(a, 3), tcp_inode(a)
    entry = cat("a", a, instances="0")
    assert mistake[0] in entry
    xd.hup(logdefaults(xd) + entry.replace(*mistake) + cat("c", c))
    reloads(xd, 1)
    says_where(xd, xd.conf, line_of(xd.conf, mistake[1].strip()))
    held.echo()
    assert tcp_inode(a) == inode
    assert talk(a, b"x") == b"x", "the old entry, without instances = 0"
    assert talk(c, b"x") == b"x" and refused(b)
    xd.hup(logdefaults(xd) + cat("a", a, instances="3") + cat("c", c))
    reloads(xd, 2)
    held.echo()
    assert talk(a, b"x") == b"", "the new entry counts the old sessions"


@covers("RELOAD-4", "START-12")
def test_a_service_that_was_faulty_from_the_start_stays_out_until_mended(xd, ports):
    a, b = ports(2)
    broken = cat("a", a).replace("wait = no", "wait = perhaps")
    xd.start(broken + cat("b", b), expect=[b])
    xd.hup(broken + cat("b", b))
    reloads(xd, 1)
    assert not listening(a) and talk(b, b"x") == b"x"
    xd.hup(cat("a", a) + cat("b", b))
    reloads(xd, 2)
    assert talk(a, b"x") == b"x"


@covers("RELOAD-4", "ATTR-30")
@pytest.mark.parametrize("how", ["removed", "disabled"])
def test_a_removed_or_disabled_service_goes(xd, ports, how):
    a, b = ports(2)
    xd.start(logdefaults(xd) + cat("a", a) + cat("b", b), expect=[a, b])
    s = connect(a)
    s.sendall(b"1")
    assert s.recv(1) == b"1"
    xd.hup(logdefaults(xd) + (cat("a", a, disable="yes") if how == "disabled" else "") + cat("b", b))
    reloads(xd, 1)
    assert refused(a) and talk(b, b"x") == b"x"
    assert recv_all(s) == b""
    xd.wait_log("^EXIT: a signal=15 ")


@covers("RELOAD-3")
def test_a_renamed_service_takes_over_the_port(daemon):
    a = free_port()
    daemon.start(cat("a", a), expect=[a])
    for i in range(5):
        daemon.hup(service("name%d" % i, a, server="/bin/echo", server_args="name%d" % i))
        reloads(daemon, i + 1)
        assert talk(a) == b"name%d\n" % i
