"""Every refusal as RFC 9457 problem+json: a stable `type`, and JSON pointers to what is wrong."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from slipway.eventstore.stream import Silent
from slipway.kernel.errors import DomainError
from slipway.readmodel.model import Away
from slipway.runtime.logging import logger
from starlette.exceptions import HTTPException

from api_gateway.http.schema import UNKNOWN_KIND

TITLES = {
    400: "Bad request", 401: "Not signed in", 403: "Not allowed", 404: "Not found",
    405: "Method not allowed", 409: "Conflict", 412: "Precondition failed", 413: "Too large",
    422: "Invalid", 429: "Too many requests", 500: "Internal error", 503: "Not available now",
}  # fmt: skip
_HEADERS = {
    401: {"WWW-Authenticate": "Bearer"}, 429: {"Retry-After": "60"}, 503: {"Retry-After": "2"},
}  # fmt: skip
_PLAIN = {
    "model_attributes_type": "has to be a JSON object",
    "model_type": "has to be a JSON object",
    "missing": "has to be there",
    "extra_forbidden": "is not known here",
}
"""Errors of a body whose own words speak of Python; by their type."""
_SLUGS = {404: "not-found", 405: "method-not-allowed", 413: "too-large"}


class Malformed(DomainError):
    status = 400
    slug = "malformed"


def problem(
    status: int,
    slug: str,
    detail: str,
    *,
    errors: list[dict[str, str]] | None = None,
    hint: str | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    body: dict[str, Any] = {
        "type": f"/problems/{slug}",
        "title": TITLES.get(status, "Error"),
        "status": status,
        "detail": detail,
    }
    if errors:
        body["errors"] = errors
    if hint:
        body["hint"] = hint
    return Response(orjson.dumps(body), status, headers, media_type="application/problem+json")


def pointer(location: Sequence[int | str], body: Any = None, *, missing: bool = False) -> str:
    """`("body", "items", 0, "name")` → `/items/0/name`; a query parameter → `?limit`.

    A location also names the branches of unions, which are nowhere in the body; so it is walked
    along the body that was sent.
    """
    where, *rest = location
    if where != "body":
        return f"{'?' if where == 'query' else ''}{'/'.join(map(str, rest))}"
    found, node = "", body
    for index, part in enumerate(rest):
        last = index == len(rest) - 1
        if isinstance(node, dict):
            if not last and part == node.get("kind"):
                continue  # the tag of a union, even where a field is called the same
            if part not in node and not (last and missing):
                continue
            node = node.get(str(part))
        elif isinstance(node, list) and isinstance(part, int) and part < len(node):
            node = node[part]
        else:
            continue
        found += "/" + str(part).replace("~", "~0").replace("/", "~1")
    return found


def place_of(item: Mapping[str, Any], body: Any) -> str:
    """Where an error of a body is, as `pointer` says it; of a wrong kind, where the kind stands."""
    found = pointer(item["loc"], body, missing=item["type"] == "missing")
    return f"{found}/kind" if item["type"] == UNKNOWN_KIND else found


def install(app: FastAPI) -> None:
    @app.exception_handler(DomainError)
    async def domain(_request: Request, error: DomainError) -> Response:
        errors = [{"pointer": error.pointer, "detail": error.detail}] if error.pointer else None
        headers = _HEADERS.get(error.status)
        return problem(
            error.status, error.slug, error.detail, errors=errors, hint=error.hint, headers=headers
        )

    @app.exception_handler(RequestValidationError)
    async def validation(_request: Request, error: RequestValidationError) -> Response:
        found = error.errors()
        if any(item["type"] == "json_invalid" for item in found):
            return problem(Malformed.status, Malformed.slug, "the body is not valid JSON")
        if all(item["loc"][0] == "path" for item in found):
            return problem(404, "not-found", "there is nothing at this address")
        errors = [
            {
                "pointer": place_of(item, error.body),
                "detail": _PLAIN.get(item["type"], item["msg"]),
            }
            for item in found
        ]
        named = ", ".join(sorted({item["pointer"] or "the body" for item in errors}))
        return problem(422, "invalid", f"not valid: {named}"[:1000], errors=errors[:100])

    @app.exception_handler(Away)
    async def away(_request: Request, _error: Away) -> Response:
        return problem(
            503,
            "views-unavailable",
            "the read models can't be asked now; what is written is stored all the same",
            hint="try again in a few seconds",
            headers=_HEADERS[503],
        )

    @app.exception_handler(Silent)
    async def silent(_request: Request, _error: Silent) -> Response:
        return problem(
            503,
            "log-unavailable",
            "the log does not answer now",
            hint="try again; with the same Idempotency-Key it is carried out once",
            headers=_HEADERS[503],
        )

    @app.exception_handler(HTTPException)
    async def http(_request: Request, error: HTTPException) -> Response:
        slug = _SLUGS.get(error.status_code, "error")
        return problem(
            error.status_code, slug, str(error.detail), headers=dict(error.headers or {})
        )

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> Response:
        id_ = uuid4().hex[:12]
        path = getattr(request.scope.get("route"), "path", "none")  # an address may be a secret
        logger().error("request failed", id=id_, method=request.method, path=path, exc_info=error)
        return problem(500, "internal", f"something unexpected happened; it is in the log as {id_}")
