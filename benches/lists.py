#!/usr/bin/python3
"""What a long address list costs a connection: 10, 1,000 and 100,000 prefixes, ours and the original side by side.

    cargo build --release && sudo /usr/bin/python3 benches/lists.py [--rounds N]

Every client is refused, because nobody is on the list; so all of it is looked through.
"""
import statistics

import peers
import harness
from procs import cpu, daemon_processes, rss

LENGTHS = [10, 1000, 100_000]
CLIENTS = 10_000


def prefixes(n):
    """/28s of 10/8, with a gap after each; a line of the file holds 100."""
    words = ["10.%d.%d.%d/28" % (i >> 11 & 255, i >> 3 & 255, (i & 7) * 32) for i in range(n)]
    return ["+= " + " ".join(words[i:i + 100]) for i in range(0, n, 100)]


def cell(program, n):
    """Microseconds of processor time for each connection, children included; KiB of all processes."""
    port = harness.free_port()
    with peers.daemon(program) as xd:
        xd.boot(harness.cat("a", port, cps="0 0", instances="UNLIMITED", only_from=prefixes(n)), up=[port])
        pids = daemon_processes(xd.proc.pid)
        for count in (CLIENTS // 10, CLIENTS):
            before = sum(cpu(pid, children=True) for pid in pids)
            for _ in range(count):
                assert harness.talk(port) == b""
        return (sum(cpu(pid, children=True) for pid in pids) - before) / CLIENTS * 1e6, sum(rss(pid) for pid in pids)


def main():
    rounds, programs = peers.begin(__doc__, rounds=3)
    cells = {(name, n): [] for name in programs for n in LENGTHS}
    for _ in range(rounds):
        for n in LENGTHS:
            for name, program in programs.items():
                cells[name, n].append(cell(program, n))
    print("%-10s %10s %14s %14s %12s" % ("", "prefixes", "cpu us/conn", "to 10 prefixes", "KiB"))
    for (name, n), found in cells.items():
        ratios = [us / ten for (us, _), (ten, _) in zip(found, cells[name, LENGTHS[0]])]
        print("%-10s %10d %14.0f %14.2f %12d" % (name, n, statistics.median(us for us, _ in found), statistics.median(ratios), found[-1][1]))


if __name__ == "__main__":
    main()
