"""The builder in the world: its reactions and its parts as they are, over programs and an engine
that are played at the edge."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Literal

from builder.build.job import BuildKit, CloningPlace
from builder.build.react import Builds, key
from builder.build.render import DOCKERFILE as COPIED
from builder.build.room import Room
from builder.cloning.order import Cloned, Order
from builder.settings import BuilderSettings
from slipway.contracts.limits import BuildLimits
from slipway.contracts.registry import Account
from slipway.contracts.values import BuiltImage
from slipway.eventstore.memory import MemoryDeadLetters, MemoryLogs, MemoryObjects
from slipway.runtime.engine import EngineRefused
from slipway.runtime.reactor import Reactor, dead_letter
from slipway.sealing import Opener

from tests.simulation.platform import MASTER, wrapped_key
from tests.simulation.world import INSTANCE, Behaviour, Life, Seen, Swarm, World

BEHAVIOURS = (
    *(Behaviour(),) * 6,
    Behaviour(boot=4.0),
    Behaviour(ends_after=0.3),
    Behaviour(boot=None, answers="/ answered 500"),
)

type How = Literal["well", "slow", "badly", "hangs"]
WELL: list[How] = ["well"]
BUILDS: tuple[How, ...] = (*WELL * 14, "slow", "slow", "badly", "badly", "hangs")
PULLS: tuple[How, ...] = (*WELL * 40, "slow", "slow", "badly", "hangs")


@dataclass
class Images:
    """Of the engine, of the registry, and of those that are copied from."""

    chance: Random
    swarm: Swarm
    how: dict[str, How] = field(default_factory=dict)
    """How it goes to copy what has that name."""
    here: set[str] = field(default_factory=set)
    """References."""

    def published(self, name: str, behaviour: Behaviour) -> BuiltImage:
        """There is one of that name now, whose tasks behave so."""
        image = BuiltImage(reference=f"sha256:{name}", source=name, ports=(8080,))
        self.how[name] = self.chance.choice(PULLS)
        self.swarm.behaviours[image.reference] = behaviour
        return image

    def made(self, name: str) -> str:
        """The digest of one that was built and pushed."""
        digest = f"sha256:{name}"
        behaviour = replace(self.chance.choice(BEHAVIOURS), stop=self.chance.uniform(0.2, 8.0))
        self.swarm.behaviours[digest] = behaviour
        return digest

    async def image(self, reference: str, *, source: str | None) -> BuiltImage | None:
        await asyncio.sleep(0.002)
        if reference not in self.here:
            return None
        return BuiltImage(reference=reference, node="node1", source=source, ports=(8080,))

    async def pull(self, reference: str) -> None:
        await _takes(self.chance, "well")
        if reference.rpartition("@")[2] not in self.swarm.behaviours:
            raise EngineRefused(f"manifest for {reference} not found")
        self.here.add(reference)


async def _takes(chance: Random, how: How) -> None:
    match how:
        case "hangs":
            await asyncio.sleep(1e6)
        case "slow":
            await asyncio.sleep(chance.uniform(5, 30))
        case _:
            await asyncio.sleep(chance.uniform(0.05, 2))


@dataclass
class Programs:
    """A repository with a Dockerfile, whose head is `head`, is cloned; BuildKit makes an image."""

    chance: Random
    images: Images
    head: str = "0" * 40
    builds: int = 0

    async def __call__(
        self,
        argv: list[str],
        *,
        env: Mapping[str, str] | None = None,
        on_line: Callable[[str], None] | None = None,
        silence: float | None = None,
    ) -> tuple[int, str]:
        name = _copied(argv)
        how = self.images.how[name] if name else self.chance.choice(BUILDS)
        await _takes(self.chance, how)
        if how == "badly":
            return 1, "it broke"
        self.builds += name is None
        digest = f"sha256:{name}" if name else self.images.made(f"built-{self.builds}")
        _write(argv[argv.index("--metadata-file") + 1], digest)
        return 0, ""

    async def clone(
        self, container: str, order: Order, folder: Path, tell: Callable[[str], None]
    ) -> Cloned:
        await _takes(self.chance, "badly")
        _clone(folder)
        return Cloned(self.head, "Ada", "One", order.branch)


def _copied(argv: list[str]) -> str | None:
    """The image that is copied; None where one is built."""
    folder = next(word for word in argv if word.startswith("dockerfile="))
    file = Path(folder.removeprefix("dockerfile=")) / COPIED
    return file.read_text().removeprefix("FROM ").strip() if file.exists() else None


def _clone(source: Path) -> None:
    source.mkdir(parents=True)
    (source / "Dockerfile").write_text("FROM scratch\n")


def _write(metadata: str, digest: str) -> None:
    Path(metadata).write_text(json.dumps({"containerimage.digest": digest}))


class Kits:
    """BuildKits that are always there."""

    @asynccontextmanager
    async def taken(
        self,
        organization: str,
        limits: BuildLimits,
        waiting: Callable[[], AbstractContextManager[None]],
    ) -> AsyncIterator[BuildKit]:
        with waiting():
            await asyncio.sleep(0.05)
        most = (limits.memory, limits.processes, limits.disk)
        yield BuildKit(organization, "registry:5000", Account(organization, "secret"), *most)

    @asynccontextmanager
    async def cloning(
        self, organization: str, limits: BuildLimits, *, sample: bool = False
    ) -> AsyncIterator[CloningPlace]:
        await asyncio.sleep(0.05)
        yield CloningPlace(organization, 1 << 30, 256)

    async def processes(self, container: str) -> int:
        return 20

    async def ended(self, buildkit: BuildKit) -> None:
        return None


class RoomyDisk:
    async def room(self) -> Room:
        return Room("/engine", 1 << 40, 1 << 40)

    async def taken(self, container: str, folder: str) -> int:
        return 0


@dataclass
class Workshop:
    """What stays through the builder's deaths. `folder`: where it clones to."""

    world: World
    swarm: Swarm
    chance: Random
    folder: Path
    logs: MemoryLogs = field(default_factory=MemoryLogs)
    archive: MemoryObjects = field(default_factory=MemoryObjects)

    def __post_init__(self) -> None:
        self.images = Images(self.chance, self.swarm)
        self.programs = Programs(self.chance, self.images)
        self.letters = MemoryDeadLetters(self.world.clock)

    async def live(self, life: Life) -> None:
        """One life of the builder, wired as its `app.py` does."""
        store = Seen(self.world, life)
        settings = BuilderSettings(instance=INSTANCE, work=self.folder)
        builds = Builds(
            store, self.logs, self.archive, self.world.workloads, self.images, Kits(),
            self.programs, RoomyDisk(), self.programs.clone, Opener(MASTER.private, wrapped_key),
            self.world.clock, settings,
        )  # fmt: skip
        async with asyncio.TaskGroup() as group:
            for durable, of, handle, dead in (
                ("builder", key, builds.react, builds.dead),
                ("builder-control", lambda commit: commit.subject.id, builds.stop, dead_letter),
            ):
                reactor = Reactor(
                    store, durable, of, handle, dead=dead, letters=self.letters, parallel=5000
                )
                group.create_task(reactor.run())
