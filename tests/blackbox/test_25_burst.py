"""Numbers: a thousand clients at once, and a hundred thousand one after the other."""
import multiprocessing
import os
import selectors
import socket
import time

from harness import *
from procs import anonymous, daemon_processes, fds, reset_on_close, rss, zombies

ENDLESS = dict(instances="UNLIMITED", per_source="UNLIMITED", cps="0 0")
MANY = int(os.environ.get("MANY_CONNECTIONS", "100000"))
MANY_REFUSED = int(os.environ.get("MANY_REFUSED", "20000"))
RSS_LIMIT = 5120                        # KiB, of the monitor; most of it are pages of the program, which both processes share
OWN_LIMIT = 768                         # KiB that are its own


def test_a_thousand_clients_at_once_are_all_served(xd):
    a = free_port()
    xd.start(logdefaults(xd) + cat("a", a, **ENDLESS), expect=[a])
    watch = selectors.DefaultSelector()
    for i in range(1000):
        s = reset_on_close(socket.socket())
        s.setblocking(False)
        assert s.connect_ex(("127.0.0.1", a)) in (0, 115)
        watch.register(s, selectors.EVENT_WRITE)
    served, end = 0, time.monotonic() + 60
    while watch.get_map() and time.monotonic() < end:
        for key, events in watch.select(1):
            s = key.fileobj
            if events & selectors.EVENT_WRITE:
                s.send(b"x")            # raises if the connection was refused
                watch.modify(s, selectors.EVENT_READ)
            else:
                assert s.recv(1) == b"x"
                served += 1
                watch.unregister(s)
                s.close()
    assert served == 1000
    xd.wait_log("^EXIT: a", 1000)
    assert wait_until(lambda: not zombies(xd.proc.pid))


def customer(port, number, n):
    """n connections to a server that says nothing and ends."""
    for _ in range(n):
        with reset_on_close(socket.socket()) as s:
            s.bind(("127.0.0.%d" % (number + 2), 0))
            s.connect(("127.0.0.1", port))
            try:
                while s.recv(64):
                    pass
            except ConnectionResetError:
                pass


def unwelcome(ports, number, n):
    """n connections from 65,536 addresses in turn; each is refused, by one service after the other."""
    for i in range(n):
        with reset_on_close(socket.socket()) as s:
            s.bind(("127.%d.%d.%d" % (number + 1, i >> 8 & 255, i & 255), 0))
            s.connect(("127.0.0.1", ports[i % len(ports)]))
            try:
                assert s.recv(64) == b""
            except ConnectionResetError:
                pass


def by_several(target, port, n, clients=4):
    """n connections by several processes, and how many that were; fails if one of them does."""
    ctx = multiprocessing.get_context("fork")
    them = [ctx.Process(target=target, args=(port, i, n // clients)) for i in range(clients)]
    for p in them:
        p.start()
    for p in them:
        p.join(1800)
    assert [p.exitcode for p in them] == [0] * clients
    return n // clients * clients


def footprint(xd):
    """Per process of the daemon: resident KiB, open descriptors."""
    assert wait_until(lambda: len(descendants(xd.proc.pid)) == len(daemon_processes(xd.proc.pid)) - 1), "servers remain"
    # whose descriptors we may see: the engine lets itself be looked into by root only
    seen = {p for p in daemon_processes(xd.proc.pid) if p == xd.proc.pid or os.geteuid() == 0}
    return {p: (rss(p), fds(p) if p in seen else None) for p in daemon_processes(xd.proc.pid)}


def test_many_connections_leave_nothing_behind(xd):
    a = free_port()
    xd.start(service("a", a, server="/bin/true", **ENDLESS), expect=[a])
    by_several(customer, a, MANY // 20)
    before = footprint(xd)
    by_several(customer, a, MANY)
    assert stays_flat(xd, before)[xd.proc.pid][0] < RSS_LIMIT
    assert anonymous(xd.proc.pid) < OWN_LIMIT


def test_many_refused_leave_nothing_behind(xd, ports):
    """By address, by limits and by the load, with a line each."""
    reasons = [dict(only_from="10.0.0.0"), dict(no_access="127.0.0.0"), dict(instances="0"), dict(per_source="0"), dict(max_load="-1")]
    ps = ports(len(reasons))
    xd.start(logdefaults(xd) + "".join(cat("s%d" % i, p, cps="0 0", **why) for i, (p, why) in enumerate(zip(ps, reasons))),
             expect=ps, filelog=False)
    n = by_several(unwelcome, ps, MANY_REFUSED // 4)
    before = footprint(xd)
    n += by_several(unwelcome, ps, MANY_REFUSED)
    stays_flat(xd, before)
    assert wait_until(lambda: len(xd.raw_log()) == n)


def stays_flat(xd, before):
    after = footprint(xd)
    print({pid: (before[pid][0], after[pid][0], len(after[pid][1] or [])) for pid in before})
    assert before.keys() == after.keys(), "the engine was replaced"
    for pid in after:
        assert after[pid][1] == before[pid][1], "descriptors leaked"
        assert after[pid][0] - before[pid][0] <= 128, "grew from %d to %d KiB" % (before[pid][0], after[pid][0])
        assert wait_until(lambda: not zombies(pid))
    return after
