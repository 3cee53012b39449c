"""Log lines: history, then live; as server-sent events or NDJSON."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

import orjson
from fastapi import APIRouter, Header, Request
from fastapi.responses import Response, StreamingResponse
from slipway.contracts.logs import LogLine, build_subject, run_subject
from slipway.kernel.errors import Invalid

from api_gateway.gateway import Gateway
from api_gateway.http.answers import owned
from api_gateway.http.context import Ctx, Gate
from api_gateway.roles import require

router = APIRouter(tags=["logs"])

type Lines = AsyncIterator[tuple[str, LogLine]]
_LONGEST = 600.0


def _position(last: str | None) -> tuple[int, int]:
    """`<batch>.<line>` of the last line that was seen."""
    if not last:
        return 0, -1
    batch, _, line = last.partition(".")
    if not batch.isdigit() or not (line or "0").isdigit():
        raise Invalid("this id is none of ours", pointer="Last-Event-ID")
    return int(batch), int(line or 0)


async def _batches(gateway: Gateway, subject: str, last: tuple[int, int], follow: bool) -> Lines:
    batch, line = last
    after = max(0, batch - 1)
    async for sequence, lines in gateway.logs.read(subject, after, follow):
        for index, item in enumerate(lines):
            if (sequence, index) > (batch, line):
                yield f"{sequence}.{index}", item


async def _of_deployment(
    gateway: Gateway, organization: str, id_: str, last: tuple[int, int], follow: bool
) -> Lines:
    """Ends by itself when the deployment has ended and every line is out."""
    subject = build_subject(organization, id_)
    seen = False
    while True:
        document = await gateway.documents.get("deployment", id_)
        ended = document is None or document["state"]["phase"] != "open"
        async for position, line in _batches(gateway, subject, last, follow=False):
            seen = True
            last = _position(position)
            yield position, line
        if ended or not follow:
            break
        await asyncio.sleep(0.2)
    if not seen and last == (0, -1):
        archived = await gateway.build_logs.get(id_)
        for index, row in enumerate((archived or b"").splitlines()):
            yield f"0.{index}", LogLine.model_validate_json(row)


def _respond(request: Request, lines: Lines) -> Response:
    events = "text/event-stream" in request.headers.get("accept", "")

    async def body() -> AsyncIterator[bytes]:
        try:
            async with asyncio.timeout(_LONGEST):
                async for position, line in lines:
                    data = orjson.dumps(line.model_dump())
                    yield (
                        b"id: %s\ndata: %s\n\n" % (position.encode(), data)
                        if events
                        else data + b"\n"
                    )
        except TimeoutError:
            if events:
                yield b"retry: 500\n\n"
            return
        if events:
            yield b"event: end\ndata: {}\n\n"

    kind = "text/event-stream" if events else "application/x-ndjson"
    return StreamingResponse(
        body(), media_type=kind, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    )


@router.get("/v1/deployments/{id_}/logs")
async def deployment_logs(
    id_: str,
    request: Request,
    gateway: Gate,
    ctx: Ctx,
    follow: bool = True,
    last_event_id: Annotated[str | None, Header(max_length=60)] = None,
) -> Response:
    require(ctx.role, "read")
    await owned(gateway, ctx, "deployment", id_, "deployment")
    last = _position(last_event_id)
    return _respond(request, _of_deployment(gateway, ctx.organization, id_, last, follow))


@router.get("/v1/applications/{id_}/logs")
async def application_logs(
    id_: str,
    request: Request,
    gateway: Gate,
    ctx: Ctx,
    follow: bool = True,
    last_event_id: Annotated[str | None, Header(max_length=60)] = None,
) -> Response:
    require(ctx.role, "read")
    await owned(gateway, ctx, "application", id_, "application")
    subject = run_subject(ctx.organization, id_)
    return _respond(request, _batches(gateway, subject, _position(last_event_id), follow))
