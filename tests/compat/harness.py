"""Black-box harness for an xinetd-compatible daemon.

Everything here talks to the daemon through its command line, its
configuration file, sockets, signals and log files only.
"""
import ctypes
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

REPO = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ORIGINAL = os.environ.get("ORACLE", "") == "original"           # this run judges the original
ORIGINAL_BIN = os.environ.get("XINETD_ORIGINAL", "/usr/sbin/xinetd")
BIN = os.environ.get("XINETD_BIN") or (ORIGINAL_BIN if ORIGINAL else os.path.join(REPO, "target/release/xinetd"))
IDENT = "(?:xinetd|%s)" % re.escape(os.path.basename(BIN))      # syslog ident
CI = os.environ.get("CI", "") not in ("", "0", "false")
PATIENCE = 1.0                      # factor for every time-out below

CLONE_NEWNS = 0x00020000
CLONE_NEWNET = 0x40000000
MS_BIND, MS_MOVE, MS_REC, MS_PRIVATE = 4096, 8192, 16384, 1 << 18
PR_SET_CHILD_SUBREAPER = 36
PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)
SANDBOXED = False


def _mount(src, dst, fstype, flags, data=None):
    enc = lambda s: s.encode() if s is not None else None
    if _libc.mount(enc(src), enc(dst), enc(fstype), ctypes.c_ulong(flags), enc(data)) != 0:
        e = ctypes.get_errno()
        raise OSError(e, "mount %s on %s: %s" % (src, dst, os.strerror(e)))


def _lo_up():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    import fcntl
    ifr = struct.pack("16sH14s", b"lo", 0, b"")
    flags = struct.unpack("16sH14s", fcntl.ioctl(s, 0x8913, ifr))[1]
    fcntl.ioctl(s, 0x8914, struct.pack("16sH14s", b"lo", flags | 1, b""))
    s.close()


def enter_sandbox():
    """Move this process into private network and mount namespaces.

    Inside: only the loopback interface, a private copy of /etc, an empty
    /run.  Needs root; without it the tests that need it are skipped.
    """
    global SANDBOXED
    _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    if os.environ.get("XINETD_SANDBOX", "1") == "0" or os.geteuid() != 0:
        return False
    if _libc.unshare(CLONE_NEWNS | CLONE_NEWNET) != 0:
        return False
    _mount("none", "/", None, MS_REC | MS_PRIVATE)
    _lo_up()
    stage = "/mnt" if os.path.isdir("/mnt") else tempfile.mkdtemp(prefix="xinetd-test-mnt-")
    _mount("tmpfs", stage, "tmpfs", 0, "mode=755")      # seen by us only
    subprocess.check_call(["cp", "-a", "/etc/.", stage])
    os.chmod(stage, 0o755)
    _mount(stage, "/etc", None, MS_MOVE)
    _mount("tmpfs", "/run", "tmpfs", 0, "mode=755")
    os.makedirs("/run/lock", exist_ok=True)
    write("/etc/resolv.conf", "nameserver 127.0.0.53\noptions timeout:1 attempts:1\n", unlink=True)
    ns = open("/etc/nsswitch.conf").read()
    ns = re.sub(r"(?m)^hosts:.*$", "hosts: files", ns)
    ns = re.sub(r"(?m)^networks:.*$", "networks: files", ns)
    write("/etc/nsswitch.conf", ns, unlink=True)
    write("/etc/hosts", HOSTS, unlink=True)
    write("/etc/hosts.allow", "", unlink=True)
    write("/etc/hosts.deny", "", unlink=True)
    write("/etc/networks", "default 0.0.0.0\nloopback 127.0.0.0\ntestnet 127.9\n", unlink=True)
    _private_dev(stage)
    SANDBOXED = True
    return True


def _private_dev(dev):
    """A small /dev of our own, so that tests can own /dev/log."""
    _mount("tmpfs", dev, "tmpfs", 0, "mode=755")
    try:
        os.mknod(dev + "/ptmx", 0o666 | 0o020000, os.makedev(5, 2))
        os.chmod(dev + "/ptmx", 0o666)
    except OSError:
        os.symlink("pts/ptmx", dev + "/ptmx")
    for name in ("null", "zero", "full", "random", "urandom", "tty", "pts", "shm", "fd", "stdin", "stdout", "stderr"):
        src, dst = "/dev/" + name, dev + "/" + name
        if os.path.islink(src):
            os.symlink(os.readlink(src), dst)
        elif os.path.isdir(src):
            os.mkdir(dst)
            _mount(src, dst, None, MS_BIND | MS_REC)
        elif os.path.exists(src):
            open(dst, "w").close()
            _mount(src, dst, None, MS_BIND)
    _mount(dev, "/dev", None, MS_MOVE)


