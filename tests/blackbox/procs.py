"""What /proc and the kernel say about the daemon's processes."""
import ctypes
import os
import signal
import socket
import subprocess

from harness import children, descendants, ppid_map, proc_stat, wait_until


def field(pid, name):
    """One line of /proc/PID/status, as words; [] when the process is gone."""
    return status(pid).get(name, "").split()


def status(pid):
    try:
        with open("/proc/%d/status" % pid) as f:
            return dict(l.rstrip("\n").split(":", 1) for l in f)
    except OSError:
        return {}


def comm(pid):
    try:
        with open("/proc/%d/comm" % pid) as f:
            return f.read().strip()
    except OSError:
        return ""


def engines(monitor):
    return [p for p in children(monitor) if comm(p) == "xinetd-engine"]


def engine(monitor, other_than=None):
    """The engine's pid, as soon as there is one (that is not `other_than`)."""
    found = wait_until(lambda: [p for p in engines(monitor) if p != other_than])
    assert found, "no engine below %d" % monitor
    assert len(found) == 1, "%d engines" % len(found)
    return found[0]


def daemon_processes(monitor):
    """The monitor and the engine (the original has one process for both)."""
    return [monitor] + engines(monitor)


def uid(pid):
    return int(field(pid, "Uid")[1])


def rss(pid):
    """Resident memory in KiB."""
    return int(field(pid, "VmRSS")[0])


def anonymous(pid):
    """Memory of its own in KiB, without the pages of the program."""
    return int(field(pid, "RssAnon")[0])


def fds(pid):
    """{number: what it is}; {} when the process is gone."""
    out = {}
    try:
        numbers = os.listdir("/proc/%d/fd" % pid)
    except (FileNotFoundError, ProcessLookupError):
        return out
    for n in numbers:
        try:
            out[int(n)] = os.readlink("/proc/%d/fd/%s" % (pid, n))
        except OSError:                 # closed meanwhile
            pass
    return out


def open_for_writing(pid):
    """{number: file} (not devices, pipes or sockets) that the process can write to."""
    out = {}
    for n, target in fds(pid).items():
        try:
            with open("/proc/%d/fdinfo/%d" % (pid, n)) as f:
                flags = next(int(l.split()[1], 8) for l in f if l.startswith("flags"))
        except FileNotFoundError:       # closed meanwhile
            continue
        if flags & os.O_ACCMODE != os.O_RDONLY and target.startswith("/") and not target.startswith("/dev/"):
            out[n] = target
    return out


def zombies(pid):
    return [p for p, (parent, state) in ppid_map().items() if parent == pid and state == "Z"]


def tcp_inode(local, remote=0, table="tcp"):
    """Inode of the IPv4 socket (of IPv6: table "tcp6") with these ports; remote 0 is a listener."""
    with open("/proc/thread-self/net/" + table) as f:
        next(f)
        for line in f:
            w = line.split()
            if int(w[1].split(":")[1], 16) == local and int(w[2].split(":")[1], 16) == remote and w[9] != "0":
                return int(w[9])
    return None


def holders(inode, root):
    """Which of `root` and its descendants have that socket."""
    return [p for p in [root] + descendants(root) if "socket:[%d]" % inode in fds(p).values()]


def steal(pid, number):
    """A copy of another process's descriptor (pidfd_getfd(2))."""
    libc, process = ctypes.CDLL(None, use_errno=True), os.pidfd_open(pid)
    fd = libc.syscall(438, process, number, 0)
    os.close(process)
    assert fd >= 0, os.strerror(ctypes.get_errno())
    return fd


def become_user(uid):
    os.setgid(uid)
    os.setgroups([])
    os.setuid(uid)


def set_limit(pid, **limits):
    """Give a running process other limits: nofile=(soft, hard). Only its own user may."""
    user = uid(pid)
    words = ["--%s=%d:%d" % (name, soft, hard) for name, (soft, hard) in limits.items()]
    subprocess.check_call(["prlimit", "--pid", str(pid), *words], preexec_fn=lambda: user and become_user(user))


def cpu(pid, children=False):
    """Seconds of processor time so far, if wanted with those of children that have been reaped."""
    fields = proc_stat(pid)
    assert fields, "process %d is gone" % pid
    return sum(int(ticks) for ticks in fields[11:15 if children else 13]) / os.sysconf("SC_CLK_TCK")


def busy(pid):
    """Seconds of processor time of its one thread, to the nanosecond."""
    with open("/proc/%d/schedstat" % pid) as f:
        return int(f.read().split()[0]) / 1e9


class frozen:
    """Inside the block the daemon does nothing: clients wait in the backlog."""

    def __init__(self, xd):
        self.pids = daemon_processes(xd.proc.pid)

    def __enter__(self):
        for p in self.pids:
            os.kill(p, signal.SIGSTOP)
        assert wait_until(lambda: all(field(p, "State")[:1] == ["T"] for p in self.pids))

    def __exit__(self, *_):
        for p in self.pids:
            try:
                os.kill(p, signal.SIGCONT)
            except ProcessLookupError:
                pass                    # killed meanwhile, that was the test


def reset_on_close(s):
    """Leave no TIME_WAIT behind."""
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    return s
