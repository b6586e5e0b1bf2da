"""Clients in numbers: load that runs beside a test, and sessions that are held open."""
import collections
import random
import socket
import threading

from harness import connect, wait_until


class Load:
    """`total` connections by `clients` threads, each answered by an echo service; without a number they go on
    until `finish`.

    Afterwards `refused`, `broken` (accepted, then closed or reset without the
    answer) and `done` say how it went.
    """

    def __init__(self, port, total=None, clients=16):
        self.port, self.left, self.lock = port, total, threading.Lock()
        self.done = self.refused = self.broken = 0
        self.threads = [threading.Thread(target=self._client, daemon=True) for _ in range(clients)]
        for t in self.threads:
            t.start()

    def _client(self):
        while True:
            with self.lock:
                if self.left == 0:
                    return
                if self.left:
                    self.left -= 1
            how = self._one()
            with self.lock:
                setattr(self, how, getattr(self, how) + 1)

    def _one(self):
        try:
            s = connect(self.port)
        except ConnectionRefusedError:
            return "refused"
        with s:
            try:
                s.sendall(b"x")
                return "done" if s.recv(1) == b"x" else "broken"
            except (ConnectionError, socket.timeout):
                return "broken"

    def wait_done(self, n, timeout=None):
        assert wait_until(lambda: self.done >= n, timeout), "only %d connections served" % self.done

    def finish(self, timeout=60):
        with self.lock:
            self.left = self.left or 0
        for t in self.threads:
            t.join(timeout)
        assert not any(t.is_alive() for t in self.threads), "the load does not end"
        return self

    def outcome(self):
        return {"done": self.done, "refused": self.refused, "broken": self.broken}


class Held:
    """`n` sessions of an echo service, held open."""

    def __init__(self, port, n, **kw):
        self.sockets = [connect(port, **kw) for _ in range(n)]
        self.echo()

    def echo(self):
        """Each session answers; a lost one fails the test."""
        for s in self.sockets:
            s.sendall(b"held")
        for s in self.sockets:
            got = b""
            while len(got) < 4:
                d = s.recv(4 - len(got))
                assert d, "a session was lost"
                got += d
            assert got == b"held"

    def close(self, n=None):
        for s in self.sockets[:n]:
            s.close()
        del self.sockets[:n]


class Crowd:
    """Actors that each do one thing over and over; an actor that fails fails the test."""

    def __init__(self):
        self.over, self.failed, self.threads, self.done = threading.Event(), [], [], collections.Counter()

    def add(self, act, pause, times=1, spread=0.8):
        for _ in range(times):
            self.threads.append(threading.Thread(target=self.run, args=(act, pause, spread), daemon=True))

    def run(self, act, pause, spread):
        try:
            while not self.over.wait(random.uniform(1 - spread, 1 + spread) * pause):    # how often is the subject
                self.done[act.__name__] += bool(act())
        except Exception as failure:    # told below
            self.failed.append((act.__name__, failure))

    def act_for(self, seconds):
        for t in self.threads:
            t.start()
        self.over.wait(seconds)
        self.over.set()
        for t in self.threads:
            t.join(30)
        assert self.failed == [] and not any(t.is_alive() for t in self.threads), self.failed
