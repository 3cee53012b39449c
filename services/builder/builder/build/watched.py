"""A build, or a clone, that is watched: it's ended once it takes more than it may."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from slipway.contracts.values import Failure
from slipway.kernel.clock import Clock
from slipway.runtime.engine import EngineAway, EngineMissing, EngineRefused

from builder.build.failures import BuildError

UNTOLD = (EngineAway, EngineMissing, EngineRefused, OSError)
"""What a look may end with: it's no reason to end what is looked at."""
_EVERY, _LOOKS = 1.0, 2
"""Seconds between looks at the processes, and in so many of them all are taken."""
_MARGIN = 64
"""A part so small of them may be free just now: where some end others begin."""


async def watched[T](work: Coroutine[Any, Any, T], *watches: Coroutine[Any, Any, Failure]) -> T:
    """What the work gives; it's ended, and BuildError raised, once one of the watches returns."""
    task = asyncio.ensure_future(work)
    looks = [asyncio.ensure_future(each) for each in watches]
    try:
        await asyncio.wait({task, *looks}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise BuildError(next(each.result() for each in looks if each.done()))
    finally:
        for each in (task, *looks):
            each.cancel()
        await to_its_end(asyncio.wait({task, *looks}))


async def to_its_end(work: Coroutine[Any, Any, object]) -> None:
    """A cancel that comes meanwhile is raised behind it."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled


def all_taken(processes: int, limit: int) -> bool:
    return processes >= limit - limit // _MARGIN


async def crowded(
    look: Callable[[], Awaitable[int | None]],
    limit: int,
    clock: Clock,
    failure: Callable[[int, int], Failure],
) -> Failure:
    """Returns once all processes are taken that there may be: each that fails to begin another one
    costs the kernel what it costs to begin one, on whose behalf ever, and many do so without end.
    `look`: how many there are, None where that isn't known; `failure`: of those and the limit."""
    met = 0
    while True:
        began = clock.monotonic()
        try:
            taken = await look()
        except UNTOLD:
            taken = None
        if taken is not None:
            met = met + 1 if all_taken(taken, limit) else 0
            if met >= _LOOKS:
                return failure(taken, limit)
        await clock.sleep(max(0.05, began + _EVERY - clock.monotonic()))
