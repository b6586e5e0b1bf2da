"""redirect: a client's bytes go to another host, and the answers back."""
import ctypes
import hashlib
import os
import resource
import signal
import socket
import struct
import threading
import time

import pytest

from harness import *
from procs import engine, fds, rss

covers = pytest.mark.covers
sandbox = pytest.mark.needs_sandbox
root = pytest.mark.needs_root

ALL = "PID HOST EXIT DURATION TRAFFIC"
ENDLESS = dict(instances="UNLIMITED", per_source="UNLIMITED", cps="0 0")
MEGABYTES = int(os.environ.get("REDIRECT_MEGABYTES", "64"))


def redirect(xd, name, port, target, **kw):
    """An entry with everything logged; `target` is a port of 127.0.0.1, or the whole value."""
    if isinstance(target, int):
        target = "127.0.0.1 %d" % target
    kw = dict(ENDLESS, redirect=target, log_type="FILE " + xd.svclog, log_on_success=ALL, log_on_failure="HOST", **kw)
    return service(name, port, **kw)


class Target(socket.socket):
    """What a service is passed on to."""

    def __init__(self, port=None, addr="127.0.0.1", backlog=512):
        super().__init__(socket.AF_INET6 if ":" in addr else socket.AF_INET)
        self.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.bind((addr, port or free_port()))
        self.listen(backlog)
        self.settimeout(patience())
        self.port = self.getsockname()[1]

    def take(self):
        s, _ = self.accept()
        s.settimeout(patience())
        return s


@pytest.fixture
def target():
    with Target() as t:
        yield t


@pytest.fixture
def through(xd, target):
    """through(): a client, and the connection that its bytes go to."""
    a = free_port()
    xd.boot(redirect(xd, "r", a, target.port, flags="KEEPALIVE"), up=[a])

    def join(**kw):
        return connect(a, **kw), target.take()
    join.port = a
    return join


def reset(s):
    """Close with a reset."""
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


def was_reset(s):
    """Whether the other side has closed it with a reset; None: with an end."""
    try:
        while s.recv(65536):
            pass
        return None
    except ConnectionResetError:
        return True


# ---------------------------------------------------------------- bytes

@covers("REDIR-1", "REDIR-5", "REDIR-7")
def test_bytes_pass_both_ways_and_are_counted(daemon, target):
    a = free_port()
    daemon.boot(redirect(daemon, "r", a, target.port), up=[a])
    c = connect(a)
    s = target.take()
    there, back = os.urandom(300000), os.urandom(200001)
    for source, sink, what in ((c, s, there), (s, c, back), (c, s, b"x"), (s, c, b"yz")):
        sender = threading.Thread(target=source.sendall, args=(what,))
        sender.start()
        assert recv_n(sink, len(what)) == what
        sender.join()
    s.close()
    assert c.recv(1) == b""
    c.close()
    daemon.wait_log("^EXIT: r status=0 pid=.* duration=")
    lines = [re.sub("::ffff:", "", l) for l in norm(daemon.log())]
    assert lines == ["START: r pid=N from=127.0.0.1", "TRAFFIC: r in=300001(bytes) out=200003(bytes)",
                     "EXIT: r status=0 pid=N duration=N(sec)"]


def pump(source, seed, size, done):
    """Send `size` bytes that look random, then the end; the digest goes into `done`."""
    block, digest, left = hashlib.shake_128(seed).digest(1 << 20), hashlib.sha256(), size
    while left:
        piece = block[:left] if left < len(block) else block
        source.sendall(piece)
        digest.update(piece)
        left -= len(piece)
    source.shutdown(socket.SHUT_WR)
    done[seed] = digest.hexdigest()


def test_much_passes_both_ways_at_once_and_arrives_whole(through, xd):
    size = MEGABYTES << 20
    c, s = through()
    sent, got = {}, {}

    def drain(sink, seed):
        digest, buffer = hashlib.sha256(), bytearray(1 << 20)
        sink.settimeout(120)
        while n := sink.recv_into(buffer):
            digest.update(memoryview(buffer)[:n])
        got[seed] = digest.hexdigest()
    work = [threading.Thread(target=f, args=args) for f, args in (
        (pump, (c, b"up", size, sent)), (pump, (s, b"down", size + 1, sent)), (drain, (s, b"up")), (drain, (c, b"down")))]
    for w in work:
        w.start()
    for w in work:
        w.join()
    assert sent == got and len(got) == 2
    xd.wait_log(r"^TRAFFIC: r in=%d\(bytes\) out=%d\(bytes\)$" % (size, size + 1))


