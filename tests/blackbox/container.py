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
    subprocess.run(["nsenter", "--target", str(pid), "--pid", "--mount", *command], check=True, timeout=10)
