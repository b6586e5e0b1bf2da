"""SENSOR: who comes to one is locked out of every service, whatever happens to the engine."""
import os
import signal

import pytest

from harness import *
from procs import engine

covers = pytest.mark.covers


def sensor(port, **kw):
    return service("trap", port, **{"type": "INTERNAL UNLISTED", "flags": "SENSOR", **kw})


def served(port, src):
    return attempt(port, b"x", src=src) == b"x"


@covers("SENS-2", "SENS-4")
def test_the_list_survives_a_reload_and_the_engine(xd, ports):
    trap, a = ports(2)
    text = sensor(trap, deny_time="FOREVER"), cat("a", a)
    xd.boot(logdefaults(xd), *text, up=[trap, a])
    assert served(a, "127.0.0.2")
    assert talk(trap, b"x", src="127.0.0.2") == b""
    xd.wait_log("^FAIL: trap address from=127.0.0.2$")
    assert not served(a, "127.0.0.2") and served(a, "127.0.0.3")
    xd.reload(logdefaults(xd), *text)
    assert not served(a, "127.0.0.2")
    old = engine(xd.proc.pid)
    os.kill(old, signal.SIGKILL)
    engine(xd.proc.pid, other_than=old)
    assert not served(a, "127.0.0.2") and served(a, "127.0.0.3")
    assert len([l for l in xd.dlog().splitlines() if "Adding 127.0.0.2 to the global_no_access list for -1 minutes" in l]) == 1


@covers("SENS-1", "ACC-1")
def test_address_lists_of_the_sensor_protect_nobody_from_it(daemon, ports):
    trap, a = ports(2)
    daemon.boot(logdefaults(daemon), sensor(trap, deny_time="5", flags="SENSOR IPv4", no_access="127.0.0.2"),
                cat("a", a, flags="IPv4"), up=[trap, a])
    for src in ("127.0.0.2", "127.0.0.3"):
        assert talk(trap, b"x", src=src) == b""
        daemon.wait_log("^FAIL: trap address from=%s$" % src)
        assert not served(a, src)
    assert served(a, "127.0.0.4")
