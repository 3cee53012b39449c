"""Large values, a bucket for each use, in the stream OBJECTS."""

import asyncio
import gzip
import json
import zlib
from typing import Protocol

from slipway.eventstore.stream import Stream

_CHUNK = 400_000
_NOTHING = b""
"""What was packed is never so short."""


class Damaged(Exception):
    """An object's parts are not of one piece: it was being written anew."""


class Objects(Protocol):
    """One bucket of the object store."""

    async def put(self, name: str, data: bytes) -> None: ...

    async def get(self, name: str) -> bytes | None:
        """None where there is none, or none any more. Raises Damaged."""
        ...

    async def remove(self, names: str) -> None:
        """All whose names begin with this and a dot."""
        ...


class StreamObjects:
    """Objects in chunks: `obj.<bucket>.<name>.<number>`, and last of all the number of chunks at
    `obj.<bucket>.<name>.end`, without which there is no object. They are packed in a thread: that
    takes a while where they are large."""

    def __init__(self, stream: Stream, bucket: str, seconds: int | None = None) -> None:
        """Each is kept for so many seconds after it was put; None: for ever."""
        self._stream, self._bucket = stream, bucket
        self._headers = {"Nats-TTL": f"{seconds}s"} if seconds is not None else None

    async def put(self, name: str, data: bytes) -> None:
        packed = await asyncio.to_thread(gzip.compress, data, 6)
        chunks = [packed[at : at + _CHUNK] for at in range(0, len(packed), _CHUNK)]
        subject = f"obj.{self._bucket}.{name}"
        for number, chunk in enumerate(chunks):
            await self._stream.publish(f"{subject}.{number}", chunk, headers=self._headers)
        end = json.dumps(len(chunks)).encode()
        await self._stream.publish(f"{subject}.end", end, headers=self._headers)

    async def get(self, name: str) -> bytes | None:
        subject = f"obj.{self._bucket}.{name}"
        end = await self._stream.last(f"{subject}.end")
        if end is None or end.data == _NOTHING:
            return None
        data = b""
        for number in range(json.loads(end.data)):
            chunk = await self._stream.last(f"{subject}.{number}")
            if chunk is None or chunk.data == _NOTHING:  # it goes from its beginning
                return None
            data += chunk.data
        try:
            return await asyncio.to_thread(gzip.decompress, data)
        except (OSError, EOFError, zlib.error) as error:
            raise Damaged(f"{name}: {error}") from error

    async def remove(self, names: str) -> None:
        """Nobody may take a message out of a stream but the server: each is replaced by an empty
        one, which goes by its age."""
        for subject in await self._stream.subjects(f"obj.{self._bucket}.{names}.>"):
            await self._stream.publish(subject, _NOTHING, headers={"Nats-TTL": "1s"})
