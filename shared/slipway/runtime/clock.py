"""The real clock."""

import asyncio
import time
from datetime import UTC, datetime

from slipway.kernel.clock import iso

__all__ = ["SystemClock", "iso"]


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
