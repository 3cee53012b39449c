"""Answers and what all requests share: pages, documents scoped to an organization."""

from typing import Annotated, Any

import orjson
from fastapi import Path, Query
from fastapi.responses import Response
from slipway.kernel.errors import Invalid, NotFound
from slipway.kernel.ids import is_uuid
from slipway.readmodel import cursor as cursors
from slipway.readmodel.model import Document, Documents, Page

from api_gateway.request_context import RequestContext

Id = Annotated[str, Path(alias="id")]
Limit = Annotated[int, Query(ge=1, le=200)]
Cursor = Annotated[str | None, Query(max_length=400)]


def answer(
    ctx: RequestContext | None, body: Any, status: int = 200, *, version: int | None = None
) -> Response:
    """`body` is encoded, unless it is bytes; None: there is nothing to say."""
    headers = {}
    if version is not None:
        headers["ETag"] = f'"{version}"'
    if ctx is not None and ctx.sequence:
        headers["Slipway-Sequence"] = str(ctx.sequence)
    if body is None:
        return Response(status_code=204, headers=headers)
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    return Response(content, status, headers, media_type="application/json")


async def owned(
    documents: Documents, ctx: RequestContext, collection: str, id_: str, what: str
) -> Document:
    """The document, if it is the organization's and there. Raises NotFound: also for what
    a newer release made in a way that is not understood."""
    document = await documents.get(collection, id_) if is_uuid(id_) else None
    if (
        document is None
        or document["org"] != ctx.organization
        or document["state"].get("phase") in ("none", "deleted")
    ):
        raise NotFound(f"there is no such {what}")
    return document


def checked_id(id_: str, what: str) -> str:
    """An id as aggregates have it. Raises NotFound for any other text."""
    if not is_uuid(id_):
        raise NotFound(f"there is no such {what}")
    return id_


def decoded(cursor: str | None, kind: type[str] | type[int] = str) -> tuple[Any, str] | None:
    """Where the last page ended. Raises Invalid for what is no cursor of this list."""
    if cursor is None:
        return None
    try:
        value, id_ = cursors.decode(cursor)
    except (ValueError, TypeError):
        value, id_ = None, ""
    if type(value) is not kind:
        raise Invalid("this is no cursor of this list", pointer="?cursor")
    return value, id_


async def page(
    documents: Documents, collection: str, where: dict[str, Any], cursor: str | None, limit: int,
    *, sort: str = "created_at", descending: bool = False,
) -> Page:  # fmt: skip
    decoded(cursor, int if sort == "first" else str)
    return await documents.find(
        collection, where, sort=sort, descending=descending, cursor=cursor, limit=limit
    )


def listed(items: list[Any], next_: str | None) -> dict[str, Any]:
    return {"items": items, "next": next_}
