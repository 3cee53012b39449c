"""What actors have in common: they wait to be woken, and some go on until it is done."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from slipway.runtime.trouble import Trouble

_TRY = "try"


async def woken(wake: asyncio.Event, seconds: float) -> None:
    """Until somebody wakes it, at most so long."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await wake.wait()


async def insist(
    wake: asyncio.Event,
    attempt: Callable[[], Awaitable[float | None]],
    said: Callable[[str], None],
    *,
    longest: float,
) -> None:
    """What has nothing to fail: tried until `attempt` gives None, whatever it raises. Else it gives
    the seconds until the next try, if nothing wakes it before. `said` is told rarely why it does
    not go well; `longest`: seconds, the cap of a wait after an error."""
    trouble = Trouble(longest)
    while True:
        wake.clear()
        try:
            wait = await attempt()
            trouble.forget()
        except Exception as error:
            trouble.met(_TRY)
            if trouble.worth_saying(_TRY):
                said(repr(error)[:300])
            wait = trouble.wait(_TRY)
        if wait is None:
            return
        await woken(wake, wait)
