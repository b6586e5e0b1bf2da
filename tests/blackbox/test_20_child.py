"""The server process: what ours gives it is what the original gives it."""
import json
import os
import resource
import signal

import pytest

from harness import *

covers = pytest.mark.covers
root = pytest.mark.needs_root

KERNEL = ["status", "limits", "stat", "cmdline", "environ", "oom_score_adj", "cgroup", "coredump_filter", "timerslack_ns"]
STATUS = ["Umask", "TracerPid", "Uid", "Gid", "Groups", "SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt", "CapInh", "CapPrm",
          "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Cpus_allowed", "Mems_allowed", "THP_enabled"]
STAT = {"exit_signal": 37, "nice": 18, "rt_priority": 39, "policy": 40, "tty": 6}

FDS = """
import fcntl, json, os, socket, stat, sys
fds = []
for n in sorted(map(int, os.listdir("/proc/self/fd"))):
    try:
        st = os.fstat(n)
    except OSError:
        continue                        # the directory just read
    fds.append([n, stat.S_IFMT(st.st_mode), st.st_ino == os.fstat(0).st_ino, fcntl.fcntl(n, fcntl.F_GETFL),
                fcntl.fcntl(n, fcntl.F_GETFD)])
s = socket.socket(fileno=0)
opts = {n: s.getsockopt(*o) for n, o in dict(nodelay=(6, 1), keepalive=(1, 9), linger=(1, 13), oobinline=(1, 10),
                                            defer=(6, 9), cork=(6, 3), rcvlowat=(1, 18)).items()}
print(json.dumps({"fds": fds, "cwd": os.getcwd(), "argv": sys.orig_argv, "options": opts,
                  "peer": s.getpeername()[0], "timeouts": [s.getsockopt(1, o, 16).hex() for o in (20, 21)]}), flush=True)
"""


def kernel_view(text):
    """The output of head -v over /proc/self/..., reduced to what must be the same."""
    parts = re.split(r"(?m)(?:\A|\n)==> /proc/self/(\S+) <==\n", text)
    files = dict(zip(parts[1::2], parts[2::2]))
    assert sorted(files) == sorted(KERNEL)
    status = dict(l.split(":\t", 1) for l in files["status"].splitlines() if ":\t" in l)
    stat = files["stat"].rsplit(")", 1)
    pid, rest = stat[0].split()[0], ["", ""] + stat[1].split()
    return {
        "status": {k: status[k].strip() for k in STATUS if k in status},
        "stat": {k: rest[i] for k, i in STAT.items()},
        "leads its group and session": [rest[4] == pid, rest[5] == pid],
        "environ": sorted(files["environ"].split("\0")),
        **{k: files[k] for k in ("limits", "cmdline", "oom_score_adj", "cgroup", "coredump_filter", "timerslack_ns")},
    }


def report(xd, preexec=None, environ=None, defs="", **kw):
    """Start one server of each of two services and collect what they see; with nothing in their
    environment that is ours."""
    kw = dict(peer_env="no", **kw)
    a, b = free_port(), free_port()
    os.makedirs(SCRIPTS, exist_ok=True)
    xd.write(os.path.join(SCRIPTS, "fds"), FDS, 0o755)
    name = "NAMEINARGS" in kw.get("flags", "")
    args = "-v -c 65536 " + " ".join("/proc/self/" + f for f in KERNEL)
    xd.boot(defs, service("a", a, **dict(kw, server="/usr/bin/head", server_args=("other-name " if name else "") + args)),
            service("b", b, **dict(kw, server="/usr/bin/python3", server_args=("other-name " if name else "") + "-SE " +
                                   os.path.join(SCRIPTS, "fds") + " x  y")), up=[a, b], preexec=preexec, env=environ)
    out = kernel_view(talk(a, shut=False).decode())
    out.update(json.loads(talk(b, shut=False)))
    return out


SCRIPTS = "/tmp/xinetd-test-scripts-%d" % os.getpid()       # the same path for both, as argv shows it


@pytest.fixture(autouse=True, scope="module")
def scripts():
    yield
    shutil.rmtree(SCRIPTS, ignore_errors=True)


ENV = {"PATH": "/usr/bin:/bin", "HOME": "/x", "LANG": "C", "FOO": "bar", "REMOTE_HOST": "stale", "TERM": "dumb"}


