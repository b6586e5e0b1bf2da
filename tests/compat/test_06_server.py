"""What a server process gets."""
import os
import resource
import signal
import socket
import time

import pytest

from harness import *

covers = pytest.mark.covers
bug = pytest.mark.bug_in_original
root = pytest.mark.needs_root


def out(xd, setup=None, **kw):
    """Run one server and return what it prints."""
    start = {k: kw.pop(k) for k in ("preexec", "env", "defs") if k in kw}
    a = free_port()
    xd.boot(start.pop("defs", ""), service("a", a, **kw), up=[a], **start)
    return talk(a, shut=False).decode(errors="replace")


@covers("SRV-3", "ATTR-7")
def test_argv_without_args(xd):
    sc = xd.script("my-server", pyscript("import sys\nprint(open('/proc/self/cmdline').read().count(chr(0)), sys.argv[1:])"))
    assert out(xd, server=sc).strip().endswith("[]")


@covers("ATTR-7", "PARSE-4")
def test_many_arguments(xd):
    args = " ".join(str(i) for i in range(200))
    assert out(xd, server="/bin/echo", server_args=args) == args + "\n"


@covers("SRV-4", "ATTR-22")
def test_nameinargs(xd):
    assert out(xd, flags="NAMEINARGS", server="/bin/cat", server_args="other /proc/self/cmdline").split("\0") == \
        ["other", "/proc/self/cmdline", ""]


ENV = {"PATH": "/bin:/usr/bin", "FOO": "bar", "BAZ": "qux", "REMOTE_HOST": "stale"}

@covers("DEF-5", "DEF-16", "ATTR-21", "SRV-6")
def test_passenv_in_defaults(xd, ports):
    a, b, c = ports(3)
    xd.boot(defaults(passenv="FOO", peer_env="no"), service("a", a, server="/usr/bin/env"), service("b", b, server="/usr/bin/env", passenv="+= BAZ"),
            service("c", c, server="/usr/bin/env", passenv="-= FOO", env="Z=1"), up=[a, b, c], env=ENV)
    got = [set(talk(p, shut=False).decode().split()) - {"REMOTE_HOST=127.0.0.1"} for p in (a, b, c)]
    assert got == [{"FOO=bar"}, {"FOO=bar", "BAZ=qux"}, {"Z=1"}]


@covers("SRV-9", "ATTR-36")
@pytest.mark.parametrize("value,want", [("027", "0027"), ("0", "0000"), ("777", "0777"), ("0002", "0002")])
def test_umask(xd, value, want):
    assert out(xd, server=xd.script("um", "#!/bin/sh\numask\n"), umask=value).strip() == want


@covers("SRV-10")
def test_session(xd):
    st = out(xd, server="/bin/cat", server_args="/proc/self/stat").split()
    pid, pgrp, session, tty = st[0], st[4], st[5], st[6]
    assert pid == pgrp == session and tty == "0"


@covers("SRV-11", "SIG-8")
def test_signals_are_reset(xd):
    def pre():
        for s in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGUSR1, signal.SIGCHLD, signal.SIGPIPE):
            signal.signal(s, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM, signal.SIGUSR2, signal.SIGWINCH])
    st = out(xd, preexec=pre, server="/bin/cat", server_args="/proc/self/status")
    v = {l.split(":")[0]: l.split()[1] for l in st.splitlines() if l.startswith("Sig")}
    assert int(v["SigBlk"], 16) & 0x7FFFFFFF == 0
    assert int(v["SigIgn"], 16) & 0x7FFFFFFF == 0


