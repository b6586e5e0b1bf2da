#!/usr/bin/python3
"""What peers that are stuck cost everybody else: latency of 200 clients with and without them, side by side.

    cargo build --release && sudo /usr/bin/python3 benches/stuck.py [--rounds N]

Root and util-linux are needed, for namespaces; nothing outside them is touched.
"""
import statistics
import time

import peers
import harness
import stuck

CLIENTS = 200
GIVEN_UP = 2.0                          # seconds, for a client that is not served
ENDLESS = dict(cps="0 0", instances="UNLIMITED", per_source="UNLIMITED")


def latency(port):
    """From before connect(2) to the first byte, in milliseconds; None for who is not served."""
    begin = time.perf_counter()
    try:
        with harness.connect(port, timeout=GIVEN_UP) as s:
            s.sendall(b"x")
            served = s.recv(1) == b"x"
    except OSError:
        served = False
    return (time.perf_counter() - begin) * 1000 if served else None


def clients(port):
    """Latencies of all; of a few, when nobody is served."""
    times = []
    for _ in range(CLIENTS):
        times.append(latency(port))
        if times[-5:] == [None] * 5:
            break
    return times


class Plain:
    """Nobody is stuck: what the comparison is good for."""
    name = "nobody"

    def entry(self, xd, port, **kw):
        return harness.cat("stuck", port, **kw)

    def begin(self, port):
        pass

    def end(self):
        pass


def cell(program, kind):
    """Latencies before and beside, of one daemon."""
    peer, a, b = kind(), harness.free_port(), harness.free_port()
    measured = a if kind is stuck.Syslog else b             # who logs there
    with peers.daemon(program) as xd:
        xd.boot(harness.logdefaults(xd, **ENDLESS), peer.entry(xd, a), harness.cat("b", b), up=[a, b])
        reader = harness.Syslog() if kind is stuck.Syslog else None
        clients(measured)
        alone = clients(measured)
        if reader:
            reader.close()
        peer.begin(a)
        time.sleep(1)                                       # until buffers are full
        try:
            return alone, clients(measured)
        finally:
            peer.end()


def ratio(alone, beside, share):
    """Of the latencies that `share` of the clients do not exceed; None where somebody is not served."""
    at = lambda times: sorted(times)[int((len(times) - 1) * share)]
    return None if None in alone + beside else at(beside) / at(alone)


def main():
    rounds, programs = peers.begin(__doc__, rounds=5)
    kinds = [Plain] + stuck.ALL
    cells = {(name, kind): [] for name in programs for kind in kinds}
    for _ in range(rounds):
        for kind in kinds:
            for name, program in programs.items():
                cells[name, kind].append(cell(program, kind))
    print("%-10s %-10s %22s %22s %s" % ("stuck", "", "p50, beside/alone", "p99, beside/alone", "not served"))
    for (name, kind), found in sorted(cells.items(), key=lambda item: kinds.index(item[0][1])):
        columns = []
        for share in (0.5, 0.99):
            ratios = [r for r in (ratio(alone, beside, share) for alone, beside in found) if r is not None]
            columns.append("%.2f [%.2f-%.2f]" % (statistics.median(ratios), min(ratios), max(ratios)) if ratios else "-")
        lost = sum(beside.count(None) for _, beside in found)
        print("%-10s %-10s %22s %22s %s" % (kind.name, name, *columns, lost or ""))


if __name__ == "__main__":
    main()
