"""What is asked of a release, and which answers of a real server count."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from proxy_sync.adapters.traefik import Answer, Traefik
from proxy_sync.routing import probes
from proxy_sync.routing.domain import Routing
from slipway.contracts.route import Binding, Served
from slipway.contracts.workload import MAIN
from slipway.runtime.clock import SystemClock
from slipway.testing.releases import release

type Handler = Callable[[asyncio.StreamWriter], Awaitable[object]]


@asynccontextmanager
async def answering(folder: Path, answer: Handler) -> AsyncIterator[Traefik]:
    """A proxy in whose place a server at a socket answers every request."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await answer(writer)
        writer.close()

    socket = str(folder / "proxy.sock")
    server = await asyncio.start_unix_server(serve, socket)
    traefik = Traefik(folder, "password", "secret")
    traefik.address = "proxy"
    connector = aiohttp.UnixConnector(socket, force_close=True)
    async with server, aiohttp.ClientSession(connector=connector) as session:
        traefik._session = session
        yield traefik


def said(status: str, *headers: str, body: bytes = b"", then: float = 0.0) -> Handler:
    """The headers at once; nothing more, or the body for ever, for `then` seconds."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status}", "X-Slipway-Attempt: d1.1", *headers, "", ""]
        writer.write("\r\n".join(lines).encode() + body)
        await writer.drain()
        await asyncio.sleep(then)

    return answer


CHUNKED = "Transfer-Encoding: chunked"
ANSWERS: dict[str, tuple[Handler, bool, str]] = {
    "a stream without end that says nothing yet": (said("200 OK", CHUNKED, then=2), True, "200 ''"),
    "a stream without end": (said("200 OK", CHUNKED, body=b"1\r\na\r\n", then=2), True, "200 ''"),
    "a body that is cut off": (said("200 OK", "Content-Length: 900", body=b"x"), True, "200 ''"),
    "a redirect": (said("302 Found", "Location: http://gone.example/"), True, "302 ''"),
    "a page that is not there": (said("404 X", "Content-Length: 2", body=b"no"), True, "404 'no'"),
    "an error": (said("500 X", "Content-Length: 4", body=b"oops"), False, "500 'oops'"),
    "an error whose words do not come": (said("500 X", CHUNKED, then=2), False, "500 ''"),
}  # fmt: skip


@pytest.mark.parametrize(("handler", "good", "words"), ANSWERS.values(), ids=ANSWERS)
async def test_the_beginning_of_an_answer_tells(
    tmp_path: Path, handler: Handler, good: bool, words: str
):
    async with answering(tmp_path, handler) as traefik:
        began = asyncio.get_running_loop().time()
        answer = await traefik.probe("t", 80, "d1.1", "app.example", "/", seconds=3)
        assert asyncio.get_running_loop().time() - began < 2
    assert answer.good(strict=False) is good
    assert answer.said("/") == f"GET / answered {words}"


async def test_a_slow_answer_counts_as_long_as_it_is_waited_for(tmp_path: Path):
    async def slow(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.3)
        await said("200 OK")(writer)

    async with answering(tmp_path, slow) as traefik:
        assert (await traefik.probe("t", 80, "d1.1", "a", "/", seconds=3)).good(strict=True)
        late = await traefik.probe("t", 80, "d1.1", "a", "/", seconds=0.1)
    assert late.said("/") == "GET /: no answer within 0.1 s"


async def test_what_is_not_answered_keeps_nobody_else_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """However many do not answer: neither another service's task nor the proxy's own API."""
    held, asked = asyncio.Event(), 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        if b"slow.example" in await reader.readuntil(b"\r\n\r\n"):
            asked += 1
            await held.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
        writer.write(b"X-Slipway-Attempt: d1.1\r\nContent-Length: 2\r\n\r\n[]")
        writer.close()

    socket = str(tmp_path / "proxy.sock")
    monkeypatch.setattr(
        "proxy_sync.adapters.traefik.aiohttp.TCPConnector",
        lambda **options: aiohttp.UnixConnector(socket, **options),
    )
    traefik = Traefik(tmp_path, "password", "secret")
    traefik.address = "proxy"
    async with await asyncio.start_unix_server(serve, socket, backlog=500):
        await traefik.open()
        slow = [
            asyncio.create_task(traefik.probe(f"t{n}", 80, "d1.1", "slow.example", "/", seconds=30))
            for n in range(300)
        ]
        async with asyncio.timeout(5):
            while asked < len(slow):
                await asyncio.sleep(0.01)
        answer = await traefik.probe("t", 80, "d1.1", "app.example", "/", seconds=3)
        assert answer.good(strict=True)
        await traefik.loaded("service", {}, seconds=3)
        held.set()
        assert all(answer.good(strict=True) for answer in await asyncio.gather(*slow))
        await traefik.close()


class Public:
    """A proxy that notes what is asked in public, and answers so."""

    def __init__(self, status: int) -> None:
        self.status, self.asked = status, list[str]()

    async def public(self, host: str, path: str, seconds: float) -> Answer:
        self.asked.append(f"{host}{path}")
        return Answer(self.status, True, "")


@pytest.mark.parametrize(
    ("health_path", "path", "port", "asked"),
    [
        (None, "/", 80, "/"),
        ("/health", "/", 80, "/health"),
        ("/health", "/", 81, "/"),
        ("/health", "/shop", 80, "/shop"),
        ("/shop/health", "/shop", 80, "/shop/health"),
        ("/shopping", "/shop", 80, "/shop"),
        ("/shop", "/shop", 80, "/shop"),
    ],
)
async def test_in_public_the_path_of_the_health_check_is_asked_where_it_leads_there(
    health_path: str | None, path: str, port: int, asked: str
):
    proxy = Public(200)
    binding = Binding(domain="d", host="app.example", path=path, workload=MAIN, port=port)
    served = (Served(workload=MAIN, swarm_service="s-d1"),)
    loaded = Routing("app", (binding,), ((MAIN, "10.0.0.1"),), "d1", served)
    wanted = release("d1", port=80, health_path=health_path)
    assert await probes.confirm(proxy, SystemClock(), loaded, wanted) is None  # pyright: ignore[reportArgumentType]
    assert proxy.asked == [f"app.example{asked}"]


async def test_an_address_whose_workload_is_not_there_is_not_asked():
    proxy = Public(503)
    binding = Binding(domain="d", host="app.example", path="/", workload="gone", port=80)
    loaded = Routing("app", (binding,), (), "d1", (Served(workload=MAIN, swarm_service="s-d1"),))
    assert await probes.confirm(proxy, SystemClock(), loaded, release("d1")) is None  # pyright: ignore[reportArgumentType]
    assert proxy.asked == []


async def test_an_address_of_what_goes_on_without_a_task_is_not_asked():
    proxy = Public(503)
    binding = Binding(domain="d", host="app.example", path="/", workload=MAIN, port=80)
    loaded = Routing("app", (binding,), (), "d2", (Served(workload=MAIN, swarm_service="s-d1"),))
    idle = release("d2", port=80, carried=True)
    assert await probes.confirm(proxy, SystemClock(), loaded, idle) is None  # pyright: ignore[reportArgumentType]
    assert proxy.asked == []
    new = release("d2", port=80)
    assert await probes.confirm(proxy, SystemClock(), loaded, new) is not None  # pyright: ignore[reportArgumentType]
