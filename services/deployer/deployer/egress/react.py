"""What the operator lets out is told to the guard, which has no user of the log."""

import asyncio
from typing import Protocol

from slipway.contracts.event import readable
from slipway.contracts.organization import EgressSet
from slipway.eventstore.lease import Lease
from slipway.eventstore.store import EventStore
from slipway.kernel.envelope import INSTALLATION, Subject
from slipway.runtime.actor import insist
from slipway.runtime.logging import logger

_EVERY = 60.0
"""Seconds: whoever changed it by hand is set right."""
SUBJECT = Subject(INSTALLATION, "egress", "main")


class GuardService(Protocol):
    async def told(self) -> str:
        """What it was told last. Raises EngineMissing where there is none."""
        ...

    async def tell(self, former: str, allow: str) -> None:
        """Nothing is changed where it was told something else than `former` meanwhile."""
        ...


class Egress:
    def __init__(self, store: EventStore, guard: GuardService, lease: Lease) -> None:
        self._store, self._guard, self._lease = store, guard, lease
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Something else is allowed now."""
        self._wake.set()

    async def run(self) -> None:
        """For ever."""

        def said(why: str) -> None:
            logger().warning("the guard could not be told what is allowed", why=why)

        await insist(self._wake, self._tell, said, longest=_EVERY)

    async def _tell(self) -> float | None:
        """Raises NewerRelease: then the guard keeps what it has."""
        if not self._lease.held:
            return 0.5
        head = await self._store.head(SUBJECT)
        last = readable(head.events[-1] if head else None, EgressSet)
        wanted = " ".join(last.allow) if last else ""
        if (there := await self._guard.told()) != wanted:
            await self._guard.tell(there, wanted)
            logger().info("the guard was told what is allowed", entries=len(wanted.split()))
        return _EVERY
