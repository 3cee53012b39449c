"""The log as it comes, read ahead a little."""

import asyncio
from collections import deque
from typing import Self

from slipway.eventstore.store import Commit, EventStore

BATCH = 500
AHEAD = 4 << 20
"""Bytes of commits that are held, and one commit more; as objects they take some times that."""


class Tail:
    def __init__(self, store: EventStore, after: int) -> None:
        self._store, self._after = store, after
        self._held: deque[Commit] = deque()
        self._size = 0
        self._news, self._room = asyncio.Event(), asyncio.Event()

    async def __aenter__(self) -> Self:
        self._filling = asyncio.create_task(self._fill())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._filling.cancel()

    async def _fill(self) -> None:
        async for commit in self._store.follow(self._after):
            self._held.append(commit)
            self._size += len(commit.data)
            self._news.set()
            if self._size >= AHEAD or len(self._held) >= 4 * BATCH:
                self._room.clear()
                await self._room.wait()

    def wake(self) -> None:
        """What waits for a batch goes on."""
        self._news.set()

    async def batch(self, seconds: float) -> list[Commit]:
        """What has come, at most `BATCH`; nothing when nothing comes in time. Raises Damaged."""
        if self._filling.done():
            self._filling.result()
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return []
        batch = [self._held.popleft() for _ in range(min(BATCH, len(self._held)))]
        self._size -= sum(len(commit.data) for commit in batch)
        self._room.set()
        if not self._held:
            self._news.clear()
        return batch
