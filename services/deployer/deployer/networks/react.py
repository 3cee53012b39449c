"""An environment that is being deleted: its network goes last, when nothing is on it."""

import asyncio

from slipway.contracts import labels
from slipway.contracts.event import Event
from slipway.contracts.project import EnvironmentDeletionRequested
from slipway.contracts.rollout import NetworkRemoved
from slipway.contracts.route import NetworkLeft
from slipway.eventstore.lease import Lease
from slipway.eventstore.store import Commit, EventStore
from slipway.kernel.clock import Clock
from slipway.kernel.envelope import Subject
from slipway.runtime.append import Appender
from slipway.runtime.engine import EngineAway, EngineRefused
from slipway.runtime.logging import logger

from deployer.adapters.engine import Engine


class Networks:
    def __init__(
        self, store: EventStore, engine: Engine, clock: Clock, lease: Lease, instance: str
    ) -> None:
        self._store, self._engine, self._clock = store, engine, clock
        self._lease, self._instance = lease, instance
        self._appender = Appender(store, clock, "deployer")
        self._group: asyncio.TaskGroup | None = None
        self._going: set[str] = set()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            self._group = group
            for head in await self._store.heads("*", "environment"):
                if isinstance(head.events[-1], EnvironmentDeletionRequested):
                    self.ensure(head.subject.organization, head.subject.id)
            await asyncio.Event().wait()

    def ensure(self, organization: str, environment: str) -> None:
        if environment not in self._going and self._group is not None:
            self._going.add(environment)
            self._group.create_task(self._remove(organization, environment))

    async def _remove(self, organization: str, environment: str) -> None:
        """Until it has gone: waits for the edge to leave and for the last release."""
        name = labels.network(self._instance, environment)
        subject = Subject(organization, "network", environment)
        said = ""
        while True:
            try:
                if self._lease.held and await self._free(organization, environment):
                    await self._engine.remove_network(name)
                    # The node lets go of it a little later than the swarm; until then another
                    # network with the same addresses, which Swarm gives out again, can't be made.
                    if await self._engine.network_id(name) is None:
                        await self._appender.append(
                            subject, "removed", lambda head: _removed(head, name),
                            cause=environment, correlation=environment,
                        )  # fmt: skip
                        self._going.discard(environment)
                        return
            except (EngineAway, EngineRefused) as error:
                if str(error) != said:
                    said = str(error)
                    logger(network=name).info("not removed yet", why=said[:200])
            await self._clock.sleep(0.5)

    async def _free(self, organization: str, environment: str) -> bool:
        route = await self._store.head(Subject(organization, "route", environment))
        left = route is not None and isinstance(route.events[-1], NetworkLeft)
        return left and not await self._engine.any_services(environment)


def _removed(head: Commit | None, name: str) -> tuple[Event, ...]:
    if head is not None and isinstance(head.events[-1], NetworkRemoved):
        return ()
    return (NetworkRemoved(name=name),)
