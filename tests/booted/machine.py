"""A Debian system with a real systemd, booted for one test and forgotten after it.

It is a systemd-nspawn container on a root that roots.py has made: what is written goes to an
overlay in memory, and its network is a loopback interface and nothing else."""
import contextlib
import os
import select
import shutil
import socket
import subprocess
import tempfile
import uuid

import roots
import sandbox
from harness import children
from harness import wait_until

PATIENCE = 60                           # seconds for a boot, and for a command
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8",
               "DEBIAN_FRONTEND": "noninteractive"}

# In mount and pid namespaces of its own, so that everything ends with it. The cgroup2 hierarchy is shown
# alone, or systemd would look for its place in one of the old ones; nspawn insists on a /run in memory.
BOOT = """
umount --recursive --lazy /sys/fs/cgroup 2>/dev/null || true
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir /sys/fs/cgroup/$NAME
echo $$ >/sys/fs/cgroup/$NAME/cgroup.procs
mount -t tmpfs tmpfs /run
mount -t overlay -o lowerdir=$LOWER,upperdir=$DIR/upper,workdir=$DIR/work overlay $DIR/root
exec systemd-nspawn --quiet --boot --register=no --keep-unit --private-network --notify-ready=yes --console=pipe \
    --machine=debian --directory=$DIR/root
"""
FORGET = """
umount --recursive --lazy /sys/fs/cgroup 2>/dev/null || true
mount -t cgroup2 cgroup2 /sys/fs/cgroup
find /sys/fs/cgroup/$NAME -depth -type d -exec rmdir {} \\; || true
[ ! -e /sys/fs/cgroup/$NAME ]
"""


class Failed(AssertionError):
    """A command that ended with another status than 0."""


class Machine:
    """One machine; `with` boots it and throws it away."""

    def __init__(self, release):
        self.release = release
        self.dir = tempfile.mkdtemp(prefix="xinetd-booted-", dir="/dev/shm")
        self.name = os.path.basename(self.dir)
        self.init = self.unshare = None  # the pid of its systemd; the process around it
        for name in ("upper/etc", "work", "root"):
            os.makedirs(os.path.join(self.dir, name))
        # without one systemd takes this for a first boot, and enables what the root has disabled
        sandbox.write(os.path.join(self.dir, "upper/etc/machine-id"), uuid.uuid4().hex + "\n")

    def __enter__(self):
        try:
            self.boot()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.power_off()
        shutil.rmtree(self.dir)

    def _unshared(self, script):
        """What runs `script` with the names of this machine in its environment."""
        env = dict(os.environ, NAME=self.name, DIR=self.dir, LOWER=roots.root_of(self.release),
                   NOTIFY_SOCKET=os.path.join(self.dir, "notify"))
        return dict(args=["unshare", "--mount", "--propagation", "private", "--pid", "--mount-proc", "--kill-child", "sh", "-euc",
                          script], env=env, stdin=subprocess.DEVNULL)

    def boot(self):
        """Returns when everything that starts at boot has started."""
        path = os.path.join(self.dir, "notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, open(os.path.join(self.dir, "console"), "wb") as console:
            manager.bind(path)
            self.unshare = subprocess.Popen(**self._unshared(BOOT), stdout=console, stderr=console,
                                           preexec_fn=lambda: sandbox.libc.prctl(sandbox.PR_SET_PDEATHSIG, 9, 0, 0, 0))
            self._wait_ready(manager)
        os.unlink(path)
        nspawn, = children(self.unshare.pid)
        self.init, = children(nspawn)

    def _wait_ready(self, manager):
        """Until nspawn tells its service manager that the machine is up."""
        told, ended = "", os.pidfd_open(self.unshare.pid)
        try:
            while "READY=1" not in told:
                heard = select.select([manager, ended], [], [], PATIENCE)[0]
                assert manager in heard, "%s has not booted: %s\n%s" % (self.release, told, self.console())
                told += manager.recv(4096).decode() + "\n"
        finally:
            os.close(ended)

    def power_off(self):
        """As if the plug were pulled; boot() starts it again with what it had on its disk."""
        if self.unshare:
            self.unshare.kill()
            self.unshare.wait()
            self.init = self.unshare = None
            forget = lambda: subprocess.run(**self._unshared(FORGET), stderr=subprocess.DEVNULL).returncode == 0
            assert wait_until(forget), "something of %s is still running" % self.name

    def console(self):
        with open(os.path.join(self.dir, "console"), errors="replace") as f:
            return f.read()

    def path(self, path):
        """Where this process finds the file `path` of the machine."""
        return "/proc/%d/root%s" % (self.init, path)

    def read(self, path):
        with open(self.path(path)) as f:
            return f.read()

    def write(self, path, text, mode=None):
        os.makedirs(os.path.dirname(self.path(path)), exist_ok=True)
        sandbox.write(self.path(path), text, mode)

    def copy(self, source, directory):
        """A file or a directory of this side, copied into a directory of the machine."""
        subprocess.run(["cp", "-a", source, self.path(directory)], check=True)

    def _enter(self, script):
        return dict(args=["nsenter", "--target", str(self.init), "--all", "--root", "--wd", "bash", "-uc", script],
                    env=ENVIRONMENT, text=True, errors="replace")

    def status(self, script, timeout=PATIENCE):
        """Runs a shell script as root; its exit status, and what it wrote to both streams."""
        r = subprocess.run(**self._enter(script), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           timeout=timeout)
        return r.returncode, r.stdout.rstrip("\n")

    def run(self, script, timeout=PATIENCE):
        """The same for a script that has to succeed, in every line: what it wrote."""
        status, output = self.status("set -e\n" + script, timeout)
        if status != 0:
            raise Failed("%s\nended with status %d on %s:\n%s" % (script, status, self.release, output))
        return output

    @contextlib.contextmanager
    def network(self):
        """Sockets that this thread makes inside are sockets of the machine, and stay so."""
        with open("/proc/self/ns/net") as here, open("/proc/%d/ns/net" % self.init) as there:
            _enter_network(there)
            try:
                yield
            finally:
                _enter_network(here)


def _enter_network(namespace):
    if sandbox.libc.setns(namespace.fileno(), sandbox.CLONE_NEWNET) != 0:
        raise OSError("cannot enter the network of the machine")
