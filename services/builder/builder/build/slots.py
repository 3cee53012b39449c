"""So many builds at once, fair across organizations: one that asks for fifty does not keep another,
which asks for one, waiting behind all of them."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class FairSlots:
    def __init__(self, number: int) -> None:
        self._free = number
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        """In the order of their turns: an organization that got one goes to the end."""

    @asynccontextmanager
    async def taken(self, organization: str) -> AsyncIterator[None]:
        """Waits for a slot, and has it until the context is left."""
        await self._take(organization)
        try:
            yield
        finally:
            self._give_back()

    async def _take(self, organization: str) -> None:
        if self._free and not self._waiting:
            self._free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(organization, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._give_back()  # it was given to one that goes away
            raise

    def _give_back(self) -> None:
        while self._waiting:
            organization = next(iter(self._waiting))
            queue = self._waiting.pop(organization)
            turn = queue.popleft()
            if queue:
                self._waiting[organization] = queue
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
