"""The real clock."""

import asyncio
import time
from datetime import UTC, datetime
from functools import lru_cache


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@lru_cache(maxsize=64)
def iso(moment: datetime) -> str:
    """ISO 8601 in UTC with milliseconds, the form of every time in events and answers."""
    there = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return there.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
