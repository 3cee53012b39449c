"""Log lines: history, then live; as server-sent events or NDJSON."""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import orjson
from fastapi import Request
from fastapi.responses import Response, StreamingResponse
from slipway.contracts.logs import LogLine, build_subject, run_subject
from slipway.kernel.errors import Invalid

from api_gateway.gateway import Gateway
from api_gateway.http.answers import Id, owned
from api_gateway.http.context import Ctx, Gate
from api_gateway.http.routing import router as feature
from api_gateway.http.streaming import HEADERS, beating

router = feature("logs")

type Lines = AsyncIterator[tuple[str, LogLine]]
_POSITION = re.compile(r"([0-9]{1,18})(?:\.([0-9]{1,9}))?")
_BEGINNING = (0, -1)
_LINES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Lines, as server-sent events where `Accept` asks for them, else NDJSON",
        "content": {
            "application/x-ndjson": {"schema": LogLine.model_json_schema()},
            "text/event-stream": {"schema": {"type": "string"}},
        },
    }
}


def position(last: str | None) -> tuple[int, int]:
    """`<batch>.<line>` of the last line that was seen. Raises Invalid."""
    if not last:
        return _BEGINNING
    match = _POSITION.fullmatch(last)
    if match is None:
        raise Invalid("not the id of a line of this log", pointer="Last-Event-ID")
    return int(match[1]), int(match[2] or 0)


async def _batches(gateway: Gateway, subject: str, last: tuple[int, int], follow: bool) -> Lines:
    async for sequence, lines in gateway.logs.read(subject, max(0, last[0] - 1), follow):
        for index, item in enumerate(lines):
            if (sequence, index) > last:
                yield f"{sequence}.{index}", item


async def _of_deployment(
    gateway: Gateway, organization: str, id_: str, last: tuple[int, int], follow: bool
) -> Lines:
    """Ends by itself when the deployment has ended and every line is out. Lines that are no
    longer in the stream come from the archive, numbered from 0.0 on."""
    subject = build_subject(organization, id_)
    archived = last[0] == 0
    while True:
        document = await gateway.documents.get("deployment", id_)
        ended = document is None or document["state"]["phase"] != "open"
        async for at, line in _batches(gateway, subject, last, follow=False):
            archived = False
            last = position(at)
            yield at, line
        if ended or not follow:
            break
        await asyncio.sleep(0.2)
    if archived:
        rows = (await gateway.build_logs.get(id_) or b"").splitlines()
        for index, row in enumerate(rows):
            if index > last[1]:
                yield f"0.{index}", LogLine.from_stored(orjson.loads(row))


def _respond(request: Request, lines: Lines) -> Response:
    events = "text/event-stream" in request.headers.get("accept", "")

    def encode(at: str, line: LogLine) -> bytes:
        data = orjson.dumps(line.model_dump())
        return b"id: %s\ndata: %s\n\n" % (at.encode(), data) if events else data + b"\n"

    async def encoded() -> AsyncGenerator[bytes]:
        async for at, line in lines:
            yield encode(at, line)
        if events:
            yield b"event: end\ndata: {}\n\n"

    kind = "text/event-stream" if events else "application/x-ndjson"
    body = beating(encoded(), b": still here\n\n" if events else None)
    return StreamingResponse(body, media_type=kind, headers=HEADERS)


@router.get("/v1/deployments/{id}/logs", responses=_LINES)
async def get_deployment_logs(
    id_: Id, request: Request, gateway: Gate, ctx: Ctx, follow: bool = True
) -> Response:
    """What was said so far, and what comes until the deployment ends. `Last-Event-ID` resumes."""
    await owned(gateway.documents, ctx, "deployment", id_, "deployment")
    last = position(request.headers.get("last-event-id"))
    return _respond(request, _of_deployment(gateway, ctx.organization, id_, last, follow))


@router.get("/v1/services/{id}/logs", responses=_LINES)
async def get_service_logs(
    id_: Id, request: Request, gateway: Gate, ctx: Ctx, follow: bool = True
) -> Response:
    """What the running containers say. `Last-Event-ID` resumes."""
    await owned(gateway.documents, ctx, "service", id_, "service")
    last = position(request.headers.get("last-event-id"))
    subject = run_subject(ctx.organization, id_)
    return _respond(request, _batches(gateway, subject, last, follow))
