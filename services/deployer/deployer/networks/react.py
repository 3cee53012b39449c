"""Networks: an environment's is made before the first release and removed last of all, when nothing
is on it; those of a service's own are there for as long as one of its releases has them."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Protocol

from slipway.contracts import labels
from slipway.contracts.event import Event, NewerRelease, readable
from slipway.contracts.project import EnvironmentDeletionRequested
from slipway.contracts.rollout import NetworkCreated, NetworkRemoved, RolloutEvent
from slipway.contracts.route import NetworkLeft
from slipway.eventstore.lease import Lease
from slipway.eventstore.store import Commit, EventStore
from slipway.kernel.clock import Clock
from slipway.kernel.envelope import Subject
from slipway.runtime.actor import insist
from slipway.runtime.append import Appender
from slipway.runtime.engine import EngineRefused
from slipway.runtime.logging import logger
from slipway.runtime.trouble import Trouble

_SWEEP = 30.0
"""Seconds between two looks at the networks of services' own. A look is one question to the engine,
and a message of the log for each of them."""
_LOOKS = 10
_AGAIN, _LEFT = 0.5, 10.0
"""Seconds: the engine is asked again soon, as it says nothing when a network is free; that the edge
has left is told by the log."""


class NetworkEngine(Protocol):
    async def network_id(self, name: str) -> str | None: ...
    async def ensure_network(self, name: str, marks: Mapping[str, str]) -> None: ...
    async def remove_network(self, name: str) -> None: ...
    async def any_releases(self, environment: str) -> bool: ...
    async def service_networks(self) -> Mapping[str, tuple[str, str]]:
        """Those of services' own: name → (organization, service)."""
        ...


class Networks:
    def __init__(
        self, store: EventStore, engine: NetworkEngine, clock: Clock, lease: Lease, instance: str
    ) -> None:
        self._store, self._engine, self._clock = store, engine, clock
        self._lease, self._instance = lease, instance
        self._appender = Appender(store, clock, "deployer")
        self._group: asyncio.TaskGroup | None = None
        self._going: dict[str, asyncio.Event] = {}
        self._own = asyncio.Lock()
        """A network of a service's own is made, or removed."""

    async def made(self, organization: str, environment: str) -> str:
        """The name of the environment's network, which is there now."""
        name = labels.network(self._instance, environment)
        marks = {labels.ORGANIZATION: organization, labels.ENVIRONMENT: environment}
        await self._engine.ensure_network(name, marks)

        def decide(head: Commit | None) -> tuple[Event, ...]:
            there = head is not None and isinstance(head.events[-1], NetworkCreated)
            return () if there else (NetworkCreated(name=name),)

        subject = Subject(organization, "network", environment)
        await self._appender.append(
            subject, "created", decide, cause=environment, correlation=environment
        )
        return name

    async def made_own(self, organization: str, service: str, names: Sequence[str]) -> None:
        """The service's own networks of these names are there now."""
        marks = {labels.ORGANIZATION: organization, labels.SERVICE: service}
        for name in names:
            async with self._own:
                full = labels.service_network(self._instance, service, name)
                await self._engine.ensure_network(full, marks)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            self._group = group
            group.create_task(self._sweep())
            for head in await self._store.heads("*", "environment"):
                if isinstance(head.events[-1], EnvironmentDeletionRequested):
                    self.ensure(head.subject.organization, head.subject.id)
            await asyncio.Event().wait()

    async def _sweep(self) -> None:
        """For ever: networks of services' own that no release has go, when nothing is on them."""
        trouble = Trouble(longest=_SWEEP)
        while True:
            await self._clock.sleep(_SWEEP)
            try:
                if self._lease.held:
                    for name, owner in (await self._engine.service_networks()).items():
                        await self._remove_own(name, *owner)
                trouble.forget()
            except Exception as error:
                trouble.met("sweep")
                if trouble.worth_saying("sweep"):
                    logger().warning("a network is not removed yet", why=repr(error)[:300])

    async def _remove_own(self, name: str, organization: str, service: str) -> None:
        """A release that comes up meanwhile was said before: it makes its networks after this, or
        they stay. What something is still on is tried again, and left where a newer release says
        what there is."""
        with contextlib.suppress(EngineRefused, NewerRelease):
            async with self._own:
                head = await self._store.head(Subject(organization, "rollout", service))
                last = readable(head.events[-1] if head else None, RolloutEvent)
                kept = last.state.networks if last else ()
                own = {labels.service_network(self._instance, service, each) for each in kept}
                if name not in own:
                    await self._engine.remove_network(name)
                    await self._gone(name)

    async def _gone(self, name: str) -> None:
        """The node lets go of it later than the swarm: another of its name can't be made."""
        for _ in range(_LOOKS):
            if await self._engine.network_id(name) is None:
                return
            await self._clock.sleep(_AGAIN)

    def ensure(self, organization: str, environment: str) -> None:
        """Let it be removed as soon as nothing is on it."""
        if environment not in self._going and self._group is not None:
            self._going[environment] = asyncio.Event()
            self._group.create_task(self._remove(organization, environment))

    def wake(self, environment: str) -> None:
        """The edge has left it."""
        if environment in self._going:
            self._going[environment].set()

    async def _remove(self, organization: str, environment: str) -> None:
        """Until it has gone. There is nothing to fail: the environment is deleted when its network
        is, so it goes on whatever the engine says."""

        async def attempt() -> float | None:
            if self._lease.held and await self._removed(organization, environment):
                return None
            return _AGAIN if await self._edge_left(organization, environment) else _LEFT

        def said(why: str) -> None:
            logger(environment=environment).warning("network not removed yet", why=why)

        await insist(self._going[environment], attempt, said, longest=_LEFT)
        del self._going[environment]

    async def _removed(self, organization: str, environment: str) -> bool:
        """False while something is on it: waits for the edge to leave and for the last release."""
        if not await self._edge_left(organization, environment):
            return False
        if await self._engine.any_releases(environment):
            return False
        name = labels.network(self._instance, environment)
        await self._engine.remove_network(name)
        # The node lets go of it a little later than the swarm; until then another network with
        # the same addresses, which Swarm gives out again, can't be made.
        if await self._engine.network_id(name) is not None:
            return False
        await self._appender.append(
            Subject(organization, "network", environment), "removed",
            lambda head: _removed(head, name), cause=environment, correlation=environment,
        )  # fmt: skip
        return True

    async def _edge_left(self, organization: str, environment: str) -> bool:
        route = await self._store.head(Subject(organization, "route", environment))
        return route is not None and isinstance(route.events[-1], NetworkLeft)


def _removed(head: Commit | None, name: str) -> tuple[Event, ...]:
    if head is not None and isinstance(head.events[-1], NetworkRemoved):
        return ()
    return (NetworkRemoved(name=name),)
