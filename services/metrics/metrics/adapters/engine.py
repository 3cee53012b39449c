"""The engine: containers of services, their logs, and what they use."""

import asyncio
import json
import os
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiodocker
from aiodocker.exceptions import DockerError
from aiohttp import ClientError, ClientResponse, UnixConnector
from slipway.contracts import labels

from metrics.container import Container, container

_PATIENCE = 10.0
_SOCKET = "unix:///var/run/docker.sock"


class EngineAway(Exception):
    """The engine does not answer."""


class EngineRefused(Exception):
    """The engine's words why not."""


@dataclass(frozen=True, slots=True)
class State:
    running: bool
    terminal: bool


def _problem(error: Exception, path: str) -> Exception:
    """aiodocker gives a refused connection the status 900."""
    if isinstance(error, DockerError):
        if error.status == 404:
            return KeyError(path)
        if error.status < 500 or error.status == 501:
            return EngineRefused(str(error.message))
        return EngineAway(str(error.message))
    return EngineAway(str(error) or type(error).__name__)


class Engine:
    def __init__(self, instance: str) -> None:
        path = os.environ.get("DOCKER_HOST", _SOCKET).removeprefix("unix://")
        # Each followed log holds a connection, and there may be more than aiohttp's 100.
        self._connector = UnixConnector(path, limit=0)
        self._docker = aiodocker.Docker("unix://localhost", connector=self._connector)
        self._marks = [f"{labels.INSTANCE}={instance}", labels.SERVICE]

    async def close(self) -> None:
        await self._docker.close()
        await self._connector.close()

    async def _query(self, path: str, **params: str) -> Any:
        try:
            async with (
                asyncio.timeout(_PATIENCE),
                self._docker._query(path, params=params) as response,  # noqa: SLF001
            ):
                return json.loads(await response.read())
        except (DockerError, ClientError, OSError, ValueError) as error:
            raise _problem(error, path) from error

    @asynccontextmanager
    async def _stream(self, path: str, **params: str) -> AsyncIterator[ClientResponse]:
        """aiodocker leaves a response open, so an endless one is closed here."""
        try:
            async with asyncio.timeout(_PATIENCE):
                query = self._docker._query(path, params=params, timeout=None)  # noqa: SLF001
                response = await query.__aenter__()
            try:
                yield response
            finally:
                response.close()
        except (DockerError, ClientError, OSError) as error:
            raise _problem(error, path) from error

    async def containers(self, *, ended: bool = False) -> list[Container]:
        """Those of services of this instance that run; with `ended` all that ever started."""
        states = ["running", "paused", "restarting", *(["exited", "dead"] if ended else [])]
        filters = json.dumps({"label": self._marks, "status": states})
        items = await self._query("containers/json", filters=filters)
        found = (
            container(item["Id"], item["Labels"], item["State"] not in ("exited", "dead"))
            for item in items
        )
        return [item for item in found if item is not None]

    async def started(self) -> AsyncGenerator[Container | None]:
        """None as soon as it listens, then each container that starts. Raises EngineAway."""
        filters = json.dumps({"type": ["container"], "event": ["start"], "label": self._marks})
        try:
            async with self._stream("events", filters=filters) as response:
                yield None
                async for line in response.content:
                    if line.strip():
                        actor = json.loads(line)["Actor"]
                        if (found := container(actor["ID"], actor["Attributes"], True)) is not None:
                            yield found
        except (KeyError, EngineRefused, ValueError) as error:
            raise EngineAway(str(error)) from error
        raise EngineAway("the event stream ended")

    async def state(self, id_: str) -> State | None:
        """None when it is gone."""
        try:
            found = await self._query(f"containers/{id_}/json")
        except KeyError:
            return None
        return State(found["State"]["Running"], found["Config"]["Tty"])

    @asynccontextmanager
    async def log(
        self, id_: str, since: str | None, follow: bool
    ) -> AsyncIterator[Callable[[], Awaitable[bytes]]]:
        """A function that gives the next bytes, at most some 100 KB, and none at the end. Raises
        KeyError for a container that is gone, EngineRefused for one without a readable log."""
        params = {"stdout": "1", "stderr": "1", "timestamps": "1", "follow": str(int(follow))}
        if since is not None:
            params["since"] = since
        async with self._stream(f"containers/{id_}/logs", **params) as response:
            yield response.content.readany

    async def stats(self, id_: str) -> Mapping[str, Any] | None:
        """The engine's answer at one moment; None for a container that is gone."""
        params = {"stream": "false", "one-shot": "true"}
        try:
            return await self._query(f"containers/{id_}/stats", **params)
        except (KeyError, EngineRefused):
            return None
