"""HTTP until it is told to stop: what has begun is answered then, nothing new is taken."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

_DRAINED = 10
"""Seconds that a request has to end."""


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The process hears them, and stops its other work as well."""
        yield


async def serve(app: ASGIApp, port: int, stopping: asyncio.Event) -> None:
    """Returns when it has drained. Raises SystemExit when the port can't be had."""
    server = _Server(
        uvicorn.Config(
            app,
            host="0.0.0.0",  # noqa: S104 - reached over the control network only
            port=port,
            access_log=False,
            log_config=None,
            lifespan="off",
            timeout_graceful_shutdown=_DRAINED,
        )
    )

    async def stop() -> None:
        await stopping.wait()
        server.should_exit = True

    waiting = asyncio.create_task(stop())
    try:
        await server.serve()
    finally:
        waiting.cancel()
