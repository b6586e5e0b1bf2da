"""`xinetctl connections` says what netstat and ss say, of our sockets, and whose they are."""
import collections
import fcntl
import json
import os
import pty
import re
import signal
import socket
import struct
import subprocess
import termios
import time

import pytest

from harness import *
from procs import engine

sandbox = pytest.mark.needs_sandbox

LONG = "2001:db8:1234:5678:9abc:def0:1234:5678"
STATES = ["LISTEN", "ESTABLISHED", "CLOSE_WAIT", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "SYN_RECV", ""]
ENDLESS = dict(instances="UNLIMITED", per_source="UNLIMITED", cps="0 0")
HOLD = "#!/bin/sh\necho\nexec sleep 120\n"
# Sends as much as there is room for, and goes.
FLOOD = pyscript("""
import os
os.set_blocking(1, False)
try:
    while True:
        os.write(1, bytes(65536))
except BlockingIOError:
    pass
""")
# With wait = yes: accepts clients, and keeps them.
KEEP = pyscript("""
import socket
l = socket.socket(fileno=0)
kept = []
while True:
    kept.append(l.accept()[0])
    kept[-1].sendall(b"\\n")
""")


# Has a second port, as FTP does for data, and leaves it to a child.
CHILD = pyscript("""
import os, signal, socket
l = socket.create_server(("127.0.0.1", 0))
u = socket.socket(socket.AF_UNIX)
u.bind("\\0of-a-child-%d" % l.getsockname()[1])
child = os.fork()
if child:
    said = b"%d %d\\n" % (l.getsockname()[1], child)
    l.close(), u.close()
    os.write(1, said)
signal.pause()
""")


def ctl(xd, *args, env=None, timeout=60, **kw):
    return subprocess.run([CTL, "connections", "--socket", xd.path("control"), *args], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, env=env, timeout=timeout, **kw)


def boot(xd, *entries, **kw):
    kw.setdefault("args", ["-control", xd.path("control")])
    return xd.boot(logdefaults(xd), *entries, **kw)


def document(xd, *args):
    r = ctl(xd, "--json", *args)
    assert r.returncode == 0, r.stderr
    return json.loads(r.stdout)


# ---------------------------------------------------------------- what others say

Row = collections.namedtuple("Row", "proto recv send local foreign state pid")


