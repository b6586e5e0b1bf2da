"""Fixtures of our own tests: a daemon that is ours, or in turn ours and the original."""
import os

import pytest

import harness
from manager import Manager

HERE = os.path.dirname(os.path.abspath(__file__))


@pytest.fixture(params=["ours", "original"])
def daemon(request, mk):
    """What is asked of it holds for the original too."""
    return mk(binary=binary(request.param))


@pytest.fixture
def beside(mk):
    """Ours and the original, to be compared."""
    return mk(), mk(binary=binary("original"))


@pytest.fixture
def manager(xd, request):
    """A service manager; it keeps as many sockets as the test's file says (ROOM)."""
    m = Manager(xd.path("notify"), room=getattr(request.module, "ROOM", 0))
    yield m
    m.close()


def binary(which):
    if which == "original":
        if not os.access(harness.ORIGINAL_BIN, os.X_OK):
            pytest.skip("the original is not installed (Debian's package xinetd)")
        return harness.ORIGINAL_BIN
    return harness.BIN


def pytest_collection_modifyitems(config, items):
    """With ORACLE=original only what is asked of the original stays."""
    if not harness.ORIGINAL:
        return
    keep, drop = [], []
    for item in items:
        spec = getattr(item, "callspec", None)
        here = str(item.fspath).startswith(HERE + os.sep)
        (drop if here and (not spec or spec.params.get("daemon") != "original") else keep).append(item)
    items[:] = keep
    config.hook.pytest_deselected(items=drop)