def strange():
    """A daemon's parent of the worst kind."""
    for s in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE, signal.SIGCHLD, signal.SIGTTOU, signal.SIGXFSZ):
        signal.signal(s, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM, signal.SIGUSR2, signal.SIGWINCH, signal.SIGRTMIN + 3])
    os.umask(0o107)
    os.nice(2)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, 300))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 10 ** 6))
    resource.setrlimit(resource.RLIMIT_FSIZE, (10 ** 8, 10 ** 9))
    os.dup2(0, 77)
    os.set_inheritable(77, True)


PLAIN = [
    dict(), dict(env="A=1 FOO=changed B="), dict(passenv="FOO NOSUCH", env="X=1"), dict(passenv=""),
    dict(nice="3"), dict(umask="027"), dict(umask="0"), dict(flags="NAMEINARGS"), dict(flags="NODELAY KEEPALIVE"), dict(flags="IPv4 REUSE"),
    dict(rlimit_files="100"), dict(rlimit_as="2000M", rlimit_cpu="100", rlimit_data="1000M", rlimit_rss="50M", rlimit_stack="4M"),
    dict(rlimit_as="UNLIMITED", rlimit_cpu="0"), dict(preexec=strange), dict(preexec=strange, umask="022", nice="-1"),
    dict(defs=defaults(umask="077", passenv="PATH FOO")),
]
AS_ROOT = [
    dict(user="nobody"), dict(user="games", group="daemon"), dict(user="games", groups="yes"), dict(user="4242"),
    dict(user="4242", group="4343"), dict(user="root", group="daemon"), dict(user="nobody", umask="077", preexec=strange),
    dict(user="nobody", preexec=lambda: os.setgroups([7, 8, 9])), dict(defs=defaults(groups="yes"), user="games"),
    dict(user="nobody", rlimit_files="50", nice="5"), dict(user="root", nice="-3"),
]


def title(kw):
    return ", ".join("%s=%s" % (k, getattr(v, "__name__", None) or " ".join(str(v).split())) for k, v in kw.items()) or "plain"


@covers("SRV-1", "SRV-3", "SRV-4", "SRV-5", "SRV-6", "SRV-7", "SRV-9", "SRV-10", "SRV-11", "SRV-14", "SRV-16", "START-8")
@pytest.mark.parametrize("kw", PLAIN, ids=title)
def test_a_server_sees_what_the_originals_server_sees(beside, kw):
    ours, theirs = (report(xd, **dict(environ=ENV, **kw)) for xd in beside)
    assert ours == theirs


@covers("SRV-12", "SRV-14", "SRV-16", "ATTR-46")
@root
@pytest.mark.parametrize("kw", AS_ROOT, ids=title)
def test_a_server_for_a_user_sees_what_the_originals_server_sees(beside, kw):
    ours, theirs = (report(xd, **dict(environ=ENV, **kw)) for xd in beside)
    assert ours == theirs


@covers("SRV-1", "SRV-9", "SRV-10", "SRV-11", "START-2")
def test_a_server_gets_a_clean_start(daemon):
    """The same in absolute words, whoever starts the daemon."""
    got = report(daemon, preexec=strange, environ=ENV)
    assert [f[0] for f in got["fds"]] == [0, 1, 2]
    for _, kind, same, flags, cloexec in got["fds"]:
        assert (kind, same, flags & (os.O_NONBLOCK | os.O_ASYNC), flags & os.O_ACCMODE, cloexec) == (0o140000, True, 0, os.O_RDWR, 0)
    assert got["cwd"] == "/" and got["leads its group and session"] == [True, True] and got["stat"]["tty"] == "0"
    standard = (1 << 31) - 1
    assert int(got["status"]["SigIgn"], 16) & standard == 0 and int(got["status"]["SigCgt"], 16) == 0
    assert int(got["status"]["SigBlk"], 16) == 0
    assert got["status"]["NoNewPrivs"] == "0" and got["status"]["Seccomp"] == "0"
    assert got["status"]["Umask"] == "0127"
    assert got["stat"]["exit_signal"] == str(int(signal.SIGCHLD))
    assert "REMOTE_HOST=127.0.0.1" in got["environ"] and "FOO=bar" in got["environ"]
    assert re.search(r"Max open files +300 +300 ", got["limits"])
    assert got["timeouts"] == ["00" * 16] * 2