def tool(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def in_netstats_columns(lines):
    rows = []
    for line in lines:
        words = line.split()
        state = "" if words[0].startswith("udp") and words[5] != "ESTABLISHED" else words[5]
        pid = re.search(r" (\d+)/", line)
        rows.append(Row(words[0], int(words[1]), int(words[2]), *words[3:5], state, int(pid.group(1)) if pid else 0))
    return rows


def shown(xd):
    return in_netstats_columns(ctl(xd, "-n", "-tu").stdout.splitlines()[2:])


def netstat(wanted):
    return [row for row in in_netstats_columns(tool("netstat", "-tunapW")[2:]) if wanted(row)]


def ss(wanted):
    """As netstat would show it; the Send-Q of a listening socket is another figure there."""
    words = {"ESTAB": "ESTABLISHED", "UNCONN": "", "FIN-WAIT-1": "FIN_WAIT1", "FIN-WAIT-2": "FIN_WAIT2"}
    rows = []
    for line in tool("ss", "-tunapH"):
        proto, state, recv, send, local, foreign = line.split()[:6]
        six = "[" in local or local.startswith("*")
        plain = lambda a: re.sub(r"^\*", "::" if six else "0.0.0.0", a).replace("[::ffff:", "[").replace("[", "").replace("]", "")
        state = words.get(state, state.replace("-", "_"))
        pids = [int(p) for p in re.findall(r"pid=(\d+)", line)]
        rows.append(Row(proto + "6" * six, int(recv), 0 if state == "LISTEN" else int(send), plain(local), plain(foreign),
                        state, min(pids, default=0)))
    return [row for row in rows if wanted(row)]


def same(a, b):
    """Waits until two ways to look agree: sockets may still be on their way from one state to the next."""
    seen = []

    def look():
        seen[:] = [collections.Counter(a()), collections.Counter(b())]
        return seen[0] == seen[1]
    assert wait_until(look), "\n".join(map(str, list((seen[0] - seen[1]).items()) + ["---"] + list((seen[1] - seen[0]).items())))
    return list(seen[0].elements())


def ports_of(*ports):
    ports = {str(p) for p in ports}
    return lambda row: row.local.rsplit(":", 1)[1] in ports


# ---------------------------------------------------------------- sessions in every state

class Crowd:
    """Sessions in mixed states, at three services for each way to listen."""

    def __init__(self, xd, ports):
        self.xd, self.open, self.expected = xd, [], collections.Counter()
        hold, quit_, flood = xd.script("hold", HOLD), "/bin/true", xd.script("flood", FLOOD)
        self.ways = [("127.0.0.1", "127.0.0.1", *ports(2)), ("::1", "::1", *ports(2)), ("::", "127.0.0.1", *ports(2)),
                     ("::", "::1", *ports(2))]
        self.flood, self.keep, self.relay, self.udp, self.datagrams = ports(5)
        self.target = udp_socket()
        entries = []
        for i, (bind, _, a, b) in enumerate(self.ways):
            entries += [service("hold%d" % i, a, bind=bind, server=hold, **ENDLESS),
                        service("quit%d" % i, b, bind=bind, server=quit_, **ENDLESS)]
        entries += [
            service("flood", self.flood, server=flood),
            service("keep", self.keep, bind="::", wait="yes", server=xd.script("keep", KEEP)),
            service("relay", self.relay, redirect="127.0.0.1 %d" % self.ways[0][2]),
            internal("echo", self.udp, "dgram", bind="::"),
            service("datagrams", self.datagrams, socket_type="dgram", protocol="udp",
                    redirect="127.0.0.1 %d" % self.target.getsockname()[1])]
        boot(xd, *entries)
        self.ports = [p for way in self.ways for p in way[2:]]
        self.ports += [self.flood, self.keep, self.relay, self.udp, self.datagrams, xd.sentinel]

    def client(self, port, addr="127.0.0.1", until_eof=False):
        s = connect(port, addr)
        assert s.recv(1) == (b"" if until_eof else b"\n")
        self.open.append(s)
        return s

    def fill(self, each):
        """`each` sessions in each of five states, for each way."""
        for _, addr, hold, quit_ in self.ways:
            for _ in range(2 * each):
                self.client(hold, addr)
            for s in self.open[-each:]:
                s.shutdown(socket.SHUT_WR)
            for _ in range(2 * each):
                self.client(quit_, addr, until_eof=True)
            for s in self.open[-each:]:
                s.close()
        flooded = socket.socket()
        flooded.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        flooded.connect(("127.0.0.1", self.flood))
        self.open.append(flooded)
        self.client(self.keep)
        self.client(self.keep, "::1")
        self.client(self.relay)
        asked = udp_socket()
        asked.connect(("127.0.0.1", self.datagrams))
        asked.send(b"x")
        self.open.append(asked)
        assert self.target.recv(9) == b"x"
        half_open(self.ways[0][2])

    def close(self):
        for s in self.open + [self.target]:
            s.close()


@pytest.fixture
def crowd(xd, ports):
    subprocess.check_call("ip addr replace 192.0.2.1/32 dev lo && ip route replace 192.0.2.77/32 dev lo", shell=True)
    crowd = Crowd(xd, ports)
    yield crowd
    crowd.close()
    subprocess.check_call("ip route del 192.0.2.77/32 dev lo && ip addr del 192.0.2.1/32 dev lo", shell=True)


def half_open(port, src="192.0.2.77"):
    """A client that never answers: its packet only."""
    def checksum(data):
        total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
        total = (total >> 16) + (total & 0xffff)
        return ~(total + (total >> 16)) & 0xffff
    dst = "127.0.0.1"
    head = struct.pack("!HHIIBBHHH", 4567, port, 1, 0, 5 << 4, 2, 1024, 0, 0)
    pseudo = socket.inet_aton(src) + socket.inet_aton(dst) + struct.pack("!BBH", 0, 6, len(head))
    head = head[:16] + struct.pack("!H", checksum(pseudo + head)) + head[18:]
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(head), 1, 0, 64, 6, 0, socket.inet_aton(src), socket.inet_aton(dst))
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as s:
        s.sendto(ip + head, (dst, 0))