@covers("SIG-8", "SIG-1")
def test_reload_works_under_nohup(xd, ports):
    a, b = ports(2)
    xd.boot(cat("a", a), up=[a], preexec=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    xd.reload(cat("b", b), up=[b], down=[a])


def _debian_ids():
    import grp
    import pwd
    try:
        return (pwd.getpwnam("games").pw_uid, pwd.getpwnam("games").pw_gid, grp.getgrnam("daemon").gr_gid,
                pwd.getpwnam("nobody").pw_uid) == (5, 60, 1, 65534)
    except KeyError:
        return False


debian_ids = pytest.mark.skipif(not _debian_ids(), reason="needs Debian's users games, daemon, nobody")

IDS = [
    (dict(user="root"), "uid=0 gid=0 groups=0"),
    (dict(user="nobody"), "uid=65534 gid=65534 groups=65534"),
    (dict(user="games"), "uid=5 gid=60 groups=60"),
    (dict(user="games", group="daemon"), "uid=5 gid=1 groups=1"),
    (dict(user="games", groups="yes"), "uid=5 gid=60 groups=60"),
    (dict(user="games", group="daemon", groups="yes"), "uid=5 gid=1 groups=1,60"),
    (dict(user="root", group="daemon"), "uid=0 gid=1 groups=1"),
    (dict(user="4242"), "uid=4242 gid=4242 groups=4242"),
    (dict(user="4242", group="4343"), "uid=4242 gid=4343 groups=4343"),
    (dict(user="root", groups="no"), "uid=0 gid=0 groups=0"),
]


@covers("SRV-12", "ATTR-4", "ATTR-5", "ATTR-28", "ATTR-46")
@root
@debian_ids
@pytest.mark.parametrize("kw,want", IDS, ids=lambda v: str(v)[:40])
def test_identity(xd, kw, want):
    st = out(xd, server="/bin/cat", server_args="/proc/self/status", **kw)
    v = {l.split(":")[0]: l.split(":")[1].split() for l in st.splitlines() if l.startswith(("Uid", "Gid", "Groups"))}
    m = re.match(r"uid=(\d+) gid=(\d+) groups=(\S+)", want)
    assert v["Uid"] == [m.group(1)] * 4 and v["Gid"] == [m.group(2)] * 4
    # supplementary groups; "id" adds the primary group to the list
    assert set(v["Groups"]) | {m.group(2)} == set(m.group(3).split(","))


@covers("SRV-12")
@root
def test_supplementary_groups_are_dropped_by_default(xd):
    st = out(xd, server="/bin/cat", server_args="/proc/self/status", user="games", preexec=lambda: os.setgroups([7, 8, 9]))
    assert [l for l in st.splitlines() if l.startswith("Groups")][0].split() == ["Groups:"]


@covers("ATTR-47")
@bug
@root
@debian_ids
def test_numeric_user_gets_its_own_group(xd):
    st = out(xd, server="/bin/cat", server_args="/proc/self/status", user="5")
    assert re.search(r"(?m)^Gid:\s+60\s", st)


@covers("SRV-13", "SRV-18", "LOG-3")
@root
def test_groups_for_unknown_numeric_user_fails(xd):
    a = free_port()
    xd.boot(logdefaults(xd), cat("a", a, user="4242", groups="yes"), up=[a])
    assert talk(a, b"x") == b""
    xd.wait_log("^EXIT: a status=1 ")


@covers("SRV-16", "ATTR-23")
@pytest.mark.parametrize("base,value,want", [(0, "7", 7), (2, "3", 5), (0, "+4", 4)])
def test_nice(xd, base, value, want):
    cur = os.nice(0)
    got = int(out(xd, server="/usr/bin/nice", nice=value, preexec=lambda: os.nice(base)))
    assert got == min(cur + want, 19)


def gets_negative_nice(xd, user):
    try:
        os.nice(-1)
        os.nice(1)
    except OSError:
        pytest.skip("no permission for negative nice")
    cur = os.nice(0)
    assert int(out(xd, server="/usr/bin/nice", nice="-3", user=user)) == cur - 3


@covers("SRV-15")
@bug
@root
def test_negative_nice_for_a_user(xd):
    gets_negative_nice(xd, "nobody")


@covers("SRV-15", "SRV-16")
@root
def test_negative_nice_for_root(xd):
    gets_negative_nice(xd, "root")


LIM = dict(server="/bin/cat", server_args="/proc/self/limits")


def limit(text, name):
    line = [l for l in text.splitlines() if l.startswith(name)][0]
    return line[len(name):].split()[:2]


@covers("SRV-14", "ATTR-32", "ATTR-33", "ATTR-45", "NUM-2")
@pytest.mark.parametrize("attr,value,name,want", [
    ("rlimit_as", "200M", "Max address space", "209715200"), ("rlimit_as", "262144k", "Max address space", "268435456"),
    ("rlimit_as", "300000000", "Max address space", "300000000"), ("rlimit_as", "UNLIMITED", "Max address space", "unlimited"),
    ("rlimit_cpu", "10", "Max cpu time", "10"), ("rlimit_data", "100m", "Max data size", "104857600"),
    ("rlimit_rss", "5K", "Max resident set", "5120"), ("rlimit_stack", "4M", "Max stack size", "4194304"),
    ("rlimit_files", "100", "Max open files", "100"),
])
def test_rlimits(xd, attr, value, name, want):
    assert limit(out(xd, **{attr: value}, **LIM), name) == [want, want]


@covers("ATTR-45")
def test_rlimit_zero_is_unchanged(xd):
    assert limit(out(xd, rlimit_cpu="0", **LIM), "Max cpu time") == ["unlimited", "unlimited"]


@covers("SRV-14")
def test_descriptor_limit_is_raised_to_the_hard_limit(xd):
    got = limit(out(xd, preexec=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (256, 1000)), **LIM), "Max open files")
    assert got == ["1000", "1000"]


@covers("SRV-14")
def test_other_limits_are_inherited(xd):
    got = limit(out(xd, preexec=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (10 ** 9, 2 * 10 ** 9)), **LIM), "Max file size")
    assert got == [str(10 ** 9), str(2 * 10 ** 9)]


@covers("SRV-17")
@pytest.mark.parametrize("how", ["gone", "no-interpreter", "directory"])
def test_exec_failure(xd, how):
    a = free_port()
    if how == "directory":
        sc = "/bin/"
    else:
        sc = xd.script("s", "echo hi\n" if how == "no-interpreter" else "#!/bin/sh\necho hi\n")
    xd.boot(logdefaults(xd), service("a", a, server=sc), up=[a])
    if how == "gone":
        os.unlink(sc)
    assert talk(a, b"x") == b""
    xd.wait_log("^EXIT: a status=")
    assert xd.alive()
    xd.wait_dlog("exec.*fail", free=True)
