"""Follows the whole log and anchors it outside of NATS.

At a start the chain is computed from the log's beginning and held against every anchor on file,
so a log that was shortened or changed anywhere below the last one is found. Then, and when it is
found shorter later, an error is logged, one `alert.raised` is appended, and no further anchor is
written: the file goes on saying what the log was. The next start looks again.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Protocol

from slipway.contracts.alert import AlertRaised
from slipway.contracts.event import Event
from slipway.eventstore.store import Commit, EventStore
from slipway.eventstore.stream import Silent
from slipway.kernel.clock import Clock
from slipway.kernel.envelope import INSTALLATION, Subject
from slipway.kernel.ids import derived
from slipway.runtime import retry
from slipway.runtime.append import Appender
from slipway.runtime.clock import iso
from slipway.runtime.logging import logger

from metrics.anchors.chain import Anchor, Chain, Damage, Entry, parse, shortened


class Log(Protocol):
    async def end(self) -> int: ...
    def follow(self, after: int) -> AsyncIterator[Entry]: ...


class Lines(Protocol):
    def lines(self) -> Iterator[bytes]: ...
    def last(self) -> bytes | None: ...
    def append(self, line: bytes) -> None: ...


class Anchors:
    def __init__(
        self,
        log: Log,
        file: Lines,
        store: EventStore,
        clock: Clock,
        commits: int,
        seconds: float,
    ) -> None:
        """An anchor every so many commits, or every so many seconds if something came."""
        self._events, self._file, self._clock = log, file, clock
        self._appender = Appender(store, clock, "metrics")
        self._commits, self._seconds = commits, seconds
        self._chain = Chain()
        self._last: Anchor | None = None
        self._log = logger()

    async def run(self) -> None:
        """Until cancelled; then what was followed is anchored."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._regularly())
                await self._follow()
        except ExceptionGroup as errors:
            damage, others = errors.split(Damage)
            if damage is None or others is not None:
                raise
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise asyncio.CancelledError from errors  # a group with errors drops a cancel
            await self._tell(str(damage.exceptions[0]))
        except asyncio.CancelledError:
            self._anchor()
            raise

    async def _follow(self) -> None:
        anchors = map(parse, self._file.lines())
        last = self._file.last()
        self._last = parse(last) if last is not None else None
        await self._check_end()
        expected = next(anchors, None)
        if expected is None:
            self._log.info("no anchors yet: the log is anchored from its beginning")
        async for entry in self._events.follow(0):
            self._chain.add(entry)
            if expected is not None:
                if entry.sequence >= expected.sequence:
                    self._chain.check(expected)
                    expected = next(anchors, None)
                    if expected is None:
                        self._log.info("the log is as it was anchored", sequence=entry.sequence)
            elif entry.sequence - self._anchored >= self._commits:
                self._anchor()

    @property
    def _anchored(self) -> int:
        return self._last.sequence if self._last else 0

    async def _regularly(self) -> None:
        while True:
            await self._clock.sleep(self._seconds)
            await self._check_end()
            self._anchor()

    async def _check_end(self) -> None:
        """A follower of a log that was replaced by a shorter one would just wait."""
        with contextlib.suppress(Silent):
            reached = max(self._anchored, self._chain.sequence)
            if (end := await self._events.end()) < reached:
                raise shortened(end, reached)

    def _anchor(self) -> None:
        """Waits for the disk, some milliseconds once a minute: nothing may come in between."""
        if self._chain.sequence > self._anchored:
            anchor = Anchor(self._chain.sequence, self._chain.hash, iso(self._clock.now()))
            self._file.append(anchor.line())
            self._last = anchor

    async def _tell(self, text: str) -> None:
        """Once for one anchor, however often it is found; then wait to be ended."""
        self._log.error("THE LOG IS DAMAGED: restore it from a backup", detail=text)
        last = self._last
        about = derived("alert", "log", last.sequence if last else 0, last.hash if last else "")

        def decide(head: Commit | None) -> Sequence[Event]:
            return [] if head else [AlertRaised(what="log-damaged", detail=text)]

        subject = Subject(INSTALLATION, "alert", about)
        await retry.CONNECT.run(
            lambda: self._appender.append(
                subject, "raised", decide, cause=about, correlation=about
            ),
            said=lambda _, error: self._log.warning("no alert yet", error=repr(error)),
        )
        await asyncio.Event().wait()
