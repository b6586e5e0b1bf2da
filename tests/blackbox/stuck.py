"""Peers that make the daemon wait: a client that does not read, and hosts and a log that do not answer.

Each has an entry for the service where it happens, a beginning, and an end. Only used in a private
network namespace with a private /etc and /dev.
"""
import os
import socket

import fakeident
from harness import cat, connect, patience, wait_until
from sandbox import write

CLIENT = "127.0.0.66"                   # who is stuck; everybody else is 127.0.0.1


class Deaf:
    """Clients that never read the banner, of 10 MB."""
    name, clients = "banner", 20

    def entry(self, xd, port, **kw):
        return cat("stuck", port, banner=xd.write("banner", "x" * 10_000_000), **kw)

    def begin(self, port):
        self.sockets = []
        for _ in range(self.clients):
            s = socket.socket()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            s.bind((CLIENT, 0))
            s.connect(("127.0.0.1", port))
            self.sockets.append(s)

    def end(self):
        for s in self.sockets:
            s.close()


class Ident(Deaf):
    """An ident server that accepts and never answers."""
    name = "ident"

    def entry(self, xd, port, **kw):
        return cat("stuck", port, log_on_success="PID HOST USERID", **kw)

    def begin(self, port):
        self.host = fakeident.Host(lambda connection, ports: None, CLIENT)
        self.sockets = [connect(port, src=CLIENT) for _ in range(self.clients)]
        assert wait_until(lambda: len(self.host.queries) == self.clients)

    def end(self):
        super().end()
        self.host.close()


class Dns(Deaf):
    """A name server that never answers."""
    name = "dns"

    def entry(self, xd, port, **kw):
        return cat("stuck", port, only_from="localhost .example.test", **kw)

    def begin(self, port):
        self.saved = {name: open(name).read() for name in ("/etc/nsswitch.conf", "/etc/resolv.conf")}
        write("/etc/nsswitch.conf", "hosts: files dns\n", unlink=True)
        write("/etc/resolv.conf", "nameserver 127.0.0.53\noptions timeout:30 attempts:1\n", unlink=True)
        self.server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.server.bind(("127.0.0.53", 53))
        self.server.settimeout(patience())
        self.sockets = [connect(port, src=CLIENT) for _ in range(self.clients)]
        self.server.recv(512)

    def end(self):
        super().end()
        self.server.close()
        for name, text in self.saved.items():
            write(name, text, unlink=True)


class Syslog:
    """A /dev/log that nobody reads, with room for nothing more."""
    name = "syslog"

    def entry(self, xd, port, **kw):
        return cat("stuck", port, log_type="SYSLOG daemon", log_on_success="PID HOST EXIT", **kw)

    def begin(self, port):
        self.log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.log.bind("/dev/log")
        os.chmod("/dev/log", 0o666)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.setblocking(False)
            try:
                while True:
                    s.sendto(b"<30>full", "/dev/log")
            except BlockingIOError:
                pass

    def end(self):
        self.log.close()
        os.unlink("/dev/log")


ALL = [Deaf, Ident, Dns, Syslog]
