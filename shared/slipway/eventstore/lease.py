"""At most one holder of a name at a time, by a value in the stream LEASES."""

import asyncio
import contextlib
import json
from datetime import timedelta
from typing import Protocol

from slipway.eventstore.stream import Silent, Stream, WrongLastSequence
from slipway.kernel.clock import Clock
from slipway.runtime.logging import logger


class Lease(Protocol):
    """Renewed in a third of its time."""

    async def acquire(self) -> None:
        """Returns once held; renews itself in the background."""
        ...

    @property
    def held(self) -> bool:
        """False as soon as it could have passed to another; check before every effect."""
        ...

    async def release(self) -> None: ...


class StreamLease:
    """`lease.<name>` holds {holder, until}; taken by whoever replaces an expired one under the
    expected sequence, so two can't take it. Renewed each third of its time."""

    def __init__(self, stream: Stream, name: str, holder: str, clock: Clock, ttl: float) -> None:
        self._stream, self._subject, self._holder = stream, f"lease.{name}", holder
        self._clock, self._ttl = clock, ttl
        self._sequence = 0
        self._good_until = 0.0
        self._renewing: asyncio.Task[None] | None = None

    @property
    def held(self) -> bool:
        return self._clock.monotonic() < self._good_until

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
        began = self._clock.monotonic()
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
        """For ever: nobody would begin it again."""
        log = logger(lease=self._subject)
        while True:
            await self._clock.sleep(self._ttl / 3)
            try:
                taken = await self._take()
            except Exception:
                log.exception("the lease could not be renewed; trying again")
                taken = False
            if not taken and not self.held:
                log.warning("lease lost")

    async def release(self) -> None:
        if self._renewing is not None:
            self._renewing.cancel()
        if self.held:
            over = json.dumps({"holder": self._holder, "until": 0}).encode()
            with contextlib.suppress(WrongLastSequence, Silent):
                await self._stream.publish(self._subject, over, expected=self._sequence)
        self._good_until = 0.0
