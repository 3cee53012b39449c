"""Answers that go on: a sign of life while nothing comes, and an end after ten minutes, from which
clients resume with `Last-Event-ID`."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_HEARTBEAT = 15.0
_LONGEST = 600.0


async def beating(chunks: AsyncGenerator[bytes], beat: bytes | None = None) -> AsyncIterator[bytes]:
    """The chunks, and `beat` in between. An error of theirs is the error of the answer."""
    queue: asyncio.Queue[bytes | None] = asyncio.Queue(1000)

    async def fill() -> None:
        try:
            async with aclosing(chunks):
                async for chunk in chunks:
                    await queue.put(chunk)
        except Exception:
            await queue.put(None)
            raise
        await queue.put(None)

    filling = asyncio.create_task(fill())
    loop = asyncio.get_running_loop()
    end = loop.time() + _LONGEST
    try:
        while (left := end - loop.time()) > 0:
            try:
                async with asyncio.timeout(min(_HEARTBEAT, left)):
                    chunk = await queue.get()
            except TimeoutError:
                if beat is not None:
                    yield beat
                continue
            if chunk is None:
                await filling
                return
            yield chunk
    finally:
        filling.cancel()