@covers("REDIR-2")
@pytest.mark.parametrize("first", ["client", "target"])
def test_the_end_of_one_direction_leaves_the_other_open(through, xd, first):
    one, other = through()
    if first == "target":
        one, other = other, one
    one.sendall(b"question")
    one.shutdown(socket.SHUT_WR)
    assert recv_all(other) == b"question"
    answer = os.urandom(500000)
    sender = threading.Thread(target=lambda: (other.sendall(answer), other.close()))
    sender.start()
    assert recv_n(one, len(answer) + 1) == answer
    sender.join()
    xd.wait_log("^EXIT: r status=0")


@pytest.mark.parametrize("gone", ["client", "target"])
def test_a_reset_of_one_side_resets_the_other(through, xd, gone):
    one, other = through()
    if gone == "target":
        one, other = other, one
    one.sendall(b"last words")
    assert other.recv(100) == b"last words"
    reset(one)
    assert was_reset(other)
    xd.wait_log("^EXIT: r status=0")


def test_an_answer_arrives_although_the_target_closes_without_reading_all(through):
    c, s = through()
    c.sendall(b"x" * 100000)
    s.recv(10)
    s.sendall(b"no more, please")
    s.close()                           # with bytes unread: a reset follows the answer
    assert recv_n(c, 15) == b"no more, please"
    assert was_reset(c) in (True, None)


def test_a_client_that_is_gone_is_noticed_although_its_target_reads_nothing(through, xd):
    c, s = through()
    stuff(c)
    reset(c)
    xd.wait_log("^EXIT: r status=0")


def stuff(s):
    """Send until nothing more is taken; how much was."""
    s.settimeout(0.3)
    sent = 0
    try:
        while True:
            sent += s.send(b"x" * 65536)
    except socket.timeout:
        return sent


@pytest.mark.parametrize("slow", ["client", "target"])
def test_a_slow_reader_holds_back_the_sender_and_gets_everything(through, xd, slow):
    """What waits is in the kernel's buffers, not in the engine's."""
    reader, sender = through()
    if slow == "target":
        reader, sender = sender, reader
    pid = engine(xd.proc.pid)
    before = rss(pid)
    sent = stuff(sender)
    assert sent < 32 << 20 and rss(pid) - before < 2048
    other, its_target = through()       # others go on
    other.sendall(b"x")
    assert its_target.recv(1) == b"x"
    sender.settimeout(patience())
    closer = threading.Thread(target=lambda: (sender.sendall(b"end"), sender.shutdown(socket.SHUT_WR)))
    closer.start()
    got = recv_all(reader)
    closer.join()
    assert len(got) == sent + 3 and got.endswith(b"end")


# ---------------------------------------------------------------- targets

@covers("REDIR-3", "LOG-3")
@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_target_that_refuses_closes_the_client_and_says_so(daemon, address):
    a, b = free_port(), free_port()
    daemon.boot(redirect(daemon, "r", a, "%s %d" % (address, b)), up=[a])
    assert talk(a, b"x") == b""
    daemon.wait_log("^EXIT: r status=0")
    daemon.wait_dlog(r"can't connect to remote host %s: Connection refused \(errno = 111\)" % address)
    assert not [l for l in daemon.log() if l.startswith("TRAFFIC")]


def test_the_same_failure_is_told_once_a_minute(xd):
    a, b = free_port(), free_port()
    xd.boot(redirect(xd, "r", a, b), up=[a])
    for _ in range(20):
        assert talk(a, b"x") == b""
    xd.wait_log("^EXIT: r status=0", 20)
    assert xd.dlog().count("can't connect") == 1


def full(stack, addr="127.0.0.1"):
    """A port whose queue is full: a SYN gets no answer."""
    t = stack.enter_context(Target(addr=addr, backlog=0))
    stack.enter_context(connect(t.port, addr))
    return t.port


