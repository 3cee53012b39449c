"""The tasks that Swarm wants to run, as the engine lists them. Swarm has no events of tasks: they
are listed often while something goes on, seldom else, and whenever a container does something."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Protocol

from slipway.kernel.clock import Clock
from slipway.runtime.engine import EngineAway
from slipway.runtime.logging import logger
from slipway.runtime.trouble import Trouble

from proxy_sync.routing.domain import TaskAddress

OPEN, QUIET = 0.1, 2.0
_CLOSELY = 20.0
"""Seconds for which they are listed often after a scale was asked for."""


class TaskLists(Protocol):
    """What the engine is asked for here."""

    async def tasks(self) -> dict[str, list[TaskAddress]]:
        """service → its tasks that Swarm wants to run. One question for all services."""
        ...

    def events(self) -> AsyncIterator[str]:
        """Services whose containers did something, `` for the proxy's own. Raises EngineAway when
        it ends."""
        ...


class Tasks:
    """`changed` is told the service whose tasks are others now, `edge` that something happened
    to the proxy's own container."""

    def __init__(
        self,
        engine: TaskLists,
        clock: Clock,
        changed: Callable[[str], None],
        edge: Callable[[], None],
    ) -> None:
        self._engine, self._clock = engine, clock
        self._changed, self._edge = changed, edge
        self._tasks: dict[str, tuple[TaskAddress, ...]] = {}
        self._closely_until = 0.0
        self._trouble = Trouble(longest=5.0)
        self._poke = asyncio.Event()
        self.open: set[str] = set()
        """Services for which something goes on."""

    def of(self, service: str) -> tuple[TaskAddress, ...]:
        return self._tasks.get(service, ())

    def closely(self) -> None:
        """Tasks will come and go: look often for a while."""
        self._closely_until = asyncio.get_running_loop().time() + _CLOSELY
        self._poke.set()

    async def look(self) -> bool:
        """False while the engine can't be asked: then they stay as they were, for all services."""
        try:
            found = {name: tuple(tasks) for name, tasks in (await self._engine.tasks()).items()}
        except Exception as error:
            self._trouble.met("look")
            if self._trouble.worth_saying("look"):
                why = "the engine is away; routes stay as they are"
                known = isinstance(error, EngineAway)
                logger().warning(why, error=str(error)[:300], exc_info=None if known else error)
            return False
        self._trouble.over("look")
        before, self._tasks = self._tasks, found
        for service in sorted(found.keys() | before.keys()):
            if found.get(service) != before.get(service):
                self._changed(service)
        return True

    async def watch(self) -> None:
        while True:
            now = asyncio.get_running_loop().time()
            try:
                async with asyncio.timeout(
                    OPEN if self.open or now < self._closely_until else QUIET
                ):
                    await self._poke.wait()
                await self._clock.sleep(0.02)  # what comes together is looked at once
            except TimeoutError:
                pass
            self._poke.clear()
            if not await self.look():
                await self._clock.sleep(self._trouble.wait("look"))

    async def follow_events(self) -> None:
        while True:
            try:
                async for service in self._engine.events():
                    if service:
                        self._poke.set()
                    else:
                        self._edge()
            except EngineAway as error:
                logger().info("the engine's events ended; trying again", error=str(error)[:300])
            except Exception:
                logger().exception("the engine's events can't be followed; trying again")
            await self._clock.sleep(1.0)
