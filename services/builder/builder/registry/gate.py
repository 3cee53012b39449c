"""Whoever pushes passes; the registry's garbage is collected while nobody does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Gate:
    """Closed until it is opened for the first time."""

    def __init__(self) -> None:
        self._open, self._empty = asyncio.Event(), asyncio.Event()
        self._empty.set()
        self._inside = 0

    def open(self) -> None:
        self._open.set()

    @asynccontextmanager
    async def passed(self) -> AsyncIterator[None]:
        """Waits until it is open."""
        await self._open.wait()
        self._inside += 1
        self._empty.clear()
        try:
            yield
        finally:
            self._inside -= 1
            if not self._inside:
                self._empty.set()

    @asynccontextmanager
    async def closed(self, patience: float) -> AsyncIterator[None]:
        """Nobody is inside. Raises TimeoutError where somebody is after `patience` seconds; until
        then nobody else gets in."""
        self._open.clear()
        try:
            if self._inside:
                async with asyncio.timeout(patience):
                    await self._empty.wait()
            yield
        finally:
            self._open.set()
