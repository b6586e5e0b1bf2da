"""SENSOR, libwrap, ident."""
import pytest

import fakeident
from harness import *

covers = pytest.mark.covers
bug = pytest.mark.bug_in_original
sandbox = pytest.mark.needs_sandbox


def sensor(name, port, **kw):
    return service(name, port, type="INTERNAL UNLISTED", flags="SENSOR", **kw)


@covers("SENS-1", "SENS-2", "SENS-3", "SENS-4", "ACC-4")
def test_sensor_bans_the_source(xd, ports):
    trap, norm_, tm = ports(3)
    xd.boot(logdefaults(xd), sensor("trap", trap, deny_time="5"), cat("n", norm_), internal("time", tm), up=[trap, norm_, tm])
    assert talk(norm_, b"x", src="127.0.0.2") == b"x"
    assert talk(trap, b"x", src="127.0.0.2") == b""
    assert talk(norm_, b"x", src="127.0.0.2") == b"" and talk(tm, src="127.0.0.2") == b""
    assert talk(norm_, b"x") == b"x" and len(talk(tm)) == 4
    xd.wait_log("^FAIL: trap address from=127.0.0.2$")
    xd.wait_log("^FAIL: n address from=127.0.0.2$")
    xd.wait_log("^FAIL: time-stream address from=127.0.0.2$")
    xd.reload(logdefaults(xd), sensor("trap", trap, deny_time="5"), cat("n", norm_))
    assert talk(norm_, b"x", src="127.0.0.2") == b""        # survives a reload


@covers("SENS-3", "ATTR-35")
@pytest.mark.parametrize("value,banned", [("FOREVER", True), ("-1", True), ("1", True), ("NEVER", False), ("0", False),
                                          (None, False)])
def test_deny_time(xd, ports, value, banned):
    trap, n = ports(2)
    xd.boot(logdefaults(xd), sensor("trap", trap, deny_time=value), cat("n", n), up=[trap, n])
    assert talk(trap, b"x") == b""
    assert (talk(n, b"x") == b"") == banned
    xd.wait_log("^FAIL: trap address from=127.0.0.1$")


@covers("SENS-1")
def test_dgram_sensor(xd, ports):
    trap, n = ports(2)
    xd.boot(logdefaults(xd), sensor("trap", trap, socket_type="dgram", protocol="udp", wait="yes", deny_time="1"),
            cat("n", n), up=[("udp", trap), n])
    udp_ask(trap, b"x", timeout=0.2)
    xd.wait_log("^FAIL: trap address from=127.0.0.1$")
    assert talk(n, b"x") == b""


# ---------------------------------------------------------------- libwrap

@covers("WRAP-1", "LOG-4", "ACC-3", "ACC-1")
@sandbox
def test_libwrap_refusal_is_logged(xd, ports, etc):
    a, b = ports(2)
    etc("hosts.deny", "cat: 127.0.0.2\n")
    xd.boot(logdefaults(xd), cat("a", a), cat("b", b, only_from="127.0.0.1"), up=[a, b])
    assert talk(a, b"x") == b"x"
    assert talk(a, b"x", src="127.0.0.2") == b""
    xd.wait_log("^FAIL: a libwrap from=127.0.0.2$")
    xd.wait_dlog(r"libwrap refused connection to a \(libwrap=cat\) from 127\.0\.0\.2")
    assert talk(b, b"x", src="127.0.0.2") == b""        # the address check comes first
    xd.wait_log("^FAIL: b address from=127.0.0.2$")


# ---------------------------------------------------------------- ident

@pytest.fixture
def identd():
    made = []

    def make(answer):
        made.append(fakeident.Host(fakeident.says(answer)))
        return made[-1]
    yield make
    for i in made:
        i.close()


U = dict(log_on_success="PID HOST USERID EXIT", log_on_failure="HOST USERID")


