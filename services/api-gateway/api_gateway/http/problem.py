"""Every refusal as RFC 9457 problem+json: a stable `type`, and JSON pointers to what is wrong."""

from typing import Any
from uuid import uuid4

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from slipway.kernel.errors import DomainError
from slipway.readmodel.model import Away
from slipway.runtime.logging import logger
from starlette.exceptions import HTTPException

_TITLES = {
    400: "Bad request", 401: "Not signed in", 403: "Not allowed", 404: "Not found",
    405: "Method not allowed", 409: "Conflict", 412: "Precondition failed", 413: "Too large",
    422: "Invalid", 429: "Too many requests", 500: "Internal error", 503: "Not available now",
}  # fmt: skip


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
        "title": _TITLES.get(status, "Error"),
        "status": status,
        "detail": detail,
    }
    if errors:
        body["errors"] = errors
    if hint:
        body["hint"] = hint
    return Response(orjson.dumps(body), status, headers, media_type="application/problem+json")


def pointer(location: tuple[int | str, ...]) -> str:
    """`("body", "items", 0, "name")` → `/items/0/name`; a query parameter → `?limit`."""
    where, *rest = location
    if where in ("query", "header", "path"):
        return f"{'?' if where == 'query' else ''}{'/'.join(map(str, rest))}"
    tagged = [part for part in rest if part not in ("git", "image", "dockerfile", "static")]
    return "".join(f"/{part}" for part in tagged)


def install(app: FastAPI) -> None:
    @app.exception_handler(DomainError)
    async def domain(_request: Request, error: DomainError) -> Response:
        errors = [{"pointer": error.pointer, "detail": error.detail}] if error.pointer else None
        headers = {"Retry-After": "2"} if error.status in (429, 503) else None
        return problem(
            error.status, error.slug, error.detail, errors=errors, hint=error.hint, headers=headers
        )

    @app.exception_handler(RequestValidationError)
    async def validation(_request: Request, error: RequestValidationError) -> Response:
        found = error.errors()
        if any(item["type"] == "json_invalid" for item in found):
            return problem(400, "malformed", "the body is not valid JSON")
        errors = [{"pointer": pointer(item["loc"]), "detail": item["msg"]} for item in found]
        named = ", ".join(sorted({item["pointer"] for item in errors}))
        if all(item["loc"][0] == "path" for item in found):
            return problem(404, "not-found", "there is nothing at this address")
        return problem(422, "invalid", f"not valid: {named}", errors=errors)

    @app.exception_handler(Away)
    async def away(_request: Request, error: Away) -> Response:
        return problem(
            503,
            "views-unavailable",
            "the read models can't be asked now; what is written is stored all the same",
            hint="try again in a few seconds",
            headers={"Retry-After": "2"},
        )

    @app.exception_handler(HTTPException)
    async def http(_request: Request, error: HTTPException) -> Response:
        slug = {404: "not-found", 405: "method-not-allowed"}.get(error.status_code, "error")
        return problem(
            error.status_code, slug, str(error.detail), headers=dict(error.headers or {})
        )

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> Response:
        id_ = uuid4().hex[:12]
        logger().error(
            "request failed", id=id_, method=request.method, path=request.url.path, exc_info=error
        )
        return problem(500, "internal", f"something unexpected happened; it is in the log as {id_}")
