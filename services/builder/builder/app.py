"""Everything of the builder, built by hand."""

import asyncio
import shutil
from pathlib import Path

from slipway.contracts.registry import PLATFORM, account
from slipway.eventstore.jetstream import connect
from slipway.eventstore.store import Commit
from slipway.runtime.clock import SystemClock
from slipway.runtime.engine import EngineApi
from slipway.runtime.process import until
from slipway.runtime.reactor import Reactor, dead_letter
from slipway.sealing import Opener

from builder.adapters import clones, shell
from builder.adapters.containers import Containers
from builder.adapters.engine import Engine
from builder.build.react import Builds, key
from builder.builders.remembered import MARKS
from builder.buildkit.react import BuildKits
from builder.registry.react import Registry
from builder.settings import BuilderSettings


def clear(work: Path) -> None:
    """What builds left that did not end by themselves: those that go on begin anew."""
    for left in work.iterdir() if work.exists() else ():
        if left.name != MARKS:
            shutil.rmtree(left, ignore_errors=True)


async def main(stopping: asyncio.Event) -> None:
    settings = BuilderSettings()
    connection = await connect(
        settings.nats_url, settings.nats_user, settings.nats_password.get_secret_value()
    )
    clock = SystemClock()
    master = settings.master_private.get_secret_value()
    api = EngineApi(account=account(master, PLATFORM))
    containers = Containers(api, settings.instance)
    registry = Registry(containers, clock, settings)
    buildkits = BuildKits(containers, registry, clock, settings)
    builds = Builds(
        connection.store,
        connection.logs,
        connection.build_logs,
        connection.workloads,
        Engine(api, settings.registry_port),
        buildkits,
        shell.run,
        clones.clone,
        Opener(master, connection.keys.get),
        clock,
        settings,
    )

    def each(commit: Commit) -> str:
        return commit.subject.id

    await asyncio.to_thread(clear, settings.work)
    try:
        await until(
            stopping,
            registry.run(),
            buildkits.run(),
            # What waits for a slot must not keep the rest from being looked at.
            Reactor(
                connection.store,
                "builder",
                key,
                builds.react,
                dead=builds.dead,
                letters=connection.dead_letters,
                parallel=5000,
            ).run(),
            Reactor(
                connection.store,
                "builder-control",
                each,
                builds.stop,
                dead=dead_letter,
                letters=connection.dead_letters,
            ).run(),
        )
    finally:
        await api.close()
        await connection.close()
