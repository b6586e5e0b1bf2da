"""systemd's own journal daemon, in the private /run and /etc of the tests."""
import json
import os
import shutil
import signal
import subprocess

from harness import patience, wait_until, write

PROGRAM = "/usr/lib/systemd/systemd-journald"
SOCKET = "/run/systemd/journal/socket"
FILES = "/run/log/journal"
CONF = """[Journal]
Storage=volatile
ReadKMsg=no
Audit=no
ForwardToSyslog=no
ForwardToWall=no
RateLimitBurst=0
"""


class Journald:
    """A running journal; `records` are the entries that were written to it."""

    def __init__(self):
        os.makedirs(FILES, exist_ok=True)
        os.makedirs("/etc/systemd", exist_ok=True)
        write("/etc/systemd/journald.conf", CONF, unlink=True)
        self.start()

    def start(self):
        self.process = subprocess.Popen([PROGRAM], stderr=subprocess.DEVNULL)
        assert wait_until(lambda: os.path.exists(SOCKET)), "no journal"

    def signal(self, number):
        self.process.send_signal(number)

    def records(self, *matches):
        run = subprocess.run(["journalctl", "-D", FILES, "-o", "json", "--no-pager", *matches], capture_output=True, text=True)
        return [json.loads(line) for line in run.stdout.splitlines() if line.startswith("{")]

    def wait(self, count, *matches):
        """The records that match, once there are so many."""
        got = wait_until(lambda: (lambda r: r if len(r) >= count else None)(self.records(*matches)))
        assert got, "no %d x %r in %r" % (count, matches, self.records())
        return got

    def stop(self):
        self.signal(signal.SIGCONT)
        self.process.terminate()
        self.process.wait(patience())
        for name in ("socket", "dev-log", "stdout", "io.systemd.journal"):
            path = "/run/systemd/journal/" + name
            if os.path.lexists(path):
                os.unlink(path)

    def close(self):
        if self.process.poll() is None:
            self.stop()
        shutil.rmtree(FILES, ignore_errors=True)


def installed():
    return os.access(PROGRAM, os.X_OK) and shutil.which("journalctl")
