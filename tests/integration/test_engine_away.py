"""The real adapters, where no engine answers: each says so, and a deployment fails with that.
The machine's own engine is not stopped for this; they look for one where there is none."""

from pathlib import Path

import pytest
from builder.adapters.engine import Engine
from deployer.adapters import engine as deployers
from proxy_sync.adapters.tasks import EngineTasks
from proxy_sync.adapters.traefik_container import TraefikContainer
from slipway.runtime.engine import EngineApi, EngineAway


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")


async def test_the_builder_says_that_it_is_away():
    engine = Engine()
    try:
        for asked in (
            engine.image("nginx:stable", source="nginx:stable"),
            engine.pull("nginx:stable"),
            engine.subnets("slipway_control"),
            engine.node(),
        ):
            with pytest.raises(EngineAway):
                await asked
    finally:
        await engine.close()


async def test_the_deployer_says_that_it_is_away():
    api = EngineApi()
    engine = deployers.Engine(api, "slipway")
    try:
        for asked in (
            engine.releases(),
            engine.create({}),
            engine.ensure_network("n", {}),
            engine.remove_network("n"),
        ):
            with pytest.raises(EngineAway):
                await asked
        with pytest.raises(EngineAway):
            await anext(engine.events())
    finally:
        await api.close()


async def test_proxy_sync_says_that_it_is_away():
    api = EngineApi()
    tasks, traefik = EngineTasks(api, "slipway"), TraefikContainer(api, "slipway")
    try:
        for asked in (
            tasks.tasks(),
            traefik.control_address(),
            traefik.join("n"),
            traefik.leave("n"),
        ):
            with pytest.raises(EngineAway):
                await asked
        with pytest.raises(EngineAway):
            await anext(tasks.events())
    finally:
        await api.close()
