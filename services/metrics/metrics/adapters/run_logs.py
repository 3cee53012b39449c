"""The stream LOGS, as far as metrics writes it: `log.*.run.*`."""

from collections.abc import AsyncIterator, Sequence

import orjson
from slipway.contracts.logs import LogLine
from slipway.eventstore.stream import Stream

_MINE = "log.*.run.*"


class RunLogs:
    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    async def append(self, subject: str, lines: Sequence[LogLine], id_: str) -> int:
        """The sequence under which the batch is stored; the same `id_` again within two minutes
        stores nothing and gives the first one's. Raises when there was no answer."""
        data = orjson.dumps([line.model_dump() for line in lines])
        return (await self._stream.publish(subject, data, message_id=id_)).sequence

    async def find(self, subject: str, lines: Sequence[LogLine], after: int) -> int | None:
        """The sequence of exactly this batch above `after`."""
        async for message in self._stream.read(after, None, subject):
            if tuple(lines) == _lines(message.data):
                return message.sequence
        return None

    async def batches(self, after: int) -> AsyncIterator[tuple[int, tuple[LogLine, ...]]]:
        async for message in self._stream.read(after, None, _MINE):
            yield message.sequence, _lines(message.data)


def _lines(data: bytes) -> tuple[LogLine, ...]:
    return tuple(LogLine.from_stored(line) for line in orjson.loads(data))
