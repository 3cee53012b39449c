"""Time as a dependency, so that tests and the simulator can own it."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """The present as an aware datetime in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment; never set, and running while the process is stopped."""
        ...

    async def sleep(self, seconds: float) -> None: ...
