"""The registry and the BuildKits of organizations, kept on an engine that is played."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

from builder.adapters.containers import MADE, Found
from builder.build.job import BuildKit, CloningPlace
from builder.buildkit.react import BuildKits
from builder.registry.gate import Gate
from builder.registry.react import Registry
from builder.settings import BuilderSettings
from pydantic import SecretStr
from slipway.contracts.limits import BuildLimits
from slipway.runtime.engine import EngineAway, EngineMissing, EngineRefused

from tests.simulation.world import VirtualClock

CLONE, SAMPLE = "slipway-clone-org", "abc123"
DOOR, REGISTRY, KIT = "slipway-registry-door", "slipway-registry", "slipway-build-org"
LIMITS = BuildLimits()
SETTINGS = BuilderSettings(
    instance="slipway", master_private=SecretStr("master"), registry_port=5001,
    buildkit_idle_seconds=60, control_image="slipway/control:1",
)  # fmt: skip


@dataclass
class Engine:
    there: dict[str, Found] = field(default_factory=dict)
    bodies: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    files: dict[str, dict[str, str]] = field(default_factory=dict)
    networks: set[str] = field(default_factory=set)
    volumes: set[str] = field(default_factory=set)
    said: list[str] = field(default_factory=list)
    refuses: Exception | None = None
    begins: bool = True
    ends: bool = False
    """What is made ends at once."""
    left_over: set[str] = field(default_factory=set)
    heard: "asyncio.Queue[str | None]" = field(default_factory=asyncio.Queue)
    """Organizations whose BuildKits met their limit of memory; None ends the engine's events."""
    node: int = 4
    """Its processors."""
    crowds: dict[str, int | None] = field(default_factory=dict)
    """Processes by container."""
    slow: float = 0.01
    """Seconds for telling how many there are."""
    unkillable: list[Exception] = field(default_factory=list)
    """Why each try to kill one fails."""
    changed: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    unchangeable: Exception | None = None

    async def found(self, name: str) -> Found | None:
        await asyncio.sleep(0.01)
        return self.there.get(name)

    async def make(self, name: str, body: Mapping[str, Any], files: Mapping[str, str]) -> None:
        if self.refuses:
            raise self.refuses
        if name in self.there:
            raise EngineRefused("Conflict. The container name is already in use")
        network = body["HostConfig"]["NetworkMode"]
        assert network in self.networks
        self.said.append(f"made {name}")
        self.bodies[name], self.files[name] = body, dict(files)
        id_ = f"{name}.{len(self.said)}"
        made = body["Labels"][MADE]
        self.there[name] = Found(id_, not self.ends, made, frozenset({network}), False)

    async def remove(self, name: str, grace: int = 0) -> None:
        if self.there.pop(name, None):
            self.said.append(f"removed {name}")

    async def processors(self) -> int:
        return self.node

    async def processes(self, name: str) -> int | None:
        await asyncio.sleep(self.slow)
        if name not in self.there:
            raise EngineMissing
        return self.crowds.get(name, 20) if self.there[name].runs else None

    async def kill(self, container: str) -> None:
        name = next((name for name, each in self.there.items() if each.id == container), None)
        if name is None:
            raise EngineMissing
        if self.unkillable:
            raise self.unkillable.pop(0)
        self.said.append(f"killed {name}")
        self.alter(name, runs=False)

    async def change(self, name: str, resources: Mapping[str, Any]) -> None:
        if self.unchangeable:
            raise self.unchangeable
        self.changed.append((name, dict(resources)))

    async def put_files(self, name: str, files: Mapping[str, str]) -> None:
        self.files[name] |= files

    async def has_file(self, name: str, path: str) -> bool:
        return self.begins

    async def organizations(self) -> set[str]:
        return self.left_over

    @asynccontextmanager
    async def met_memory(self) -> AsyncIterator[AsyncIterator[str]]:
        self.heard = asyncio.Queue()
        yield self._heard(self.heard)

    async def _heard(self, heard: "asyncio.Queue[str | None]") -> AsyncIterator[str]:
        while (organization := await heard.get()) is not None:
            yield organization
        raise EngineAway

    async def task_of(self, service: str) -> str | None:
        assert service == "slipway_sample-git"
        return SAMPLE if SAMPLE in self.there else None

    async def ensure_network(self, body: Mapping[str, Any]) -> None:
        self.networks.add(body["Name"])

    async def ensure_volume(self, body: Mapping[str, Any]) -> None:
        self.volumes.add(body["Name"])

    async def join(self, container: str, network: str, alias: str) -> None:
        assert alias == ("sample-git" if container == SAMPLE else "registry")
        there = self.there[container]
        self.there[container] = replace(there, networks=there.networks | {network})

    async def remove_network(self, name: str, *guests: str) -> None:
        await asyncio.sleep(1)
        for guest in guests:
            if there := self.there.get(guest):
                self.there[guest] = replace(there, networks=there.networks - {name})
        self.networks.discard(name)

    async def remove_volume(self, name: str) -> None:
        self.volumes.discard(name)

    def alter(self, name: str, **what: Any) -> None:
        self.there[name] = replace(self.there[name], **what)


@dataclass
class Site:
    engine: Engine = field(default_factory=Engine)

    def __post_init__(self) -> None:
        clock = VirtualClock()
        self.gate = Gate()
        self.gate.open()
        self.registry = Registry(self.engine, clock, SETTINGS)
        self.buildkits = BuildKits(self.engine, self.registry, self.gate, clock, SETTINGS)

    def taken(
        self, organization: str = "org", limits: BuildLimits = LIMITS
    ) -> AbstractAsyncContextManager[BuildKit]:
        return self.buildkits.taken(organization, limits, nullcontext)

    def cloning(
        self, limits: BuildLimits = LIMITS, *, sample: bool = False
    ) -> AbstractAsyncContextManager[CloningPlace]:
        return self.buildkits.cloning("org", limits, sample=sample)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(each.run()) for each in (self.registry, self.buildkits)]
        tasks.append(asyncio.create_task(self.buildkits.listen()))
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