HOSTS = """127.0.0.1 localhost
::1 ip6-localhost ip6-loopback
127.0.0.5 five.example.test five
127.0.0.6 six.other.test six
127.0.0.7 deep.sub.example.test
127.0.0.8 both.example.test
127.0.0.9 both.example.test
127.0.0.10 dual.example.test
::1 dual.example.test
"""


def write(path, text, mode=None, unlink=False):
    if unlink and (os.path.islink(path) or os.path.exists(path)):
        os.unlink(path)
    with open(path, "w") as f:
        f.write(text)
    if mode is not None:
        os.chmod(path, mode)
    return path


# ---------------------------------------------------------------- ports

_next_port = [20000 + (os.getpid() * 37) % 5000]


def free_port():
    """A port that is free for TCP and UDP, IPv4 and IPv6."""
    while True:
        _next_port[0] += 1
        p = _next_port[0]
        if p > 31000:
            _next_port[0] = 20000
            continue
        ok = True
        for fam, addr in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
            for typ in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                s = socket.socket(fam, typ)
                try:
                    if fam == socket.AF_INET6:
                        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                    s.bind((addr, p))
                except OSError:
                    ok = False
                finally:
                    s.close()
        if ok:
            return p


def _proc_sockets(name):
    """(local address bytes, port, state, backlog) from /proc; slow for TCP."""
    try:
        with open("/proc/thread-self/net/" + name) as f:
            next(f)
            for line in f:
                w = line.split()
                addr, port = w[1].split(":")
                raw = b"".join(bytes.fromhex(addr[i:i + 8])[::-1] for i in range(0, len(addr), 8))
                yield raw, int(port, 16), int(w[3], 16), None
    except FileNotFoundError:
        return


def _diag_sockets(family, proto, state):
    """The same through NETLINK_SOCK_DIAG."""
    s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 4)
    try:
        s.send(struct.pack("=IHHII", 72, 20, 0x301, 1, 0) +
               struct.pack("=BBBBI", family, proto, 0, 0, 1 << state) + b"\0" * 48)
        while True:
            d = s.recv(65536)
            p = 0
            while p < len(d):
                ln, typ = struct.unpack_from("=IH", d, p)
                if typ == 3:
                    return
                if typ == 2:
                    raise OSError("sock_diag")
                m = d[p + 16:p + ln]
                port, = struct.unpack_from("!H", m, 4)
                _rq, wq = struct.unpack_from("=II", m, 56)
                yield m[8:12] if family == socket.AF_INET else m[8:24], port, state, wq
                p += (ln + 3) & ~3
    finally:
        s.close()


_diag_ok = [True]


def sockets(proto="tcp"):
    """All listening TCP or bound, unconnected UDP sockets:
    (family 4 or 6, address bytes, port, backlog)."""
    number, state = (6, 10) if proto == "tcp" else (17, 7)
    if _diag_ok[0]:
        try:
            return [(4 if fam == socket.AF_INET else 6, a, p, q)
                    for fam in (socket.AF_INET, socket.AF_INET6)
                    for a, p, _, q in _diag_sockets(fam, number, state)]
        except OSError:
            _diag_ok[0] = False
    return [(fam, a, p, q) for suffix, fam in (("", 4), ("6", 6))
            for a, p, st, q in _proc_sockets(proto + suffix) if st == state]


def listeners(port, proto="tcp"):
    """Set of (family, local address as text) of sockets listening on port."""
    return {(fam, socket.inet_ntop(socket.AF_INET if fam == 4 else socket.AF_INET6, a))
            for fam, a, p, _ in sockets(proto) if p == port}


def listening(port, proto="tcp"):
    return bool(listeners(port, proto))


def wait_until(cond, timeout=5.0, step=0.01):
    end = time.monotonic() + timeout * PATIENCE
    while True:
        v = cond()
        if v:
            return v
        if time.monotonic() > end:
            return v
        time.sleep(step)
        step = min(step * 1.3, 0.1)


# ---------------------------------------------------------------- clients

