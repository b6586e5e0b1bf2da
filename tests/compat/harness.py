"""Black-box harness for an xinetd-compatible daemon.

Everything here talks to the daemon through its command line, its
configuration file, sockets, signals and log files only.
"""
import os
import re
import shutil
import signal
import socket
import subprocess
import threading

import sandbox
from clients import *
from entries import *
from sandbox import write

REPO = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ORIGINAL = os.environ.get("ORACLE", "") == "original"           # this run judges the original
ORIGINAL_BIN = os.environ.get("XINETD_ORIGINAL", "/usr/sbin/xinetd")
BIN = os.environ.get("XINETD_BIN") or (ORIGINAL_BIN if ORIGINAL else os.path.join(REPO, "target/release/xinetd"))
ORIGINAL_ITOX = "/usr/bin/itox"
ORIGINAL_XCONV = "/usr/bin/xconv.pl"
ITOX = os.environ.get("ITOX_BIN") or (ORIGINAL_ITOX if ORIGINAL else None)      # None: xinetctl, linked under that name
XCONV = os.environ.get("XCONV_BIN") or (ORIGINAL_XCONV if ORIGINAL else None)   # as above
CTL = os.environ.get("XINETCTL_BIN") or os.path.join(os.path.dirname(BIN), "xinetctl")
CI = os.environ.get("CI", "") not in ("", "0", "false")
SANDBOXED = False
# A user that nobody else is, no other test process either: RLIMIT_NPROC counts all processes of a user.
LONER = 100_000 + os.getpid()


def enter_sandbox():
    global SANDBOXED
    SANDBOXED = sandbox.enter()


# ---------------------------------------------------------------- daemon

LOGLINE = re.compile(
    r"^(?P<yy>\d\d)/(?P<mon>\d{1,2})/(?P<day>\d{1,2})@(?P<h>\d\d):(?P<m>\d\d):(?P<s>\d\d): (?P<text>.*)$")


