"""A service manager as sd_notify(3) and sd_listen_fds(3) have it: it is told things, keeps sockets, and passes them on."""
import contextlib
import functools
import os
import signal
import socket
import subprocess
import threading

from harness import alive, logdefaults, wait_until
from procs import engines

LAUNCHER = """#!/usr/bin/python3
import os, sys
numbers = %r
for at, number in enumerate(numbers):
    os.dup2(number, 500 + at)
for at in range(len(numbers)):
    os.dup2(500 + at, 3 + at)
os.dup2(os.open(%r, os.O_CREAT), 3 + len(numbers))      # one more, which nobody speaks of
os.closerange(4 + len(numbers), 800)
os.environ.update(LISTEN_PID=%s, LISTEN_FDS=str(len(numbers)), LISTEN_FDNAMES=%r)
os.execv(%r, [%r] + sys.argv[1:])
"""


@contextlib.contextmanager
def passing(xd, named, pid="str(os.getpid())"):
    """What starts inside the block is passed these (name, descriptor)."""
    numbers, binary, popen = [number for _, number in named], xd.bin, subprocess.Popen
    names = ":".join(name for name, _ in named)
    xd.bin = xd.script("launcher", LAUNCHER % (numbers, xd.path("stray"), pid, names, binary, binary))
    subprocess.Popen = functools.partial(popen, pass_fds=numbers)
    try:
        yield
    finally:
        xd.bin, subprocess.Popen = binary, popen


class Manager:
    """The receiving end of NOTIFY_SOCKET. `told` is what came, in order; `kept` are descriptors by name, as many as
    `room` allows, as FileDescriptorStoreMax= does; `passed` are those of a socket unit. While it `is_deaf` it does not
    take in what it is told. `variables` are for the daemon."""

    def __init__(self, path, room=0):
        self.path, self.room, self.told, self.from_pids, self.kept = path, room, [], set(), {}
        self.passed, self.is_deaf, self.is_waiting, self.variables = [], threading.Event(), threading.Event(), {}
        self.s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.s.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.s.bind(path)
        threading.Thread(target=self._run, daemon=True).start()

    def env(self, **kw):
        room = {"FDSTORE": str(self.room)} if self.room else {}
        return dict(os.environ, NOTIFY_SOCKET=self.path, **room, **self.variables, **kw)

    def _run(self):
        while True:
            try:
                data, control, _, _ = self.s.recvmsg(4096, 128)
            except OSError:
                return
            if not data:
                return
            if self.is_deaf.is_set():
                self.is_waiting.set()
                wait_until(lambda: not self.is_deaf.is_set(), 30)
                self.is_waiting.clear()
            said = dict(l.split("=", 1) for l in data.decode().splitlines() if l)
            fds = []
            for _, kind, body in control:
                if kind == socket.SCM_RIGHTS:
                    fds += [int.from_bytes(body[i:i + 4], "little") for i in range(0, len(body), 4)]
                else:
                    self.from_pids.add(int.from_bytes(body[:4], "little"))
            self._store(said, fds)
            self.told.append(said)

    def _store(self, said, fds):
        """As systemd: what it has already is not taken again."""
        name, have = said.get("FDNAME"), {os.fstat(fd).st_ino for fd in self.kept.values()}
        for fd in fds:
            assert said.get("FDPOLL") == "0", "a socket that cps has closed would be dropped"
            if "FDSTORE" in said and len(self.kept) < self.room and os.fstat(fd).st_ino not in have:
                assert name not in self.kept
                self.kept[name] = fd
            else:
                os.close(fd)
        if "FDSTOREREMOVE" in said and name in self.kept:
            os.close(self.kept.pop(name))

    def stuff(self):
        """It takes nothing in, and there is no room for more, until it is not deaf any more."""
        self.is_deaf.set()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.sendto(b"CROWD=1\n", self.path)
            assert self.is_waiting.wait(5)
            with contextlib.suppress(BlockingIOError):
                while True:
                    s.sendto(b"CROWD=1\n", socket.MSG_DONTWAIT, self.path)

    def wait(self, key, count=1, timeout=None):
        """The messages with that key, once there are `count` of them."""
        def hits():
            h = [m for m in list(self.told) if key in m]
            return h if len(h) >= count else None
        got = wait_until(hits, timeout)
        assert got, "no %d x %s in %r" % (count, key, self.told)
        return got

    def wait_kept(self, *ids, timeout=None):
        """Until it keeps a socket of each of these services, and no others."""
        ok = wait_until(lambda: sorted(name.split("/", 3)[3] for name in list(self.kept)) == sorted(ids), timeout)
        assert ok, "%r are not %r" % (list(self.kept), ids)

    def keys(self):
        """What was told, in order, without free text."""
        return [k for m in list(self.told) for k in ("READY", "RELOADING", "STOPPING") if k in m]

    # -- a service of its own
    def boot(self, xd, *entries, **kw):
        """Start the daemon, with all that is kept; without entries with the same configuration."""
        before = self.keys().count("READY")
        if entries:
            xd.config("".join((logdefaults(xd),) + entries))
        with passing(xd, self.passed + list(self.kept.items())):
            xd.start(env=self.env(), args=["-stayalive"], **kw)
        self.wait("READY", before + 1)

    def end(self, xd, how=signal.SIGTERM):
        """The daemon is gone, and everything that it has said is heard."""
        left = engines(xd.proc.pid) if how == signal.SIGKILL else []
        xd.signal(how)
        xd.wait_exit()
        assert wait_until(lambda: not any(map(alive, left))), "an engine would still accept clients, and lose them"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.sendto(b"GONE=%d\n" % xd.proc.pid, self.path)
        self.wait("GONE", len({m["GONE"] for m in list(self.told) if "GONE" in m} | {str(xd.proc.pid)}))

    def restart(self, xd, *entries, how=signal.SIGTERM):
        """As `systemctl restart`, or after a crash."""
        self.end(xd, how)
        self.boot(xd, *entries)

    def drop(self):
        while self.kept:
            os.close(self.kept.popitem()[1])

    def close(self):
        self.s.shutdown(socket.SHUT_RDWR)
        self.s.close()
        self.drop()
