"""Room on the engine's disk: new work is refused where there is little, and a build is ended that
takes more than its organization may."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from slipway.contracts.values import Failure
from slipway.kernel.clock import Clock

from builder.build import failures
from builder.build.failures import BuildError
from builder.build.log import BuildLog
from builder.build.watched import UNTOLD

_PATIENCE = 20.0
"""Seconds in which room may be made, by what is removed meanwhile."""
_LOOK = 2.0
_EVERY, _GROWN = 1.0, 64
"""Seconds between looks at the disk; what a build takes is counted once so small a part of its
limit is gone from it,"""
_SELDOM = 60.0
"""and at least so often: somebody else may have freed as much."""
_PRUNING = 60.0
"""Seconds for removing what earlier builds left."""


@dataclass(frozen=True, slots=True)
class Room:
    """Of the disk with that name; bytes."""

    disk: str
    free: int
    size: int

    @property
    def percent(self) -> float:
        return 100 * self.free / max(1, self.size)


@dataclass(frozen=True, slots=True)
class Wanted:
    """So much is to be free, or so many bytes, whatever part of the disk they are."""

    percent: float
    enough: int

    def of(self, room: Room) -> bool:
        return room.percent >= self.percent or room.free >= self.enough


class State(Protocol):
    """A BuildKit's: what its builds and its cache take of the disk; see `job.BuildKit`."""

    @property
    def container(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def disk(self) -> int: ...


class Disk(Protocol):
    """Both raise EngineAway and EngineRefused, and OSError."""

    async def room(self) -> Room: ...
    async def taken(self, container: str, folder: str) -> int | None:
        """Bytes of what is in a folder there; None where that can't be told."""
        ...


async def needed(disk: Disk, wanted: Wanted, clock: Clock, log: BuildLog) -> None:
    """There is so much room, or is soon. Raises BuildError."""
    end = clock.monotonic() + _PATIENCE
    said = False
    while not wanted.of(room := await disk.room()):
        low = room.disk, room.percent, wanted.percent, wanted.enough
        if clock.monotonic() >= end:
            raise BuildError(failures.disk_low(*low))
        if not said:
            log.say(f"waiting for room: {failures.little_free(*low)}")
            said = True
        await clock.sleep(_LOOK)


async def overflowing(
    disk: Disk, of: State, prune: Callable[[], Awaitable[object]], clock: Clock
) -> Failure:
    """Returns once it takes more than it may. To count it is dear, to ask what is free is not.
    `prune` removes what nothing uses: what earlier builds left is no fault of this one."""
    began: int | None = None
    counted, counted_at, first = 0, -_SELDOM, True
    while True:
        with contextlib.suppress(*UNTOLD):
            free = (await disk.room()).free
            began = free if began is None else began
            late = clock.monotonic() - counted_at >= _SELDOM
            if late or counted - free > of.disk // _GROWN:
                taken = await disk.taken(of.container, of.state)
                counted, counted_at = free, clock.monotonic()
                if taken is not None and taken > of.disk:
                    if not first:
                        return failures.disk_limit(taken, of.disk)
                    if failure := await _left(disk, of, prune):
                        return failure
                if taken is None and began - free > of.disk:
                    return failures.disk_limit_estimated(began - free, of.disk)
                first = first and taken is None
        await clock.sleep(_EVERY)


async def _left(disk: Disk, of: State, prune: Callable[[], Awaitable[object]]) -> Failure | None:
    """Why, where it's too much without what can be removed."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_PRUNING):
            await prune()
    taken = await disk.taken(of.container, of.state)
    if taken is None or taken <= of.disk:
        return None
    return failures.disk_limit_left(taken, of.disk, of.container)
