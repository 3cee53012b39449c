"""Log lines, in batches: a message of the stream LOGS each."""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

import orjson

from slipway.contracts.logs import LogLine
from slipway.eventstore.stream import Stream


class LogStore(Protocol):
    async def write(self, subject: str, lines: Sequence[LogLine]) -> None:
        """Store one batch of lines, durably, in one message."""
        ...

    def read(
        self, subject: str, after: int = 0, follow: bool = False
    ) -> AsyncIterator[tuple[int, tuple[LogLine, ...]]]:
        """(sequence, lines) of each batch above `after`; with `follow` goes on until cancelled."""
        ...


class StreamLogs:
    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    async def write(self, subject: str, lines: Sequence[LogLine]) -> None:
        data = orjson.dumps([line.model_dump() for line in lines])
        await self._stream.publish(subject, data)

    async def read(
        self, subject: str, after: int = 0, follow: bool = False
    ) -> AsyncIterator[tuple[int, tuple[LogLine, ...]]]:
        messages = (
            self._stream.follow(after, subject)
            if follow
            else self._stream.read(after, None, subject)
        )
        async for message in messages:
            lines = tuple(LogLine.from_stored(line) for line in orjson.loads(message.data))
            yield message.sequence, lines