def connect(port, addr="127.0.0.1", src=None, timeout=5.0):
    fam = socket.AF_INET6 if ":" in addr else socket.AF_INET
    s = socket.socket(fam, socket.SOCK_STREAM)
    s.settimeout(timeout)
    if src is not None:
        s.bind((src, 0))
    s.connect((addr, port))
    return s


def recv_all(s, timeout=5.0):
    """Read until EOF (a reset counts as EOF)."""
    s.settimeout(timeout)
    out = b""
    while True:
        try:
            d = s.recv(65536)
        except ConnectionResetError:
            return out
        if not d:
            return out
        out += d


def recv_n(s, n, timeout=5.0):
    s.settimeout(timeout)
    out = b""
    while len(out) < n:
        try:
            d = s.recv(n - len(out))
        except ConnectionResetError:
            break
        if not d:
            break
        out += d
    return out


def talk(port, data=b"", addr="127.0.0.1", src=None, shut=True, timeout=5.0):
    s = connect(port, addr, src, timeout)
    try:
        try:
            if data:
                s.sendall(data)
            if shut:
                s.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        return recv_all(s, timeout)
    finally:
        s.close()


def udp_socket(addr="127.0.0.1", src=None, timeout=2.0):
    fam = socket.AF_INET6 if ":" in addr else socket.AF_INET
    s = socket.socket(fam, socket.SOCK_DGRAM)
    s.settimeout(timeout)
    s.bind((src or ("::1" if fam == socket.AF_INET6 else "127.0.0.1"), 0))
    return s


def udp_ask(port, data=b"x", addr="127.0.0.1", timeout=2.0, src=None):
    s = udp_socket(addr, src, timeout)
    try:
        s.sendto(data, (addr, port))
        return s.recv(65536)
    except socket.timeout:
        return None
    finally:
        s.close()


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
              expect=(), timeout=8.0, preexec=None, cwd=None, conf_arg=True):
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
            self.wait_port(port, timeout=timeout)
        return self

    @staticmethod
    def _preexec(extra):
        def run():
            # never outlive the test process
            _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if extra:
                extra()
        return run

    def wait_port(self, port, timeout=8.0):
        proto = "tcp"
        if isinstance(port, tuple):
            proto, port = port
        ok = wait_until(lambda: listening(port, proto) or self.proc.poll() is not None, timeout)
        if not listening(port, proto):
            raise AssertionError("%s port %d is not listening (exit status %r)\n%s" % (
                proto, port, self.proc.poll(), self.dlog()))
        return ok

    def wait_closed(self, port, timeout=8.0):
        proto = "tcp"
        if isinstance(port, tuple):
            proto, port = port
        if not wait_until(lambda: not listening(port, proto), timeout):
            raise AssertionError("%s port %d is still open\n%s" % (proto, port, self.dlog()))

    def boot(self, *entries, up=(), down=(), **kw):
        """Start with `entries` plus a sentinel service at the end; wait until
        the sentinel and everything in `up` listens, then check that nothing
        in `down` does."""
        self.sentinel = free_port()
        self.start(config="".join(entries) + service("sentinel", self.sentinel, server="/bin/cat"), **kw)
        self.wait_port(self.sentinel)
        self.expect_ports(up, down)
        return self

    def expect_ports(self, up=(), down=()):
        for p in up:
            self.wait_port(p)
        if down:
            time.sleep(0.12)
        for p in down:
            proto, port = p if isinstance(p, tuple) else ("tcp", p)
            assert not listening(port, proto), "%s port %d should not be served\n%s" % (
                proto, port, self.dlog())

    def reload(self, *entries, up=(), down=(), timeout=8.0):
        """SIGHUP with a new configuration; a fresh sentinel port shows that the
        new configuration is in force."""
        self.sentinel = free_port()
        self.hup("".join(entries) + service("sentinel", self.sentinel, server="/bin/cat",
                                            id="sentinel%d" % self.sentinel))
        self.wait_port(self.sentinel, timeout)
        time.sleep(0.05)
        self.expect_ports(up, down)

    def signal(self, sig):
        self.proc.send_signal(sig)

    def hup(self, config=None):
        if config is not None:
            self.config(config)
        self.signal(signal.SIGHUP)

    def wait_exit(self, timeout=8.0):
        return self.proc.wait(timeout)

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

    def wait_log(self, pattern, count=1, timeout=5.0, path=None):
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

    def wait_dlog(self, pattern, count=1, timeout=5.0, free=False):
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


