"""Routes that read JSON strictly: no NaN, no lone surrogates, no endless nesting."""

from collections.abc import Callable, Coroutine
from typing import Any

import orjson
from fastapi import APIRouter, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute


class _Request(Request):
    async def json(self) -> Any:
        return orjson.loads(await self.body())


class _Route(APIRoute):
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        if self.body_field is None:
            return handle

        async def strictly(request: Request) -> Response:
            return await handle(_Request(request.scope, request.receive))

        return strictly


def router(tag: str) -> APIRouter:
    """Operations are called by the names of their functions."""
    return APIRouter(
        tags=[tag], route_class=_Route, generate_unique_id_function=lambda route: route.name
    )
