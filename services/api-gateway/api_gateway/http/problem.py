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

from api_gateway.http.patterns import ALLOWED
from api_gateway.http.schema import UNKNOWN_KIND

TITLES = {
    400: "Bad request", 401: "Not signed in", 403: "Not allowed", 404: "Not found",
    405: "Method not allowed", 409: "Conflict", 410: "Gone", 412: "Precondition failed",
    413: "Too large", 422: "Invalid", 429: "Too many requests", 500: "Internal error",
    503: "Not available now",
}  # fmt: skip
_HEADERS = {
    401: {"WWW-Authenticate": "Bearer"}, 429: {"Retry-After": "60"}, 503: {"Retry-After": "2"},
}  # fmt: skip
_OBJECT, _LIST, _TEXT = "has to be a JSON object", "has to be a list", "has to be a text"
_NUMBER, _WHOLE, _BOOL = "has to be a number", "has to be a whole number", "has to be true or false"
_TIME = "has to be a time as in 2030-01-31T12:00:00Z"
_PLAIN = {
    "missing": "has to be there",
    "extra_forbidden": "is not known here",
    "model_attributes_type": _OBJECT, "model_type": _OBJECT, "dict_type": _OBJECT,
    "list_type": _LIST, "tuple_type": _LIST,
    "string_type": _TEXT, "string_sub_type": _TEXT, "string_unicode": _TEXT,
    "int_type": _WHOLE, "int_parsing": _WHOLE, "int_from_float": _WHOLE,
    "int_parsing_size": "has too many digits",
    "float_type": _NUMBER, "float_parsing": _NUMBER, "finite_number": _NUMBER,
    "bool_type": _BOOL, "bool_parsing": _BOOL,
    "none_required": "has to be null",
    "literal_error": "has to be {expected}",
    "enum": "has to be {expected}",
    "string_too_short": "is too short (at least {min_length})",
    "string_too_long": "may have {max_length} characters at most",
    "too_short": "has too few entries (at least {min_length})",
    "too_long": "may have {max_length} entries at most",
    "greater_than": "has to be above {gt}",
    "greater_than_equal": "has to be {ge} at least",
    "less_than": "has to be below {lt}",
    "less_than_equal": "may be {le} at most",
    "datetime_type": _TIME, "datetime_parsing": _TIME, "datetime_from_date_parsing": _TIME,
    "timezone_aware": _TIME,
    "value_error": "{error}",
}  # fmt: skip
"""What pydantic says in words of Python, as plain English; by the type of the error."""
_POINTER = 200
"""Characters: a name that a client made up is not said back whole."""
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


def plain(item: Mapping[str, Any]) -> str:
    """What is wrong, for who sent it."""
    about = item.get("ctx", {})
    if item["type"] == "string_pattern_mismatch":
        return ALLOWED.get(about["pattern"], "holds characters that are not allowed here")
    words = _PLAIN.get(item["type"])
    return words.format_map(about) if words is not None else item["msg"]


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
                "pointer": place_of(item, error.body)[:_POINTER],
                "detail": plain(item),
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
