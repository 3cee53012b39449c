"""A build, or a clone, that is watched: it's ended once it takes more than it may."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from slipway.contracts.values import Failure
from slipway.runtime.engine import EngineAway, EngineMissing, EngineRefused

from builder.build.failures import BuildError

UNTOLD = (EngineAway, EngineMissing, EngineRefused, OSError)
"""What a look may end with: it's no reason to end what is looked at."""


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
