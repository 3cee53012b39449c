"""The container engine's API. This is the only importer of aiodocker.

Whatever is asked ends in one of four ways: an answer, EngineMissing for what is not there,
EngineRefused with the engine's words, EngineAway when it does not answer.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

import aiodocker
from aiodocker.exceptions import DockerError
from aiohttp import ClientError, ClientResponse, UnixConnector

_SOCKET = "unix:///var/run/docker.sock"
_NOT_REACHED = 900
"""aiodocker's own, for a connection that was refused."""
_AWAY = (503, _NOT_REACHED)
_PASSING = ("DeadlineExceeded", "deadline exceeded", "Unavailable", "no leader")
"""A swarm that has lost its manager for a moment says so with the status of a fault."""


class EngineAway(Exception):
    """The engine does not answer."""


class EngineMissing(Exception):
    """What was asked for is not there."""


class EngineRefused(Exception):
    """The engine's words why not. `fault`: it failed at what it was asked for, and may not the next
    time."""

    def __init__(self, words: str, status: int = 400) -> None:
        super().__init__(words)
        self.fault = status >= 500 and status != 501


def _problem(error: Exception, path: str) -> Exception:
    if not isinstance(error, DockerError):
        return EngineAway(str(error) or type(error).__name__)
    words = str(error.message)
    if error.status == 404:
        return EngineMissing(path)
    if error.status in _AWAY or any(word in words for word in _PASSING):
        return EngineAway(words)
    return EngineRefused(words, error.status)


class EngineTransport(Protocol):
    """How services' adapters reach the engine; `EngineApi` does it for real."""

    async def query(
        self, path: str, method: str = "GET", *, params: dict[str, str] | None = None,
        data: Any = None,
    ) -> Any: ...  # fmt: skip

    async def last_lines(self, container: str, count: int) -> list[str]: ...

    def container_events(
        self, events: Sequence[str], marks: Sequence[str]
    ) -> AbstractAsyncContextManager[AsyncIterator[dict[str, Any]]]: ...


class EngineApi:
    """`patience`: seconds until an engine that says nothing counts as away; None leaves that to
    whoever asks."""

    def __init__(self, patience: float | None = None) -> None:
        path = os.environ.get("DOCKER_HOST", _SOCKET).removeprefix("unix://")
        # Each stream holds a connection, and there may be more of them than aiohttp's 100.
        self._connector = UnixConnector(path, limit=0)
        self._docker = aiodocker.Docker("unix://localhost", connector=self._connector)
        self._patience = patience

    async def close(self) -> None:
        await self._docker.close()
        await self._connector.close()

    async def query(
        self, path: str, method: str = "GET", *, params: dict[str, str] | None = None,
        data: Any = None,
    ) -> Any:  # fmt: skip
        """The decoded answer; None where there is none. `data` is sent as JSON."""
        sent: dict[str, Any] = {"params": params}
        if data is not None:
            sent |= {"data": json.dumps(data), "headers": {"Content-Type": "application/json"}}
        try:
            async with (
                asyncio.timeout(self._patience),
                # aiodocker has public methods for some paths only, and not for all their fields.
                self._docker._query(path, method, **sent) as response,  # noqa: SLF001
            ):
                body = await response.read()
                return json.loads(body) if body.strip() else None
        except (DockerError, ClientError, OSError, ValueError) as error:
            raise _problem(error, path) from error

    async def pull(self, name: str) -> None:
        """Raises EngineAway, and EngineRefused with the registry's words why not."""
        try:
            async for message in self._docker.images.pull(name, stream=True):
                if "error" in message:
                    raise EngineRefused(message["error"])
        except DockerError as error:
            if error.status == _NOT_REACHED:
                raise EngineAway(str(error.message)) from error
            raise EngineRefused(str(error.message), error.status) from error
        except (ClientError, OSError) as error:
            raise EngineAway(str(error) or type(error).__name__) from error

    @asynccontextmanager
    async def stream(self, path: str, **params: str) -> AsyncIterator[ClientResponse]:
        """An answer that may have no end. aiodocker leaves it open, so it is closed here."""
        try:
            async with asyncio.timeout(self._patience):
                query = self._docker._query(path, params=params, timeout=None)  # noqa: SLF001
                response = await query.__aenter__()
            try:
                yield response
            finally:
                response.close()
        except (DockerError, ClientError, OSError) as error:
            raise _problem(error, path) from error

    async def last_lines(self, container: str, count: int) -> list[str]:
        """What a container printed last, both streams; nothing where that can't be read."""
        try:
            found = self._docker.containers.container(container)
            raw = await found.log(stdout=True, stderr=True, tail=count)
        except (DockerError, ClientError, OSError):
            return []
        return [line.rstrip("\n") for line in raw if line.strip()]

    @asynccontextmanager
    async def container_events(
        self, events: Sequence[str], marks: Sequence[str]
    ) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
        """`{ID, Attributes}` of each container with these labels to which such a thing happened,
        from the beginning of the `with` on. Raises EngineAway at the latest when the engine ends
        it."""
        filters = {"type": ["container"], "event": list(events), "label": list(marks)}
        try:
            async with self.stream("events", filters=json.dumps(filters)) as response:
                yield _actors(response)
        except (EngineMissing, EngineRefused, ValueError) as error:
            raise EngineAway(str(error)) from error


async def _actors(response: ClientResponse) -> AsyncIterator[dict[str, Any]]:
    async for line in response.content:
        if line.strip():
            actor = json.loads(line).get("Actor") or {}
            yield {"ID": actor.get("ID", ""), "Attributes": actor.get("Attributes") or {}}
    raise EngineAway("the event stream ended")
