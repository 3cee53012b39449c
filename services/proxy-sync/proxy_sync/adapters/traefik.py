"""Traefik: its files, its API, and probes through its public entry."""

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from proxy_sync.edge.render import CONTROL_PORT
from proxy_sync.routing.probes import NotLoaded
from proxy_sync.routing.render import ATTEMPT, PROBE, marker


class Answer:
    """Of a probe: `status` 0 when there was none; `marked` when it came through our router."""

    def __init__(self, status: int, marked: bool, text: str) -> None:
        self.status, self.marked, self.text = status, marked, text

    def good(self, *, strict: bool) -> bool:
        """Any answer below 500 shows that the program serves (502 to 504 are also the proxy's own
        words of a task that does not answer); `strict`: a health check's path has to answer 2xx or
        3xx."""
        return self.marked and 200 <= self.status < (400 if strict else 500)

    def said(self, path: str) -> str:
        if self.status == 0:
            return f"GET {path}: {self.text}"
        return f"GET {path} answered {self.status} {self.text[:120]!r}"


class Traefik:
    def __init__(self, folder: Path, password: str, secret: str) -> None:
        self._root, self._folder = folder, folder / "dynamic"
        self._login = {"Authorization": aiohttp.encode_basic_auth("slipway", password)}
        self._secret = secret
        self._session: aiohttp.ClientSession | None = None
        self.address = ""
        """On the control network."""

    async def open(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        # No limit: who waits for a connection would wait for what another service does not answer.
        connector = aiohttp.TCPConnector(force_close=True, limit=0)
        self._session = aiohttp.ClientSession(connector=connector)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    @property
    def _http(self) -> aiohttp.ClientSession:
        assert self._session is not None  # noqa: S101 - open() comes first
        return self._session

    def write(self, name: str, document: dict[str, Any]) -> None:
        """An empty document removes the file. JSON is YAML, which is what Traefik looks for."""
        file = self._folder / f"{name}.yml"
        if document:
            _write(file, document)
        else:
            file.unlink(missing_ok=True)

    def write_static(self, document: dict[str, Any]) -> None:
        _write(self._root / "traefik.yml", document)

    def names(self) -> set[str]:
        """Of all documents that are there."""
        return {file.stem for file in self._folder.glob("*.yml")}

    async def loaded(self, service: str, document: dict[str, Any], seconds: float = 10) -> None:
        """Returns once Traefik says that it has loaded this very document. Raises NotLoaded."""
        name = marker(document, service)
        deadline = asyncio.get_running_loop().time() + seconds
        while True:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
                if await self._has(service, name):
                    return
            if asyncio.get_running_loop().time() > deadline:
                raise NotLoaded(service)
            await asyncio.sleep(0.015)

    async def _has(self, service: str, name: str | None) -> bool:
        timeout = aiohttp.ClientTimeout(total=2)
        base = f"http://{self.address}:{CONTROL_PORT}/api/http/middlewares"
        if name is not None:
            url = f"{base}/{name}@file"
            async with self._http.get(url, headers=self._login, timeout=timeout) as answer:
                return answer.status == 200
        url = f"{base}?search=f-{service}-&per_page=1"
        async with self._http.get(url, headers=self._login, timeout=timeout) as answer:
            return answer.status == 200 and await answer.json() == []

    async def up(self) -> bool:
        with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
            timeout = aiohttp.ClientTimeout(total=2)
            async with self._http.get(
                f"http://{self.address}:{CONTROL_PORT}/ping", timeout=timeout
            ) as answer:
                return answer.status == 200
        return False

    async def probe(
        self, task: str, port: int, attempt: str, host: str, path: str, seconds: float = 5
    ) -> Answer:
        headers = {"Host": host, PROBE: f"{self._secret}.{task}.{port}"}
        return await self._get(path, headers, attempt, seconds)

    async def public(self, host: str, path: str, seconds: float = 5) -> Answer:
        """As anybody would ask, once more after the switch."""
        return await self._get(path, {"Host": host}, None, seconds)

    async def _get(
        self, path: str, headers: dict[str, str], attempt: str | None, seconds: float
    ) -> Answer:
        timeout = aiohttp.ClientTimeout(total=seconds)
        try:
            async with self._http.get(
                f"http://{self.address}:80{path}",
                headers=headers, timeout=timeout, allow_redirects=False,
            ) as answer:  # fmt: skip
                text = await _beginning(answer) if answer.status >= 400 else ""
                marked = attempt is None or answer.headers.get(ATTEMPT) == attempt
                return Answer(answer.status, marked, text)
        except TimeoutError:
            return Answer(0, False, f"no answer within {seconds:g} s")
        except (aiohttp.ClientError, OSError) as error:
            return Answer(0, False, str(error))


async def _beginning(answer: aiohttp.ClientResponse) -> str:
    """Of what it says besides its status, if that comes soon: some answers never end, or begin."""
    with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
        async with asyncio.timeout(0.5):
            return (await answer.content.read(200)).decode(errors="replace")
    return ""


def _write(file: Path, document: dict[str, Any]) -> None:
    """Atomically: written beside, then renamed. What is equal is left alone."""
    data = orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)
    if file.exists() and file.read_bytes() == data:
        return
    part = file.with_name(f".{file.name}.part")
    part.write_bytes(data)
    part.chmod(0o600)
    part.rename(file)