class Xinetd:
    """One daemon under test, in the foreground, in its own directory."""

    def __init__(self, directory, binary=None):
        self.dir = str(directory)
        self.bin = binary or BIN
        self.original = ORIGINAL or self.bin == ORIGINAL_BIN
        self.conf = os.path.join(self.dir, "xinetd.conf")
        self.svclog = os.path.join(self.dir, "service.log")
        self.daemonlog = os.path.join(self.dir, "daemon.log")
        self.pidfile = os.path.join(self.dir, "xinetd.pid")
        self.proc = None
        self.out = self.err = None

    # -- configuration
    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, text, mode=None):
        p = name if os.path.isabs(name) else self.path(name)
        return write(p, text, mode)

    def script(self, name, text):
        return self.write(name, text, 0o755)

    def config(self, text):
        with open(self.conf, "w") as f:
            f.write(text)

    # -- life cycle
    def start(self, config=None, args=(), env=None, mode="-dontfork", filelog=True,
              expect=(), preexec=None, cwd=None, conf_arg=True):
        if config is not None:
            self.config(config)
        cmd = [self.bin]
        if mode:
            cmd.append(mode)
        if conf_arg:
            cmd += ["-f", self.conf]
        if filelog:
            cmd += ["-filelog", self.daemonlog]
        cmd += ["-pidfile", self.pidfile]
        cmd += list(args)
        self.out = open(self.path("stdout"), "wb")
        self.err = open(self.path("stderr"), "wb")
        self.proc = subprocess.Popen(cmd, stdin=subprocess.DEVNULL, stdout=self.out,
                                     stderr=self.err, env=env, preexec_fn=self._preexec(preexec),
                                     cwd=cwd or self.dir)
        for port in expect:
            self.wait_port(port)
        return self

    @staticmethod
    def _preexec(extra):
        def run():
            # never outlive the test process
            sandbox.libc.prctl(sandbox.PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if extra:
                extra()
        return run

    def wait_port(self, port, timeout=None):
        proto = "tcp"
        if isinstance(port, tuple):
            proto, port = port
        # Who detaches ends with 0 before anything listens.
        ok = wait_until(lambda: listening(port, proto) or self.proc.poll() not in (None, 0), timeout)
        if not listening(port, proto):
            raise AssertionError("%s port %d is not listening (exit status %r)\n%s" % (
                proto, port, self.proc.poll(), self.dlog()))
        return ok

    def wait_closed(self, port, timeout=None):
        proto = "tcp"
        if isinstance(port, tuple):
            proto, port = port
        if not wait_until(lambda: not listening(port, proto), timeout):
            raise AssertionError("%s port %d is still open\n%s" % (proto, port, self.dlog()))

    def boot(self, *entries, up=(), down=(), **kw):
        """Start with `entries` plus a sentinel service at the end; wait until
        the sentinel and everything in `up` listens and the daemon says that it
        has started, then check that nothing in `down` listens."""
        self.sentinel = free_port()
        self.start(config="".join(entries) + service("sentinel", self.sentinel, server="/bin/cat"), **kw)
        self.wait_port(self.sentinel)
        self.wait_dlog("Started working: ")
        self.expect_ports(up, down)
        return self

    def expect_ports(self, up=(), down=()):
        """For a daemon that has said that it is done: what it serves is settled."""
        for p in up:
            self.wait_port(p)
        for p in down:
            proto, port = p if isinstance(p, tuple) else ("tcp", p)
            assert not listening(port, proto), "%s port %d should not be served\n%s" % (
                proto, port, self.dlog())

    def reload(self, *entries, up=(), down=()):
        """SIGHUP with a new configuration; returns when it is in force."""
        self.sentinel = free_port()
        before = self.dlog().count("Reconfigured: ")
        self.hup("".join(entries) + service("sentinel", self.sentinel, server="/bin/cat",
                                            id="sentinel%d" % self.sentinel))
        self.wait_dlog("Reconfigured: ", before + 1)
        self.wait_port(self.sentinel)
        self.expect_ports(up, down)

    def signal(self, sig):
        self.proc.send_signal(sig)

    def hup(self, config=None):
        if config is not None:
            self.config(config)
        self.signal(signal.SIGHUP)

    def wait_exit(self, timeout=None):
        return self.proc.wait(patience(timeout))

    def alive(self):
        return self.proc.poll() is None

    def stop(self):
        if self.proc is not None and self.proc.poll() is None:
            kids = descendants(self.proc.pid)
            self.proc.send_signal(signal.SIGTERM)
            try:
                self.proc.wait(3)
            except subprocess.TimeoutExpired:
                self.proc.kill()
                self.proc.wait()
            for pid in kids:
                _kill(pid)
        reap_orphans()
        for f in (self.out, self.err):
            if f:
                f.close()

    # -- logs
    def dlog(self):
        try:
            with open(self.daemonlog, errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def raw_log(self, path=None):
        try:
            with open(path or self.svclog, errors="replace") as f:
                return f.read().splitlines()
        except FileNotFoundError:
            return []

    def log(self, path=None):
        """Service log lines without the time stamp."""
        out = []
        for line in self.raw_log(path):
            m = LOGLINE.match(line)
            out.append(m.group("text") if m else "??" + line)
        return out

    def wait_log(self, pattern, count=1, timeout=None, path=None):
        """Wait for `count` lines that match; return them."""
        rx = re.compile(pattern)

        def hits():
            h = [l for l in self.log(path) if rx.search(l)]
            return h if len(h) >= count else None
        r = wait_until(hits, timeout)
        if not r:
            raise AssertionError("no %d line(s) /%s/ in the service log:\n%s\n-- daemon:\n%s" % (
                count, pattern, "\n".join(self.raw_log(path)), self.dlog()))
        return r

    def wait_dlog(self, pattern, count=1, timeout=None, free=False):
        """Wait for a daemon message.  `free` marks free-form diagnostics, which
        only the original has to produce in these words."""
        if free and not self.original:
            return None
        rx = re.compile(pattern, re.M)

        def hits():
            h = rx.findall(self.dlog())
            return h if len(h) >= count else None
        r = wait_until(hits, timeout)
        if not r:
            raise AssertionError("no %d x /%s/ in the daemon log:\n%s" % (count, pattern, self.dlog()))
        return r


def _kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def proc_stat(pid):
    """/proc/PID/stat from the state on, as words; [] when the process is gone, also while it is read."""
    try:
        with open("/proc/%d/stat" % pid, errors="replace") as f:
            _, after_the_name, fields = f.read().rpartition(")")
    except OSError:
        return []
    return fields.split() if after_the_name else []


def ppid_map():
    """{pid: (parent, state)} of every process."""
    stats = {int(name): proc_stat(int(name)) for name in os.listdir("/proc") if name.isdigit()}
    return {pid: (int(st[1]), st[0]) for pid, st in stats.items() if st}


def children(pid, zombies=False):
    return sorted(p for p, (pp, st) in ppid_map().items() if pp == pid and (zombies or st != "Z"))


def descendants(pid):
    m = ppid_map()
    out, todo = [], [pid]
    while todo:
        cur = todo.pop()
        for p, (pp, st) in m.items():
            if pp == cur and st != "Z":
                out.append(p)
                todo.append(p)
    return out


def reap_orphans():
    """Kill and collect servers that outlived their daemon (we are the subreaper)."""
    for _ in range(50):
        kids = [p for p in children(os.getpid(), zombies=True) if p not in KNOWN]
        if not kids:
            return
        for p in kids:
            _kill(p)
        for p in kids:
            try:
                os.waitpid(p, 0)
            except ChildProcessError:
                pass


KNOWN = set()


def norm(lines):
    """Log lines with process ids and durations blanked."""
    return [re.sub(r"duration=\d+", "duration=N", re.sub(r"pid=[1-9]\d*", "pid=N", l)) for l in lines]


def alive(pid):
    return proc_stat(pid)[:1] not in ([], ["Z"], ["X"])


def start_sleeper(port, **kw):
    """Connect to a service that runs SLEEPER; returns (socket, pid)."""
    s = connect(port, **kw)
    line = b""
    while not line.endswith(b"\n"):
        d = s.recv(100)
        if not d:
            raise AssertionError("sleeper did not start")
        line += d
    return s, int(line)


class Syslog:
    """A reader of /dev/log, which is ours alone in the sandbox."""

    def __init__(self):
        assert SANDBOXED
        self.lines = []
        self.s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.s.bind("/dev/log")
        os.chmod("/dev/log", 0o666)
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                d = self.s.recv(8192)
            except OSError:             # closed
                return
            if not d:                   # shut down
                return
            self.lines.append(d.rstrip(b"\0\n").decode(errors="replace"))

    def wait(self, pattern, count=1, timeout=None):
        rx = re.compile(pattern)

        def hits():
            h = [l for l in list(self.lines) if rx.search(l)]
            return h if len(h) >= count else None
        r = wait_until(hits, timeout)
        assert r, "no %d x /%s/ in\n%s" % (count, pattern, "\n".join(self.lines))
        return r

    def close(self):
        self.s.shutdown(socket.SHUT_RDWR)
        self.s.close()
        os.unlink("/dev/log")
