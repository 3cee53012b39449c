"""The container engine's API. This is the only importer of aiodocker.

Whatever is asked ends in one of four ways: an answer, EngineMissing for what is not there,
EngineRefused with the engine's words, EngineAway when it does not answer.
"""

import asyncio
import io
import json
import os
import tarfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol
from urllib.parse import quote

import aiodocker
from aiodocker.exceptions import DockerError
from aiodocker.utils import compose_auth_header
from aiohttp import ClientError, ClientResponse, StreamReader, UnixConnector
from aiohttp.http_exceptions import HttpProcessingError

from slipway.contracts.registry import Account
from slipway.runtime.logging import logger

_SOCKET = "unix:///var/run/docker.sock"
_NOT_REACHED = 900
"""aiodocker's own, for a connection that was refused."""
_AWAY = (503, _NOT_REACHED)
_PASSING = ("DeadlineExceeded", "deadline exceeded", "Unavailable", "no leader")
"""A swarm that has lost its manager for a moment says so with the status of a fault."""
_FAILURES = (DockerError, ClientError, HttpProcessingError, OSError, ValueError)
"""HttpProcessingError, a line that is too long for instance, is no ClientError."""
_WHILE_READING = (ClientError, HttpProcessingError, ConnectionError)
"""What is the engine's of what goes wrong once it answers: all else is whoever's who reads."""
_LONGEST_LINE = 512 * 1024
"""Bytes of an event. All labels of a container are in it, those of a customer's image too."""
_LARGEST_ANSWER = 64 * 1024 * 1024
"""Bytes."""


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


def _quoted(path: str) -> str:
    """Of a path with names in it that anybody may have chosen: none of them leads elsewhere.
    Raises EngineRefused. A `/` in an image's name stays, as the engine wants it."""
    segments = path.split("/")
    if any(segment in ("", ".", "..") for segment in segments):
        raise EngineRefused(f"{path} is no name that the engine knows")
    return "/".join(quote(segment, safe=":@") for segment in segments)


async def _whole(response: ClientResponse, path: str) -> bytes:
    """What is not read to its end is closed: aiodocker leaves it open."""
    body = bytearray()
    try:
        while data := await response.content.readany():
            body += data
            if len(body) > _LARGEST_ANSWER:
                raise EngineRefused(f"the engine's answer for {path} is too large to read")
    except BaseException:
        response.close()
        raise
    return bytes(body)


def _problem(error: Exception, path: str) -> Exception:
    if not isinstance(error, DockerError):
        return EngineAway(str(error) or type(error).__name__)
    words = str(error.message)
    if error.status == 404:
        return EngineMissing(path)
    if error.status in _AWAY or any(word in words for word in _PASSING):
        return EngineAway(words)
    return EngineRefused(words, error.status)


