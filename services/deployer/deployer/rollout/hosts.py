"""Under which host a workload is asked: the first of its domains, as they are listed."""

import asyncio

from slipway.contracts.host import ALL, Hosts
from slipway.contracts.rollout import Release, Released
from slipway.eventstore.store import EventStore


class HostTable:
    """Read as far as the log goes whenever somebody asks: few do, and seldom."""

    def __init__(self, store: EventStore) -> None:
        self._store, self._hosts, self._end = store, Hosts(), 0
        self._reading = asyncio.Lock()

    async def of(self, service: str, release: Release, workload: Released) -> str | None:
        """None where no domain leads to it."""
        async with self._reading:
            end = await self._store.last_sequence()
            async for commit in self._store.read(self._end, end, ALL):
                for event in commit.events:
                    self._hosts.evolve(event)
            self._end = end
        led = ((bound.host, release.program(bound.workload)) for bound in self._hosts.of(service))
        return next((host for host, program in led if program == workload), None)
