"""A builder over the log in memory, in virtual time; the work itself is played."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from builder.build.job import Job
from builder.build.react import Builds, Made, key
from builder.settings import BuilderSettings
from slipway.contracts.build import BuildStarted, BuildSucceeded
from slipway.contracts.deployment import (
    DeploymentRequested,
    DeploymentStopRequested,
    Limits,
    Repeats,
    Trigger,
)
from slipway.contracts.logs import build_subject
from slipway.contracts.values import (
    ApplicationSettings,
    BuiltImage,
    Failure,
    GitCommit,
    GitSource,
    ImageSource,
    ScopedVariables,
    Source,
    Specification,
    Step,
    Variable,
)
from slipway.contracts.workload import MAIN, Workload, Workloads, from_json
from slipway.eventstore.memory import MemoryDeadLetters, MemoryLogs, MemoryObjects
from slipway.eventstore.store import Commit, EventStore
from slipway.runtime.reactor import Reactor, dead_letter
from slipway.sealing import Opener

from tests.simulation.platform import KEY, MASTER, ORGANIZATION, end, fact, wrapped_key
from tests.simulation.world import INSTANCE, Life, Seen, World

IMAGE = BuiltImage(reference="org/a1@sha256:1", node="node1")
COMMIT = GitCommit(hash="abc", message="One", author="Ada")
STEPS = (Step(name="clone", started="a", ended="b"),)
FAILURE = Failure(reason="build-failed", detail="it broke", hint="mend it")
GIT, PULLED = GitSource(url="https://git.example/a.git"), ImageSource(image="web:1")


def made(image: BuiltImage = IMAGE, **more: Any) -> Workloads:
    return Workloads(items=(Workload(name=MAIN, image=image, **more),), hidden=())


type Play = Callable[[Job], Awaitable[Made]]


@dataclass
class Yard:
    """The log, what the builder writes beside it, and what its work does."""

    world: World = field(default_factory=World)
    logs: MemoryLogs = field(default_factory=MemoryLogs)
    archive: MemoryObjects = field(default_factory=MemoryObjects)
    works: list[Job] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    seconds: float = 5.0
    play: Play | None = None

    async def work(self, work: Job) -> Made:
        self.works.append(work)
        work.log.say("working")
        try:
            if self.play is not None:
                return await self.play(work)
            await asyncio.sleep(self.seconds)
            work.commit, work.done, work.built = COMMIT, STEPS, True
            return made()
        finally:
            self.ended.append(work.deployment)

    async def request(
        self,
        deployment: str,
        *,
        service: str = "a1",
        source: Source = GIT,
        limits: Limits | None = None,
        variables: tuple[Variable, ...] = (),
        repeats: Repeats | None = None,
    ) -> Commit:
        scoped = ScopedVariables(scope="service", items=variables)
        event = DeploymentRequested(
            kind="application", project="p", environment="e", service=service,
            trigger=Trigger(kind="manual"),
            specification=Specification(
                name="web", settings=ApplicationSettings(source=source), variables=(scoped,)
            ),
            limits=limits or Limits(),
            repeats=repeats,
        )  # fmt: skip
        return await fact(self.world, "deployment", deployment, event)

    async def stop(self, deployment: str) -> Commit:
        event = DeploymentStopRequested(kind="application", service="a1", reason="cancelled")
        return await fact(self.world, "deployment", deployment, event)

    async def opened(self, outcome: BuildSucceeded) -> Workloads:
        """What lies sealed where the outcome says."""
        data = await self.world.workloads.get(outcome.sealed.name)
        assert data is not None
        assert hashlib.sha256(data).hexdigest() == outcome.sealed.hash
        return from_json(KEY.open_object(data, outcome.sealed.name))

    def told(self, deployment: str = "d1") -> list[str]:
        return [
            f"started {event.attempt}"
            if isinstance(event, BuildStarted)
            else event.type.removeprefix("build.")
            for event in self.world.events("build", deployment)
        ]

    def outcomes(self, deployment: str = "d1") -> list[str]:
        return [word for word in self.told(deployment) if not word.startswith("started")]

    async def outcome(self, deployment: str = "d1", seconds: float = 60) -> Any:
        await self.world.until(lambda: self.outcomes(deployment), seconds)
        return self.world.events("build", deployment)[-1]

    async def said(self, deployment: str = "d1") -> list[str]:
        subject = build_subject(ORGANIZATION, deployment)
        return [line.text async for _, lines in self.logs.read(subject) for line in lines]

    def builds(self, life: Life, store: EventStore | None = None) -> Builds:
        settings = BuilderSettings(instance=INSTANCE, builds_at_once=3)
        opener = Opener(MASTER.private, wrapped_key)
        unused: Any = None  # the work is played
        return Builds(
            store or Seen(self.world, life), self.logs, self.archive, self.world.workloads, unused,
            unused, unused, unused, unused, opener, self.world.clock, settings, self.work,
        )  # fmt: skip


async def service(yard: Yard, life: Life) -> None:
    """One life of the builder, wired as its `app.py` does."""
    store: EventStore = Seen(yard.world, life)
    builds = yard.builds(life, store)
    async with asyncio.TaskGroup() as group:
        for durable, name, handle, dead in (
            ("builder", key, builds.react, builds.dead),
            ("builder-control", lambda commit: commit.subject.id, builds.stop, dead_letter),
        ):
            letters = MemoryDeadLetters(yard.world.clock)
            reactor = Reactor(store, durable, name, handle, dead=dead, letters=letters)
            group.create_task(reactor.run())


@asynccontextmanager
async def running(yard: Yard) -> AsyncIterator[None]:
    task = asyncio.create_task(service(yard, Life()))
    try:
        yield
    finally:
        await end(task)
