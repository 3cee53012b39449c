"""A build whose engine and programs are played."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from builder.adapters.shell import ProgramSilent
from builder.build.failures import BuildError
from builder.build.job import Job
from builder.build.log import BuildLog
from builder.build.work import work
from builder.settings import BuilderSettings
from slipway.contracts.deployment import DeploymentRequested, Trigger
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

from tests.simulation.world import VirtualClock

HASH = "1" * 40
BUILT = "sha256:built"


@dataclass
class Engine:
    """`here`: reference → what it is. A pull brings what a registry has; `trouble` is raised by
    whatever is asked."""

    here: dict[str, BuiltImage] = field(default_factory=dict)
    registry: dict[str, BuiltImage] = field(default_factory=dict)
    refuses: Exception | None = None
    trouble: Exception | None = None
    pulled: list[str] = field(default_factory=list)

    async def image(self, reference: str, *, source: str | None) -> BuiltImage | None:
        self._answer()
        return self.here.get(reference)

    async def pull(self, name: str) -> None:
        self._answer()
        if self.refuses:
            raise self.refuses
        self.pulled.append(name)
        self.here |= {key: image for key, image in self.registry.items() if key == name}

    async def subnets(self, network: str) -> list[str]:
        self._answer()
        return []

    def _answer(self) -> None:
        if self.trouble:
            raise self.trouble


@dataclass
class Programs:
    """git clones `files`, BuildKit makes an image; `play` comes first and may do otherwise."""

    files: Mapping[str, str] = field(default_factory=lambda: {"Dockerfile": "FROM scratch\n"})
    play: Callable[[list[str], Callable[[str], None]], Any] | None = None
    ran: list[list[str]] = field(default_factory=list)
    hangs: bool = False
    silent: bool = False

    async def __call__(
        self,
        argv: list[str],
        *,
        env: Mapping[str, str] | None = None,
        on_line: Callable[[str], None] | None = None,
        silence: float | None = None,
    ) -> tuple[int, str]:
        self.ran.append(argv)
        played = self.play(argv, on_line or (lambda _: None)) if self.play else None
        if played is not None:
            return played
        if "clone" in argv:
            self._clone(Path(argv[-1]))
        if self.silent and silence:
            raise ProgramSilent
        if self.hangs and "log" not in argv:
            await asyncio.sleep(1e6)
        if "log" in argv:
            return 0, f"{HASH}\0Ada\0One"
        if "--iidfile" in argv:
            self._made(Path(argv[argv.index("--iidfile") + 1]))
        return 0, ""

    def _made(self, iidfile: Path) -> None:
        iidfile.write_text(BUILT)

    def _clone(self, folder: Path) -> None:
        (folder / ".git").mkdir(parents=True)
        for name, text in self.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)


@dataclass
class Played:
    """`job` of a deployment `d1` of that source and build."""

    root: Path
    engine: Engine = field(default_factory=Engine)
    programs: Programs = field(default_factory=Programs)
    logs: MemoryLogs = field(default_factory=MemoryLogs)

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
            "run": self.programs,
            "clock": clock,
            "log": BuildLog(self.logs, MemoryObjects(), clock, "org", "d1"),
            "organization": "org",
            "deployment": "d1",
            "requested": requested,
            "variables": {},
            "secret_names": frozenset[str](),
        }
        return Job(**{**given, **more})

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
