"""Texts: service entries, defaults, and the server scripts they name."""
import os
import pwd
import sys

ME = pwd.getpwuid(os.geteuid()).pw_name


def service(name, port=None, **kw):
    """Text of one service entry.  Keys ending in __ are repeated lines:
    use a list value for several lines; prefix the value with '+=' or '-='
    to choose the operator."""
    d = {}
    if port is not None:
        d["type"] = "UNLISTED"
        d["port"] = port
    d.setdefault("socket_type", "stream")
    d.setdefault("protocol", "tcp")
    d.setdefault("wait", "no")
    d.setdefault("user", ME)
    d.setdefault("bind", "127.0.0.1")
    d.update(kw)
    out = ["service %s" % name, "{"]
    for k, v in d.items():
        if v is None:
            continue
        for item in (v if isinstance(v, (list, tuple)) else [v]):
            item = str(item)
            op = "="
            for o in ("+=", "-="):
                if item.startswith(o):
                    op, item = o, item[2:].strip()
            out.append("\t%s %s %s" % (k, op, item))
    out.append("}")
    return "\n".join(out) + "\n"


def defaults(**kw):
    out = ["defaults", "{"]
    for k, v in kw.items():
        if v is None:
            continue
        for item in (v if isinstance(v, (list, tuple)) else [v]):
            out.append("\t%s = %s" % (k, item))
    out.append("}")
    return "\n".join(out) + "\n"


def logdefaults(xd, **kw):
    """A defaults entry that logs everything to the service log."""
    d = dict(log_type="FILE " + xd.svclog, log_on_success="PID HOST EXIT DURATION",
             log_on_failure="HOST ATTEMPT")
    d.update(kw)
    return defaults(**d)


def cat(name, port, **kw):
    """A service that echoes through /bin/cat."""
    kw.setdefault("server", "/bin/cat")
    return service(name, port, **kw)


def internal(name, port, stype="stream", **kw):
    d = dict(type="INTERNAL UNLISTED", socket_type=stype,
             protocol="tcp" if stype == "stream" else "udp",
             wait="no" if stype == "stream" else "yes", id="%s-%s" % (name, stype), user=None)
    d.update(kw)
    return service(name, port, **d)


PY = os.path.realpath(sys.executable)


def pyscript(body):
    return "#!%s -SE\n%s" % (PY, body)


SLEEPER = "#!/bin/sh\necho $$\nexec sleep 60\n"

UDP_ONCE = """
import os, socket, time
s = socket.socket(fileno=0)
d, a = s.recvfrom(65536)
s.sendto(b"%d|%s|" % (os.getpid(), os.environ.get("REMOTE_HOST", "").encode()) + d, a)
time.sleep(float(d[1:]) if d[:1] == b"s" else 0)        # a server that takes its time
"""

TCP_ACCEPT = """
import os, socket, sys
l = socket.socket(fileno=0)
l.settimeout(20)
n = int(sys.argv[1]) if len(sys.argv) > 1 else 1
while n:
    c, a = l.accept()
    c.sendall(b"%d|%s" % (os.getpid(), os.environ.get("REMOTE_HOST", "").encode()))
    c.close()
    n -= 1
"""