def ppid_map():
    out = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open("/proc/%s/stat" % name) as f:
                st = f.read()
        except OSError:
            continue
        rest = st[st.rindex(")") + 2:].split()
        out[int(name)] = (int(rest[1]), rest[0])
    return out


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
                os.waitpid(p, os.WNOHANG)
            except ChildProcessError:
                pass
        time.sleep(0.01)


KNOWN = set()


def service(name, port=None, **kw):
    """Text of one service entry.  Keys ending in __ are repeated lines:
    use a list value for several lines; prefix the value with '+=' or '-='
    to choose the operator."""
    d = {}
    if port is not None:
        d["type"] = "UNLISTED"
        d["port"] = port
    d.setdefault("socket_type", "stream")
    d.setdefault("protocol", "tcp")
    d.setdefault("wait", "no")
    d.setdefault("user", ME)
    d.setdefault("bind", "127.0.0.1")
    d.update(kw)
    out = ["service %s" % name, "{"]
    for k, v in d.items():
        if v is None:
            continue
        for item in (v if isinstance(v, (list, tuple)) else [v]):
            item = str(item)
            op = "="
            for o in ("+=", "-="):
                if item.startswith(o):
                    op, item = o, item[2:].strip()
            out.append("\t%s %s %s" % (k, op, item))
    out.append("}")
    return "\n".join(out) + "\n"


def norm(lines):
    """Log lines with process ids and durations blanked."""
    return [re.sub(r"duration=\d+", "duration=N", re.sub(r"pid=[1-9]\d*", "pid=N", l)) for l in lines]


def logdefaults(xd, **kw):
    """A defaults entry that logs everything to the service log."""
    d = dict(log_type="FILE " + xd.svclog, log_on_success="PID HOST EXIT DURATION",
             log_on_failure="HOST ATTEMPT")
    d.update(kw)
    return defaults(**d)


def cat(name, port, **kw):
    """A service that echoes through /bin/cat."""
    kw.setdefault("server", "/bin/cat")
    return service(name, port, **kw)


def internal(name, port, stype="stream", **kw):
    d = dict(type="INTERNAL UNLISTED", socket_type=stype,
             protocol="tcp" if stype == "stream" else "udp",
             wait="no" if stype == "stream" else "yes", id="%s-%s" % (name, stype), user=None)
    d.update(kw)
    return service(name, port, **d)


def refused(port, addr="127.0.0.1", src=None):
    """True if connecting is refused."""
    try:
        connect(port, addr, src).close()
    except ConnectionRefusedError:
        return True
    return False


def attempt(port, data=b"x", **kw):
    """talk(), with None instead of an exception when nothing answers."""
    try:
        return talk(port, data, **kw)
    except (OSError, socket.timeout):
        return None


def alive(pid):
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


PY = os.path.realpath(sys.executable)


def pyscript(body):
    return "#!%s -SE\n%s" % (PY, body)


SLEEPER = "#!/bin/sh\necho $$\nexec sleep 60\n"


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


UDP_ONCE = """
import os, socket, time
s = socket.socket(fileno=0)
d, a = s.recvfrom(65536)
s.sendto(b"%d|%s|" % (os.getpid(), os.environ.get("REMOTE_HOST", "").encode()) + d, a)
time.sleep(float(d[1:]) if d[:1] == b"s" else 0)
"""

TCP_ACCEPT = """
import os, socket, sys
l = socket.socket(fileno=0)
l.settimeout(20)
n = int(sys.argv[1]) if len(sys.argv) > 1 else 1
while n:
    c, a = l.accept()
    c.sendall(b"%d|%s" % (os.getpid(), os.environ.get("REMOTE_HOST", "").encode()))
    c.close()
    n -= 1
"""


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
            d = self.s.recv(8192)
            if not d:                   # shut down
                return
            self.lines.append(d.rstrip(b"\0\n").decode(errors="replace"))

    def wait(self, pattern, count=1, timeout=3):
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


def defaults(**kw):
    out = ["defaults", "{"]
    for k, v in kw.items():
        if v is None:
            continue
        for item in (v if isinstance(v, (list, tuple)) else [v]):
            out.append("\t%s = %s" % (k, item))
    out.append("}")
    return "\n".join(out) + "\n"


def _me():
    import pwd
    return pwd.getpwuid(os.geteuid()).pw_name


ME = _me()
