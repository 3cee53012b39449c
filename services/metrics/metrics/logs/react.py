"""Whenever a container of a service starts, its log is followed. What the engine's events may
have missed, at a start or while it was away, a look at all containers finds."""

import asyncio
import contextlib

from slipway.runtime import retry
from slipway.runtime.engine import EngineAway, EngineRefused
from slipway.runtime.logging import logger

from metrics.adapters.engine import Engine
from metrics.container import Container
from metrics.logs.ledger import Ledger
from metrics.logs.reader import Reader

_FINALS = 8
_HEAR_AGAIN_SECONDS = 0.5


class Logs:
    def __init__(self, engine: Engine, ledger: Ledger, most: int, every: float) -> None:
        """`most` lines of a container in a second; `every` so many seconds all are looked at."""
        self._engine, self._ledger = engine, ledger
        self._most, self._every = most, every
        self._finals = asyncio.Semaphore(_FINALS)
        self._followed: dict[str, Container] = {}
        self._finished: set[str] = set()
        """Containers that have ended and are stored to their end."""
        self._group = asyncio.TaskGroup()
        self._log = logger()

    async def run(self) -> None:
        """Until cancelled; then what was read is stored, and the positions saved."""
        await self._ledger.recover()
        try:
            async with self._group:
                self._group.create_task(self._ledger.save_regularly())
                self._group.create_task(self._look_regularly())
                await self._listen()
        finally:
            self._ledger.save()

    async def _listen(self) -> None:
        while True:  # no retry of what failed: each time it was heard, and that has ended
            await retry.CONNECT.run(self._hear, said=self._failed)
            await asyncio.sleep(_HEAR_AGAIN_SECONDS)

    def _failed(self, attempt: int, error: BaseException) -> None:
        if not isinstance(error, EngineAway | EngineRefused):
            self._log.error("containers can't be followed; trying again", exc_info=error)
        elif attempt == 1:
            self._log.warning("the engine is away", error=str(error))

    async def _hear(self) -> None:
        """Returns when the engine had answered and is away then; raises when it did not answer."""
        heard = False
        try:
            async with contextlib.aclosing(self._engine.started()) as started:
                async for container in started:
                    if container is None:
                        await self._look()
                        heard = True
                        self._log.info("the engine is heard")
                    else:
                        self._finished.discard(container.id)
                        self._follow(container)
        except (EngineAway, EngineRefused):
            if not heard:
                raise

    async def _look_regularly(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            try:
                await self._look()
            except (EngineAway, EngineRefused):
                pass  # told by `_listen`
            except Exception:
                self._log.exception("the containers can't be looked at; trying again")

    async def _look(self) -> None:
        containers = await self._engine.containers(ended=True)
        for container in containers:
            if container.running or container.id not in self._finished:
                self._follow(container)
        self._finished &= {container.id for container in containers}
        steps = {container.step for container in containers}
        self._ledger.keep(steps | {container.step for container in self._followed.values()})

    def _follow(self, container: Container) -> None:
        if container.id not in self._followed:
            self._followed[container.id] = container
            self._group.create_task(self._read(container), name=f"log:{container.id[:12]}")

    async def _read(self, container: Container) -> None:
        """What goes wrong with one container's log must not stop the others'."""

        async def read() -> None:
            await Reader(self._engine, self._ledger, container, self._most, self._finals).run()

        def said(attempt: int, error: BaseException) -> None:
            self._log.error(
                "reading a log failed",
                container=container.id[:12],
                attempt=attempt,
                exc_info=error,
            )

        try:
            # Given up, one that has ended is not looked at again; one that runs is, by `_look`.
            with contextlib.suppress(Exception):
                await retry.REACTION.run(read, said=said)
            self._finished.add(container.id)
        finally:
            del self._followed[container.id]
