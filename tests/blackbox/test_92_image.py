"""etc/Containerfile: it is built, and the image runs as docs/containers.md says."""
import json
import os
import re
import shutil
import signal
import time

import pytest

from harness import *
from load import Held
from podman import Podman

pytestmark = pytest.mark.needs_sandbox

CARGO = """#!/bin/sh
# Stands for the cargo of the image it is built in: what it would build has been built.
set -e
[ "$*" = "build --release --locked --bins" ]
[ -e Cargo.toml ] && [ -e Cargo.lock ] && [ -e src/main.rs ] && [ -e src/bin/xinetctl.rs ]
mkdir -p target/release
cp /built/* target/release
"""


@pytest.fixture
def podman():
    if not shutil.which("podman"):
        pytest.skip("podman is not installed (Debian's package podman)")
    p = Podman()
    yield p
    p.close()


@pytest.fixture
def image(podman, tmp_path):
    cargo = write(str(tmp_path / "cargo"), CARGO, 0o755)
    built = [("/built/" + os.path.basename(program), program) for program in (BIN, CTL)]
    podman.image("docker.io/library/rust:1-slim-bookworm", ["sh", "cp", "mkdir"], [("/usr/bin/cargo", cargo), *built])
    podman.image("docker.io/library/debian:bookworm-slim", ["sh", "cat", "chown", "id", "mkdir"], libraries_of=[BIN, CTL])
    podman("build", "--isolation", "chroot", "--pull=never", "--tag", "xinetd", "--file", REPO + "/etc/Containerfile", REPO)
    return "localhost/xinetd"


def inspect(podman, name, what):
    return json.loads(podman("inspect", "--format", "{{json %s}}" % what, name).stdout)


def test_the_image_is_built_and_serves_read_only_as_an_ordinary_user_without_a_capability(podman, image, tmp_path):
    config = inspect(podman, image, ".Config")
    assert config["User"] == "65532:65532" and config["StopSignal"] in ("SIGTERM", "15")
    assert list(config["ExposedPorts"]) == ["8013/tcp"]
    a = free_port()
    services = tmp_path / "services"
    services.mkdir()
    write(str(services / "cat"), cat("cat", a, user="65532", log_on_success="PID HOST EXIT"))
    podman("run", "--detach", "--name", "x", "--network", "host", "--cgroups", "disabled", "--cgroupns", "host",
           "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000",
           "--read-only", "--tmpfs", "/run/xinetd", "--cap-drop", "all", "--security-opt", "no-new-privileges",
           "--volume", "%s:/etc/xinetd.d:ro" % services, image)
    assert wait_until(lambda: listening(a) and listening(8013)), podman("logs", "x", check=False)
    assert re.match(rb"\d\d [A-Z]{3} \d{4} \d\d:\d\d:\d\d ", talk(8013))
    held = Held(a, 2)
    assert podman("exec", "x", "id", "-u").stdout == "65532\n"
    assert re.search(r"^cat\b", podman("exec", "x", "xinetctl", "status").stdout, re.M)
    podman("kill", "--signal", "HUP", "x")
    assert wait_until(lambda: "Reconfigured: new=0 old=2" in podman("logs", "x").stderr)
    held.close(1)
    begin = time.monotonic()
    podman("stop", "x")
    assert time.monotonic() - begin < 9
    assert inspect(podman, "x", ".State.ExitCode") == 0
    logs = podman("logs", "x")
    events = [json.loads(l) for l in logs.stdout.splitlines()]
    of = lambda word: sorted(e["pid"] for e in events if e["event"] == word and e["service"] == "cat")
    assert len(of("START")) == 2 and of("START") == of("EXIT")
    assert sorted(e.get("signal", 0) for e in events if e["event"] == "EXIT" and e["service"] == "cat") == [0, signal.SIGTERM]
    messages = [json.loads(l) for l in logs.stderr.splitlines()]
    assert [m["message"] for m in messages if m["level"] in ("warning", "error")] == [
        "running without root: the engine and all servers run as uid 65532, nothing separates them", "Exiting..."]
