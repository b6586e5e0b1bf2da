"""Prints what the compatibility suite says of ours and of the original, file by file.

    side_by_side.py OURS THEIRS     two files that TEST_RESULTS made
"""
import collections
import os
import sys


def read(path):
    """{test file: {outcome: how many}}"""
    out = collections.defaultdict(collections.Counter)
    with open(path) as f:
        for line in f:
            outcome, test = line.rstrip("\n").split("\t")
            out[os.path.basename(test.split("::")[0])[:-len(".py")]][outcome] += 1
    return out


def words(counts, expected):
    names = {"passed": "passed", "xfailed": expected, "failed": "FAILED", "skipped": "left out"}
    return ", ".join("%d %s" % (counts[o], n) for o, n in names.items() if counts[o]) or "-"


def main(ours, theirs):
    ours, theirs = read(ours), read(theirs)
    rows = [(f, words(ours[f], "not yet"), words(theirs[f], "defects")) for f in sorted(ours.keys() | theirs.keys())]
    total = lambda t: sum(t.values(), collections.Counter())
    rows.append(("all", words(total(ours), "not yet"), words(total(theirs), "defects")))
    print("%-30s  %-28s  %s" % ("", "ours", "the original"))
    for row in rows:
        print("%-30s  %-28s  %s" % row)


if __name__ == "__main__":
    main(*sys.argv[1:])
