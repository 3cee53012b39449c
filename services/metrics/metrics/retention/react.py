"""At each interval: what the streams that forget hold, and how much has gone from each.

One message for a stream, JSON on `met._.<stream>`:

    {"at": "2026-01-02T03:04:05.678Z",     UTC
     "messages": 5000, "bytes": 7340032,   that are there
     "gone": 120}                          messages since the stream was made; where a newer one
                                           replaces one, those that were replaced are among them
"""

from collections.abc import Mapping
from typing import Protocol

import orjson
from slipway.contracts.streams import REPLACING
from slipway.eventstore.stream import Extent, Silent
from slipway.kernel.clock import Clock
from slipway.runtime.clock import iso
from slipway.runtime.logging import logger


class Extents(Protocol):
    async def extent(self) -> Extent: ...


class Samples(Protocol):
    async def publish(self, subject: str, data: bytes) -> None: ...


class Retention:
    def __init__(
        self, streams: Mapping[str, Extents], samples: Samples, clock: Clock, seconds: float
    ) -> None:
        self._streams, self._samples = streams, samples
        self._clock, self._seconds = clock, seconds
        self._gone: dict[str, int] = {}
        self._log = logger()

    async def run(self) -> None:
        while True:
            try:
                await self.once()
            except Silent:
                pass  # of which the connection itself tells
            except Exception:
                self._log.exception("looking at the streams failed")
            await self._clock.sleep(self._seconds)

    async def once(self) -> None:
        """Raises Silent."""
        for name, stream in self._streams.items():
            extent = await stream.extent()
            row = {"at": iso(self._clock.now()), **extent._asdict()}
            if name not in REPLACING:
                self._tell(name, extent.gone)
            await self._samples.publish(f"met._.{name}", orjson.dumps(row))

    def _tell(self, name: str, gone: int) -> None:
        went = gone - self._gone.get(name, gone)
        if went > 0:
            self._log.info("a stream forgot", stream=name, messages=went)
        self._gone[name] = gone
