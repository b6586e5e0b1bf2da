"""A daemon that is process 1 of a PID namespace of its own."""
import os
import subprocess

from harness import children, wait_until

UNSHARE = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]


def begin(xd, text, up=(), args=(), mode="-dontfork", filelog=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
    """Starts it; `xd.proc` is who waits for it outside, with its exit status. Returns its pid as it is seen here."""
    xd.config(text)
    command = [xd.bin, *([mode] if mode else []), "-f", xd.conf, *args]
    if filelog:
        command += ["-filelog", xd.daemonlog]
    return run(xd, [*UNSHARE, *command], up, stdout, stderr)


def run(xd, command, up, stdout, stderr):
    """The same for any command that begins with unshare(1)."""
    xd.proc = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, cwd=xd.dir)
    for port in up:
        xd.wait_port(port)
    first = wait_until(lambda: children(xd.proc.pid))
    assert first and pid_inside(first[0]) == 1, first
    return first[0]


def pid_inside(pid):
    """Its number in the innermost namespace that it is in."""
    with open("/proc/%d/status" % pid) as f:
        return int(next(l for l in f if l.startswith("NSpid:")).split()[-1])


def enter(pid, *command):
    """Runs a command beside process 1, as `docker exec` does; its children become those of process 1."""
    subprocess.run(["nsenter", "--target", str(pid), "--pid", "--mount", *command], check=True, timeout=60)


# A root that is hardly more than /usr, and read-only as a whole; no /run, no /var, no users' names.
BARE = r"""
set -e
root=$1 dir=$2 bin=$3 uid=$4
shift 4
mount -t tmpfs -o mode=755 tmpfs $root
mkdir -p $root/usr $root/etc $root/proc $root/dev $root/$dir
for name in bin sbin lib lib64; do ln -s usr/$name $root/$name; done
mount --bind /usr $root/usr
mount -o remount,bind,ro,nosuid $root/usr
mount --bind $dir $root/$dir
mount -o remount,bind,ro $root/$dir
for name in null zero urandom; do : >$root/dev/$name; mount --bind /dev/$name $root/dev/$name; done
ln -s /proc/self/fd $root/dev/fd
ln -s /proc/self/fd/1 $root/dev/stdout
: >$root/xinetd
mount --bind $bin $root/xinetd
mount -t proc proc $root/proc
mount -t tmpfs -o ro tmpfs $root/proc/sys
mount -o remount,bind,ro $root
cd $root
exec chroot . setpriv --reuid $uid --regid $uid --clear-groups --inh-caps=-all --bounding-set=-all --no-new-privs \
	/xinetd "$@"
"""


def begin_bare(xd, text, uid, up=(), args=(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
    """As `begin`, for an ordinary user without a name, in a root of its own that nobody can write to."""
    xd.config(text)
    os.makedirs(xd.path("root"), exist_ok=True)
    unshare = ["unshare", "--pid", "--fork", "--kill-child", "--mount", "--propagation", "private"]
    script = ["sh", "-c", BARE, "sh", xd.path("root"), xd.dir, xd.bin, str(uid)]
    return run(xd, [*unshare, *script, "-dontfork", "-f", xd.conf, *args], up, stdout, stderr)
