"""Follows the log of one container until it has ended and every line is stored.

Back pressure holds the memory: nothing is read while a full batch waits for its acknowledgement,
and the engine keeps the rest in its files.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from typing import Protocol

from slipway.contracts.frames import Broken, decoder
from slipway.contracts.logs import LogLine
from slipway.runtime.engine import EngineAway, EngineMissing, EngineRefused
from slipway.runtime.logging import logger

from metrics.adapters.engine import State
from metrics.container import Container
from metrics.logs.batch import Batch
from metrics.logs.position import Position

_FLUSH_SECONDS = 0.2
"""Between two batches of a container that is not in a hurry; one that was silent waits only for
what comes with its line."""
_GATHER_SECONDS = 0.05
_TELL_SECONDS = 1.0
_DRAIN_SECONDS = 5.0
_LONGEST_PAUSE = 10.0
_BREATH = 0.02
"""Between two reads: a busy container is read in fewer and larger ones, at half the cost."""

type Read = Callable[[], Awaitable[bytes]]


class LogSource(Protocol):
    async def state(self, id_: str) -> State | None: ...
    def log(
        self, id_: str, since: str | None, follow: bool
    ) -> AbstractAsyncContextManager[Read]: ...


class LogSink(Protocol):
    def position(self, container: Container) -> Position: ...
    async def store(
        self, container: Container, lines: Sequence[LogLine], position: Position
    ) -> None:
        """Returns once the lines are in the log for good. The same call again, after it was
        cancelled, stores them once."""
        ...


class Reader:
    def __init__(
        self,
        source: LogSource,
        sink: LogSink,
        container: Container,
        most: int,
        finals: asyncio.Semaphore,
    ) -> None:
        """`most` lines in a second; `finals` bounds how many ended containers are read at once."""
        self._source, self._sink, self._container = source, sink, container
        self._finals = finals
        self._batch = Batch(sink.position(container), container.step, most)
        self._sending: tuple[list[LogLine], Position] | None = None
        self._log = logger(container=container.id[:12], service=container.service)

    async def run(self) -> None:
        """Until the container has ended and was read to its end. When cancelled, what was read
        is still stored, if that takes no longer than 5 s."""
        try:
            await self._until_read()
        except asyncio.CancelledError:
            with suppress(TimeoutError):
                async with asyncio.timeout(_DRAIN_SECONDS):
                    self._batch.tell()
                    await self._flush()
            raise

    async def _until_read(self) -> None:
        """A loop of its own, as a reading that breaks off is no failure where it brought lines:
        the pause grows only while none come."""
        pause = 0.1
        while True:
            before = self._batch.position
            try:
                if await self._pass():
                    return
            except EngineMissing:
                await self._flush()
                return
            except EngineRefused as error:
                if not error.fault:
                    self._log.warning("no log to read", error=str(error))
                    await self._flush()
                    return
            except EngineAway:
                pass
            except Broken as error:
                self._log.warning("the log can't be read on", error=str(error))
            await self._flush()
            pause = 0.1 if self._batch.position != before else min(_LONGEST_PAUSE, 2 * pause)
            await asyncio.sleep(pause)

    async def _pass(self) -> bool:
        """One reading of the log from where it was left. True: all of it is stored. The state is
        looked at first: what had ended before its log was read to the end says no more."""
        state = await self._source.state(self._container.id)
        if state is None:
            raise EngineMissing(self._container.id)
        if state.running:
            await self._read(state)
            return False
        async with self._finals:
            await self._read(state)
        after = await self._source.state(self._container.id)
        return after is None or not after.running

    async def _read(self, state: State) -> None:
        batch, lines = self._batch, decoder(state.terminal)
        batch.reopened()
        loop = asyncio.get_running_loop()
        due: float | None = None
        flushed = 0.0
        since = batch.position.since()
        async with self._source.log(self._container.id, since, state.running) as read:
            while True:
                try:
                    async with asyncio.timeout_at(due):
                        data = await read()
                except TimeoutError:
                    data = None
                if data == b"":
                    break
                for line in lines.feed(data) if data else ():
                    batch.add(line)
                    if batch.full:
                        await self._flush()
                        due, flushed = None, loop.time()
                now = loop.time()
                if due is not None and now >= due:
                    batch.tell()
                    await self._flush()
                    due, flushed = None, loop.time()
                elif due is None and len(batch):
                    due = max(now + _GATHER_SECONDS, flushed + _FLUSH_SECONDS)
                elif due is None and batch.dropping:
                    due = now + _TELL_SECONDS
                if data:
                    await asyncio.sleep(_BREATH)
        if not state.running:
            for line in lines.end():
                batch.add(line)
        batch.tell()
        await self._flush()

    async def _flush(self) -> None:
        if self._sending is not None:  # a store that was cancelled
            await self._sink.store(self._container, *self._sending)
        if len(self._batch):
            position = self._batch.position
            self._sending = (self._batch.cut(), position)
            await self._sink.store(self._container, *self._sending)
        self._sending = None
