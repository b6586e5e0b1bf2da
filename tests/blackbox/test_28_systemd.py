"""The unit, the account and the run-time directory, as systemd's own tools see them."""
import json
import os
import re
import shutil
import subprocess

import pytest

from harness import REPO

pytestmark = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd's tools")
UNIT = os.path.join(REPO, "systemd/xinetd.service")


def unit(name="systemd/xinetd.service"):
    """Settings of the unit, as {key: [values]}."""
    out = {}
    with open(os.path.join(REPO, name)) as f:
        for line in f:
            if "=" in line and not line.startswith("#"):
                key, value = line.strip().split("=", 1)
                out.setdefault(key, []).append(value)
    return out


@pytest.fixture
def installed(tmp_path):
    """A copy of the unit whose programs exist, whatever is installed here."""
    with open(UNIT) as f:
        text = f.read()
    for name in ("xinetd", "xinetctl"):
        assert "/usr/sbin/%s " % name in text
        program = tmp_path / name
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
    copy = tmp_path / "xinetd.service"
    copy.write_text(text.replace("/usr/sbin/", "%s/" % tmp_path))
    return copy


def test_the_unit_is_clean(installed):
    r = subprocess.run(["systemd-analyze", "verify", "--man=no", installed], capture_output=True, text=True)
    mine = [l for l in (r.stdout + r.stderr).splitlines() if "xinetd" in l]
    assert (r.returncode, mine) == (0, [])


def test_the_check_above_would_find_a_mistake(installed):
    installed.write_text(installed.read_text().replace("KillMode=process", "KillMod=process"))
    r = subprocess.run(["systemd-analyze", "verify", "--man=no", installed], capture_output=True, text=True)
    assert "KillMod" in r.stderr


@pytest.mark.parametrize("settings,options", [
    (None, ["-stayalive"]),
    ('XINETD_OPTS="-limit 40  -stayalive"\nINETD_COMPAT=no\n', ["-limit", "40", "-stayalive"]),
    ("XINETD_OPTS=\nINETD_COMPAT=Yes\n", ["-inetd_compat"]),
    ('INETD_COMPAT=y\n. /dev/null\nXINETD_OPTS="$XINETD_OPTS -cc"\n', ["-stayalive", "-cc", "-inetd_compat"]),
])
def test_the_options_are_those_of_debians_settings(tmp_path, settings, options):
    """The unit's command, as systemd would give it to the shell."""
    with open(UNIT) as f:
        command = re.search(r"ExecStart=/bin/sh -c '(.*?)'$", f.read().replace("\\\n", " "), re.M).group(1).replace("$$", "$")
    program = tmp_path / "xinetd"
    program.write_text('#!/bin/sh\nfor word; do echo "$word"; done\n')
    program.chmod(0o755)
    if settings is not None:
        (tmp_path / "default").write_text(settings)
    command = command.replace("/etc/default/xinetd", str(tmp_path / "default")).replace("/usr/sbin/xinetd", str(program))
    r = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True)
    assert (r.stdout.split(), r.stderr) == (["-dontfork", "-pidfile", "/run/xinetd.pid"] + options, "")


def test_sessions_survive_a_restart_of_the_daemon():
    u = unit()
    assert u["KillMode"] == ["process"] and u["OOMPolicy"] == ["continue"]
    assert u["Type"] == ["notify"] and u["NotifyAccess"] == ["main"]
    assert u["ExecReload"] == ["/usr/sbin/xinetctl reload"]


def test_sockets_wait_for_the_next_daemon():
    room, = unit()["FileDescriptorStoreMax"]
    assert unit()["Environment"] == ["FDSTORE=" + room]


CONFINING = ("Protect", "Private", "ReadOnly", "ReadWrite", "Inaccessible", "NoNewPrivileges", "Capability", "Ambient",
             "SystemCall", "Restrict", "LockPersonality", "MemoryDeny", "User", "Group", "DynamicUser", "Root",
             "IPAddress", "SecureBits", "Nice", "OOMScoreAdjust", "UMask", "Memory", "CPU")


def test_no_setting_reaches_into_the_servers():
    confining = [k for k in unit() if k.startswith(CONFINING)]
    assert confining == []


def security(*args):
    r = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager", *args, UNIT], capture_output=True, text=True)
    return r.stdout


def test_the_figure_in_the_docs_is_that_of_systemd():
    measured = float(re.search(r"exposure level for \S+: ([0-9.]+)", security()).group(1))
    with open(os.path.join(REPO, "SECURITY.md")) as f:
        told = float(re.search(r"gives ([0-9.]+) of 10 \(systemd 252\)", f.read()).group(1))
    version = subprocess.run(["systemd-analyze", "--version"], capture_output=True, text=True).stdout.split()[1]
    assert abs(measured - told) < (0.01 if version == "252" else 0.5)


def test_the_unit_gives_a_reason_for_each_thing_that_it_leaves_open():
    """Everything that systemd finds fault with is named in its comment."""
    tests = json.loads(security("--json=short"))
    asked = {name for t in tests if not t["set"] for name in re.findall(r"[A-Z]\w+(?==)", t["name"] or "")}
    asked -= {"RootImage", "SupplementaryGroups", "RemoveIPC"}         # an alternative, and what root cannot have
    with open(UNIT) as f:
        comment = f.read().split("# Left open on purpose")[1]
    assert len(asked) > 20 and [name for name in sorted(asked) if name not in comment] == []


def test_a_daemon_that_hangs_is_killed_by_a_signal_that_says_nothing_else():
    """SIGABRT asks for a consistency check (SIG-6)."""
    assert unit()["WatchdogSignal"] == ["SIGKILL"] and unit()["WatchdogSec"]


def test_the_engines_account_can_be_made():
    r = subprocess.run(["systemd-sysusers", "--dry-run", os.path.join(REPO, "systemd/xinetd.sysusers")],
                       capture_output=True, text=True)
    assert r.returncode == 0, r.stderr
    assert "xinetd" in r.stderr + r.stdout or _account_exists()


def _account_exists():
    with open("/etc/passwd") as f:
        return any(line.startswith("xinetd:") for line in f)


@pytest.mark.needs_root
def test_the_run_time_directory_is_made(tmp_path):
    r = subprocess.run(["systemd-tmpfiles", "--create", "--root", tmp_path, os.path.join(REPO, "systemd/xinetd.tmpfiles")],
                       capture_output=True, text=True)
    assert r.returncode == 0, r.stderr
    made = tmp_path / "run/xinetd"
    assert made.is_dir() and (made.stat().st_mode & 0o7777, made.stat().st_uid) == (0o755, 0)
