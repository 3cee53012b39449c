"""Environments' networks: made before the first release; removed last of all, when nothing is on
them."""

import asyncio
from collections.abc import Mapping
from typing import Protocol

from slipway.contracts import labels
from slipway.contracts.event import Event
from slipway.contracts.project import EnvironmentDeletionRequested
from slipway.contracts.rollout import NetworkCreated, NetworkRemoved
from slipway.contracts.route import NetworkLeft
from slipway.eventstore.lease import Lease
from slipway.eventstore.store import Commit, EventStore
from slipway.kernel.clock import Clock
from slipway.kernel.envelope import Subject
from slipway.runtime.actor import insist
from slipway.runtime.append import Appender
from slipway.runtime.logging import logger

_AGAIN, _LEFT = 0.5, 10.0
"""Seconds: the engine is asked again soon, as it says nothing when a network is free; that the edge
has left is told by the log."""


class NetworkEngine(Protocol):
    async def network_id(self, name: str) -> str | None: ...
    async def ensure_network(self, name: str, marks: Mapping[str, str]) -> None: ...
    async def remove_network(self, name: str) -> None: ...
    async def any_releases(self, environment: str) -> bool: ...


class Networks:
    def __init__(
        self, store: EventStore, engine: NetworkEngine, clock: Clock, lease: Lease, instance: str
    ) -> None:
        self._store, self._engine, self._clock = store, engine, clock
        self._lease, self._instance = lease, instance
        self._appender = Appender(store, clock, "deployer")
        self._group: asyncio.TaskGroup | None = None
        self._going: dict[str, asyncio.Event] = {}

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

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            self._group = group
            for head in await self._store.heads("*", "environment"):
                if isinstance(head.events[-1], EnvironmentDeletionRequested):
                    self.ensure(head.subject.organization, head.subject.id)
            await asyncio.Event().wait()

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
