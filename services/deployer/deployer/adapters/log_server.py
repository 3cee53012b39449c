"""The log server's own view of itself, at its monitoring port on the control network."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from aiohttp import ClientError, ClientSession, ClientTimeout

_PORT = 8222


class LogServer:
    """`nats_url` is where its clients connect: the monitoring port is on the same host."""

    def __init__(self, nats_url: str) -> None:
        self._url = f"http://{urlsplit(nats_url).hostname}:{_PORT}/healthz"

    async def health(self) -> Mapping[str, Any]:
        """`{status, error?}`; empty when it does not answer in 3 s."""
        try:
            async with (
                ClientSession(timeout=ClientTimeout(total=3)) as session,
                session.get(self._url) as answer,
            ):
                return json.loads(await answer.read())
        except (ClientError, TimeoutError, OSError, ValueError):
            return {}