@sandbox
def test_200_sessions_in_every_state_are_what_netstat_and_ss_say(crowd):
    crowd.fill(each=13)
    own = engine(crowd.xd.proc.pid)
    wanted = lambda row: ports_of(*crowd.ports)(row) or row.pid == own
    ours = lambda: shown(crowd.xd)
    rows = same(ours, lambda: netstat(wanted))
    same(ours, lambda: ss(wanted))
    states = collections.Counter(row.state for row in rows)
    assert all(states[s] for s in STATES), states
    assert all(states[s] >= 4 * 13 for s in ["ESTABLISHED", "CLOSE_WAIT", "FIN_WAIT2", "TIME_WAIT"]), states
    assert {row.proto for row in rows} == {"tcp", "tcp6", "udp", "udp6"}
    # An IPv4 client of a socket of IPv6, which netstat shows in its plain form.
    assert any(row.proto == "tcp6" and row.local == "127.0.0.1:%d" % crowd.keep for row in rows)
    # A datagram that is passed on has a peer.
    assert any(row.proto == "udp" and row.state == "ESTABLISHED" for row in rows)


@sandbox
def test_each_row_names_its_service_and_its_program(crowd):
    crowd.fill(each=2)
    by_port = dict((p, name) for i, way in enumerate(crowd.ways) for p, name in zip(way[2:], ("hold%d" % i, "quit%d" % i)))
    by_port.update({crowd.keep: "keep", crowd.relay: "relay", crowd.flood: "flood", crowd.udp: "echo-dgram"})
    rows = [row for row in document(crowd.xd)["internet"] if row["local"]["port"] in by_port]
    assert {row["local"]["port"] for row in rows} == set(by_port)
    for row in rows:
        assert row["service"] == by_port[row["local"]["port"]], row
    of = lambda port: [row for row in rows if row["local"]["port"] == port and row["state"] in ("ESTABLISHED", "CLOSE_WAIT")]
    holders = [row["processes"] for row in of(crowd.ways[1][2])]
    assert len(holders) == 4 and all(p[0]["program"] == "sleep" for p in holders), holders
    assert len({p[0]["pid"] for p in holders}) == 4
    pids = {child for child in children(crowd.xd.proc.pid)}
    assert all(p[0]["pid"] in pids and p[0]["uid"] == os.geteuid() for p in holders)
    relayed, = of(crowd.relay)
    assert relayed["processes"][0]["pid"] == engine(crowd.xd.proc.pid)
    # Sessions are told apart by their clients, also those that the engine serves itself.
    sessions = [row["session"] for row in of(crowd.ways[1][2])] + [relayed["session"]]
    assert None not in sessions and len(set(sessions)) == 5 and relayed["age"] is not None
    # The way on, too: to the first of the ways, and for datagrams to the target.
    onward = [row for row in document(crowd.xd)["internet"]
              if row["service"] in ("relay", "datagrams") and row["local"]["port"] not in (crowd.relay, crowd.datagrams)]
    assert {(row["service"], row["foreign"]["port"]) for row in onward} == {
        ("relay", crowd.ways[0][2]), ("datagrams", crowd.target.getsockname()[1])}
    # What is over has no program, and keeps its service.
    over = [row for row in rows if row["state"] == "TIME_WAIT"]
    assert over and all(not row["processes"] and row["inode"] is None for row in over)


def test_what_a_server_and_its_children_open_is_their_services(xd, ports):
    a, = ports(1)
    boot(xd, service("data", a, server=xd.script("child", CHILD)))
    with connect(a) as s:
        port, child = map(int, s.makefile().readline().split())
        opened, = [row for row in document(xd, "-lt")["internet"] if row["local"]["port"] == port]
        assert (opened["service"], [p["pid"] for p in opened["processes"]]) == ("data", [child])
        named, = [row for row in document(xd, "-x")["unix"] if row["path"] == "@of-a-child-%d" % port]
        assert (named["service"], [p["pid"] for p in named["processes"]]) == ("data", [child])


def test_a_client_of_tcpmux_has_the_service_that_it_named(xd, ports):
    a, = ports(1)
    boot(xd, internal("tcpmux", a, protocol="tcp", id="tcpmux"),
         service("named", type="TCPMUX UNLISTED", server="/bin/cat"))
    with connect(a) as s, connect(a) as waiting:
        s.sendall(b"named\r\nx")
        assert recv_n(s, 1) == b"x"
        services = lambda: {row["foreign"]["port"]: row["service"] for row in document(xd, "-t")["internet"] if row["foreign"]}
        assert services() == {s.getsockname()[1]: "named", waiting.getsockname()[1]: "tcpmux"}


# ---------------------------------------------------------------- unix sockets

