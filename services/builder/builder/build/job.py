"""One build: what is asked for, what it works with, and what it has reached so far."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from slipway.contracts.build import BuildSucceeded
from slipway.contracts.deployment import DeploymentRequested
from slipway.contracts.limits import BuildLimits
from slipway.contracts.registry import Account
from slipway.contracts.values import BuiltImage, GitCommit, Step
from slipway.kernel.clock import Clock
from slipway.runtime.clock import iso

from builder.build import failures
from builder.build.deadline import Deadline
from builder.build.failures import BuildError
from builder.build.log import BuildLog
from builder.build.progress import Progress
from builder.build.room import Disk, Wanted, needed
from builder.cloning.order import Cloned, NotCloned, Order
from builder.settings import BuilderSettings


class Images(Protocol):
    """Of the container engine, by their names in the registry, without its place. All raise
    EngineAway and EngineRefused."""

    async def image(self, reference: str, *, source: str | None) -> BuiltImage | None:
        """What `reference` is on this node, where it has been fetched; `source` is the name that it
        came by."""
        ...

    async def pull(self, reference: str) -> None:
        """EngineRefused has the registry's words why not."""
        ...


@dataclass(frozen=True, slots=True)
class BuildKit:
    """An organization's that runs. `registry`: the registry's address, as it is seen from there."""

    container: str
    registry: str
    account: Account
    memory: int
    """Bytes that all its builds may take together."""
    processes: int
    """That all of them may have."""
    disk: int
    """Bytes that they and their cache may take in `state`."""
    state: str = "/var/lib/buildkit"
    met: int = 0
    """How often the limit of memory had been met when the build began."""


@dataclass(frozen=True, slots=True)
class CloningPlace:
    """A container in the network of an organization's builds that runs."""

    container: str
    memory: int
    """Bytes that all its clones may take together."""
    processes: int
    """That all of them may have."""


_TOLD = 1.0
"""Seconds after which a wait is told."""

type End = Literal["gone", "memory", "registry"]
"""It ended itself; or the limit of memory of all the organization's builds
was met; or the registry was away."""


class BuildKits(Protocol):
    """All raise NotReady, EngineAway and EngineRefused."""

    def taken(
        self,
        organization: str,
        limits: BuildLimits,
        waiting: Callable[[], AbstractContextManager[None]],
    ) -> AbstractAsyncContextManager[BuildKit]:
        """It is kept until the context is left; `waiting` is held while the registry takes nothing.
        What was ended in the context, by a cancel or BuildError, has ended when it is left."""
        ...

    def cloning(
        self, organization: str, limits: BuildLimits, *, sample: bool = False
    ) -> AbstractAsyncContextManager[CloningPlace]:
        """The same of where it is cloned. `sample`: the sample's git server is in its network too,
        where there is one."""
        ...

    async def processes(self, container: str) -> int | None:
        """And threads that there are in the container of a BuildKit or of clones; None where that
        can't be told. Raises EngineMissing too."""
        ...

    async def ended(self, buildkit: BuildKit) -> End | None:
        """Why a build that failed did so, where it is not the build's own fault."""
        ...


class Programs(Protocol):
    """See `shell.run`."""

    async def __call__(
        self,
        argv: list[str],
        *,
        env: Mapping[str, str] | None = None,
        on_line: Callable[[str], None] | None = None,
        silence: float | None = None,
    ) -> tuple[int, str]: ...


class Cloner(Protocol):
    async def __call__(
        self, container: str, order: Order, folder: Path, tell: Callable[[str], None]
    ) -> Cloned | NotCloned:
        """Into `folder`, which is made; `tell` is told how far it came. Raises OSError of the
        builder's own disk."""
        ...


@dataclass(slots=True)
class Job:
    """`commit`, `built` and the steps hold what was reached, also when it fails."""

    settings: BuilderSettings
    engine: Images
    buildkits: BuildKits
    run: Programs
    disk: Disk
    clone: Cloner
    clock: Clock
    log: BuildLog
    limits: BuildLimits
    organization: str
    deployment: str
    requested: DeploymentRequested
    variables: Mapping[str, str]
    secret_names: frozenset[str]
    hidden: tuple[str, ...]
    """Every secret value of the deployment."""
    mark_key: bytes
    """The organization's, for marks of secrets."""
    former: tuple[BuildSucceeded, bool] | None = None
    """The outcome that is repeated, and whether whole or its images alone."""
    commit: GitCommit | None = None
    built: bool = False
    done: tuple[Step, ...] = ()
    """Steps that have ended; those of BuildKit are in `progress`."""
    progress: Progress | None = None
    deadline: Deadline = field(default_factory=Deadline)

    @property
    def steps(self) -> tuple[Step, ...]:
        return (*self.done, *(self.progress.steps() if self.progress else ()))

    @property
    def folder(self) -> Path:
        """All that this build writes is in here."""
        return self.settings.work / self.deployment

    @property
    def source(self) -> Path:
        """Where the source lies."""
        return self.folder / "source"

    async def room(self) -> None:
        """Raises BuildError where the engine's disk has too little for anything new."""
        settings = self.settings
        wanted = Wanted(settings.disk_free_percent, settings.disk_free_enough)
        await needed(self.disk, wanted, self.clock, self.log)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """For the registry, which is none of the build's time."""
        words = (
            "waiting for the registry: it takes no image while it begins, or while what removed"
            " images left is collected; the time of this build stands still meanwhile"
        )
        saying = asyncio.get_running_loop().call_later(_TOLD, self.log.say, words)
        try:
            with self.deadline.standing_still():
                yield
        finally:
            saying.cancel()

    def now(self) -> str:
        return iso(self.clock.now())

    def ended(self, step: str, began: str) -> None:
        self.done = (*self.done, Step(name=step, started=began, ended=self.now()))

    def inside(self, root: Path, path: str) -> Path | None:
        """A file or folder of the source; None when it is not there, or when links lead out."""
        try:
            found = (root / path).resolve()
            there = found.is_relative_to(self.source.resolve()) and found.exists()
        except (OSError, ValueError, RuntimeError):  # too long, or links in a circle
            return None
        return found if there else None

    def folder_of(self, root: Path, path: str) -> Path:
        """Raises BuildError."""
        found = self.inside(root, path)
        if found is None or not found.is_dir():
            raise BuildError(failures.folder_missing(path))
        return found
