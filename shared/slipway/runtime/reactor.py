"""The reaction loop: deliveries in, serial by key, parallel across keys, settled afterwards."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from slipway.eventstore.store import Commit, Delivery, EventStore
from slipway.runtime.logging import logger

type KeyOf = Callable[[Commit], str | None]
type Handle = Callable[[Commit], Awaitable[None]]
type Dead = Callable[[Commit, Exception], Awaitable[None]]

_HEARTBEAT = 10.0
_ATTEMPTS = 8


class Reactor:
    """Feeds one durable's deliveries to `handle`.

    `key` names the unit of serial work (a service's id); None means not interested, and is
    acknowledged at once. Deliveries of one key are handled one after another in the order they
    came, different keys side by side, at most `parallel` at a time. A delivery is acknowledged
    after `handle` returned, which has appended its outcome by then. An error delays it (1, 2, 4 …
    at most 30 s) and after eight times calls `dead`, which writes the `failed` fact; without
    `dead` it is logged and goes on being tried, so that nothing is lost in silence.
    """

    def __init__(
        self,
        store: EventStore,
        durable: str,
        key: KeyOf,
        handle: Handle,
        *,
        parallel: int = 64,
        dead: Dead | None = None,
    ) -> None:
        self._store = store
        self._durable = durable
        self._key = key
        self._handle = handle
        self._dead = dead
        self._slots = asyncio.Semaphore(parallel)
        self._queues: dict[str, deque[Delivery]] = {}
        self._log = logger(durable=durable)

    async def run(self) -> None:
        """Until cancelled. What is being handled is cancelled with it and comes again later."""
        async with (
            self._store.reaction(self._durable) as reaction,
            asyncio.TaskGroup() as group,
        ):
            async for delivery in reaction.deliveries():
                key = self._key(delivery.commit)
                if key is None:
                    await delivery.done()
                elif key in self._queues:
                    self._queues[key].append(delivery)
                else:
                    self._queues[key] = deque([delivery])
                    group.create_task(self._work(key), name=f"{self._durable}:{key}")

    async def _work(self, key: str) -> None:
        queue = self._queues[key]
        heartbeat = asyncio.create_task(self._keep_alive(queue))
        try:
            while queue:
                async with self._slots:
                    await self._one(queue[0])
                queue.popleft()
        finally:
            heartbeat.cancel()
            del self._queues[key]

    async def _one(self, delivery: Delivery) -> None:
        attempt = 0
        while True:
            try:
                await self._handle(delivery.commit)
                break
            except Exception as error:
                attempt += 1
                self._log.exception(
                    "reaction failed",
                    subject=str(delivery.commit.subject),
                    sequence=delivery.commit.sequence,
                    attempt=attempt,
                )
                if attempt >= _ATTEMPTS and self._dead is not None:
                    await self._dead(delivery.commit, error)
                    break
                await asyncio.sleep(min(30.0, 2.0 ** (attempt - 1)))
        await delivery.done()

    @staticmethod
    async def _keep_alive(queue: deque[Delivery]) -> None:
        """Waiting work is kept alive here: the server must not hand it to anybody else."""
        while True:
            await asyncio.sleep(_HEARTBEAT)
            for delivery in tuple(queue):
                await delivery.working()