@pytest.fixture
def stack():
    import contextlib
    with contextlib.ExitStack() as s:
        yield s


def test_a_target_that_never_answers_is_given_up(xd, stack, target):
    """After ten seconds; nobody else waits for that."""
    a, b = free_port(), free_port()
    xd.boot(redirect(xd, "r", a, full(stack)), redirect(xd, "s", b, target.port), up=[a, b])
    began = time.monotonic()
    c = connect(a, timeout=60)
    with connect(b) as other:
        other.sendall(b"x")
        assert target.take().recv(1) == b"x"
    assert c.recv(1) == b"" and 9 < time.monotonic() - began < 30
    xd.wait_dlog("can't connect to remote host 127.0.0.1: Connection timed out")
    xd.wait_log("^EXIT: r status=0")


@covers("ATTR-50")
@sandbox
def test_an_address_that_does_not_answer_does_not_delay_the_next_for_long(xd, stack, etc):
    a = free_port()
    port = full(stack, "127.0.0.2")
    t = stack.enter_context(Target(port, "127.0.0.3"))
    etc("hosts", "127.0.0.2 mail.example.test\n127.0.0.3 mail.example.test\n", append=True)
    xd.boot(redirect(xd, "r", a, "mail.example.test %d" % port), up=[a])
    c = connect(a)
    c.sendall(b"x")
    began = time.monotonic()
    assert t.take().recv(1) == b"x"
    assert time.monotonic() - began < 8     # of ten seconds


@covers("ATTR-50")
@sandbox
def test_a_name_is_looked_up_anew(xd, etc):
    """The original knows what it was when the file was read."""
    a = free_port()
    with Target(addr="127.0.0.2") as old, Target(old.port, "127.0.0.3") as new:
        for t in old, new:
            t.settimeout(0)
        etc("hosts", "127.0.0.2 mail.example.test\n", append=True)
        xd.boot(redirect(xd, "r", a, "mail.example.test %d" % old.port), up=[a])
        first = connect(a)
        served, _ = wait_until(lambda: taken(old))
        etc("hosts", "127.0.0.3 mail.example.test\n")
        clients = [first]
        assert wait_until(lambda: clients.append(connect(a)) or wait_until(lambda: taken(new), 0.2))
        while taken(old):
            pass
        etc("hosts", "")                # no answer from now on: the last one holds
        end = time.monotonic() + 1.5    # the time that an answer is good, and more
        while time.monotonic() < end:
            clients.append(connect(a))
            assert wait_until(lambda: taken(new))
        assert not taken(old)
        first.sendall(b"x")
        assert served.recv(1) == b"x"


def taken(t):
    try:
        return t.accept()
    except BlockingIOError:
        return None


@covers("REDIR-6")
@sandbox
@pytest.mark.parametrize("client,server", [("127.0.0.1", "::1"), ("::1", "127.0.0.1")])
def test_one_family_reaches_the_other(daemon, client, server):
    a = free_port()
    with Target(addr=server) as t:
        daemon.boot(redirect(daemon, "r", a, "%s %d" % (server, t.port), bind=client), up=[a])
        c = connect(a, client)
        c.sendall(b"x")
        assert t.take().recv(1) == b"x"


def test_a_service_that_leads_to_itself_is_found_out(xd):
    a = free_port()
    xd.boot(redirect(xd, "r", a, a), up=[a])
    assert talk(a, b"x") == b""
    xd.wait_dlog("service r: can't connect to remote host 127.0.0.1: it is this very service")
    assert len(xd.wait_log("^START")) == 1


@pytest.fixture
def unix(xd):
    """A socket in the file system that everybody may connect to."""
    os.chmod(xd.dir, 0o755)
    path = xd.path("sock")
    with socket.socket(socket.AF_UNIX) as t:
        t.bind(path)
        os.chmod(path, 0o666)
        t.listen(5)
        t.settimeout(patience())
        yield path, t


