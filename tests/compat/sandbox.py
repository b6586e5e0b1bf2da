"""Private network and mount namespaces for the tests, and a private /etc in them."""
import ctypes
import fcntl
import os
import re
import socket
import struct
import subprocess
import tempfile

CLONE_NEWNS = 0x00020000
CLONE_NEWNET = 0x40000000
MS_BIND, MS_MOVE, MS_REC, MS_PRIVATE = 4096, 8192, 16384, 1 << 18
PR_SET_CHILD_SUBREAPER = 36
PR_SET_PDEATHSIG = 1

libc = ctypes.CDLL(None, use_errno=True)


def _mount(src, dst, fstype, flags, data=None):
    enc = lambda s: s.encode() if s is not None else None
    if libc.mount(enc(src), enc(dst), enc(fstype), ctypes.c_ulong(flags), enc(data)) != 0:
        e = ctypes.get_errno()
        raise OSError(e, "mount %s on %s: %s" % (src, dst, os.strerror(e)))


def _lo_up():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    ifr = struct.pack("16sH14s", b"lo", 0, b"")
    flags = struct.unpack("16sH14s", fcntl.ioctl(s, 0x8913, ifr))[1]
    fcntl.ioctl(s, 0x8914, struct.pack("16sH14s", b"lo", flags | 1, b""))
    s.close()


def enter():
    """Move this process into private network and mount namespaces, if it may.

    Inside: only the loopback interface, a private copy of /etc, an empty
    /run.  Needs root; without it the tests that need it are skipped.
    """
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    if os.environ.get("XINETD_SANDBOX", "1") == "0" or os.geteuid() != 0:
        return False
    if libc.unshare(CLONE_NEWNS | CLONE_NEWNET) != 0:
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
