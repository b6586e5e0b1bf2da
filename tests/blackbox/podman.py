"""Podman with a world of its own: its storage, locks and processes end with it."""
import os
import shutil
import subprocess
import tempfile

from harness import children, wait_until

# cgroups of version 2 alone, because crun wants no mixture; Podman has its locks in /dev/shm.
WORLD = r"""
set -e
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /run
mount -t cgroup2 cgroup2 /sys/fs/cgroup
: >"$1"
exec sleep 600
"""


class Podman:
    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="xinetd-test-podman-")
        ready = self.dir + "/ready"
        unshare = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
        self.world = subprocess.Popen([*unshare, "sh", "-c", WORLD, "sh", ready], stdin=subprocess.DEVNULL)
        assert wait_until(lambda: os.path.exists(ready)), "no world for podman"
        self.inside = str(children(self.world.pid)[0])

    def __call__(self, *words, check=True, **kw):
        """Runs one command; the finished process."""
        state = ["--root", self.dir + "/root", "--runroot", "/run/podman", "--storage-driver", "vfs",
                 "--cgroup-manager", "cgroupfs", "--events-backend", "file"]
        command = ["nsenter", "--target", self.inside, "--pid", "--mount", "podman", *state, *words]
        run = subprocess.run(command, capture_output=True, text=True, timeout=120, **kw)
        assert not check or run.returncode == 0, "podman %s: %s" % (" ".join(words), run.stdout + run.stderr)
        return run

    def image(self, name, programs, files=(), libraries_of=()):
        """An image that holds nothing but these programs and what they need: no registry is asked for one."""
        root = os.path.join(self.dir, "image")
        for directory in ("dev", "etc", "proc", "run", "sys", "tmp", "usr/bin", "usr/lib", "usr/lib64", "usr/sbin"):
            os.makedirs(os.path.join(root, directory))
        for link in ("bin", "lib", "lib64", "sbin"):
            os.symlink("usr/" + link, os.path.join(root, link))
        for program in map(shutil.which, programs):
            shutil.copy(program, root + "/usr/bin/")
            self._add_libraries(root, program)
        for program in libraries_of:
            self._add_libraries(root, program)
        for target, source in files:
            os.makedirs(os.path.dirname(root + target), exist_ok=True)
            shutil.copy(source, root + target)
        tar = subprocess.Popen(["tar", "-C", root, "-c", "."], stdout=subprocess.PIPE)
        self("import", "--change", "ENV PATH=/usr/sbin:/usr/bin", "-", name, stdin=tar.stdout)
        assert tar.wait() == 0
        shutil.rmtree(root)

    @staticmethod
    def _add_libraries(root, program):
        needs = subprocess.check_output(["ldd", program], text=True)
        for word in needs.split():
            if word.startswith("/") and not os.path.exists(root + word):
                os.makedirs(os.path.dirname(root + word), exist_ok=True)
                shutil.copy(word, root + word)

    def close(self):
        self.world.kill()               # and everybody in it
        self.world.wait()
        shutil.rmtree(self.dir)
