"""A deployment's build log: line by line to whoever watches, whole into the archive. It takes
bounded memory, and never fails a build: what can't be kept is left out, and that is said."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence

from slipway.contracts.clipping import clipped, shown
from slipway.contracts.logs import LogLine, build_subject
from slipway.eventstore.log_store import LogStore
from slipway.eventstore.objects import Objects
from slipway.kernel.clock import Clock
from slipway.runtime import retry
from slipway.runtime.clock import iso
from slipway.runtime.logging import logger

_EVERY = 0.15
_LONGEST = 4000
"""Bytes of a line, as stored."""
_BATCH = 256 * 1024
"""Bytes of the lines in one message; the server takes 1 MB."""
_WAITING = 4 * 1024**2
"""Bytes that may wait to be written."""
_PATIENCE = 30.0
"""Seconds at the end for what still waits."""


class BuildLog:
    def __init__(
        self, logs: LogStore, archive: Objects, clock: Clock, organization: str, deployment: str,
        largest: int,
    ) -> None:  # fmt: skip
        """`largest`: bytes that are kept of all that a build prints."""
        self._logs, self._archive, self._clock = logs, archive, clock
        self._subject = build_subject(organization, deployment)
        self._deployment = deployment
        self._redact: Callable[[str], str] = shown
        self._waiting: deque[tuple[LogLine, int]] = deque()
        self._size = 0
        """Bytes of what waits."""
        self._all: list[bytes] = []
        self._total = 0
        self._largest, self._full = largest, False
        self._dropped = 0
        """Lines that were left out since the last one that was taken."""
        self._writer: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()
        self._log = logger(deployment=deployment)

    def hide(self, redact: Callable[[str], str]) -> None:
        self._redact = redact

    def redacted(self, text: str) -> str:
        return self._redact(text)

    def say(self, text: str, step: str = "") -> None:
        """What the builder itself has to say: it is never left out."""
        self._say_dropped()
        self._take(self._shown(LogLine(at="", stream="system", step=step, text=text)))

    def add(self, lines: Sequence[LogLine]) -> None:
        """What programs print."""
        for line in lines:
            if not self._full:
                self._add(self._shown(line))

    def _shown(self, line: LogLine) -> LogLine:
        text = clipped(self._redact(line.text), _LONGEST)
        return line.model_copy(update={"text": text, "at": line.at or iso(self._clock.now())})

    def _add(self, line: LogLine) -> None:
        size = len(line.text) + len(line.step)
        if self._total + size > self._largest:
            self._full = True
            kept = f"{self._largest / 2**20:g} MiB"
            self.say(f"of a build's output {kept} are kept (its limit); the rest is left out")
        elif self._size + size > _WAITING:
            self._dropped += 1
        else:
            self._say_dropped()
            self._take(line)

    def _say_dropped(self) -> None:
        if self._dropped:
            count, self._dropped = self._dropped, 0
            self.say(f"{count} lines are left out here: they could not be stored fast enough")

    def _take(self, line: LogLine) -> None:
        row = line.model_dump_json().encode()
        self._all.append(row)
        self._total += len(row)
        self._waiting.append((line, len(row)))
        self._size += len(row)
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_soon())

    async def _write_soon(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_EVERY):
                await self._closing.wait()
        while self._waiting:
            await self._write(*self._batch())

    async def _write(self, batch: Sequence[LogLine], size: int) -> None:
        await retry.CONNECT.run(lambda: self._logs.write(self._subject, batch), said=self._said)
        for _ in batch:
            self._waiting.popleft()
        self._size -= size

    def _batch(self) -> tuple[list[LogLine], int]:
        """The lines that go into the next message: one at least."""
        batch: list[LogLine] = []
        total = 0
        for line, size in self._waiting:
            if batch and total + size > _BATCH:
                break
            batch.append(line)
            total += size
        return batch, total

    def _said(self, attempt: int, error: BaseException) -> None:
        if attempt == 1:
            self._log.warning("the build log can't be stored now", error=repr(error)[:300])

    async def close(self) -> None:
        """Everything is stored when this returns, before the outcome is appended; only what can't
        be for half a minute is left out."""
        self._say_dropped()
        self._closing.set()
        try:
            async with asyncio.timeout(_PATIENCE):
                if self._writer is not None:
                    await self._writer
                await retry.CONNECT.run(
                    lambda: self._archive.put(self._deployment, b"\n".join(self._all)),
                    said=self._said,
                )
        except TimeoutError:
            self._log.warning("the build log is not stored whole")
