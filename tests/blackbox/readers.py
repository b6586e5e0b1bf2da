"""The other ends of logs: pipes, terminals and sockets that somebody reads, late or never."""
import os
import re
import socket
import threading

from harness import wait_until


class Lines:
    """What has come so far."""

    lines = ()

    def wait(self, pattern, count=1, timeout=None):
        rx = re.compile(pattern)

        def hits():
            found = [l for l in list(self.lines) if rx.search(l)]
            return found if len(found) >= count else None
        found = wait_until(hits, timeout)
        assert found, "no %d x /%s/ in %d lines, the last %r" % (count, pattern, len(self.lines), list(self.lines)[-3:])
        return found


class Stream(Lines):
    """Somebody's standard output or error, which is `writer`; nobody reads it until `read_on`."""

    def __init__(self, reader, writer):
        self.reader, self.writer, self.text = reader, writer, b""
        self.name = os.readlink("/proc/self/fd/%d" % writer)

    @classmethod
    def pipe(cls):
        return cls(*os.pipe())

    @classmethod
    def socket(cls):
        return cls(*(s.detach() for s in socket.socketpair()))

    @classmethod
    def terminal(cls):
        return cls(*os.openpty())

    def read_on(self):
        threading.Thread(target=self._read, daemon=True).start()
        return self

    def _read(self):
        try:
            while data := os.read(self.reader, 65536):
                self.text += data
        except OSError:                 # closed
            pass

    @property
    def lines(self):
        return self.text.decode(errors="replace").replace("\r", "").split("\n")[:-1]

    def close(self):
        os.close(self.writer)
        os.close(self.reader)


class Logger(Lines):
    """A logger's socket of either type; nobody reads or accepts until `read_on`."""

    def __init__(self, kind=socket.SOCK_DGRAM, path="/dev/log"):
        self.kind, self.path, self.lines, self.connections = kind, path, [], []
        self.s = socket.socket(socket.AF_UNIX, kind)
        self.s.bind(path)
        if kind == socket.SOCK_STREAM:
            self.s.listen(1)

    def read_on(self):
        run = self._datagrams if self.kind == socket.SOCK_DGRAM else self._accept
        threading.Thread(target=run, daemon=True).start()
        return self

    def _datagrams(self):
        try:
            while data := self.s.recv(8192):
                self.lines.append(data.decode())
        except OSError:                 # closed
            pass

    def _accept(self):
        try:
            while True:
                self.connections.append(self.s.accept()[0])
                threading.Thread(target=self._messages, args=(self.connections[-1],), daemon=True).start()
        except OSError:
            pass

    def _messages(self, connection):
        rest = b""
        try:
            while data := connection.recv(8192):
                *whole, rest = (rest + data).split(b"\0")
                self.lines += [m.decode() for m in whole]
        except OSError:
            pass

    def close(self):
        for s in [self.s, *self.connections]:
            s.shutdown(socket.SHUT_RDWR)
            s.close()
        os.unlink(self.path)
