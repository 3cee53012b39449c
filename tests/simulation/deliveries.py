"""How messages of the log reach a reaction on a bad day: late, twice, in another order, and once
more after they were acknowledged."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random

from slipway.contracts.streams import DURABLES
from slipway.eventstore.memory import MemoryStore, matches
from slipway.eventstore.store import Commit, Delivery

_AGAIN = 30.0
"""Seconds after which what was not acknowledged comes again."""


@dataclass(frozen=True, slots=True)
class _Settle:
    acknowledged: set[int]
    sequence: int
    chance: Random

    async def ack(self) -> None:
        if self.chance.random() > 0.03:  # the acknowledgement itself may be lost
            self.acknowledged.add(self.sequence)

    async def in_progress(self) -> None:
        pass


class Deliveries:
    """Of one durable, to one life of its service."""

    def __init__(
        self, store: MemoryStore, filters: list[str], acknowledged: set[int], chance: Random
    ) -> None:
        self._store, self._filters, self._chance = store, filters, chance
        self._acknowledged = acknowledged
        self._due: asyncio.Queue[Commit] = asyncio.Queue()

    @classmethod
    @asynccontextmanager
    async def of(
        cls, store: MemoryStore, durable: str, acknowledged: dict[str, set[int]], chance: Random
    ) -> AsyncIterator["Deliveries"]:
        filters = next(each.filters for each in DURABLES if each.name == durable)
        self = cls(store, filters, acknowledged.setdefault(durable, set()), chance)
        following = asyncio.create_task(self._follow())
        try:
            yield self
        finally:
            following.cancel()

    async def deliveries(self) -> AsyncIterator[Delivery]:
        while True:
            commit = await self._due.get()
            yield Delivery(commit, _Settle(self._acknowledged, commit.sequence, self._chance))
            self._later(_AGAIN + self._delay(), commit, again=True)

    async def _follow(self) -> None:
        async for commit in self._store.follow(0):
            wanted = any(matches(pattern, str(commit.subject)) for pattern in self._filters)
            if wanted and commit.sequence not in self._acknowledged:
                self._later(self._delay(), commit)
                if self._chance.random() < 0.05:
                    self._later(self._chance.uniform(0, 60), commit)

    def _delay(self) -> float:
        if self._chance.random() < 0.8:
            return self._chance.uniform(0, 0.02)
        return self._chance.expovariate(0.5)

    def _later(self, seconds: float, commit: Commit, *, again: bool = False) -> None:
        """`again`: unless it was acknowledged by then."""
        asyncio.get_running_loop().call_later(seconds, self._deliver, commit, again)

    def _deliver(self, commit: Commit, again: bool) -> None:
        if not again or commit.sequence not in self._acknowledged:
            self._due.put_nowait(commit)
