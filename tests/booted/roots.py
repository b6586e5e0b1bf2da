#!/usr/bin/python3
"""The Debian systems that the booted tests begin with: made once, kept under target/booted.

    tests/booted/roots.py               # as root, with network; what is there already is left as it is

Each release is installed once, with Debian's xinetd and with what lives beside it; nothing of it
is started. A root that is not whole, or not of what this file says now, is made anew. Who comes
while they are made waits.
"""
import fcntl
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

REPO = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PLACE = os.path.join(os.environ.get("CARGO_TARGET_DIR") or os.path.join(REPO, "target"), "booted")
RELEASES = ("bookworm", "trixie")
SYSTEM = ("systemd", "systemd-sysv", "dbus", "iproute2", "procps", "netbase", "python3", "passwd")
# msmtp-mta: logwatch asks for a mail server, and this one has no daemon.
BESIDE = ("xinetd", "mailutils-pop3d", "mailutils-imap4d", "curl", "openssl", "stunnel4", "rsyslog", "fail2ban", "msmtp-mta", "logwatch",
          "augeas-tools")
# Debian starts both mail servers as daemons of their own; they are to be servers of xinetd.
STAND_ALONE = ("mailutils-pop3d", "mailutils-imap4d", "fail2ban")
# In namespaces of its own: what is mounted, and what a maintainer script leaves running, ends with it.
ALONE = ("unshare", "--mount", "--pid", "--fork", "--ipc", "--uts", "--kill-child")
NOTHING_STARTS = "usr/sbin/policy-rc.d"
# Without a network a machine can install again what apt has kept: Debian's xinetd.
PREPARE = """
echo 'APT::Install-Recommends "false";' >/etc/apt/apt.conf.d/no-recommends
apt-get -q -y install %s
apt-get clean
apt-get -q -y --reinstall --download-only install xinetd
systemctl disable %s
"""


def mirror():
    """Where this machine gets Debian from."""
    try:
        with open("/etc/apt/sources.list.d/debian.sources") as f:
            return re.search(r"(?m)^URIs: *(\S+)", f.read()).group(1)
    except (OSError, AttributeError):
        return "http://deb.debian.org/debian"


def root_of(release):
    return os.path.join(PLACE, release)


def recipe(release):
    """What the stamp of a root has in it, as long as the root is what this file makes."""
    return "%s\n%s\n%s\n%s%s" % (release, " ".join(SYSTEM), " ".join(BESIDE), PREPARE, " ".join(STAND_ALONE))


def is_whole(release):
    """Whether the root is there. The stamp is written last."""
    try:
        with open(os.path.join(root_of(release), "stamp")) as f:
            return f.read() == recipe(release)
    except OSError:
        return False


def make(release):
    """Installs `release`; its output is in the file beside it."""
    root = root_of(release)
    shutil.rmtree(root, ignore_errors=True)
    with open(root + ".log", "w") as log:
        def run(*command):
            subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=True,
                           env=dict(os.environ, DEBIAN_FRONTEND="noninteractive", LC_ALL="C.UTF-8"))

        run(*ALONE, "--mount-proc", "debootstrap", "--variant=minbase", "--include=" + ",".join(SYSTEM), release, root, mirror())
        put(root, NOTHING_STARTS, "#!/bin/sh\nexit 101\n", 0o755)
        put(root, "etc/dpkg/dpkg.cfg.d/quick", "force-unsafe-io\n")
        shutil.copy("/etc/resolv.conf", os.path.join(root, "etc/resolv.conf"))
        run(*ALONE, "--mount-proc=" + root + "/proc", "chroot", root, "sh", "-euc", PREPARE % (" ".join(BESIDE), " ".join(STAND_ALONE)))
        os.unlink(os.path.join(root, NOTHING_STARTS))
    put(root, "stamp", recipe(release))


def put(root, name, text, mode=0o644):
    path = os.path.join(root, name)
    with open(path, "w") as f:
        f.write(text)
    os.chmod(path, mode)


def main():
    os.makedirs(PLACE, exist_ok=True)
    lock = open(os.path.join(PLACE, "lock"), "w")       # until this process ends
    fcntl.flock(lock, fcntl.LOCK_EX)
    missing = [r for r in RELEASES if not is_whole(r)]
    with ThreadPoolExecutor() as pool:
        made = {r: pool.submit(make, r) for r in missing}
    failed = [r for r in missing if made[r].exception()]
    for release in failed:
        print("%s: %s; see %s.log" % (release, made[release].exception(), root_of(release)), file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
