"""Whatever was ended in a container leaves no crowd of processes there."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from slipway.kernel.clock import Clock
from slipway.runtime.engine import EngineAway, EngineMissing, EngineRefused
from slipway.runtime.logging import logger

from builder.adapters.containers import Found
from builder.build.watched import all_taken

_PATIENCE = 2.0
"""Seconds in which they end by themselves."""
_LOOK = 0.25
_LOOKS = 2
"""In so many of them all processes are taken, where others work there too."""
_FEW, _PART = 128, 8
"""No crowd: BuildKit and git have some threads of their own."""
_TRIES, _ANSWERS, _AGAIN = 5, 30.0, 1.0
"""Of killing: so often, with so many seconds for the engine, and between."""


class Engine(Protocol):
    """See `adapters.containers`."""

    async def found(self, name: str) -> Found | None: ...
    async def processes(self, name: str) -> int | None: ...
    async def kill(self, container: str) -> None:
        """By its name or id."""
        ...


async def cleared(
    engine: Engine, name: str, limit: int, alone: Callable[[], bool], clock: Clock
) -> None:
    """Whoever ended it there has been told to. The container is killed, which the kernel does at
    once however many they are, where all processes are taken that there may be (nobody else could
    work in it then either, unless it is for a moment); or where a crowd goes on, or the engine is
    too busy to tell, and nobody else works in it."""
    end, met = clock.monotonic() + _PATIENCE, 0
    while True:
        try:
            async with asyncio.timeout(max(0.0, end - clock.monotonic())):
                taken = await engine.processes(name)
        except (EngineAway, EngineMissing):
            return
        except (EngineRefused, TimeoutError):
            pass
        else:
            if taken is None or (taken < max(_FEW, limit // _PART) and not all_taken(taken, limit)):
                return
            met = met + 1 if all_taken(taken, limit) else 0
            if met >= (1 if alone() else _LOOKS):
                break
        if clock.monotonic() >= end:
            if not alone():
                return
            break
        await clock.sleep(_LOOK)
    await _killed(engine, name, clock)


async def _killed(engine: Engine, name: str, clock: Clock) -> None:
    logger().warning("what ran in a container of builds is killed with it", container=name)
    why, meant = "", ""
    for _ in range(_TRIES):
        try:
            async with asyncio.timeout(_ANSWERS):
                there = await engine.found(name)
            if there is None or not there.runs or (meant and there.id != meant):
                return  # the next build has another one of that name
            meant = there.id
            async with asyncio.timeout(_ANSWERS):
                await engine.kill(meant)
                return
        except EngineMissing:
            return
        except (EngineAway, EngineRefused, TimeoutError) as error:
            why = repr(error)[:300]
        await clock.sleep(_AGAIN)
    logger().error("a container of builds can't be killed", container=name, error=why)