def test_a_unix_socket_is_a_target(xd, unix):
    a, (path, t) = free_port(), unix
    xd.boot(redirect(xd, "r", a, "unix:" + path), up=[a])
    c = connect(a)
    s, _ = t.accept()
    big = os.urandom(3 << 20)
    sender = threading.Thread(target=lambda: (c.sendall(big), c.shutdown(socket.SHUT_WR)))
    sender.start()
    assert recv_all(s) == big
    s.sendall(big)
    s.close()
    assert recv_all(c) == big
    sender.join()
    xd.wait_log(r"^TRAFFIC: r in=%d\(bytes\) out=%d\(bytes\)" % (len(big), len(big)))


@root
def test_a_unix_socket_is_connected_by_the_user_of_the_engine(xd, unix):
    """What that user may not open is not reached, although the daemon is root."""
    a, (path, t) = free_port(), unix
    xd.boot(redirect(xd, "r", a, "unix:" + path), up=[a])
    with connect(a):
        s, _ = t.accept()
        pid, uid, _ = struct.unpack("3i", s.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        assert pid == engine(xd.proc.pid) and uid != 0
    os.chmod(path, 0o600)
    assert talk(a, b"x") == b""
    xd.wait_dlog(r"service r: can't connect to unix:%s: Permission denied \(errno = 13\)" % path)


@root
def test_both_sides_have_nodelay_and_keepalive(through, xd):
    """REDIR-1"""
    _held = through()
    libc = ctypes.CDLL(None, use_errno=True)
    pid = engine(xd.proc.pid)
    process = os.pidfd_open(pid)
    found = []
    for number, what in fds(pid).items():
        if what.startswith("socket:"):
            fd = libc.syscall(438, process, number, 0)          # pidfd_getfd
            with socket.socket(fileno=fd) as s:
                if s.family in (socket.AF_INET, socket.AF_INET6) and not s.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                    found.append((s.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY), s.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)))
    os.close(process)
    assert found == [(1, 1), (1, 1)]


# ---------------------------------------------------------------- the rest of the daemon

@covers("BAN-5", "REDIR-4")
def test_banners_come_before_the_data(daemon, target):
    a = free_port()
    banners = dict(banner=daemon.write("ban", "BANNER\n"), banner_success=daemon.write("suc", "COME IN\n"))
    daemon.boot(redirect(daemon, "r", a, target.port, **banners), up=[a])
    c = connect(a)
    s = target.take()
    s.sendall(b"data")
    assert recv_n(c, 19) == b"BANNER\nCOME IN\ndata"


@covers("REDIR-7")
def test_limits_and_lists_hold(daemon, target):
    a, b, c = free_port(), free_port(), free_port()
    daemon.boot(redirect(daemon, "few", a, target.port, instances=2), redirect(daemon, "one", b, target.port, per_source=1),
                redirect(daemon, "none", c, target.port, only_from="192.0.2.1"), up=[a, b, c])
    held = []
    for port, most in ((a, 2), (b, 1), (c, 0)):
        for _ in range(most):
            held += [connect(port), target.take()]
        assert talk(port, b"x") == b""
    for fail in ("few service_limit", "one per_source_limit", "none address"):
        daemon.wait_log("^FAIL: %s from=(::ffff:)?127.0.0.1$" % fail)
    held[0].close()
    held[1].close()
    daemon.wait_log("^EXIT: few status=0")
    with connect(a) as again:
        again.sendall(b"x")
        assert target.take().recv(1) == b"x"


def test_a_reload_that_drops_it_ends_its_sessions(through, xd):
    c, s = through()
    c.sendall(b"abc")
    assert s.recv(3) == b"abc"
    xd.reload(down=[through.port])
    assert c.recv(1) == b"" and s.recv(1) == b""
    assert norm(xd.wait_log("r "))[-2:] == ["TRAFFIC: r in=3(bytes) out=0(bytes)", "EXIT: r signal=15 pid=N duration=N(sec)"]


def test_a_reload_that_changes_the_target_keeps_running_sessions(through, xd):
    c, s = through()
    with Target() as other:
        xd.reload(redirect(xd, "r", through.port, other.port), up=[through.port])
        c.sendall(b"x")
        assert s.recv(1) == b"x"
        with connect(through.port) as new:
            new.sendall(b"y")
            assert other.take().recv(1) == b"y"
    xd.reload(service("r", through.port, server="/bin/cat"), up=[through.port])
    assert talk(through.port, b"z") == b"z"
    s.sendall(b"still here")
    assert recv_n(c, 10) == b"still here"


