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
from builder.adapters.disk import Disk
from builder.adapters.engine import Engine
from builder.adapters.repositories import Repositories
from builder.build.react import Builds, key
from builder.builders.remembered import MARKS
from builder.buildkit.react import BuildKits
from builder.images.collection import Collection
from builder.images.react import Sweep
from builder.registry.gate import Gate
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
    registry, gate = Registry(containers, clock, settings), Gate()
    buildkits = BuildKits(containers, registry, gate, clock, settings)
    engine = Engine(api, settings.registry_port)
    repositories = Repositories(settings.registry_store)
    collection = Collection(repositories, registry, gate, shell.run, clock, settings)
    sweep = Sweep(connection.store, repositories, engine, collection, clock, settings)
    builds = Builds(
        connection.store,
        connection.logs,
        connection.build_logs,
        connection.workloads,
        engine,
        buildkits,
        shell.run,
        Disk(api, settings.registry_store, settings.work),
        clones.clone,
        Opener(master, connection.keys.get),
        clock,
        settings,
    )

    def each(commit: Commit) -> str:
        return commit.subject.id

    async def react(commit: Commit) -> None:
        await builds.react(commit)
        sweep.built(commit)
        sweep.wake(commit)

    async def told(commit: Commit) -> None:
        await builds.stop(commit)
        sweep.wake(commit)

    await asyncio.to_thread(clear, settings.work)
    try:
        await until(
            stopping,
            registry.run(),
            buildkits.run(),
            buildkits.listen(),
            sweep.run(),
            collection.run(),
            # What waits for a slot must not keep the rest from being looked at.
            Reactor(
                connection.store,
                "builder",
                key,
                react,
                dead=builds.dead,
                letters=connection.dead_letters,
                parallel=5000,
            ).run(),
            Reactor(
                connection.store,
                "builder-control",
                each,
                told,
                dead=dead_letter,
                letters=connection.dead_letters,
            ).run(),
        )
    finally:
        await api.close()
        await connection.close()
