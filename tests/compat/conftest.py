"""The compatibility suite: which differences are known on either side."""
import glob
import os

import pytest

import clients
import harness

HERE = os.path.dirname(os.path.abspath(__file__))
LIST = os.path.join(HERE, "not-yet.txt")


def not_yet():
    """not-yet.txt as [(test, reason)]: a line in column one is a reason, the
    indented ones below it are tests."""
    reason, out = None, []
    with open(LIST) as f:
        for line in f:
            if not line.strip() or line.startswith("#"):
                continue
            if line[0].isspace():
                out.append((line.strip(), reason))
            else:
                reason = line.strip().rstrip(":")
    return out


def pytest_collection_modifyitems(config, items):
    ours = [i for i in items if str(i.fspath).startswith(HERE + os.sep)]
    if harness.ORIGINAL:
        for item in ours:
            bug = item.get_closest_marker("bug_in_original")
            if bug:
                # strict: an unexpected pass means the contract is wrong; strict=False
                # is for defects that do not show every time
                item.add_marker(pytest.mark.xfail(reason="defect of the original", strict=bug.kwargs.get("strict", True)))
        return
    entries, used = not_yet(), set()
    for item in ours:
        for entry, reason in entries:
            if item.originalname == entry or "[" in entry and item.name.startswith(entry):
                item.add_marker(pytest.mark.xfail(reason="not yet: " + reason, strict=True))
                item.add_marker(pytest.mark.not_yet)
                used.add(entry)
                break
    complete = {str(i.fspath) for i in ours} == set(glob.glob(os.path.join(HERE, "test_*.py")))
    stale = [e for e, _ in entries if e not in used]
    if complete and stale:
        raise pytest.UsageError("not-yet.txt names tests that do not exist: " + ", ".join(stale))


def pytest_configure(config):
    config.addinivalue_line("markers", "not_yet: on the list of what ours cannot do yet")


@pytest.fixture(autouse=True)
def patience(request, monkeypatch):
    """A test that is expected to fail need not wait as long for what will not come."""
    if request.node.get_closest_marker("xfail"):
        monkeypatch.setattr(clients, "PATIENCE", 1.5)
