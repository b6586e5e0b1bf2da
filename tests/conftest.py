"""What all black-box tests share: the sandbox, the markers, the fixtures, and no skipped test in CI."""
import os
import shutil
import subprocess
import sys
import tempfile

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "compat"))
sys.dont_write_bytecode = True

import harness  # noqa: E402

os.umask(0o022)                     # scripts and configurations are for other users too
harness.enter_sandbox()

OUTCOMES = {}                       # nodeid -> passed, failed, skipped, xfailed


def pytest_configure(config):
    for line in ("covers(*ids): statements of the contract this test checks",
                 "bug_in_original: the original fails this; ours must pass",
                 "needs_sandbox: needs root and private namespaces",
                 "needs_root: needs uid 0"):
        config.addinivalue_line("markers", line)
    if not os.access(harness.BIN, os.X_OK):
        pytest.exit("%s is not there; build it first: cargo build --release --locked" % harness.BIN, 2)


def pytest_report_header(config):
    return "daemon: %s  sandbox: %s  run: %s" % (
        harness.BIN, harness.SANDBOXED, "original" if harness.ORIGINAL else "ours")


def pytest_collection_modifyitems(config, items):
    for item in items:
        if item.get_closest_marker("needs_sandbox") and not harness.SANDBOXED:
            item.add_marker(pytest.mark.skip(reason="needs root and namespaces"))
        if item.get_closest_marker("needs_root") and os.geteuid() != 0:
            item.add_marker(pytest.mark.skip(reason="needs root"))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """In CI a skipped test is a failed one: nothing may go unnoticed."""
    report = (yield).get_result()
    if report.skipped and not hasattr(report, "wasxfail") and harness.CI:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome, report.longrepr = "failed", "%s was skipped in CI: %s" % (item.nodeid, reason)


def pytest_runtest_logreport(report):
    if report.skipped:
        outcome = "xfailed" if hasattr(report, "wasxfail") else "skipped"
    else:
        outcome = report.outcome
    if report.when == "call" or outcome != "passed":
        OUTCOMES[report.nodeid] = outcome


def pytest_sessionfinish(session):
    """One line per test for whoever counts, if TEST_RESULTS names a file."""
    is_worker = hasattr(session.config, "workerinput")          # of xdist: who started it hears of its tests
    if os.environ.get("TEST_RESULTS") and not is_worker:
        with open(os.environ["TEST_RESULTS"], "w") as f:
            f.writelines("%s\t%s\n" % (o, n) for n, o in OUTCOMES.items())


@pytest.fixture
def mk():
    """Factory for daemons; everything is cleaned up afterwards."""
    made = []

    def make(**kw):
        d = tempfile.mkdtemp(prefix="xinetd-test-")
        os.chmod(d, 0o755)
        x = harness.Xinetd(d, **kw)
        made.append(x)
        return x
    yield make
    for x in made:
        x.stop()
        shutil.rmtree(x.dir, ignore_errors=True)


@pytest.fixture
def xd(mk):
    return mk()


@pytest.fixture
def itox(tmp_path):
    """itox(text, option...): the finished process, of bytes."""
    return filter_of(harness.ITOX or linked(tmp_path / "itox"))


@pytest.fixture
def xconv(tmp_path):
    """xconv(text, option...): the same of xconv.pl."""
    return filter_of(harness.XCONV or linked(tmp_path / "xconv.pl"))


def linked(path):
    """xinetctl under another name."""
    os.symlink(harness.CTL, path)
    return str(path)


def filter_of(program):
    return lambda text, *options: subprocess.run([program, *options], input=text, capture_output=True, timeout=60)


@pytest.fixture
def ports():
    return lambda n: [harness.free_port() for _ in range(n)]


@pytest.fixture
def syslog():
    """The private /dev/log; `lines` are its datagrams (needs_sandbox)."""
    s = harness.Syslog()
    yield s
    s.close()


@pytest.fixture
def etc():
    """Write files under the private /etc; restored after the test (needs_sandbox)."""
    assert harness.SANDBOXED
    saved = {}

    def put(name, text, append=False):
        path = "/etc/" + name
        old = open(path).read() if os.path.exists(path) else None
        saved.setdefault(path, old)
        harness.write(path, (old or "") + text if append else text, unlink=True)
    yield put
    for path, old in saved.items():
        if old is None:
            os.unlink(path)
        else:
            harness.write(path, old, unlink=True)