def test_a_service_that_becomes_another_kind_breaks_no_promise(xd, target):
    """Orders of the old kind are still on their way when the new one is in force."""
    a = free_port()
    kinds = [redirect(xd, "r", a, target.port), service("r", a, server="/bin/cat", **ENDLESS)]
    xd.boot(kinds[0], up=[a])
    stop = threading.Event()
    answer = threading.Thread(target=answer_all, args=(target, stop))
    clients = [threading.Thread(target=ask_on, args=(a, stop)) for _ in range(4)]
    for t in [answer, *clients]:
        t.start()
    try:
        for n in range(8):
            xd.reload(kinds[(n + 1) % 2], up=[a])
    finally:
        stop.set()
        for t in [answer, *clients]:
            t.join()
    assert xd.alive() and "protocol" not in xd.dlog()


def answer_all(target, stop):
    target.settimeout(0.1)
    while not stop.is_set():
        try:
            s = target.take()
        except socket.timeout:
            continue
        with s:
            s.sendall(s.recv(10))


def ask_on(port, stop):
    while not stop.is_set():
        attempt(port, timeout=2)        # nobody answers the last one


def test_the_end_of_the_daemon_ends_its_sessions(through, xd):
    c, s = through()
    c.sendall(b"abc")
    assert s.recv(3) == b"abc"
    xd.signal(signal.SIGTERM)
    assert xd.wait_exit() == 0
    assert c.recv(1) == b"" and s.recv(1) == b""
    assert norm(xd.log())[-2:] == ["TRAFFIC: r in=3(bytes) out=0(bytes)", "EXIT: r signal=15 pid=N duration=N(sec)"]


def test_sessions_that_an_engine_takes_with_it_are_logged(through, xd):
    held = [through() for _ in range(3)]
    old = engine(xd.proc.pid)
    os.kill(old, signal.SIGKILL)
    lines = xd.wait_log("^EXIT: r signal=9 pid=%d " % old, 3)
    assert len(lines) == 3
    for c, s in held:
        assert recv_n(c, 1) == b"" and recv_n(s, 1) == b""
    c, s = through()
    c.sendall(b"x")
    assert s.recv(1) == b"x"


def test_2000_idle_connections_are_held_and_cost_little(through, xd):
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    pid = engine(xd.proc.pid)
    first = through()
    before = rss(pid) + rss(xd.proc.pid)
    held = [first] + [through() for _ in range(2000)]
    each = (rss(pid) + rss(xd.proc.pid) - before) / 2000
    assert each < 5, "%.1f KiB for each connection" % each
    for n, (c, s) in enumerate(held):
        what = b"%d" % n
        c.sendall(what)
        assert recv_n(s, len(what)) == what
        s.sendall(what)
        assert recv_n(c, len(what)) == what
    assert len(fds(pid)) < 4100         # and no pipe for any of them
    for pair in held:
        for side in pair:
            side.close()
    xd.wait_log("^EXIT: r status=0", 2001)
    assert wait_until(lambda: len(fds(pid)) < 60)


def test_sessions_leave_descriptors_to_others(xd, target):
    """Who finds no room waits in the backlog; a service that starts servers does not notice."""
    a, b = free_port(), free_port()
    limit = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (160, 160))
    xd.boot(redirect(xd, "r", a, target.port), cat("b", b, **ENDLESS), up=[a, b], preexec=limit)
    clients = [connect(a) for _ in range(100)]
    xd.wait_dlog("service r: sessions hold all descriptors that they may have: clients wait")
    held = [target.take() for _ in range(len([l for l in xd.log() if l.startswith("START")]))]
    assert 40 < len(held) < 80
    assert all(talk(b, b"x") == b"x" for _ in range(50))
    for c in clients:
        c.sendall(b"x")
        c.shutdown(socket.SHUT_WR)
    for n in range(100):
        s = held.pop(0) if held else target.take()
        assert s.recv(1) == b"x"
        s.close()
    xd.wait_log("^EXIT: r status=0", 100)
    assert not re.search("accept|can't connect", xd.dlog())
