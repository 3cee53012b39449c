"""The event stream, and the operator's rebuild of the views."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Header, Query
from fastapi.responses import Response, StreamingResponse
from slipway.eventstore.store import Commit
from slipway.kernel.errors import Forbidden, Invalid

from api_gateway.events.cloudevents import cloud_event
from api_gateway.gateway import Gateway
from api_gateway.http.answers import answer
from api_gateway.http.context import Authenticated, Ctx, Gate
from api_gateway.roles import require

router = APIRouter(tags=["events"])
_HEARTBEAT = 15.0
_LONGEST = 600.0


def _start(after: str | None) -> tuple[int, int]:
    if not after:
        return 0, 10**6
    sequence, _, index = after.partition(".")
    if not sequence.isdigit() or (index and not index.isdigit()):
        raise Invalid("has to be a sequence, or an id of this stream", pointer="?after")
    return int(sequence), int(index) if index else 10**6


@router.get("/v1/events")
async def events(
    gateway: Gate,
    ctx: Ctx,
    after: Annotated[str | None, Query(max_length=40)] = None,
    types: Annotated[str | None, Query(max_length=400)] = None,
    last_event_id: Annotated[str | None, Header(max_length=40)] = None,
) -> Response:
    """From behind `after` on; `types` are prefixes, comma separated. A connection ends after ten
    minutes: clients resume with `Last-Event-ID`."""
    require(ctx.role, "read")
    wanted = tuple(item.strip() for item in types.split(",") if item.strip()) if types else ("",)
    start = _start(last_event_id or after)
    return StreamingResponse(
        _stream(gateway, ctx.organization, start, wanted),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _stream(
    gateway: Gateway, organization: str, start: tuple[int, int], wanted: tuple[str, ...]
) -> AsyncIterator[bytes]:
    queue: asyncio.Queue[Commit] = asyncio.Queue(1000)
    first = max(0, start[0] - 1)

    async def follow() -> None:
        async for commit in gateway.store.follow(first, f"evt.{organization}.>"):
            await queue.put(commit)

    following = asyncio.create_task(follow())
    deadline = asyncio.get_running_loop().time() + _LONGEST
    yield b"retry: 1000\n\n"
    try:
        while asyncio.get_running_loop().time() < deadline:
            try:
                async with asyncio.timeout(_HEARTBEAT):
                    commit = await queue.get()
            except TimeoutError:
                yield b": still here\n\n"
                continue
            for index, event in enumerate(commit.events):
                if (commit.sequence, index) <= start:
                    continue
                shown = cloud_event(commit, index, event)
                if shown["type"].startswith(wanted):
                    yield b"id: %s\nevent: %s\ndata: %s\n\n" % (
                        shown["id"].encode(), shown["type"].encode(), orjson.dumps(shown),
                    )  # fmt: skip
    finally:
        following.cancel()


def _progress(gateway: Gateway) -> dict[str, Any]:
    progress = gateway.projector.progress
    return {
        "status": progress.status,
        "folded": progress.folded,
        "of": progress.of,
        "documents": progress.documents,
        "differing": progress.differing,
        "error": progress.error or None,
        "sequence": gateway.projector.sequence,
    }


def _operator(ctx: Any) -> None:
    if not ctx.operator:
        raise Forbidden("only the installation's operator does this")


@router.post("/v1/admin/projections/rebuild", status_code=202)
async def rebuild(gateway: Gate, ctx: Authenticated) -> Response:
    """All views anew from the log, beside the living ones."""
    _operator(ctx)
    gateway.projector.ask_rebuild()
    return answer(ctx, _progress(gateway), 202)


@router.get("/v1/admin/projections")
async def projections(gateway: Gate, ctx: Authenticated) -> Response:
    _operator(ctx)
    return answer(ctx, _progress(gateway))
