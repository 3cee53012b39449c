"""The engine is away under a running platform, and the disk that it builds on is full: what can't
be done fails and says so, what serves goes on serving, and the platform goes on once it is mended.

On an instance of its own, whose services reach the engine through a socket that the test shuts, and
whose builder works in a file system of 800 MB."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.containers import into_library
from tests.e2e.api import Api
from tests.e2e.engine import container_of, docker, made_by
from tests.e2e.gate import Gate
from tests.e2e.instance import ROOT
from tests.e2e.loads import load_from_outside, unharmed
from tests.e2e.repositories import GitServer
from tests.e2e.services import QUICK, Image, Service

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]

NAME = "slipway-away"


def free_ports(count: int) -> list[str]:
    with ExitStack() as stack:
        held = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in held:
            one.bind(("0.0.0.0", 0))
        return [str(one.getsockname()[1]) for one in held]


@dataclass
class Platform:
    api: Api
    http_address: str
    gate: Gate


@pytest.fixture(scope="module")
def platform(git_server: GitServer) -> Iterator[Platform]:
    folder = Path(tempfile.mkdtemp(prefix="slipway-e2e-"))
    gate = Gate(folder / "engine.sock")
    http_port, https_port, api_port = free_ports(3)
    environment = {
        **os.environ, "SLIPWAY_INSTANCE": NAME, "HTTP_PORT": http_port, "HTTPS_PORT": https_port,
        "API_PORT": api_port, "REGISTRY_PORT": "", "SLIPWAY_KEEP_ENGINE": "1",
        "SLIPWAY_EGRESS_ALLOW": git_server.address,
    }  # fmt: skip
    environment.pop("PUBLIC_URL", None)

    def script(name: str, **more: str) -> None:
        done = subprocess.run(
            ["sh", str(ROOT / f"infra/{name}.sh")],
            env={**environment, **more}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"

    small = ("type=tmpfs", "device=tmpfs", "o=size=800m")
    options = [flag for option in small for flag in ("--opt", option)]
    label = ("--label", f"slipway.instance={NAME}")
    docker("volume", "create", *label, *options, f"{NAME}_builder")
    try:
        script("up", DOCKER_HOST=f"unix://{gate.path}")
        lines = (ROOT / f".slipway/{NAME}.env").read_text().splitlines()
        settings = dict(line.split("=", 1) for line in lines if "=" in line)
        api = Api(settings["SLIPWAY_URL"].strip("'\""), settings["SLIPWAY_TOKEN"].strip("'\""))
        yield Platform(api, f"127.0.0.1:{http_port}", gate)
    finally:
        script("purge")
        gate.remove()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def environment(platform: Platform) -> str:
    made = platform.api.post("/v1/projects", {"name": "The engine is away"})
    return made["environments"][0]["id"]


def test_a_build_fails_with_the_reason_and_what_serves_goes_on(
    platform: Platform, environment: str, git_server: GitServer
):
    app = Service(platform.api, environment, git_server.repository(), **QUICK)
    app.repository.behave("one", on_term="drain")
    app.live()
    with load_from_outside(platform.http_address, app.host) as load:
        platform.gate.shut()
        app.repository.behave("two", on_term="drain")
        failed = app.failed(60)
        platform.gate.open()
        assert failed["error"]["reason"] == "engine-away", failed["error"]
        assert "engine" in failed["error"]["hint"], failed["error"]
        assert made_by(app.id, failed["id"], NAME) == {}
        app.live()
    unharmed(load)
    assert {"one", "two"} <= load.report["versions"].keys(), load.report["versions"]


def test_a_build_on_a_full_disk_fails_with_the_reason(
    platform: Platform, environment: str, git_server: GitServer
):
    app = Service(platform.api, environment, git_server.repository(), **QUICK)
    app.repository.behave("one", on_term="drain")
    builder, work = container_of(f"{NAME}_builder"), "/var/lib/slipway/builder"
    docker("exec", builder, "dd", "if=/dev/zero", f"of={work}/full", "bs=1M", "count=760")
    failed = app.failed(60)
    docker("exec", builder, "rm", f"{work}/full")
    assert failed["error"]["reason"] == "disk-full", failed["error"]
    assert "free space" in failed["error"]["hint"], failed["error"]
    assert docker("exec", builder, "ls", work).split() == []
    app.live()


def test_a_rollout_waits_for_the_engine_and_goes_on(
    platform: Platform, environment: str, image: Image
):
    """Shut when nothing was created yet, and again when the new release is starting."""
    into_library(image.name, NAME)
    app = Service(platform.api, environment, source=image.source, **QUICK)
    app.live()
    with load_from_outside(platform.http_address, app.host) as load:
        for phase in ("rollout.started", "rollout.ready"):
            deployment = app.again("restart")
            until_event(platform.api, deployment, phase)
            platform.gate.shut()
            time.sleep(4)
            platform.gate.open()
            platform.api.until(deployment, "live", seconds=60)
    unharmed(load)


def until_event(api: Api, deployment: str, wanted: str) -> None:
    after = api.deployment(deployment)["sequence"] - 1
    for _, type_, data in api.stream(f"/v1/events?after={after}&types={wanted}"):
        if deployment in data and type_ == wanted:
            return
