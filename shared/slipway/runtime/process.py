"""A service's life: run until SIGTERM or SIGINT, then stop taking work, and drain."""

import asyncio
import signal
from collections.abc import Awaitable, Callable

import uvloop

from slipway.eventstore.former import FormerFormat
from slipway.runtime.logging import configure, logger
from slipway.runtime.settings import Settings


def serve(service: str, main: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    """Run `main(stopping)`, logging from `SLIPWAY_LOG_LEVEL` up; `stopping` is set by SIGTERM or
    SIGINT, and `main` returns when it has drained. An exception ends the process with its trace:
    Swarm starts it again. An event log that it can't read is said once; then it does nothing until
    it is stopped."""
    configure(service, Settings().log_level)

    async def run() -> None:
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, stopping.set)
        logger().info("started")
        try:
            await main(stopping)
        except* FormerFormat:  # by itself, or out of the group that `until` runs
            logger().error(str(FormerFormat()), hint=FormerFormat.hint)
            await stopping.wait()
        logger().info("stopped")

    uvloop.run(run())


async def until(stopping: asyncio.Event, *work: Awaitable[None]) -> None:
    """Run the endless `work` side by side until `stopping`; one that fails ends all of them."""

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_endless(item)) for item in work]
        await stopping.wait()
        for task in tasks:
            task.cancel()


async def _endless(work: Awaitable[None]) -> None:
    await work
