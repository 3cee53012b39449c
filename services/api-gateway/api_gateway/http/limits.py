"""Around every request: the size of its body, how long it took, what browsers must not guess."""

import re
import time

from prometheus_client import Counter, Histogram
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api_gateway.http.problem import problem

LARGEST_BODY = 1024 * 1024
LARGEST_DELIVERY = 25 * 1024 * 1024
"""Git servers send every commit of a push."""
_SECONDS = Histogram("slipway_http_seconds", "Duration of requests", ["method", "route"])
_ANSWERS = Counter("slipway_http_answers", "Answers by status", ["method", "route", "status"])
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_LENGTH = re.compile(rb"[0-9]{1,12}")


class Limits:
    """Plain ASGI: it neither buffers nor wraps what is streamed."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        hooked = scope["path"].startswith("/v1/webhooks/")
        left = largest = LARGEST_DELIVERY if hooked else LARGEST_BODY

        async def limited() -> Message:
            nonlocal left
            message = await receive()
            if message["type"] == "http.request":
                left -= len(message.get("body", b""))
                if left < 0:
                    raise HTTPException(413, _said(largest))
            return message

        async def measured(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"].append((b"x-content-type-options", b"nosniff"))
                route = getattr(scope.get("route"), "path", "none")
                method = scope["method"] if scope["method"] in _METHODS else "other"
                _SECONDS.labels(method, route).observe(time.perf_counter() - began)
                _ANSWERS.labels(method, route, message["status"]).inc()
            await send(message)

        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if not _LENGTH.fullmatch(announced) or int(announced) > largest:
            refused = problem(413, "too-large", _said(largest))
            await refused(scope, receive, measured)
        else:
            await self._app(scope, limited, measured)


def _said(largest: int) -> str:
    return f"a body has at most {largest} bytes"
