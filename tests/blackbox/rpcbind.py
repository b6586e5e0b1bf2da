"""The real rpcbind(8), in our namespaces, and what it knows."""
import os
import signal
import socket
import struct
import subprocess

import harness
from harness import listening, wait_until

SOCKET = "/run/rpcbind.sock"


class Rpcbind:
    def __init__(self):
        self.proc = None
        self.start()

    def start(self):
        assert os.access("/usr/sbin/rpcbind", os.X_OK), "Debian's package rpcbind is not installed"
        for path in (SOCKET, "/run/rpcbind.lock"):
            if os.path.exists(path):
                os.unlink(path)
        # without -w it forgets everything when it ends
        self.proc = subprocess.Popen(["/usr/sbin/rpcbind", "-f"], stdin=subprocess.DEVNULL,
                                     preexec_fn=harness.Xinetd._preexec(None))
        harness.KNOWN.add(self.proc.pid)
        assert wait_until(lambda: os.path.exists(SOCKET) and listening(111) and listening(111, "udp"))
        self.known()

    def stop(self):
        if self.proc:
            self.proc.kill()
            self.proc.wait()
            harness.KNOWN.discard(self.proc.pid)
            self.proc = None
        if os.path.exists(SOCKET):
            os.unlink(SOCKET)

    def freeze(self):
        """It takes no more time for anybody; connections wait in its backlog."""
        os.kill(self.proc.pid, signal.SIGSTOP)

    def thaw(self):
        os.kill(self.proc.pid, signal.SIGCONT)

    def known(self, program=None):
        """{(version, netid): (port, owner)} of a program; of all: the programs."""
        run = subprocess.run(["rpcinfo"], capture_output=True, text=True, timeout=60)
        assert run.returncode == 0, run.stderr
        rows = [line.split() for line in run.stdout.splitlines()[1:]]
        if program is None:
            return {int(row[0]) for row in rows}
        return {(int(row[1]), row[2]): (port(row[3]), row[-1]) for row in rows if row[0] == str(program)}

    def address(self, program, version, netid):
        run = subprocess.run(["rpcinfo"], capture_output=True, text=True, timeout=60)
        return next(row[3] for row in map(str.split, run.stdout.splitlines())
                    if row[:3] == [str(program), str(version), netid])

    def tell(self, procedure, program, version, netid, address, uid=0):
        """SET (1) or UNSET (2), as some other program of this machine would."""
        pid = os.fork()
        if not pid:
            status = 9
            try:
                os.setuid(uid)
                status = ask(procedure, program, version, netid, address)
            finally:
                os._exit(status)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def port(universal):
    high, low = universal.split(".")[-2:]
    return int(high) * 256 + int(low)


def ask(procedure, program, version, netid, address):
    def text(b):
        return struct.pack(">I", len(b)) + b + bytes(-len(b) % 4)
    call = struct.pack(">12I", 1, 0, 2, 100000, 3, procedure, 0, 0, 0, 0, program, version)
    call += text(netid.encode()) + text(address.encode()) + text(b"")
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(harness.patience())
        s.connect(SOCKET)
        s.sendall(struct.pack(">I", 0x80000000 | len(call)) + call)
        return s.recv(64)[-1]
