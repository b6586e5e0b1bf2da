"""Everything at once, for a while: afterwards all is where it was, and every START has its EXIT."""
import collections
import os
import random
import signal
import threading

import pytest

from harness import *
from load import Crowd, Held
from procs import daemon_processes, engine, fds, reset_on_close, rss, zombies

SECONDS = float(os.environ.get("SOAK_SECONDS", "20"))
ENGINE_KILLS = 15.0                     # seconds between two: six in a minute are too many
GROWTH = 256, 1024                      # KiB; the engine's allocator has a heap for each thread that ever was at work

CRASHES = "#!/bin/sh\nread how\ncase $how in exit*) $how;; *) kill -$how $$;; esac\nsleep 60\n"


class Daemon:
    """One daemon with services of many kinds, and what can be done to it."""
    NAMES = ["plain", "held", "crash", "few", "closed", "often", "banner", "echo", "day", "gone", "moved"]

    def __init__(self, xd):
        self.xd, self.port = xd, {name: free_port() for name in self.NAMES}
        self.crash = xd.script("crash", CRASHES)
        self.banner = xd.write("banner", "hello " * 50000)
        self.n = 0
        xd.start(self.text(), expect=list(self.port.values())[:-2])
        xd.wait_dlog("Started working")

    def text(self):
        """Another one each time, with the same services but two."""
        p, n = self.port, self.n
        entries = [cat("plain", p["plain"], nice=n % 3), cat("held", p["held"]), service("crash", p["crash"], server=self.crash),
                   cat("few", p["few"], instances="2", per_source=1 + n % 2), cat("closed", p["closed"], only_from="127.0.0.9"),
                   cat("often", p["often"], cps="5 1"), cat("banner", p["banner"], banner=self.banner, banner_fail=self.banner),
                   internal("echo", p["echo"]), internal("daytime", p["day"])]
        if n % 2:
            entries.append(cat("gone", p["gone"]))
        if n % 3:
            entries.append(cat("moved", p["moved"], bind="127.0.0.%d" % (n % 3)))
        if n % 5 == 4:
            entries[0] = entries[0].replace("\twait = no", "\twait = perhaps")
        limits = dict(cps="0 0", instances="UNLIMITED", per_source="UNLIMITED")
        return logdefaults(self.xd, **limits) + "".join(entries)

    def reload(self):
        before = self.xd.dlog().count("Reconfigured: ")
        self.n += 1
        self.xd.hup(self.text())
        return wait_until(lambda: self.xd.dlog().count("Reconfigured: ") > before)

    def served(self):
        return attempt(self.port["plain"], b"x") == b"x"

    def hold(self):
        s = connect(self.port[random.choice(["held", "echo", "few", "gone", "moved"])])
        with s:
            s.sendall(b"x")
            s.recv(1)
            threading.Event().wait(random.random())         # a session that lasts

    def try_to_hold(self):
        try:
            self.hold()
        except OSError:
            pass
        return True

    def crash_server(self):
        return attempt(self.port["crash"], random.choice([b"KILL", b"TERM", b"HUP", b"exit 3", b"exit 0"]) + b"\n") is not None

    def be_refused(self):
        return attempt(self.port["closed"], b"x") != b"x"

    def come_too_often(self):
        return attempt(self.port["often"], b"x") == b"x"

    def read_banner(self):
        got = attempt(self.port["banner"], b"x")
        return got == b"hello " * 50000 + b"x"

    def leave_at_once(self):
        try:
            reset_on_close(connect(self.port[random.choice(["plain", "banner", "echo", "crash"])])).close()
        except OSError:
            pass
        return True

    def ask_the_day(self):
        return bool(attempt(self.port["day"]))

    def kill_engine(self):
        old = engine(self.xd.proc.pid)
        os.kill(old, signal.SIGKILL)
        return engine(self.xd.proc.pid, other_than=old)

    def check(self):
        self.xd.signal(random.choice([signal.SIGABRT, signal.SIGUSR1]))
        return True

    def crowd(self):
        crowd = Crowd()
        for act, pause, times in [(self.served, 0.02, 3), (self.try_to_hold, 0.05, 3), (self.crash_server, 0.1, 2),
                                  (self.be_refused, 0.05, 2), (self.come_too_often, 0.1, 1), (self.read_banner, 0.2, 2),
                                  (self.leave_at_once, 0.05, 2), (self.ask_the_day, 0.1, 1), (self.reload, 0.7, 1),
                                  (self.check, 1.0, 1)]:
            crowd.add(act, pause, times)
        return crowd

    def at_rest(self):
        """Per process: memory in KiB and open descriptors, with the first configuration and no server."""
        self.n = -1
        assert self.reload()
        monitor = self.xd.proc.pid
        assert wait_until(lambda: len(descendants(monitor)) == 1), "servers remain"
        assert wait_until(lambda: not zombies(monitor))
        return [(rss(p), sorted(what.split(":")[0] for what in fds(p).values())) for p in daemon_processes(monitor)]


def of_each(log, word):
    """How often each process of each service has this line; who was answered at once had none (INTL-8)."""
    found = (re.match(r"%s: (\S+).* pid=([1-9]\d*)" % word, l) for l in log)
    return collections.Counter(m.groups() for m in found if m)


@pytest.mark.covers("HARD-6", "LOG-2", "LOG-3", "SIG-6", "LIM-6")
@pytest.mark.needs_sandbox
def test_soak(xd):
    daemon = Daemon(xd)
    held = Held(daemon.port["held"], 5)
    daemon.crowd().act_for(3)
    held.close()
    before = daemon.at_rest()
    held, lasting = Held(daemon.port["held"], 5), daemon.crowd()
    lasting.add(daemon.kill_engine, ENGINE_KILLS, spread=0.1)
    lasting.act_for(SECONDS)
    held.echo()
    held.close()
    after = daemon.at_rest()
    print(dict(lasting.done), [(kib, len(files)) for kib, files in before], [(kib, len(files)) for kib, files in after])
    idle = [name for name in ("served", "crash_server", "be_refused", "read_banner", "ask_the_day", "reload") if not lasting.done[name]]
    assert idle == []
    for (kib_then, files_then), (kib, files), most in zip(before, after, GROWTH):
        assert files == files_then, "descriptors leaked"
        assert kib - kib_then <= most, "grew from %d to %d KiB" % (kib_then, kib)
    assert wait_until(lambda: of_each(xd.log(), "START") == of_each(xd.log(), "EXIT"))
    log = xd.log()
    assert not [l for l in log if not re.match("(START|EXIT|FAIL): ", l)], "no line is torn"
    assert "Consistency check detected" not in xd.dlog() and "protocol" not in xd.dlog()
    xd.signal(signal.SIGABRT)
    xd.wait_dlog("Consistency check passed")
    assert talk(daemon.port["few"], b"x") == b"x", "counts are where they were"
