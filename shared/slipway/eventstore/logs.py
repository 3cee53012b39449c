"""Log lines, leases, keys and objects beside the events: Protocols."""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from slipway.contracts.logs import LogLine


class LogStore(Protocol):
    async def write(self, subject: str, lines: Sequence[LogLine]) -> None:
        """Store one batch of lines, durably, in one message."""
        ...

    def read(
        self, subject: str, after: int = 0, follow: bool = False
    ) -> AsyncIterator[tuple[int, tuple[LogLine, ...]]]:
        """(sequence, lines) of each batch above `after`; with `follow` goes on until cancelled."""
        ...


class Objects(Protocol):
    """One bucket of the object store."""

    async def put(self, name: str, data: bytes) -> None: ...
    async def get(self, name: str) -> bytes | None: ...


class Keys(Protocol):
    """Wrapped private halves of the organizations' keys (KV `keys`)."""

    async def put(self, name: str, wrapped: bytes) -> None:
        """Idempotent; raises ValueError when another value is there."""
        ...

    async def get(self, name: str) -> bytes | None: ...


class Lease(Protocol):
    """At most one holder at a time, by a value in KV `leases` renewed in a third of its time."""

    async def acquire(self) -> None:
        """Returns once held; renews itself in the background."""
        ...

    @property
    def held(self) -> bool:
        """False as soon as it could have passed to another; check before every effect."""
        ...

    async def release(self) -> None: ...
