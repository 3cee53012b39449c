"""Room on the engine's disk: new work is refused where there is little, and a build is ended that
takes more than its organization may."""

import asyncio
import contextlib
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Protocol

from slipway.kernel.clock import Clock
from slipway.runtime.engine import EngineAway, EngineRefused

from builder.build import failures
from builder.build.failures import BuildError
from builder.build.log import BuildLog

_PATIENCE = 20.0
"""Seconds in which room may be made, by what is removed meanwhile."""
_LOOK = 2.0
_EVERY, _GROWN = 1.0, 64
"""Seconds between looks at the disk; what a build takes is counted once so small a part of its
limit is gone from it,"""
_SELDOM = 60.0
"""and at least so often: somebody else may have freed as much."""


@dataclass(frozen=True, slots=True)
class Room:
    """Of the disk with that name; bytes."""

    disk: str
    free: int
    size: int

    @property
    def percent(self) -> float:
        return 100 * self.free / max(1, self.size)


class Disk(Protocol):
    """Both raise EngineAway and EngineRefused."""

    async def room(self) -> Room: ...
    async def taken(self, container: str, folder: str) -> int | None:
        """Bytes of what is in a folder there; None where that can't be told."""
        ...


async def needed(disk: Disk, percent: float, clock: Clock, log: BuildLog) -> None:
    """So much of the disk is free, or is soon. Raises BuildError."""
    end = clock.monotonic() + _PATIENCE
    said = False
    while (room := await disk.room()).percent < percent:
        if clock.monotonic() >= end:
            raise BuildError(failures.disk_low(room.disk, room.percent, percent))
        if not said:
            log.say(f"waiting for room: {failures.little_free(room.disk, room.percent, percent)}")
            said = True
        await clock.sleep(_LOOK)


async def within[T](
    disk: Disk, container: str, folder: str, limit: int, clock: Clock,
    work: Coroutine[Any, Any, T],
) -> T:  # fmt: skip
    """What the work gives; it's ended, and BuildError raised, once the folder holds more than
    `limit` bytes."""
    task = asyncio.ensure_future(work)
    watcher = asyncio.ensure_future(_passed(disk, container, folder, limit, clock))
    try:
        await asyncio.wait({task, watcher}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise BuildError(failures.disk_limit(watcher.result(), limit))
    finally:
        for each in (task, watcher):
            each.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(asyncio.wait({task, watcher}))


async def _passed(disk: Disk, container: str, folder: str, limit: int, clock: Clock) -> int:
    """Returns once it holds more: how much. To count it is dear, to ask what is free is not."""
    began: int | None = None
    counted, counted_at = 0, -_SELDOM
    while True:
        with contextlib.suppress(EngineAway, EngineRefused):
            free = (await disk.room()).free
            began = free if began is None else began
            late = clock.monotonic() - counted_at >= _SELDOM
            if late or counted - free > limit // _GROWN:
                taken = await disk.taken(container, folder)
                if taken is not None and taken > limit:
                    return taken
                if taken is None and began - free > limit:
                    return began - free
                counted, counted_at = free, clock.monotonic()
        await clock.sleep(_EVERY)
