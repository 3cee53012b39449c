"""The log as it comes, read ahead a little."""

import asyncio
from typing import Self

from slipway.eventstore.store import Commit, EventStore

BATCH = 500


class Tail:
    def __init__(self, store: EventStore, after: int) -> None:
        self._store, self._after = store, after
        self._queue: asyncio.Queue[Commit | None] = asyncio.Queue(4 * BATCH)
        """None only wakes."""

    async def __aenter__(self) -> Self:
        self._filling = asyncio.create_task(self._fill())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._filling.cancel()

    async def _fill(self) -> None:
        async for commit in self._store.follow(self._after):
            await self._queue.put(commit)

    def wake(self) -> None:
        """What waits for a batch goes on."""
        if self._queue.empty():
            self._queue.put_nowait(None)

    async def batch(self, seconds: float) -> list[Commit]:
        """What has come, at most `BATCH`; nothing when nothing comes in time. Raises Damaged."""
        if self._filling.done():
            self._filling.result()
        batch: list[Commit | None] = []
        try:
            async with asyncio.timeout(seconds):
                batch.append(await self._queue.get())
        except TimeoutError:
            return []
        while len(batch) < BATCH and not self._queue.empty():
            batch.append(self._queue.get_nowait())
        return [commit for commit in batch if commit is not None]
