"""A build whose engine and programs are played."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from builder.build.failures import BuildError
from builder.build.job import BuildKit, CloningPlace, End, Job
from builder.build.log import BuildLog
from builder.build.room import Room
from builder.build.work import work
from builder.cloning.order import Cloned, NotCloned, Order
from builder.settings import BuilderSettings
from slipway.contracts.deployment import DeploymentRequested, Trigger
from slipway.contracts.limits import BuildLimits
from slipway.contracts.logs import build_subject
from slipway.contracts.registry import Account
from slipway.contracts.values import (
    ApplicationSettings,
    Build,
    BuiltImage,
    Failure,
    Runtime,
    Source,
    Specification,
)
from slipway.contracts.workload import Workloads
from slipway.eventstore.memory import MemoryLogs, MemoryObjects
from slipway.runtime.engine import EngineRefused

from tests.simulation.world import VirtualClock

HASH = "1" * 40
DIGEST = "sha256:" + "b" * 64
"""Of what is built or copied."""
BUILT = f"org/a1@{DIGEST}"
MADE = BuiltImage(reference=BUILT, node="node1")


@dataclass
class Engine:
    """`here`: reference → what it is. A pull brings what the registry has; `trouble` is raised by
    whatever is asked."""

    here: dict[str, BuiltImage] = field(default_factory=dict)
    registry: dict[str, BuiltImage] = field(default_factory=lambda: {BUILT: MADE})
    refuses: Exception | None = None
    trouble: Exception | None = None
    pulled: list[str] = field(default_factory=list)

    async def image(self, reference: str, *, source: str | None) -> BuiltImage | None:
        self._answer()
        found = self.here.get(reference)
        return found and found.model_copy(update={"source": source})

    async def pull(self, reference: str) -> None:
        self._answer()
        if self.refuses:
            raise self.refuses
        if reference not in self.registry:
            raise EngineRefused("manifest unknown")
        self.pulled.append(reference)
        self.here[reference] = self.registry[reference]

    def _answer(self) -> None:
        if self.trouble:
            raise self.trouble


@dataclass
class Kits:
    """BuildKits that are always there. `ends`: what is said of each that a build failed with."""

    ends: list[End] = field(default_factory=list)
    trouble: Exception | None = None
    taken_by: list[str] = field(default_factory=list)
    with_sample: list[bool] = field(default_factory=list)
    there: list[int | Exception] = field(default_factory=lambda: [20])
    """So many processes are told in each look; the last one from then on."""
    held_up: float = 0.0
    """Seconds in which the registry takes nothing, when one is asked for."""

    @asynccontextmanager
    async def taken(
        self,
        organization: str,
        limits: BuildLimits,
        waiting: Callable[[], AbstractContextManager[None]],
    ) -> AsyncIterator[BuildKit]:
        if self.trouble:
            raise self.trouble
        with waiting():
            await asyncio.sleep(self.held_up)
        self.taken_by.append(organization)
        signed_in = Account(organization, "hunter3")
        name, most = f"slipway-build-{organization}", (limits.memory, limits.processes, limits.disk)
        yield BuildKit(name, "registry:5000", signed_in, *most)

    @asynccontextmanager
    async def cloning(
        self, organization: str, limits: BuildLimits, *, sample: bool = False
    ) -> AsyncIterator[CloningPlace]:
        if self.trouble:
            raise self.trouble
        self.with_sample.append(sample)
        yield CloningPlace(f"slipway-clone-{organization}", 1 << 30, 256)

    async def processes(self, container: str) -> int | None:
        told = self.there.pop(0) if len(self.there) > 1 else self.there[0]
        if isinstance(told, Exception):
            raise told
        return told

    async def ended(self, buildkit: BuildKit) -> End | None:
        return self.ends.pop(0) if self.ends else None


@dataclass
class Disk:
    """Of 100 GiB. `takes`: what BuildKits' states hold, None where that can't be told."""

    free: float = 50.0
    takes: float | None = 1.0
    counted: int = 0

    async def room(self) -> Room:
        return Room("/engine", int(self.free * 2**30), 100 << 30)

    async def taken(self, container: str, folder: str) -> int | None:
        self.counted += 1
        return None if self.takes is None else int(self.takes * 2**30)


@dataclass
class Clones:
    """Of a repository with `files`; `play` comes first and may do otherwise."""

    files: Mapping[str, str] = field(default_factory=lambda: {"Dockerfile": "FROM scratch\n"})
    play: Callable[[Order, Path, Callable[[str], None]], Cloned | NotCloned | None] | None = None
    orders: list[tuple[str, Order]] = field(default_factory=list)
    """(container, what was to be cloned there)."""
    hangs: bool = False

    async def __call__(
        self, container: str, order: Order, folder: Path, tell: Callable[[str], None]
    ) -> Cloned | NotCloned:
        self.orders.append((container, order))
        for name, text in self.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        if self.hangs:
            await asyncio.sleep(1e6)
        played = self.play(order, folder, tell) if self.play else None
        return played or Cloned(HASH, "Ada", "One", order.branch)


@dataclass
class Programs:
    """BuildKit makes an image; `play` comes first and may do otherwise."""

    play: Callable[[list[str], Callable[[str], None]], Any] | None = None
    ran: list[list[str]] = field(default_factory=list)
    given: list[Mapping[str, str]] = field(default_factory=list)
    """The environment of each."""
    hangs: bool = False

    async def __call__(
        self,
        argv: list[str],
        *,
        env: Mapping[str, str] | None = None,
        on_line: Callable[[str], None] | None = None,
        silence: float | None = None,
    ) -> tuple[int, str]:
        self.ran.append(argv)
        self.given.append(env or {})
        played = self.play(argv, on_line or (lambda _: None)) if self.play else None
        if played is not None:
            return played
        if self.hangs:
            await asyncio.sleep(1e6)
        if "--metadata-file" in argv:
            self._made(Path(argv[argv.index("--metadata-file") + 1]))
        return 0, ""

    def _made(self, metadata: Path) -> None:
        metadata.write_text(json.dumps({"containerimage.digest": DIGEST}))


@dataclass
class Played:
    """`job` of a deployment `d1` of that source and build."""

    root: Path
    engine: Engine = field(default_factory=Engine)
    kits: Kits = field(default_factory=Kits)
    programs: Programs = field(default_factory=Programs)
    clones: Clones = field(default_factory=Clones)
    logs: MemoryLogs = field(default_factory=MemoryLogs)
    disk: Disk = field(default_factory=Disk)

    def job(self, source: Source, build: Build | None = None, **more: Any) -> Job:
        settings = ApplicationSettings(
            source=source, build=build, runtime=more.pop("runtime", Runtime())
        )
        requested = DeploymentRequested(
            project="p", environment="e", service="a1", kind="application",
            trigger=Trigger(kind="manual"),
            specification=Specification(name="web", settings=settings),
        )  # fmt: skip
        clock = VirtualClock()
        given: dict[str, Any] = {
            "settings": BuilderSettings(work=self.root, instance="slipway"),
            "engine": self.engine,
            "buildkits": self.kits,
            "run": self.programs,
            "disk": self.disk,
            "clone": self.clones,
            "clock": clock,
            "log": BuildLog(self.logs, MemoryObjects(), clock, "org", "d1", 16 << 20),
            "limits": BuildLimits(),
            "organization": "org",
            "deployment": "d1",
            "requested": requested,
            "variables": {},
            "secret_names": frozenset[str](),
            "hidden": (),
            "mark_key": b"key",
        }
        return Job(**{**given, **more})

    async def said(self, job: Job) -> list[str]:
        """The lines of its log."""
        await job.log.close()
        subject = build_subject("org", "d1")
        return [line.text async for _, lines in self.logs.read(subject) for line in lines]

    def left(self) -> list[Path]:
        return list(self.root.iterdir())


async def image_of(job: Job) -> BuiltImage:
    """What the only workload runs of a build that ends well."""
    made = await work(job)
    assert isinstance(made, Workloads)
    (program,) = made.items
    return program.image


async def why(job: Job) -> Failure:
    """It fails, explained."""
    with pytest.raises(BuildError) as error:
        await work(job)
    failure = error.value.failure
    assert failure.reason
    assert failure.detail
    assert failure.hint
    return failure


@asynccontextmanager
async def cancelled(job: Job) -> AsyncIterator[None]:
    """It is ended while it works, after the body."""
    running = asyncio.create_task(work(job))
    await asyncio.sleep(0.05)
    yield
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
