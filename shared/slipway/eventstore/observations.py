"""What was seen of the services, in the stream OBSERVED, which keeps it as long as it tells
anything."""

from collections.abc import AsyncGenerator
from typing import Protocol

from pydantic import ValidationError

from slipway.contracts.observation import Observation
from slipway.eventstore.stream import Stream
from slipway.runtime.logging import logger

_SUBJECT = "observed"


class Observations(Protocol):
    async def put(self, seen: Observation) -> None:
        """Raises Silent."""
        ...

    def follow(self) -> AsyncGenerator[Observation]:
        """Those that tell something still, oldest first, then what comes, until cancelled."""
        ...


class StreamObservations:
    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    async def put(self, seen: Observation) -> None:
        await self._stream.publish(_SUBJECT, seen.model_dump_json().encode())

    async def follow(self) -> AsyncGenerator[Observation]:
        async for message in self._stream.follow(0, _SUBJECT):
            try:
                yield Observation.model_validate_json(message.data, extra="ignore")
            except ValidationError:  # of a newer release: nothing is known then
                logger().warning("what was seen of services can't be read")
