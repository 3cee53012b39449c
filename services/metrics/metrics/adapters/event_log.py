"""The stream EVENTS as it stands: every message, undecoded, so that hashing it neither depends on
whether this release can read it nor costs its decoding."""

import hashlib
from collections.abc import AsyncIterator

from slipway.eventstore.stream import Stream

from metrics.anchors.chain import Entry

_ALL = "evt.>"


class EventLog:
    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    async def end(self) -> int:
        """The last sequence; 0 when it is empty. Raises Silent."""
        message = await self._stream.last(_ALL)
        return message.sequence if message else 0

    async def follow(self, after: int) -> AsyncIterator[Entry]:
        """Everything above `after`, and then what comes, for ever."""
        async for message in self._stream.follow(after, _ALL):
            digest = hashlib.sha256(message.data).digest()
            yield Entry(message.sequence, message.subject, digest)
