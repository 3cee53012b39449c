"""So many builds at once, fair across organizations: one that asks for fifty does not keep another,
which asks for one, waiting behind all of them; and none ever has the last slot of several, however
long its builds take."""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class FairSlots:
    def __init__(self, number: int) -> None:
        self._free = number
        self._most = max(1, number - 1)
        """Of one organization, whatever is said of it."""
        self._allowed: dict[str, int] = {}
        """Of those that may have less."""
        self._held: Counter[str] = Counter()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        """In the order of their turns: an organization that got one goes to the end."""

    @asynccontextmanager
    async def taken(self, organization: str, most: int | None = None) -> AsyncIterator[None]:
        """Waits for a slot, and has it until the context is left. `most`: that the organization has
        at once from now on."""
        self._allowed[organization] = self._most if most is None else min(self._most, most)
        await self._take(organization)
        try:
            yield
        finally:
            self._give_back(organization)

    async def _take(self, organization: str) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(organization, deque()).append(turn)
        self._hand_out()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._give_back(organization)  # it was given to one that goes away
            raise

    def _give_back(self, organization: str) -> None:
        self._free += 1
        self._held[organization] -= 1
        if not self._held[organization]:
            del self._held[organization]
            if organization not in self._waiting:
                del self._allowed[organization]
        self._hand_out()

    def _hand_out(self) -> None:
        while self._free and (organization := self._next()) is not None:
            queue = self._waiting.pop(organization)
            turn = queue.popleft()
            if queue:
                self._waiting[organization] = queue
            if not turn.done():
                self._free -= 1
                self._held[organization] += 1
                turn.set_result(None)

    def _next(self) -> str | None:
        allowed, held = self._allowed, self._held
        return next((each for each in self._waiting if held[each] < allowed[each]), None)
