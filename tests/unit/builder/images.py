"""A registry's volume, an engine and a log, for what is kept and removed of images."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from builder.adapters.repositories import Repositories
from builder.images.collection import Collection
from builder.images.react import Sweep
from builder.registry.gate import Gate
from builder.settings import BuilderSettings
from slipway.contracts.build import BuildSucceeded, BuildSwept
from slipway.contracts.deployment import (
    DeploymentFailed,
    DeploymentRequested,
    DeploymentSucceeded,
    Repeats,
    Trigger,
)
from slipway.contracts.event import Event
from slipway.contracts.service import ServiceStarted
from slipway.contracts.values import (
    ApplicationSettings,
    BuiltImage,
    Failure,
    ImageSource,
    Specification,
)
from slipway.contracts.workload import MAIN, Built
from slipway.eventstore.store import Commit
from slipway.kernel.envelope import NOTHING, Actor, Meta, Subject
from slipway.kernel.ids import derived
from slipway.runtime.engine import EngineAway, EngineRefused
from slipway.testing.releases import SEALED

from tests.simulation.world import VirtualClock, World

ORGANIZATION, SERVICE = derived("organization"), derived("service")
ABOUT: dict[str, Any] = {"service": SERVICE, "kind": "application"}
GRACE = 120.0


class Log(World):
    """`slow`: seconds until the last commits of a category arrive that were read; `meanwhile`: what
    is pushed and fetched then."""

    slow = 0.0
    meanwhile: Callable[[], None] = staticmethod(lambda: None)

    async def heads(self, organization: str, category: str) -> list[Commit]:
        found = await super().heads(organization, category)
        self.meanwhile()
        await asyncio.sleep(self.slow)
        return found


class Clock(VirtualClock):
    """`ahead`: by how much somebody has set it."""

    ahead = timedelta()

    def now(self) -> datetime:
        return super().now() + self.ahead


@dataclass
class Engine:
    """`meanwhile`: what is pushed and fetched just before it is asked."""

    here: set[str] = field(default_factory=set)
    used: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    meanwhile: Callable[[], None] = lambda: None

    async def fetched(self, organization: str, service: str) -> list[str]:
        self.asked.append(service)
        self.meanwhile()
        return [name for name in self.here if name.startswith(f"{organization}/{service}@")]

    async def forget(self, reference: str) -> None:
        if reference in self.used:
            raise EngineRefused("a container has it")
        self.here.discard(reference)


@dataclass
class Site:
    """A registry's volume, an engine and the log. What is collected, and how long that takes."""

    root: Path
    world: Log = field(default_factory=Log)
    engine: Engine = field(default_factory=Engine)
    gate: Gate = field(default_factory=Gate)
    collections: list[str] = field(default_factory=list)
    seconds: float = 1.0
    code: int = 0
    raised: Exception | None = None
    found: list[set[str]] = field(default_factory=list)
    """Manifests that each collector finds."""
    anew: int = 0
    refuses: int = 0
    """So often the engine refuses to begin the registry anew."""
    kept: int = 10
    clock: Clock = field(default_factory=Clock)

    @property
    def repository(self) -> Path:
        return self.root / "docker/registry/v2/repositories" / ORGANIZATION / SERVICE

    async def run(self, argv: Sequence[str]) -> tuple[int, str]:
        assert argv[:3] == ["docker", "exec", "slipway-registry"]
        self.collections.append("begun")
        self.found.append(
            {f"sha256:{each.name}" for each in self.repository.glob("_manifests/revisions/*/*")}
        )
        if self.raised is not None:
            raise self.raised
        await asyncio.sleep(self.seconds)
        self.collections.append("ended")
        return self.code, "words"

    async def begin_anew(self) -> None:
        self.anew += 1
        if self.anew <= self.refuses:
            raise EngineAway("it does not answer")

    def parts(self) -> tuple[Sweep, Collection]:
        settings = BuilderSettings(
            instance="slipway", images_kept=self.kept, images_seconds=GRACE, collect_seconds=600
        )
        repositories = Repositories(self.root)
        collection = Collection(repositories, self, self.gate, self.run, self.clock, settings)
        sweep = Sweep(self.world, repositories, self.engine, collection, self.clock, settings)
        return sweep, collection

    @asynccontextmanager
    async def sweeping(self) -> AsyncIterator[Sweep]:
        sweep, collection = self.parts()
        tasks = [asyncio.create_task(each.run()) for each in (sweep, collection)]
        try:
            yield sweep
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def fact(self, category: str, id_: str, event: Event) -> None:
        subject = Subject(ORGANIZATION, category, id_)
        head = await self.world.head(subject)
        meta = Meta(
            commit=derived("fact", await self.world.last_sequence()),
            at=self.world.clock.now(),
            actor=Actor("service", "test"),
            correlation=id_,
        )
        await self.world.append(subject, head.head if head else NOTHING, (event,), meta)

    async def begin(self) -> None:
        await self.fact("service", SERVICE, ServiceStarted())

    async def ask(self, name: str, repeats: str | None = None) -> str:
        id_ = derived("deployment", name)
        event = DeploymentRequested(
            **ABOUT, project="p", environment="e", trigger=Trigger(kind="manual"),
            specification=Specification(
                name="web", settings=ApplicationSettings(source=ImageSource(image="web"))
            ),
            repeats=Repeats(deployment=derived("deployment", repeats)) if repeats else None,
        )  # fmt: skip
        await self.fact("deployment", id_, event)
        return id_

    def push(self, tag: str, digest: str) -> None:
        """And the engine has fetched it."""
        link = self.repository / "_manifests/tags" / tag / "current/link"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.write_text(digest)
        self.engine.here.add(self.named(digest))

    @staticmethod
    def named(digest: str) -> str:
        return f"{ORGANIZATION}/{SERVICE}@{digest}"

    async def built(self, id_: str, digest: str) -> None:
        image = BuiltImage(reference=self.named(digest))
        workloads = (Built(name=MAIN, digest="x", image=image),)
        event = BuildSucceeded(**ABOUT, environment="e", workloads=workloads, sealed=SEALED)
        await self.fact("build", id_, event)

    async def deploy(self, name: str, live: bool = True, repeats: str | None = None) -> str:
        id_ = await self.ask(name, repeats)
        digest = f"sha256:{repeats or name}"
        if repeats is None:
            self.push(id_, digest)
        await self.built(id_, digest)
        failure = Failure(reason="r", detail="d", hint="h")
        end = DeploymentSucceeded(**ABOUT) if live else DeploymentFailed(**ABOUT, failure=failure)
        await self.fact("deployment", id_, end)
        return id_

    def there(self) -> set[str]:
        """Digests with a tag, without their kind."""
        links = self.repository.glob("_manifests/tags/*/current/link")
        return {link.read_text().partition(":")[2] for link in links}

    def on_engine(self) -> set[str]:
        return {name.partition("sha256:")[2] for name in self.engine.here}

    async def last(self) -> Commit:
        """Of a deployment."""
        return max(await self.world.heads(ORGANIZATION, "deployment"), key=lambda it: it.sequence)

    async def said(self) -> list[str]:
        """Whose images were swept, in that order."""
        commits = [commit async for commit in self.world.read()]
        return [each.subject.id for each in commits if isinstance(each.events[-1], BuildSwept)]
