"""cps_action = pace and per_source_prefix, which xinetd 2.3.15 does not have."""
import threading
import time

from harness import *


def burst(port, n):
    """`n` clients at once; how many were served, and in how many seconds."""
    served = []

    def one():
        served.append(talk(port, b"x") == b"x")
    begin = time.monotonic()
    clients = [threading.Thread(target=one) for _ in range(n)]
    for c in clients:
        c.start()
    for c in clients:
        c.join(60)
    return sum(served), time.monotonic() - begin


def test_everybody_is_served_at_the_rate(xd):
    """10 at once, then 10 a second: 30 clients take two seconds, and nobody is refused."""
    a = free_port()
    xd.boot(logdefaults(xd), cat("a", a, cps="10 30", cps_action="pace"), up=[a])
    served, seconds = burst(a, 30)
    assert served == 30
    assert seconds > 1.8
    assert not [line for line in xd.log() if line.startswith("FAIL")]
    assert len([line for line in xd.dlog().splitlines() if "they wait for their turn" in line]) == 1


def test_others_do_not_wait(xd, ports):
    a, b = ports(2)
    xd.boot(logdefaults(xd), cat("a", a, cps="1 30", cps_action="pace"), cat("b", b), up=[a, b])
    assert talk(a, b"x") == b"x"
    waiting = connect(a)
    waiting.sendall(b"x")
    served, _ = burst(b, 20)
    assert served == 20
    assert waiting.recv(1) == b"x"
    waiting.close()


def test_a_reload_may_end_the_waiting(xd):
    """The old rate would keep the second client for a long time."""
    a = free_port()
    xd.boot(logdefaults(xd), cat("a", a, cps="1 30", cps_action="pace"), up=[a])
    clients = [connect(a) for _ in range(5)]
    for s in clients:
        s.sendall(b"x")
    xd.reload(logdefaults(xd), cat("a", a))
    for s in clients:
        assert s.recv(1) == b"x"
        s.close()


def test_neighbours_share_the_limit_of_one_source(xd):
    a = free_port()
    xd.boot(logdefaults(xd), cat("a", a, per_source="1", per_source_prefix="64 24"), up=[a])
    s = connect(a, src="127.0.0.2")
    s.sendall(b"1")
    assert s.recv(1) == b"1"
    assert attempt(a, b"x", src="127.0.0.9") != b"x"
    xd.wait_log("^FAIL: a per_source_limit from=127.0.0.9$")
    assert attempt(a, b"x", src="127.0.1.9") == b"x"
    s.close()
    xd.wait_log("^EXIT: a")
    assert wait_until(lambda: attempt(a, b"x", src="127.0.0.9") == b"x")
