#!/usr/bin/python3
"""Runs pytest side by side; a few tests that failed there get a second try by themselves.

    second_try.py RESULTS ARGUMENT...       arguments of pytest; RESULTS as TEST_RESULTS makes it

A machine that others use as well can be slower for a moment than any test waits. Who passes alone is named
in the output, in a line that begins with "second try:", and counts as passed: a test that is there often is
one to mend. More than a few that fail are no accident.
"""
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
A_FEW = 3


def pytest(results, *arguments):
    env = dict(os.environ, TEST_RESULTS=results)
    return subprocess.call([sys.executable, "-m", "pytest", *arguments], env=env)


def read(results):
    """{test: outcome}"""
    with open(results) as f:
        return dict(reversed(line.rstrip("\n").split("\t", 1)) for line in f)


def main(results, *arguments):
    code = pytest(results, *arguments)
    outcomes = read(results) if code == 1 else {}
    failed = [test for test, outcome in outcomes.items() if outcome == "failed"]
    if not 1 <= len(failed) <= A_FEW:
        return code
    again = results + ".again"
    code = pytest(again, *(os.path.join(HERE, test) for test in failed))
    for test, outcome in read(again).items():
        outcomes[test] = outcome
        if outcome == "passed":
            print("second try: %s failed beside others and passed alone" % test)
    os.remove(again)
    with open(results, "w") as f:
        f.writelines("%s\t%s\n" % (outcome, test) for test, outcome in outcomes.items())
    return code


sys.exit(main(*sys.argv[1:]))
