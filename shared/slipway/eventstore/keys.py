"""Wrapped private halves of the organizations' keys, in the stream KEYS."""

from typing import Protocol

from slipway.eventstore.stream import Stream, WrongLastSequence


class Keys(Protocol):
    async def put(self, name: str, wrapped: bytes) -> None:
        """Idempotent; raises ValueError when another value is there."""
        ...

    async def get(self, name: str) -> bytes | None: ...


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
