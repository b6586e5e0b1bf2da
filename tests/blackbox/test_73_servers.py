"""Servers as Debian ships them, with their own clients: rsync, git, sshd, and tcpd with NAMEINARGS."""
import os
import subprocess

import pytest

from harness import *

covers = pytest.mark.covers
sandbox = pytest.mark.needs_sandbox
root = pytest.mark.needs_root

GIT = "/usr/bin/git"                    # Debian's: it has `daemon`
HOME = {"HOME": "/nonexistent", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}


def run(*words, **kw):
    kw.setdefault("env", dict(os.environ, **HOME))
    return subprocess.run(words, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, **kw)


def done(*words, **kw):
    finished = run(*words, **kw)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


@root
def test_rsync_copies_a_tree_there_and_back(daemon, ports, tmp_path):
    port, = ports(1)
    there, back, module = tmp_path / "there", tmp_path / "back", daemon.path("module")
    (there / "deep").mkdir(parents=True)
    (there / "deep" / "blob").write_bytes(os.urandom(1 << 20))
    os.mkdir(module)
    conf = daemon.write("rsyncd.conf", "use chroot = no\nuid = root\ngid = root\n[module]\npath = %s\nread only = no\n" % module)
    daemon.boot(logdefaults(daemon), service("rsync", port, user="root", server="/usr/bin/rsync",
                                             server_args="--daemon --config=" + conf), up=[port])
    url = "rsync://127.0.0.1:%d/module/" % port
    done("rsync", "-r", str(there) + "/", url)
    done("rsync", "-r", url, str(back))
    assert (back / "deep" / "blob").read_bytes() == (there / "deep" / "blob").read_bytes()
    daemon.wait_log("^EXIT: rsync status=0 pid=", 2)


@root
def test_git_clones_from_a_daemon_of_nobody(daemon, ports, tmp_path):
    port, = ports(1)
    base = daemon.path("base")
    os.mkdir(base)
    work, bare = str(tmp_path / "work"), base + "/project.git"
    done(GIT, "init", "-q", work)
    done(GIT, "-C", work, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "first")
    done(GIT, "clone", "-q", "--bare", work, bare)
    subprocess.check_call(["chown", "-R", "nobody", bare])
    env = "HOME=/nonexistent GIT_CONFIG_GLOBAL=/dev/null"
    daemon.boot(logdefaults(daemon), service("git", port, user="nobody", server=GIT, env=env,
                                             server_args="daemon --inetd --export-all --base-path=" + base), up=[port])
    done(GIT, "clone", "-q", "git://127.0.0.1:%d/project.git" % port, str(tmp_path / "clone"))
    assert done(GIT, "-C", str(tmp_path / "clone"), "log", "--format=%s") == "first\n"
    daemon.wait_log("^EXIT: git status=0 pid=")


@sandbox
def test_sshd_serves_one_login_per_connection(daemon, ports, tmp_path):
    port, = ports(1)
    os.makedirs("/run/sshd", exist_ok=True)
    host, key = daemon.path("host_key"), str(tmp_path / "key")
    for path in (host, key):
        done("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path)
    keys = daemon.write("authorized_keys", open(key + ".pub").read())
    conf = daemon.write("sshd_config", "HostKey %s\nAuthorizedKeysFile %s\nUsePAM no\nStrictModes no\n"
                                       "PermitRootLogin yes\nPasswordAuthentication no\n" % (host, keys))
    daemon.boot(logdefaults(daemon), service("ssh", port, user="root", server="/usr/sbin/sshd",
                                             server_args="-i -f " + conf), up=[port])
    said = done("ssh", "-F", "/dev/null", "-p", str(port), "-i", key, "-o", "BatchMode=yes",
                "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
                "root@127.0.0.1", "echo $SSH_CONNECTION")
    assert said.split()[0] == "127.0.0.1" and said.split()[-1] == str(port)
    daemon.wait_log("^EXIT: ssh status=[0-9]+ pid=")


@covers("SRV-4", "WRAP-2", "ATTR-49")
@sandbox
def test_tcpd_guards_the_server_that_nameinargs_names(daemon, ports, etc):
    """hosts.deny is read twice: by the daemon, under the name of the first argument, and by tcpd."""
    guarded, shut, inner = ports(3)
    server = daemon.script("guarded", "#!/bin/sh\necho \"$0 $*\"\n")
    refused = daemon.script("refused", "#!/bin/sh\necho no\n")
    etc("hosts.deny", "refused: ALL\n")

    def tcpd(name, port, args, flags="NAMEINARGS"):             # the original needs flags first (ATTR-49)
        return service(name, port, flags=flags, user="root", server="/usr/sbin/tcpd", server_args=args)
    daemon.boot(logdefaults(daemon), tcpd("guarded", guarded, server + " one two"), tcpd("shut", shut, refused),
                tcpd("inner", inner, refused, "NAMEINARGS NOLIBWRAP"), up=[guarded, shut, inner])
    assert talk(guarded) == ("%s one two\n" % server).encode()
    assert talk(shut) == b""
    assert talk(inner) == b""                       # tcpd lets who is refused wait for five seconds
    daemon.wait_log("^FAIL: shut libwrap from=127.0.0.1$")
    daemon.wait_log("^EXIT: inner status=[0-9]+ pid=")
