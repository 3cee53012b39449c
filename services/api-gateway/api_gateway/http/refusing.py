"""What the gateway answers where it can't work at all: to every request the reason, as a page for
people and as a problem for programs."""

from html import escape

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from api_gateway.http.problem import problem

_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def refusing(slug: str, detail: str, hint: str) -> Starlette:
    async def refuse(request: Request) -> Response:
        if "text/html" not in request.headers.get("accept", ""):
            return problem(503, slug, detail, hint=hint)
        page = (
            "<!doctype html><html lang=en><meta charset=utf-8><title>Slipway</title>"
            "<style>:root{color-scheme:light dark}body{font:16px system-ui;max-width:45rem;"
            "margin:4rem auto;padding:0 1rem}</style><h1>Slipway does not start</h1>"
            f"<p>{escape(detail)}.<p>{escape(hint)}.</html>"
        )
        return HTMLResponse(page, 503)

    async def alive(_request: Request) -> Response:
        """The swarm takes a process that is not alive away, and with it this page."""
        return Response(b'{"status":"alive"}', media_type="application/json")

    return Starlette(
        routes=[
            Route("/healthz", alive),
            Route("/{path:path}", refuse, methods=_METHODS),
        ]
    )
