"""Another way out takes the place of one that an engine has lost. A bridge of Swarm's scope is kept
by the engine's driver when the engine ends without its own doing, but not by the engine: from then
on it refuses each task on it, as the network "exists"."""

import asyncio
from collections.abc import Collection, Mapping
from typing import Protocol

from slipway.eventstore.lease import Lease
from slipway.kernel.clock import Clock
from slipway.runtime.actor import insist
from slipway.runtime.logging import logger

_OFTEN, _SELDOM = 2.0, 60.0
_FIRST = 180.0
"""Seconds between two looks, and for how long after a start they are often: with an engine that
ended the deployer does as well."""
_LONGEST = 10.0
"""Seconds from one look that failed to the next."""


class Ways(Protocol):
    """See `adapters.ways_out.WaysOut`."""

    async def there(self) -> dict[int, str]: ...
    async def lost(self, network: str) -> bool: ...
    async def make(self, number: int) -> None: ...
    async def move(self, former: Collection[str], network: str) -> list[str]: ...
    async def remove(self, number: int) -> None: ...


class WayOut:
    def __init__(self, ways: Ways, clock: Clock, lease: Lease) -> None:
        self._ways, self._clock, self._lease = ways, clock, lease

    async def run(self) -> None:
        """For ever, whatever fails."""
        often_until = self._clock.monotonic() + _FIRST

        async def attempt() -> float:
            whole = not self._lease.held or await self._look()
            often = not whole or self._clock.monotonic() < often_until
            return _OFTEN if often else _SELDOM

        def said(why: str) -> None:
            logger().warning("the way out of workloads can't be looked at", why=why)

        await insist(asyncio.Event(), attempt, said, longest=_LONGEST)

    async def _look(self) -> bool:
        """Whether there is one and no other. What was begun is gone on with first: services that
        are not moved yet, networks that are not removed."""
        there = await self._ways.there()
        if not there:
            return True  # the installation makes the first one
        await self._leave(there)
        newest = max(there)
        if await self._ways.lost(there[newest]):
            logger().warning("the engine has lost the way out of workloads: another one is made")
            await self._ways.make(newest + 1)
            await self._leave(await self._ways.there())
        return len(await self._ways.there()) == 1

    async def _leave(self, there: Mapping[int, str]) -> None:
        """All but the newest."""
        newest = max(there)
        former = {number: id_ for number, id_ in there.items() if number < newest}
        if not former:
            return
        if moved := await self._ways.move(list(former.values()), there[newest]):
            logger().warning("they have another way out now", services=len(moved))
        for number in former:
            await self._ways.remove(number)
