"""Time as a dependency, so that tests and the simulator can own it."""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """The present as an aware datetime in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment; never set, and running while the process is stopped."""
        ...

    async def sleep(self, seconds: float) -> None: ...


@lru_cache(maxsize=64)
def iso(moment: datetime) -> str:
    """ISO 8601 in UTC with milliseconds, the form of every time in events and answers."""
    there = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return there.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