def unix_rows(xd):
    text = ctl(xd, "-nx").stdout.splitlines()
    assert text[0] == "Active UNIX domain sockets (servers and established)"
    # Proto RefCnt Flags Type State I-Node PID/Program Path, as netstat
    rows = []
    for line in text[2:]:
        m = re.match(r"unix +(\d+) +(\[.*?\]) +([A-Z]+) +([A-Z]*) +(\d+) +(\d+/|-)\S* (.*)", line)
        rows.append(m.groups()[:5] + (int(m.group(6).strip("/-") or 0), (re.findall(r" (\S+)$", m.group(7)) + [""])[0]))
    return [row[:6] + ("" if row[6] == "-" else row[6],) for row in rows]


@sandbox
def test_unix_sockets_are_what_netstat_and_ss_say(xd, syslog):
    hold, log = xd.script("hold", HOLD), "SYSLOG daemon info"
    boot(xd, service("local", bind="unix:" + xd.path("s"), protocol=None, server=hold, log_type=log))
    with socket.socket(socket.AF_UNIX) as s, socket.socket(socket.AF_UNIX) as other:
        s.connect(xd.path("s"))
        assert s.recv(1) == b"\n"
        syslog.wait("START: local")
        other.connect(xd.path("control"))               # the daemon's own end is one of its sockets
        server, = [p for p in children(xd.proc.pid) if p != engine(xd.proc.pid)]
        ours = {xd.proc.pid, engine(xd.proc.pid), server}

        def netstat():
            rows = []
            for line in tool("netstat", "-xapn")[2:]:
                m = re.match(r"unix +(\d+) +(\[.*?\]) +([A-Z]+) +([A-Z]*) +(\d+) +(\d+/|-).{0,19}? *(\S*)$", line)
                rows.append(m.groups()[:5] + (int(m.group(6).strip("/-") or 0), m.group(7)))
            return [row for row in rows if row[5] in ours or row[6] == xd.path("s")]
        rows = same(lambda: unix_rows(xd), netstat)
        inodes = {row[4] for row in rows}
        told = {line.split()[5]: line for line in tool("ss", "-xapH")}
        for inode in inodes:
            assert inode in told, (inode, told)
        # All that ss knows of our processes is there.
        held = {inode for inode, line in told.items() if ours & {int(p) for p in re.findall(r"pid=(\d+)", line)}}
        assert held == inodes
        local = [row for row in document(xd, "-x")["unix"] if row["service"] == "local"]
        assert sorted(row["state"] for row in local) == ["CONNECTED", "LISTENING"], local
        assert {row["path"] for row in local} == {xd.path("s")}
        # The socket to /dev/log.
        assert any(row[2] == "DGRAM" and row[5] == xd.proc.pid for row in rows), rows


# ---------------------------------------------------------------- columns