def _archive(files: Mapping[str, str]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for path, text in files.items():
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size, entry.mode = len(data := text.encode()), 0o644
            tar.addfile(entry, io.BytesIO(data))
    return made.getvalue()


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
    whoever asks. `account`: with which it fetches from the instance's registry."""

    def __init__(self, patience: float | None = None, account: Account | None = None) -> None:
        self._sign_in = (
            {"username": account.user, "password": account.password} if account else None
        )
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
        """The decoded answer; None where there is none. `path` is not quoted, `data` is sent as
        JSON."""
        quoted = _quoted(path)
        headers: dict[str, str] = {}
        sent: dict[str, Any] = {"params": params, "headers": headers}
        if data is not None:
            sent["data"], headers["Content-Type"] = json.dumps(data), "application/json"
            if self._sign_in:  # a Swarm service keeps it, for the nodes that fetch its image
                headers["X-Registry-Auth"] = compose_auth_header(self._sign_in)
        try:
            async with (
                asyncio.timeout(self._patience),
                # aiodocker has public methods for some paths only, and not for all their fields.
                self._docker._query(quoted, method, **sent) as response,  # noqa: SLF001
            ):
                body = await _whole(response, path)
                return json.loads(body) if body.strip() else None
        except _FAILURES as error:
            raise _problem(error, path) from error

    async def put_files(self, container: str, files: Mapping[str, str]) -> None:
        """Texts by their paths, whose folders are made, into a container that may run."""
        params, archive = {"path": "/"}, await asyncio.to_thread(_archive, files)
        try:
            async with (
                asyncio.timeout(self._patience),
                self._docker._query(  # noqa: SLF001
                    _quoted(f"containers/{container}/archive"), "PUT", params=params, data=archive,
                    headers={"Content-Type": "application/x-tar"},
                ),
            ):  # fmt: skip
                pass
        except _FAILURES as error:
            raise _problem(error, container) from error

    async def has_file(self, container: str, path: str) -> bool:
        """Whether there is such a thing in the container, which runs."""
        try:
            async with self.stream(f"containers/{container}/archive", path=path):
                return True
        except EngineMissing:
            return False

    async def pull(self, name: str) -> None:
        """Raises EngineAway, and EngineRefused with the registry's words why not."""
        try:
            async for message in self._docker.images.pull(name, auth=self._sign_in, stream=True):
                if "error" in message:
                    raise EngineRefused(message["error"])
        except DockerError as error:
            if error.status == _NOT_REACHED:
                raise EngineAway(str(error.message)) from error
            raise EngineRefused(str(error.message), error.status) from error
        except HttpProcessingError as error:  # words without end, which a registry may have sent
            raise EngineRefused(str(error)) from error
        except (ClientError, OSError, ValueError) as error:
            raise EngineAway(str(error) or type(error).__name__) from error

    @asynccontextmanager
    async def stream(self, path: str, /, **params: str) -> AsyncIterator[ClientResponse]:
        """An answer that may have no end. aiodocker leaves it open, so it is closed here.
        `path` is not quoted."""
        quoted = _quoted(path)
        try:
            async with asyncio.timeout(self._patience):
                query = self._docker._query(quoted, params=params, timeout=None)  # noqa: SLF001
                response = await query.__aenter__()
        except _FAILURES as error:
            raise _problem(error, path) from error
        try:
            yield response
        except _WHILE_READING as error:
            raise _problem(error, path) from error
        finally:
            response.close()

    async def last_lines(self, container: str, count: int) -> list[str]:
        """What a container printed last, both streams; nothing where that can't be read."""
        try:
            found = self._docker.containers.container(_quoted(container))
            raw = await found.log(stdout=True, stderr=True, tail=count)
        except Exception:  # a container may have printed anything
            return []
        return [line.rstrip("\n") for line in raw if line.strip()]

    @asynccontextmanager
    async def container_events(
        self, events: Sequence[str], marks: Sequence[str]
    ) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
        """`{ID, Attributes}` of each container with these labels to which such a thing happened,
        from the beginning of the `with` on. Raises EngineAway at the latest when the engine ends
        it. What came with too many labels is left out."""
        filters = {"type": ["container"], "event": list(events), "label": list(marks)}
        try:
            async with self.stream("events", filters=json.dumps(filters)) as response:
                yield _actors(response)
        except (EngineMissing, EngineRefused) as error:
            raise EngineAway(str(error)) from error


async def _actors(response: ClientResponse) -> AsyncIterator[dict[str, Any]]:
    async for line in _lines(response.content):
        if line.strip():
            try:
                actor = json.loads(line).get("Actor") or {}
            except ValueError as error:
                raise EngineAway(f"an event that is none: {error}") from error
            yield {"ID": actor.get("ID", ""), "Attributes": actor.get("Attributes") or {}}
    raise EngineAway("the event stream ended")


async def _lines(content: StreamReader) -> AsyncIterator[bytes]:
    """One that is too long is left out: aiohttp's own reading of lines ends there, for everybody.
    It is told once in a stream."""
    held, skipping, told = bytearray(), False, False
    while data := await content.readany():
        for number, piece in enumerate(data.split(b"\n")):
            if number:  # what is held ended with a line feed
                if not skipping:
                    yield bytes(held)
                held.clear()
                skipping = False
            held += piece
            if skipping or len(held) > _LONGEST_LINE:
                held.clear()
                skipping = True
                if not told:
                    told = True
                    logger().warning("an event of the engine is too long and left out")
