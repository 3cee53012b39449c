"""The API's description: what FastAPI knows of the operations, and what all of them share."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse

from api_gateway.http.context import COOKIE
from api_gateway.http.problem import TITLES
from api_gateway.http.schema import Problem
from api_gateway.roles import Need

_METHODS = ("get", "post", "put", "patch", "delete")
_SECURITY = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "session": {"type": "apiKey", "in": "cookie", "name": COOKIE},
}


def _header(name: str, description: str, kind: str = "string") -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "required": False,
        "description": description,
        "schema": {"type": kind},
    }


_ORGANIZATION = _header("Slipway-Organization", "A session's organization; a token has its own.")
_KEY = _header("Idempotency-Key", "A repeat with the same key is carried out once.")
_MATCH = _header("If-Match", "The ETag that was read: 412 when it has changed since.")
_SEQUENCE = _header(
    "Slipway-Sequence", "Of a write: the answer holds what it wrote (2 s at most).", "integer"
)
_OPEN = {"health", "readiness", "metrics"}


def _parameters(name: str, method: str, need: Need) -> list[dict[str, Any]]:
    found = []
    if need not in ("nothing", "sign-in", "person", "operator"):
        found.append(_ORGANIZATION)
    if method == "post" and name != "receive_push":  # which a delivery's own id makes once
        found.append(_KEY)
    if need != "nothing":
        found.append(_SEQUENCE if method == "get" else _MATCH)
    return found


def _statuses(method: str, path: str, need: Need) -> list[int]:
    found = {503}
    if need == "nothing":
        found |= {403, 404, 429} if method == "post" else set()
    else:
        found |= {401, 403}
    if "{" in path:
        found.add(404)
    if method == "post":
        found.add(410)
    if method != "get":
        found |= {400, 409, 412, 413, 422}
    return sorted(found)


def _told(version: bool) -> dict[str, Any]:
    """Headers of an answer."""
    found = {
        "Slipway-Sequence": {
            "description": "Of what was written; a read that sends it back sees it.",
            "schema": {"type": "integer"},
        }
    }
    if version:
        found["ETag"] = {"description": "The version.", "schema": {"type": "string"}}
    return found


def _require_tags(schemas: dict[str, Any]) -> None:
    """What tells the alternatives of a union apart has a default for code that makes one, and none
    for clients."""
    for schema in list(schemas.values()):
        if (tag := schema.get("discriminator")) is None:
            continue
        for reference in tag["mapping"].values():
            alternative = schemas[reference.rpartition("/")[2]]
            required = alternative.get("required", [])
            if tag["propertyName"] not in required:
                alternative["required"] = [tag["propertyName"], *required]


def _complete(document: dict[str, Any], needs: Mapping[str, Need]) -> None:
    schemas = document["components"]["schemas"]
    _require_tags(schemas)
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= problem.pop("$defs") | {"Problem": problem}
    document["components"]["securitySchemes"] = _SECURITY
    for path, item in document["paths"].items():
        for method in _METHODS:
            if (operation := item.get(method)) is None:
                continue
            name = operation["operationId"]
            if (need := needs.get(name)) is None:
                raise LookupError(f"no manifest says what {name} needs")
            refused = {
                "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
            }
            for status, response in operation["responses"].items():
                if status.startswith("2") and need != "nothing":
                    response["headers"] = _told("{id}" in path)
            had_query = operation["responses"].pop("422", None) is not None
            if name in _OPEN:
                continue
            for status in {*_statuses(method, path, need), *([422] if had_query else [])}:
                operation["responses"][str(status)] = {
                    "description": TITLES[status],
                    "content": refused,
                }
            operation.setdefault("parameters", []).extend(_parameters(name, method, need))
            operation["security"] = [] if need == "nothing" else [{"bearer": []}, {"session": []}]
            operation["x-needs"] = need


def install(app: FastAPI, needs: Mapping[str, Need]) -> None:
    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = get_openapi(
                title=app.title, version=app.version,
                description=app.description, routes=app.routes,
            )  # fmt: skip
            _complete(app.openapi_schema, needs)
        return app.openapi_schema

    app.openapi = described

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        """The operations in a page of our own: no assets from anywhere else."""
        rows = [
            f"<tr><td><code>{method.upper()}</code></td><td><code>{path}</code></td>"
            f"<td>{operation.get('description') or operation.get('summary', '')}</td></tr>"
            for path, item in described()["paths"].items()
            for method, operation in item.items()
        ]
        return HTMLResponse(
            "<!doctype html><html lang=en><meta charset=utf-8><title>Slipway API</title>"
            "<meta name=viewport content='width=device-width'>"
            "<style>:root{color-scheme:light dark}body{font:15px system-ui;max-width:70rem;"
            "margin:2rem auto;padding:0 1rem}td{padding:.3rem .8rem .3rem 0;vertical-align:top}"
            "tr{border-bottom:1px solid #8884}table{border-collapse:collapse}</style>"
            "<h1>Slipway API</h1><p>Machine-readable: <a href=/openapi.json>/openapi.json</a></p>"
            f"<table>{''.join(rows)}</table></html>"
        )