@covers("IDENT-1", "IDENT-2", "LOG-5")
@sandbox
def test_userid_is_logged(xd, identd):
    a = free_port()
    d = identd("PORTS : USERID : UNIX :joe user\r\n")
    xd.boot(logdefaults(xd), cat("a", a, **U), up=[a])
    s = connect(a, src="127.0.0.1")
    port = s.getsockname()[1]
    s.sendall(b"x")
    assert s.recv(1) == b"x"
    s.close()
    xd.wait_log("^USERID: a UNIX :joe user$")
    q, client = d.queries[0]
    assert q.split(b"\r\n")[0].replace(b" ", b"") == b"%d,%d" % (port, a) and q.endswith(b"\r\n")
    assert client == "127.0.0.1"


BAD = [(None, "no server"), ("PORTS : ERROR : NO-USER\r\n", "bad response"), ("1,2 : USERID : UNIX : joe\r\n", "bad response"),
       ("PORTS : USERID : UNIX : joe", "error while receiving response"), ("", "error while receiving response"),
       ("rubbish\r\n", "bad response")]


@covers("IDENT-3", "IDENT-4", "IDENT-5", "LOG-5")
@sandbox
@pytest.mark.parametrize("answer,reason", BAD, ids=["noserver", "error", "wrong-ports", "no-crlf", "closed", "rubbish"])
def test_ident_failures(xd, ports, identd, answer, reason):
    a, b, c = ports(3)
    if answer is not None:
        identd(answer)
    xd.boot(logdefaults(xd), cat("a", a, **U), cat("idonly", b, flags="IDONLY", **U), cat("inert", c, flags="IDONLY"),
            up=[a, b, c])
    assert talk(a, b"x") == b"x"            # logged or not, served
    assert talk(b, b"x") == b""             # IDONLY
    assert talk(c, b"x") == b"x"            # IDONLY without USERID has no effect
    xd.wait_log("^NOID: idonly 127.0.0.1 %s$" % reason)
    assert not [l for l in xd.log() if l.startswith("USERID")]


@covers("IDENT-4")
@sandbox
def test_idonly_success(xd, identd):
    a = free_port()
    identd("PORTS : USERID : OTHER : x\r\n")
    xd.boot(logdefaults(xd), cat("a", a, flags="IDONLY", **U), up=[a])
    assert talk(a, b"x") == b"x"
    xd.wait_log("^USERID: a OTHER : x$")


@covers("IDENT-6")
@sandbox
def test_userid_when_a_limit_refuses(xd, ports, identd):
    a, b = ports(2)
    d = identd("PORTS : USERID : UNIX : joe\r\n")
    xd.boot(logdefaults(xd), cat("full", a, instances="0", **U), cat("deny", b, only_from="127.0.0.9", **U), up=[a, b])
    assert talk(a, b"x") == b""
    xd.wait_log("^FAIL: full service_limit from=127.0.0.1$")
    xd.wait_log("^USERID: full UNIX : joe$")
    assert talk(b, b"x") == b""
    xd.wait_log("^FAIL: deny address")
    assert talk(a, b"x") == b""             # a query that comes after all others
    xd.wait_log("^USERID: full UNIX : joe$", 2)
    assert len(d.queries) == 2


@covers("IDENT-6", "IDENT-7")
@sandbox
def test_userid_on_failure(xd, ports, identd):
    a, b, c = ports(3)
    d = identd("PORTS : USERID : UNIX : joe\r\n")
    xd.boot(logdefaults(xd), cat("full", a, instances="0", **U), cat("deny", b, only_from="127.0.0.9", **U),
            internal("time", c, **U), up=[a, b, c])
    assert talk(a, b"x") == b""
    xd.wait_log("^FAIL: full service_limit from=127.0.0.1$")
    xd.wait_log("^USERID: full UNIX : joe$")
    assert talk(b, b"x") == b"" and len(talk(c)) == 4
    xd.wait_log("^FAIL: deny address")
    assert talk(a, b"x") == b""             # a query that comes after all others
    xd.wait_log("^USERID: full UNIX : joe$", 2)
    assert len(d.queries) == 2
