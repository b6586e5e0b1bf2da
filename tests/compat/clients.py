"""Ports, clients, and waiting for what has to happen."""
import os
import socket
import struct
import time

# Seconds for what has to happen. The machine may be busy with other things, and a wait that succeeds costs
# nothing; only what must not happen is given a short time, and says so where it is waited for.
PATIENCE = 20.0


def patience(timeout=None):
    return PATIENCE if timeout is None else timeout

_next_port = [20000 + (os.getpid() * 37) % 5000]


def free_port():
    """A port that is free for TCP and UDP, IPv4 and IPv6."""
    while True:
        _next_port[0] += 1
        p = _next_port[0]
        if p > 31000:
            _next_port[0] = 20000
            continue
        ok = True
        for fam, addr in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
            for typ in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                s = socket.socket(fam, typ)
                try:
                    if fam == socket.AF_INET6:
                        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                    s.bind((addr, p))
                except OSError:
                    ok = False
                finally:
                    s.close()
        if ok:
            return p


def _proc_sockets(name):
    """(local address bytes, port, state, backlog) from /proc; slow for TCP."""
    try:
        with open("/proc/thread-self/net/" + name) as f:
            next(f)
            for line in f:
                w = line.split()
                addr, port = w[1].split(":")
                raw = b"".join(bytes.fromhex(addr[i:i + 8])[::-1] for i in range(0, len(addr), 8))
                yield raw, int(port, 16), int(w[3], 16), None
    except FileNotFoundError:
        return


def _diag_sockets(family, proto, state):
    """The same through NETLINK_SOCK_DIAG."""
    s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 4)
    try:
        s.send(struct.pack("=IHHII", 72, 20, 0x301, 1, 0) +
               struct.pack("=BBBBI", family, proto, 0, 0, 1 << state) + b"\0" * 48)
        while True:
            d = s.recv(65536)
            p = 0
            while p < len(d):
                ln, typ = struct.unpack_from("=IH", d, p)
                if typ == 3:
                    return
                if typ == 2:
                    raise OSError("sock_diag")
                m = d[p + 16:p + ln]
                port, = struct.unpack_from("!H", m, 4)
                _rq, wq = struct.unpack_from("=II", m, 56)
                yield m[8:12] if family == socket.AF_INET else m[8:24], port, state, wq
                p += (ln + 3) & ~3
    finally:
        s.close()


_diag_ok = [True]


def sockets(proto="tcp"):
    """All listening TCP or bound, unconnected UDP sockets:
    (family 4 or 6, address bytes, port, backlog)."""
    number, state = (6, 10) if proto == "tcp" else (17, 7)
    if _diag_ok[0]:
        try:
            return [(4 if fam == socket.AF_INET else 6, a, p, q)
                    for fam in (socket.AF_INET, socket.AF_INET6)
                    for a, p, _, q in _diag_sockets(fam, number, state)]
        except OSError:
            _diag_ok[0] = False
    return [(fam, a, p, q) for suffix, fam in (("", 4), ("6", 6))
            for a, p, st, q in _proc_sockets(proto + suffix) if st == state]


def listeners(port, proto="tcp"):
    """Set of (family, local address as text) of sockets listening on port."""
    return {(fam, socket.inet_ntop(socket.AF_INET if fam == 4 else socket.AF_INET6, a))
            for fam, a, p, _ in sockets(proto) if p == port}


def listening(port, proto="tcp"):
    return bool(listeners(port, proto))


def wait_until(cond, timeout=None, step=0.01):
    end = time.monotonic() + patience(timeout)
    while True:
        v = cond()
        if v:
            return v
        if time.monotonic() > end:
            return v
        time.sleep(step)                # between two looks
        step = min(step * 1.3, 0.1)


def occupied(port, addr="127.0.0.1"):
    """A socket of somebody else's that listens there."""
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((addr, port))
    s.listen()
    return s


def early_in_a_second():
    """For what has to happen within one second of the clock."""
    while time.time() % 1 > 0.3:
        time.sleep(0.02)                # the clock itself is what is waited for


def come_too_often(port):
    """Clients one after the other until `cps` has closed the port. How many that takes depends on how fast they
    are served: on a busy machine the second may be over before the last one comes."""
    assert wait_until(lambda: attempt(port, b"x") is None, step=0)


NOON = (time.localtime().tm_hour + 12) % 24
NEVER = "%d:00-%d:01" % (NOON, NOON)        # hours of access half a day away, also when midnight comes during the run


# ---------------------------------------------------------------- clients

def connect(port, addr="127.0.0.1", src=None, timeout=None):
    fam = socket.AF_INET6 if ":" in addr else socket.AF_INET
    s = socket.socket(fam, socket.SOCK_STREAM)
    s.settimeout(patience(timeout))
    if src is not None:
        s.bind((src, 0))
    s.connect((addr, port))
    return s


def recv_all(s, timeout=None):
    """Read until EOF (a reset counts as EOF)."""
    s.settimeout(patience(timeout))
    out = b""
    while True:
        try:
            d = s.recv(65536)
        except ConnectionResetError:
            return out
        if not d:
            return out
        out += d


def recv_n(s, n, timeout=None):
    s.settimeout(patience(timeout))
    out = b""
    while len(out) < n:
        try:
            d = s.recv(n - len(out))
        except ConnectionResetError:
            break
        if not d:
            break
        out += d
    return out


def talk(port, data=b"", addr="127.0.0.1", src=None, shut=True, timeout=None):
    s = connect(port, addr, src, timeout)
    try:
        try:
            if data:
                s.sendall(data)
            if shut:
                s.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        return recv_all(s, timeout)
    finally:
        s.close()


def udp_socket(addr="127.0.0.1", src=None, timeout=None):
    fam = socket.AF_INET6 if ":" in addr else socket.AF_INET
    s = socket.socket(fam, socket.SOCK_DGRAM)
    s.settimeout(patience(timeout))
    s.bind((src or ("::1" if fam == socket.AF_INET6 else "127.0.0.1"), 0))
    return s


def udp_ask(port, data=b"x", addr="127.0.0.1", timeout=None, src=None):
    s = udp_socket(addr, src, timeout)
    try:
        s.sendto(data, (addr, port))
        return s.recv(65536)
    except socket.timeout:
        return None
    finally:
        s.close()


def refused(port, addr="127.0.0.1", src=None):
    """True if connecting is refused."""
    try:
        connect(port, addr, src).close()
    except ConnectionRefusedError:
        return True
    return False


def attempt(port, data=b"x", **kw):
    """talk(), with None instead of an exception when nothing answers."""
    try:
        return talk(port, data, **kw)
    except (OSError, socket.timeout):
        return None