def on_terminal(xd, columns, *args):
    """What a terminal of that width shows."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    p = subprocess.Popen([CTL, "connections", "--socket", xd.path("control"), *args], stdin=subprocess.DEVNULL,
                         stdout=theirs, stderr=subprocess.PIPE)
    os.close(theirs)
    out = b""
    try:
        while True:
            out += os.read(ours, 65536)
    except OSError:                     # the other end is closed
        os.close(ours)
    assert (p.wait(patience()), p.stderr.read()) == (0, b"")
    return out.decode().replace("\r\n", "\n").splitlines()


LEFT = ["Proto", "Local Address", "Foreign Address", "State", "Service", "PID/Program name", "User", "Flags", "Type", "I-Node", "Path"]


def in_columns(title, row):
    """Whether each cell begins where its title does."""
    for word in LEFT:
        if word in title:
            at = title.index(word)
            cell = row[at:at + 1]
            if (at and row[at - 1:at].strip()) or (cell == " " and word not in ("State", "Path")):
                return False
    return True


@pytest.fixture
def long_addresses(xd, ports):
    """A session between addresses of IPv6 that have no shorter form."""
    subprocess.check_call(["ip", "addr", "replace", LONG + "/128", "dev", "lo", "nodad"])
    a, b = ports(2)
    boot(xd, service("a-long-service-name", a, bind="::", server=xd.script("hold", HOLD)),
         internal("echo", b, "dgram", bind=LONG))
    with connect(a, LONG, src=LONG) as s:
        assert s.recv(1) == b"\n"
        yield a, s.getsockname()[1]
    subprocess.check_call(["ip", "addr", "del", LONG + "/128", "dev", "lo"])


@sandbox
def test_columns_line_up_on_a_wide_terminal(xd, long_addresses):
    near, far = long_addresses
    lines = on_terminal(xd, 200, "-n")
    assert all(len(line) <= 200 for line in lines)
    row, = [line for line in lines if "ESTABLISHED" in line]
    assert "%s:%d" % (LONG, near) in row and "%s:%d" % (LONG, far) in row and "a-long-service-name" in row
    title = None
    for line in lines:
        if line.startswith("Proto"):
            title = line
        elif not line.startswith("Active"):
            assert in_columns(title, line), "\n".join(lines)


@sandbox
def test_columns_line_up_on_a_narrow_terminal(xd, long_addresses):
    near, far = long_addresses
    lines = on_terminal(xd, 80, "-n")
    assert all(len(line) <= 80 for line in lines), "\n".join(lines)
    starts = [i for i, line in enumerate(lines) if line.startswith("Active")] + [len(lines)]
    assert len(starts) == 3
    for begin, end in zip(starts, starts[1:]):
        titles, rows = lines[begin + 1:begin + 3], lines[begin + 3:end]
        assert rows and len(rows) % 2 == 0
        for i, row in enumerate(rows):
            assert in_columns(titles[i % 2], row), "\n".join(lines)
    # As netstat cuts them: the ports are whole.
    row, = [line for line in lines if "ESTABLISHED" in line]
    local, foreign = row.split()[3:5]
    for cut, port in ((local, near), (foreign, far)):
        host, at = cut.rsplit(":", 1)
        assert at == str(port) and LONG.startswith(host) and len(cut) >= 23


@sandbox
def test_nothing_is_cut_elsewhere_than_on_a_terminal_nor_with_wide(xd, long_addresses):
    whole = ctl(xd, "-n").stdout
    assert whole.count(LONG) == 3 and "a-long-service-name" in whole
    assert [line.split()[:6] for line in on_terminal(xd, 80, "-nW")] == [line.split()[:6] for line in whole.splitlines()]


# ---------------------------------------------------------------- names

@pytest.fixture
def dead_resolver(etc):
    """A name server that takes questions and never answers."""
    etc("nsswitch.conf", "hosts: dns\npasswd: files\nservices: files\n")
    etc("resolv.conf", "nameserver 127.0.0.53\noptions timeout:30 attempts:5\n")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.53", 53))
        s.settimeout(0.01)
        yield s


def asked(s):
    try:
        return bool(s.recv(9000))
    except TimeoutError:
        return False


@sandbox
def test_a_dead_resolver_costs_seconds_not_minutes(xd, dead_resolver):
    boot(xd)
    with connect(xd.sentinel):
        began = time.monotonic()
        r = ctl(xd)
        took = time.monotonic() - began
    assert asked(dead_resolver), "nobody was asked"
    assert r.returncode == 0 and "127.0.0.1:%d" % xd.sentinel in r.stdout
    assert re.search(r"^xinetctl: 1 names? did not come in time", r.stderr), r.stderr
    assert took < 20, took


@sandbox
def test_numbers_are_never_looked_up(xd, dead_resolver):
    boot(xd)
    with connect(xd.sentinel):
        for args in (["-n"], ["--json"]):
            r = ctl(xd, *args)
            assert (r.returncode, r.stderr) == (0, "")
    assert not asked(dead_resolver)


@sandbox
def test_names_come_from_hosts_services_and_passwd(xd, etc, ports):
    a, = ports(1)
    etc("hosts", "127.0.0.1 here.example.org\n127.9.9.9 there.example.org\n")
    etc("services", "quotation %d/tcp # of the day\n" % a, append=True)
    boot(xd, service("qotd", a, server=xd.script("hold", HOLD), user="nobody"))
    with connect(a, src="127.9.9.9") as s:
        assert s.recv(1) == b"\n"
        r = ctl(xd)
        row, = [line for line in r.stdout.splitlines() if "ESTABLISHED" in line]
        assert "here.example.org:quotation" in row and "there.example.org:%d" % s.getsockname()[1] in row
        assert row.split()[6] == "qotd" and row.split()[8] == "nobody"
        assert row.split()[3] not in ctl(xd, "-n").stdout


# ---------------------------------------------------------------- options, and no daemon

def test_options_choose_as_in_netstat(xd, ports):
    a, b = ports(2)
    boot(xd, cat("a", a), internal("echo", b, "dgram"))
    with connect(a) as s:
        s.sendall(b"x")
        assert s.recv(1) == b"x"
        protocols = lambda *args: {row["protocol"] for row in document(xd, *args)["internet"]}
        assert protocols() == protocols("-4") == protocols("-tu") == {"tcp", "udp"}
        assert protocols("-t", "-p") == {"tcp"} and protocols("-u") == {"udp"}
        assert protocols("-6") == protocols("-x") == set()
        states = lambda *args: {row["state"] for row in document(xd, *args)["internet"]}
        assert states("-t") == {"LISTEN", "ESTABLISHED"} and states("-lt") == {"LISTEN"} and states("-lu") == {None}
        assert document(xd, "-t")["unix"] == [] and {row["listens"] for row in document(xd, "-lx")["unix"]} == {True}
        everything = document(xd, "-a")["internet"]
        # The port may have had other peers before.
        far = [row for row in everything if row["local"]["port"] == s.getsockname()[1] and row["foreign"] and row["foreign"]["port"] == a]
        assert len(far) == 1 and far[0]["service"] is None and far[0] not in document(xd)["internet"]
        heads = [line for line in ctl(xd, "-l").stdout.splitlines() if line.startswith("Active")]
        assert heads == ["Active Internet connections (only servers)", "Active UNIX domain sockets (only servers)"]


def test_without_a_daemon_there_is_only_what_the_kernel_says(xd):
    r = ctl(xd, "-n")
    assert (r.returncode, r.stdout) == (2, "")
    assert r.stderr.startswith("xinetctl: cannot ask the daemon at %s: " % xd.path("control"))
    with socket.create_server(("127.0.0.1", 0)) as l:
        r = ctl(xd, "-an")
        assert r.returncode == 0 and "127.0.0.1:%d " % l.getsockname()[1] in r.stdout
        assert "Services are not known." in r.stderr
        assert json.loads(ctl(xd, "-a", "--json").stdout)["daemon"] is None


@sandbox
def test_a_daemon_in_a_network_of_its_own_is_looked_at_there(xd):
    # The launcher has a loopback interface of its own before it becomes the daemon.
    binary = xd.bin
    xd.bin = xd.script("launcher", "#!/bin/sh\nexec unshare -n sh -c 'ip link set lo up; exec \"$0\" \"$@\"' %s \"$@\"\n" % binary)
    port = free_port()
    xd.start(logdefaults(xd) + cat("far", port), args=["-control", xd.path("control")])
    xd.bin = binary
    xd.wait_dlog("Started working: ")
    with socket.create_server(("127.0.0.1", port)):        # the same port, here
        r = ctl(xd, "-nt")
    assert r.returncode == 0
    rows = r.stdout.splitlines()[2:]
    assert len(rows) == 1 and rows[0].split()[3] == "127.0.0.1:%d" % port and " far " in rows[0]
    assert r.stderr == "xinetctl: the daemon is in a network namespace of its own; these are the sockets there\n"
    assert json.loads(ctl(xd, "--json").stdout)["namespace"] == os.readlink("/proc/%d/ns/net" % xd.proc.pid)


@sandbox
def test_twenty_thousand_sockets_take_no_time(xd, ports):
    """A walk that looked at each pair would take minutes."""
    a, = ports(1)
    boot(xd, cat("a", a))
    listeners, kids = [socket.create_server(("127.0.0.%d" % i, free_port()), backlog=4096) for i in (2, 3)], []
    ready, done = os.pipe()
    try:
        for l in listeners:
            kid = os.fork()
            if not kid:
                keep = []
                for _ in range(5000):
                    keep.append(socket.create_connection(l.getsockname()))
                    keep.append(l.accept()[0])
                os.write(done, b"x")
                signal.pause()
            kids.append(kid)
        for _ in kids:
            assert os.read(ready, 1) == b"x"
        began = time.monotonic()
        rows = document(xd, "-a", "-t")["internet"]
        took = time.monotonic() - began
        assert len(rows) >= 20000 and took < 60, (len(rows), took)
        assert all(row["processes"][0]["pid"] in kids for row in rows if row["local"]["address"] == "127.0.0.2"
                   and row["state"] == "ESTABLISHED")
        assert {row["local"]["port"] for row in document(xd, "-t")["internet"]} == {a, xd.sentinel}
    finally:
        for kid in kids:
            os.kill(kid, signal.SIGKILL)
            os.waitpid(kid, 0)
        for s in listeners:
            s.close()
        os.close(ready), os.close(done)
