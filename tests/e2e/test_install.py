"""Bringing up again what is up, and ports that somebody else has."""

import json
import os
import socket
import subprocess
import time
from typing import Any

import pytest

from tests.e2e.api import Api
from tests.e2e.engine import containers, docker, inspect, services
from tests.e2e.instance import INSTANCE, ROOT, service

pytestmark = [pytest.mark.engine, pytest.mark.timeout(150)]

OWN = f"slipway.instance={INSTANCE}"
STATE = ROOT / ".slipway"


def script(name: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """One of the scripts behind the Makefile's targets: `up` is what `make up` runs, and `ports`
    is its first step."""
    return subprocess.run(
        ["sh", str(ROOT / "infra" / f"{name}.sh")],
        env={**os.environ, "SLIPWAY_INSTANCE": INSTANCE, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def as_it_was_brought_up() -> dict[str, str]:
    """The variables that the present services were started with, and the ports."""
    env = dict[str, str]()
    for name in ("builder", "deployer", "proxy-sync"):
        template = inspect("service", service(name))["Spec"]["TaskTemplate"]
        env |= dict(item.split("=", 1) for item in template["ContainerSpec"]["Env"])
    names = (
        "LOG_LEVEL", "FAILPOINTS", "FAILPOINTS_FILE", "TEST_KINDS", "VOLUME_KEEP_SECONDS",
        "IMAGES_SECONDS", "COLLECT_SECONDS",
    )  # fmt: skip
    found = {f"SLIPWAY_{name}": said for name in names if (said := env.get(f"SLIPWAY_{name}"))}
    for name in ("HTTP_PORT", "HTTPS_PORT", "API_PORT"):
        found[name] = env[f"SLIPWAY_{name}"]
    return found


def snapshot() -> dict[str, Any]:
    """All that bringing up could change: what services are to be, containers, networks, secrets.
    A service's version is not compared: the engine counts it up when it is told the same again."""
    names = sorted(services(OWN))
    specs = json.loads(docker("service", "inspect", *names))
    kinds = ("network", "volume", "secret", "config")
    return {
        "services": {one["Spec"]["Name"]: one["Spec"] for one in specs},
        "containers": sorted(containers(f"label={OWN}")),
        "env": (STATE / f"{INSTANCE}.env").read_text(),
    } | {
        kind: sorted(docker(kind, "ls", "-q", "--filter", f"label={OWN}").split()) for kind in kinds
    }


def steady() -> dict[str, Any]:
    """A snapshot once nothing changes by itself any more."""
    last = snapshot()
    for _ in range(30):
        time.sleep(1)
        if (now := snapshot()) == last:
            return now
        last = now
    raise AssertionError("the platform does not come to rest in 30 s")


def test_bringing_up_again_changes_nothing_and_is_quick(api: Api):
    before, variables = steady(), as_it_was_brought_up()
    deployments = [project["updated_at"] for project in api.items("/v1/projects")]
    began = time.monotonic()
    done = script("up", **variables)
    seconds = time.monotonic() - began
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert seconds < 60, f"{seconds:.0f} s\n{done.stdout}"
    after = snapshot()
    changed = {kind: (before[kind], after[kind]) for kind in before if before[kind] != after[kind]}
    assert changed == {}
    assert [project["updated_at"] for project in api.items("/v1/projects")] == deployments


def test_what_holds_passwords_is_for_its_owner_alone(settings: dict[str, str]):
    file = STATE / f"{INSTANCE}.env"
    assert (file.stat().st_mode & 0o777, STATE.stat().st_mode & 0o777) == (0o600, 0o700)
    for name in ("SLIPWAY_PASSWORD", "SLIPWAY_TOKEN"):
        assert len(settings[name]) >= 20, f"{name} is short"


def test_a_port_that_a_program_has_is_an_error_that_names_it():
    with socket.socket() as holder:
        holder.bind(("0.0.0.0", 0))
        holder.listen()
        port = str(holder.getsockname()[1])
        done = script("ports", SLIPWAY_INSTANCE="slipway-other", HTTP_PORT=port)
    assert done.returncode != 0, done.stdout
    assert f"port {port} (HTTP_PORT)" in done.stderr, done.stderr
    assert f"(pid {os.getpid()})" in done.stderr, done.stderr
    assert "next:" in done.stderr, done.stderr


def test_a_port_that_a_container_has_is_an_error_that_names_it(http_address: str):
    port = http_address.rpartition(":")[2]
    done = script("ports", SLIPWAY_INSTANCE="slipway-other", HTTP_PORT=port)
    assert done.returncode != 0, done.stdout
    assert f"port {port} (HTTP_PORT)" in done.stderr, done.stderr
    assert f"the container {INSTANCE}-traefik" in done.stderr, done.stderr
