"""The event stream."""

import re
from collections.abc import AsyncGenerator
from typing import Annotated

import orjson
from fastapi import Query, Request
from fastapi.responses import Response, StreamingResponse
from slipway.eventstore.store import EventStore
from slipway.kernel.errors import Invalid

from api_gateway.events.cloudevents import cloud_event
from api_gateway.http.context import Ctx, Gate
from api_gateway.http.routing import router as feature
from api_gateway.http.streaming import HEADERS, beating

router = feature("events")
_POSITION = re.compile(r"([0-9]{1,18})(?:\.([0-9]{1,9}))?")
_ALL_OF_IT = 10**9
"""Behind the last event of any commit."""
_END = "end"


def position(after: str | None, place: str = "?after") -> tuple[int, int]:
    """(sequence, index) of the last event that was seen, as it stands in `place`. Raises
    Invalid."""
    if not after:
        return 0, _ALL_OF_IT
    match = _POSITION.fullmatch(after)
    if match is None:
        raise Invalid("has to be a sequence, an id of this stream, or end", pointer=place)
    return int(match[1]), _ALL_OF_IT if match[2] is None else int(match[2])


async def beginning(store: EventStore, after: str | None, last: str | None) -> tuple[int, int]:
    """Behind what was seen last; at the log's end for who asks for what comes. Raises Invalid."""
    if last:
        return position(last, "Last-Event-ID")
    return position(str(await store.last_sequence()) if after == _END else after)


@router.get(
    "/v1/events",
    responses={
        200: {
            "description": "CloudEvents 1.0 as server-sent events",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        }
    },
)
async def stream_events(
    request: Request,
    gateway: Gate,
    ctx: Ctx,
    after: Annotated[str | None, Query(max_length=40)] = None,
    types: Annotated[str | None, Query(max_length=400)] = None,
) -> Response:
    """From behind `after` on, `end` for what comes from now on; `types` are prefixes, comma
    separated. A connection ends after ten minutes: clients resume with `Last-Event-ID`."""
    wanted = tuple(item.strip() for item in (types or "").split(",") if item.strip()) or ("",)
    start = await beginning(gateway.store, after, request.headers.get("last-event-id"))
    found = events(gateway.store, ctx.organization, start, wanted)
    return StreamingResponse(
        beating(found, b": still here\n\n"), media_type="text/event-stream", headers=HEADERS
    )


async def events(
    store: EventStore, organization: str, start: tuple[int, int], wanted: tuple[str, ...]
) -> AsyncGenerator[bytes]:
    whole = start[1] == _ALL_OF_IT  # resumed from there also where nothing has come yet
    yield b"retry: 1000\n" + (b"id: %d\n\n" % start[0] if whole else b"\n")
    async for commit in store.follow(max(0, start[0] - 1), f"evt.{organization}.>"):
        for index, event in enumerate(commit.events):
            if (commit.sequence, index) <= start:
                continue
            shown = cloud_event(commit, index, event)
            if shown["type"].startswith(wanted):
                yield b"id: %s\nevent: %s\ndata: %s\n\n" % (
                    shown["id"].encode(), shown["type"].encode(), orjson.dumps(shown),
                )  # fmt: skip
