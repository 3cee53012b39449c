"""Whoever pushes passes; the registry's garbage is collected while nobody does."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

_TRIES, _HELD = 3, 3.0
"""So often all are held back for a moment in which nobody is inside; and so many times as long as
for one of these somebody is held back in all."""


class Busy(Exception):
    """Somebody is inside, and does not leave soon."""


class Gate:
    """Closed until it is opened for the first time."""

    def __init__(self) -> None:
        self._is_open = False
        self._changed = asyncio.Event()
        self._inside: Counter[str] = Counter()
        """How many of each organization are inside."""
        self._held: set[str] = set()
        """Organizations that kept it from closing: no more of theirs get in before it has."""

    def open(self) -> None:
        self._is_open = True
        self._change()

    @asynccontextmanager
    async def passed(self, organization: str) -> AsyncIterator[None]:
        """Waits until it is open."""
        await self._until(lambda: self._is_open and organization not in self._held)
        self._inside[organization] += 1
        try:
            yield
        finally:
            self._inside -= Counter([organization])
            self._change()

    @asynccontextmanager
    async def closed(self, patience: float) -> AsyncIterator[None]:
        """Nobody is inside. Raises Busy where somebody is now. With `patience` all wait so many
        seconds for it; then those alone whose own are still inside, for as long as these are,
        before it is tried again; nobody waits longer for it than three times as many."""
        try:
            await self._emptied(patience)
            yield
        finally:
            self._held.clear()
            self.open()

    async def _emptied(self, patience: float) -> None:
        end = _now() + _HELD * patience
        for left in reversed(range(_TRIES if patience else 1)):
            self._is_open = False
            await self._soon(lambda: not self._inside, min(end, _now() + patience))
            if not self._inside:
                return
            if not left:
                raise Busy
            self._held |= self._inside.keys()
            self.open()
            await self._soon(lambda: self._held.isdisjoint(self._inside), end)
            if _now() >= end:
                raise Busy

    async def _soon(self, true: Callable[[], bool], end: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout_at(end):
                await self._until(true)

    async def _until(self, true: Callable[[], bool]) -> None:
        while not true():
            await self._changed.wait()

    def _change(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


def _now() -> float:
    return asyncio.get_running_loop().time()
