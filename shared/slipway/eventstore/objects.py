"""Large values, a bucket for each use, in the stream OBJECTS."""

import gzip
import json
from typing import Protocol

from slipway.eventstore.stream import Stream

_CHUNK = 400_000


class Objects(Protocol):
    """One bucket of the object store."""

    async def put(self, name: str, data: bytes) -> None: ...
    async def get(self, name: str) -> bytes | None: ...


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
