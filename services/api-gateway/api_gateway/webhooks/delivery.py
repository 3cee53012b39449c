"""The body of a delivery. Who has one address sends there what he likes, as often as he likes, and
all share one process: a large body, which is held whole, has to find room."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
from fastapi import Request
from slipway.kernel.errors import TooMany
from starlette.exceptions import HTTPException

from api_gateway.http.limits import LARGEST_BODY
from api_gateway.http.problem import Malformed

MOST_VALUES = 500_000
"""Decoded, a value of two bytes takes sixty: 25 MiB of them would be 600 MiB."""
_WITHIN = 30.0
_room = asyncio.Semaphore(4)
"""For bodies of more than LARGEST_BODY. Nobody waits for it: who waited would hold his body."""


@asynccontextmanager
async def received(incoming: Request) -> AsyncIterator[bytearray]:
    """The whole body, for as long as it is needed. Raises TooMany, and Malformed for one that does
    not come to its end."""
    body, large = bytearray(), False
    try:
        try:
            async with asyncio.timeout(_WITHIN):
                async for part in incoming.stream():
                    body += part
                    if len(body) > LARGEST_BODY and not large:
                        await _take_room()
                        large = True
        except TimeoutError:
            raise Malformed(f"the body did not come within {_WITHIN:g} s") from None
        yield body
    finally:
        if large:
            _room.release()


async def _take_room() -> None:
    if _room.locked():
        raise TooMany(
            f"too many deliveries of more than {LARGEST_BODY} bytes come at once",
            hint="send it again in a minute",
        )
    await _room.acquire()


def decoded(body: bytearray) -> Any:
    """Raises Malformed."""
    if sum(map(body.count, b",[{")) > MOST_VALUES:
        raise HTTPException(413, f"a delivery has at most {MOST_VALUES} values")
    try:
        return orjson.loads(body)
    except ValueError:
        raise Malformed("the body is not valid JSON") from None
