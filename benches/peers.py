"""What the benches in Python share: the two daemons, each started in a directory of its own, in namespaces of ours."""
import argparse
import contextlib
import os
import shutil
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [ROOT + "/tests/compat", ROOT + "/tests/blackbox"]
sys.dont_write_bytecode = True
os.umask(0o022)

import harness  # noqa: E402


def begin(doc, rounds):
    """(number of rounds, {name: program}); from here on everything happens in private namespaces."""
    options = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=rounds)
    options.add_argument("--ours", default=ROOT + "/target/release/xinetd")
    options.add_argument("--original", default="/usr/sbin/xinetd")
    options = options.parse_args()
    harness.enter_sandbox()
    assert harness.SANDBOXED, "needs root and namespaces"
    programs = {"ours": options.ours, "original": options.original}
    return options.rounds, {name: path for name, path in programs.items() if os.access(path, os.X_OK)}


@contextlib.contextmanager
def daemon(program):
    """One that is not started yet, and leaves nothing behind."""
    directory = tempfile.mkdtemp(prefix="xinetd-bench-")
    os.chmod(directory, 0o755)
    xd = harness.Xinetd(directory, program)
    try:
        yield xd
    finally:
        xd.stop()
        shutil.rmtree(directory, ignore_errors=True)
