"""A deployment's build log: line by line to whoever watches, whole into the archive."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence

from slipway.contracts.logs import LogLine, build_subject
from slipway.eventstore.log_store import LogStore
from slipway.eventstore.objects import Objects
from slipway.kernel.clock import Clock
from slipway.runtime.clock import iso

from builder.build.redact import redactor

_EVERY = 0.15
_LONGEST = 4000
_KEPT = 50_000


class BuildLog:
    def __init__(
        self, logs: LogStore, archive: Objects, clock: Clock, organization: str, deployment: str
    ) -> None:
        self._logs, self._archive, self._clock = logs, archive, clock
        self._subject = build_subject(organization, deployment)
        self._deployment = deployment
        self._redact: Callable[[str], str] = lambda text: text
        self._waiting: list[LogLine] = []
        self._all: list[bytes] = []
        self._writer: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    def hide(self, secrets: Sequence[str]) -> None:
        self._redact = redactor(secrets)

    def redacted(self, text: str) -> str:
        return self._redact(text)

    def say(self, text: str, step: str = "") -> None:
        """What the builder itself has to say."""
        self.add([LogLine(at=iso(self._clock.now()), stream="system", step=step, text=text)])

    def add(self, lines: Sequence[LogLine]) -> None:
        for line in lines:
            text = self._redact(line.text)[:_LONGEST]
            self._waiting.append(line.model_copy(update={"text": text}))
        if self._waiting and self._writer is None:
            self._writer = asyncio.create_task(self._write_soon())

    async def _write_soon(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_EVERY):
                await self._closing.wait()
        try:
            await self._write()
        finally:
            self._writer = None

    async def _write(self) -> None:
        while self._waiting:
            batch = self._waiting[:500]
            await self._logs.write(self._subject, batch)
            del self._waiting[: len(batch)]
            if len(self._all) < _KEPT:
                self._all += [line.model_dump_json().encode() for line in batch]

    async def close(self) -> None:
        """Everything is stored when this returns; before the outcome is appended."""
        self._closing.set()
        if self._writer is not None:
            await self._writer
        await self._write()
        await self._archive.put(self._deployment, b"\n".join(self._all))
