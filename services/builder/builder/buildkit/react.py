"""The BuildKits of organizations: each is started when it is needed, and stopped when it is idle.
What is worth keeping is in its volume."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    AsyncExitStack,
    asynccontextmanager,
    suppress,
)
from dataclasses import dataclass, field
from typing import Any, Protocol

from slipway.contracts import labels
from slipway.contracts.limits import BuildLimits, processors
from slipway.contracts.registry import account
from slipway.kernel.clock import Clock
from slipway.runtime.engine import EngineAway, EngineMissing, EngineRefused
from slipway.runtime.logging import logger

from builder.adapters.containers import MADE, Found, NotReady, mark
from builder.build.failures import BuildError
from builder.build.job import BuildKit, CloningPlace, End
from builder.build.watched import to_its_end
from builder.buildkit import render
from builder.buildkit.crowd import cleared
from builder.registry.gate import Gate
from builder.registry.render import ALIAS, PORT
from builder.settings import BuilderSettings

_LOOK = 15.0
"""Seconds between looks for idle ones."""
_START = 20.0
"""Seconds that one is given to begin."""
_MOMENT = 0.3
"""Seconds in which an event of the engine is told."""
_GRACE = 5
"""Seconds in which it closes its files."""


class Engine(Protocol):
    """See `adapters.containers`."""

    async def found(self, name: str) -> Found | None: ...
    async def make(self, name: str, body: Mapping[str, Any], files: Mapping[str, str]) -> None: ...
    async def remove(self, name: str, grace: int = 0) -> None: ...
    async def kill(self, container: str) -> None: ...
    async def change(self, name: str, resources: Mapping[str, Any]) -> None: ...
    async def processors(self) -> int: ...
    async def processes(self, name: str) -> int | None: ...
    async def has_file(self, name: str, path: str) -> bool: ...
    async def organizations(self) -> set[str]: ...
    async def task_of(self, service: str) -> str | None: ...
    def met_memory(self) -> AbstractAsyncContextManager[AsyncIterator[str]]: ...
    async def ensure_network(self, body: Mapping[str, Any]) -> None: ...
    async def ensure_volume(self, body: Mapping[str, Any]) -> None: ...
    async def join(self, container: str, network: str, alias: str) -> None: ...
    async def remove_network(self, name: str, *guests: str) -> None: ...
    async def remove_volume(self, name: str) -> None: ...


class Door(Protocol):
    async def let_in(self, organization: str, network: str) -> None:
        """Raises NotReady."""
        ...

    async def whole(self, network: str) -> bool: ...


@dataclass(slots=True)
class _Of:
    """An organization's."""

    free_since: float
    users: int = 0
    builds: int = 0
    clones: int = 0
    met: int = 0
    """How often the BuildKit's limit of memory was, or may have been."""
    begun: bool = False
    """It has been seen to listen since it was made."""
    has: dict[str, tuple[str, BuildLimits]] = field(default_factory=dict)
    """Of each container the mark and the limits that hold: it was made, or changed since, so."""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Of starting and stopping it."""


class BuildKits:
    def __init__(
        self, engine: Engine, door: Door, gate: Gate, clock: Clock, settings: BuilderSettings
    ) -> None:
        self._engine, self._door, self._gate = engine, door, gate
        self._clock, self._settings = clock, settings
        self._instance = settings.instance
        self._of: dict[str, _Of] = {}
        self._told = False
        """The engine's events are heard."""

    @asynccontextmanager
    async def taken(
        self,
        organization: str,
        limits: BuildLimits,
        waiting: Callable[[], AbstractContextManager[None]],
    ) -> AsyncIterator[BuildKit]:
        """It runs, and is not stopped before the context is left; `waiting` is held until the gate
        is open. Raises NotReady, EngineAway, EngineRefused."""
        async with AsyncExitStack() as passed:
            with waiting():
                await passed.enter_async_context(self._gate.passed(organization))
            of = await passed.enter_async_context(self._used(organization))
            of.builds += 1
            try:
                async with of.lock:
                    await self._ensure(organization, of, limits)
                name = labels.build_network(self._instance, organization)
                master = self._settings.master_private.get_secret_value()
                signed_in = account(master, organization)
                has = of.has[name][1]
                most = (has.memory, has.processes, limits.disk)
                buildkit = BuildKit(name, f"{ALIAS}:{PORT}", signed_in, *most, met=of.met)
                async with self._left_clear(name, has.processes, lambda: of.builds == 1):
                    yield buildkit
            finally:
                of.builds -= 1

    @asynccontextmanager
    async def cloning(
        self, organization: str, limits: BuildLimits, *, sample: bool = False
    ) -> AsyncIterator[CloningPlace]:
        """The same of where repositories are cloned, which stays for as long as the BuildKit."""
        async with self._used(organization) as of:
            of.clones += 1
            try:
                async with of.lock:
                    await self._ensure_cloning(organization, of, limits)
                    if sample:
                        await self._let_sample_in(organization)
                name = labels.cloning_container(self._instance, organization)
                most = (render.CLONING_MEMORY, render.CLONING_PROCESSES)
                async with self._left_clear(name, most[1], lambda: of.clones == 1):
                    yield CloningPlace(name, *most)
            finally:
                of.clones -= 1

    @asynccontextmanager
    async def _left_clear(
        self, name: str, processes: int, alone: Callable[[], bool]
    ) -> AsyncIterator[None]:
        """What was ended there, by whom ever, has ended."""
        try:
            yield
        except (asyncio.CancelledError, BuildError):
            await to_its_end(cleared(self._engine, name, processes, alone, self._clock))
            raise

    async def processes(self, container: str) -> int | None:
        return await self._engine.processes(container)

    @asynccontextmanager
    async def _used(self, organization: str) -> AsyncIterator[_Of]:
        """Nothing of it is stopped meanwhile."""
        of = self._of.setdefault(organization, _Of(self._now()))
        of.users += 1
        try:
            yield of
        finally:
            of.users -= 1
            of.free_since = self._now()

    async def ended(self, buildkit: BuildKit) -> End | None:
        there = await self._engine.found(buildkit.container)
        if there is not None and there.out_of_memory and await self._met(buildkit):
            return "memory"
        if there is None or not there.runs:
            return "gone"
        return None if await self._door.whole(buildkit.container) else "registry"

    async def _met(self, buildkit: BuildKit) -> bool:
        """Since that build began: what the container says lasts, an event has its time, and may
        come a moment later. Builds that go on at once can't be told apart."""
        of = self._of[buildkit.account.user]
        if self._told and of.met == buildkit.met:
            await self._clock.sleep(_MOMENT)
        return not self._told or of.met != buildkit.met

    async def listen(self) -> None:
        """For ever, to the engine's events."""
        while True:
            with suppress(EngineAway):
                async with self._engine.met_memory() as organizations:
                    for of in self._of.values():  # of theirs nothing is known until now
                        of.met += 1
                    self._told = True
                    async for organization in organizations:
                        if (of := self._of.get(organization)) is not None:
                            of.met += 1
            self._told = False
            await self._clock.sleep(1.0)

    async def run(self) -> None:
        """For ever. One that a former builder left idles from now on."""
        while True:
            with suppress(EngineAway, EngineRefused):
                for organization in await self._engine.organizations():
                    self._of.setdefault(organization, _Of(self._now()))
            for organization, of in list(self._of.items()):
                try:
                    await self._stop_idle(organization, of)
                except (EngineAway, EngineRefused) as error:
                    logger().warning("a BuildKit is not stopped yet", error=repr(error)[:300])
            await self._clock.sleep(_LOOK)

    async def _stop_idle(self, organization: str, of: _Of) -> None:
        async with of.lock:
            idle = self._now() - of.free_since
            if of.users or idle < self._settings.buildkit_idle_seconds:
                return
            name = labels.build_network(self._instance, organization)
            await self._engine.remove(labels.cloning_container(self._instance, organization))
            await self._engine.remove(name, _GRACE)
            sample = await self._engine.task_of(labels.sample_service(self._instance))
            guests = [labels.registry_door(self._instance), *([sample] if sample else [])]
            await self._engine.remove_network(name, *guests)
            if not of.users:  # else a build waits for the end of this
                del self._of[organization]

    async def _ensure(self, organization: str, of: _Of, limits: BuildLimits) -> None:
        """One that has met its limit of memory is made anew when nobody else works with it, so that
        it's known whose build did."""
        instance, name = self._instance, labels.build_network(self._instance, organization)
        image, some = self._settings.buildkit_image, await self._processors(limits)
        body = render.container(instance, organization, image, limits, some)
        files = render.files(f"{ALIAS}:{PORT}", limits)
        made = mark(body, files)
        there = await self._engine.found(name)
        fresh = there is not None and there.made == made and not there.out_of_memory
        if there is None or not there.runs or (of.builds == 1 and not fresh):
            of.begun = False
            await self._engine.remove(name, _GRACE if there is not None and there.runs else 0)
            await self._engine.ensure_network(render.network(instance, organization))
            await self._engine.ensure_volume(render.volume(instance, organization))
            labelled = body | {"Labels": {**body["Labels"], MADE: made}}
            await self._engine.make(name, labelled, files)
            of.has[name] = made, limits
        else:
            await self._changed(name, of, there, body, made, limits)
        if not of.begun:  # whoever made it may have been stopped before
            await self._begun(name)
            of.begun = True
        await self._door.let_in(organization, name)

    async def _changed(
        self, name: str, of: _Of, there: Found, body: Mapping[str, Any], made: str,
        limits: BuildLimits,
    ) -> None:  # fmt: skip
        """It goes on as others work with it, with the memory, processors and processes that hold
        now; its cache is the former until it is made anew. Where the engine refuses, because more
        is taken just now, the former hold, and the next build asks again."""
        has = of.has.setdefault(name, (there.made, limits))
        if has[0] == made:
            return
        try:
            await self._engine.change(name, render.resources(body))
        except EngineRefused as error:
            logger().warning("limits do not hold yet", container=name, error=str(error)[:300])
        else:
            of.has[name] = made, limits

    async def _processors(self, limits: BuildLimits) -> float:
        node = await self._engine.processors()
        return processors(limits, self._settings.build_ceilings, node)

    async def _ensure_cloning(self, organization: str, of: _Of, limits: BuildLimits) -> None:
        instance = self._instance
        name = labels.cloning_container(instance, organization)
        image = self._settings.control_image
        body = render.cloning(instance, organization, image, await self._processors(limits))
        made = mark(body)
        there = await self._engine.found(name)
        if there is None or not there.runs or (of.clones == 1 and there.made != made):
            await self._engine.remove(name)
            await self._engine.ensure_network(render.network(instance, organization))
            labelled = body | {"Labels": {**body["Labels"], MADE: made}}
            await self._engine.make(name, labelled, {})
            of.has[name] = made, limits
        else:
            await self._changed(name, of, there, body, made, limits)

    async def _let_sample_in(self, organization: str) -> None:
        server = await self._engine.task_of(labels.sample_service(self._instance))
        if server is not None:
            network = labels.build_network(self._instance, organization)
            await self._engine.join(server, network, labels.SAMPLE)

    async def _begun(self, name: str) -> None:
        """Raises NotReady when it does not. One that ends by itself may have found its state
        damaged: the next one begins without."""
        end = self._now() + _START
        while self._now() < end:
            with suppress(EngineMissing):
                if await self._engine.has_file(name, render.SOCKET):
                    return
            there = await self._engine.found(name)
            if there is None or not there.runs:
                await self._engine.remove(name)
                await self._engine.remove_volume(name)
                raise NotReady(f"{name} ended as it began; the next one has an empty cache")
            await self._clock.sleep(0.05)
        await self._engine.remove(name)
        raise NotReady(f"{name} did not begin within {_START:.0f} s")

    def _now(self) -> float:
        return self._clock.monotonic()
