"""What stands beside the events, each a stream: logs, objects, keys, leases."""

import asyncio
import contextlib
import gzip
import json
import time
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

import orjson

from slipway.contracts.logs import LogLine
from slipway.eventstore.stream import Silent, Stream, WrongLastSequence
from slipway.kernel.clock import Clock
from slipway.runtime.logging import logger

_CHUNK = 400_000


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
            lines = tuple(LogLine.model_validate(line) for line in orjson.loads(message.data))
            yield message.sequence, lines


class StreamObjects:
    """Objects in chunks: `obj.<bucket>.<name>.<number>`, and last of all the number of chunks at
    `obj.<bucket>.<name>.end`, without which there is no object."""

    def __init__(self, stream: Stream, bucket: str) -> None:
        self._stream, self._bucket = stream, bucket

    async def put(self, name: str, data: bytes) -> None:
        packed = gzip.compress(data, 6)
        chunks = [packed[at : at + _CHUNK] for at in range(0, len(packed), _CHUNK)]
        subject = f"obj.{self._bucket}.{name}"
        for number, chunk in enumerate(chunks):
            await self._stream.publish(f"{subject}.{number}", chunk)
        await self._stream.publish(f"{subject}.end", json.dumps(len(chunks)).encode())

    async def get(self, name: str) -> bytes | None:
        subject = f"obj.{self._bucket}.{name}"
        end = await self._stream.last(f"{subject}.end")
        if end is None:
            return None
        chunks = [await self._stream.last(f"{subject}.{n}") for n in range(json.loads(end.data))]
        return gzip.decompress(b"".join(chunk.data for chunk in chunks if chunk))


class StreamKeys:
    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    async def put(self, name: str, wrapped: bytes) -> None:
        try:
            await self._stream.publish(f"key.{name}", wrapped, expected=0)
        except WrongLastSequence:
            if await self.get(name) != wrapped:
                raise ValueError(f"another key of {name} is there") from None

    async def get(self, name: str) -> bytes | None:
        message = await self._stream.last(f"key.{name}")
        return message.data if message else None


class StreamLease:
    """`lease.<name>` holds {holder, until}; taken by whoever replaces an expired one under the
    expected sequence, so two can't take it. Renewed each third of its time."""

    def __init__(
        self, stream: Stream, name: str, holder: str, clock: Clock, ttl: float = 10.0
    ) -> None:
        self._stream, self._subject, self._holder = stream, f"lease.{name}", holder
        self._clock, self._ttl = clock, ttl
        self._sequence = 0
        self._good_until = 0.0
        self._renewing: asyncio.Task[None] | None = None

    @property
    def held(self) -> bool:
        return time.monotonic() < self._good_until

    async def acquire(self) -> None:
        said = False
        while not await self._take():  # another's lease is no error: it is waited for
            if not said:
                logger(lease=self._subject).info("waiting: another holds the lease")
                said = True
            await self._clock.sleep(0.5)
        self._renewing = asyncio.create_task(self._renew())

    async def _take(self) -> bool:
        """One try. A lease that I held before (the same sequence) is renewed."""
        began = time.monotonic()
        now = self._clock.now()
        try:
            there = await self._stream.last(self._subject)
            if there is not None and there.sequence != self._sequence:
                value = json.loads(there.data)
                if value["holder"] != self._holder and value["until"] > now.timestamp():
                    return False
            until = (now + timedelta(seconds=self._ttl)).timestamp()
            stored = await self._stream.publish(
                self._subject,
                json.dumps({"holder": self._holder, "until": until}).encode(),
                expected=there.sequence if there else 0,
            )
        except (WrongLastSequence, Silent):
            return False
        self._sequence = stored.sequence
        # A second less than what stands there: the others may see it as over a little early.
        self._good_until = began + self._ttl - 1.0
        return True

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self._ttl / 3)
            if not await self._take() and not self.held:
                logger(lease=self._subject).warning("lease lost")

    async def release(self) -> None:
        if self._renewing is not None:
            self._renewing.cancel()
        if self.held:
            over = json.dumps({"holder": self._holder, "until": 0}).encode()
            with contextlib.suppress(WrongLastSequence, Silent):
                await self._stream.publish(self._subject, over, expected=self._sequence)
        self._good_until = 0.0
