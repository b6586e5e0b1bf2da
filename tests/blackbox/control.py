"""The control socket of a daemon under test, asked by xinetctl and by hand."""
import json
import socket
import subprocess

from harness import CTL

WHERE = "/run/xinetd/control"


def connect(path=WHERE, timeout=60):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(timeout)
    s.connect(path)
    return s


def read_all(s):
    out = b""
    while True:
        d = s.recv(65536)
        if not d:
            return out
        out += d


def ask(command, path=WHERE):
    """The lines of an answer, each as (kind, value)."""
    with connect(path) as s:
        s.sendall(json.dumps({"version": 1, "command": command}).encode() + b"\n")
        lines = [json.loads(l) for l in read_all(s).splitlines()]
    return [next(iter(l.items())) for l in lines]


def status(path=WHERE):
    """The daemon, and its services and what is left out by their ids."""
    lines = ask("status", path)
    assert lines[-1] == ("done", {})
    daemon = [v for k, v in lines if k == "daemon"]
    assert len(daemon) == 1
    return daemon[0], {v["id"]: v for k, v in lines if k == "service"}, {v["id"]: v for k, v in lines if k == "left-out"}


def ctl(*words, timeout=60):
    """Runs xinetctl; the status, standard output, standard error."""
    r = subprocess.run([CTL, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout)
    return r.returncode, r.stdout.decode(), r.stderr.decode()
