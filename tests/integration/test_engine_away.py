"""The real adapters, where no engine answers: each says so, and a deployment fails with that.
The machine's own engine is not stopped for this; they look for one where there is none."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from builder.adapters.engine import Engine as BuildersEngine
from deployer.adapters.engine import Engine as DeployersEngine
from proxy_sync.adapters.tasks import EngineTasks
from proxy_sync.adapters.traefik_container import TraefikContainer
from slipway.runtime.engine import EngineApi, EngineAway


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")


@pytest.fixture
async def api(nowhere: None) -> AsyncIterator[EngineApi]:
    engine = EngineApi()
    yield engine
    await engine.close()


async def test_the_builder_says_that_it_is_away(api: EngineApi):
    engine = BuildersEngine(api, 5000)
    for asked in (
        engine.image("web/nginx@sha256:0", source="nginx:stable"),
        engine.pull("web/nginx@sha256:0"),
    ):
        with pytest.raises(EngineAway):
            await asked


async def test_the_deployer_says_that_it_is_away(api: EngineApi):
    engine = DeployersEngine(api, "slipway", 5000)
    for asked in (
        engine.releases(),
        engine.tasks({"slipway-web-1"}),
        engine.create({"TaskTemplate": {"ContainerSpec": {"Image": "web/nginx@sha256:0"}}}),
        engine.ensure_network("n", {}),
        engine.remove_network("n"),
    ):
        with pytest.raises(EngineAway):
            await asked
    with pytest.raises(EngineAway):
        await anext(engine.events())


async def test_proxy_sync_says_that_it_is_away(api: EngineApi):
    tasks, container = EngineTasks(api, "slipway"), TraefikContainer(api, "slipway")
    for asked in (
        tasks.tasks(),
        container.control_address(),
        container.join("n"),
        container.leave("n"),
    ):
        with pytest.raises(EngineAway):
            await asked
    with pytest.raises(EngineAway):
        await anext(tasks.events())
