"""What the engine answers, and what it means to whoever asked."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from slipway.runtime import engine
from slipway.runtime.engine import EngineApi, EngineAway, EngineMissing, EngineRefused


@pytest.fixture
async def answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[str]]:
    """An engine that answers everything with (status, message), as the list says."""
    said: list[str] = ["200 {}"]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        status, _, body = said[0].partition(" ")
        head = f"HTTP/1.1 {status} x\r\nContent-Type: application/json\r\nConnection: close\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
        await writer.drain()
        writer.close()

    socket = tmp_path / "docker.sock"
    monkeypatch.setenv("DOCKER_HOST", f"unix://{socket}")
    server = await asyncio.start_unix_server(answer, socket)
    yield said
    server.close()


@pytest.mark.parametrize(
    ("status", "words", "meaning"),
    [
        (404, "no such container", EngineMissing),
        (503, "this node is not a swarm manager", EngineAway),
        (500, "rpc error: code = Unavailable", EngineAway),
        (500, "it broke", EngineRefused),
        (409, "the name is in use", EngineRefused),
    ],
)
async def test_a_status_means_one_thing(
    answers: list[str], status: int, words: str, meaning: type[Exception]
):
    answers[0] = f"{status} {json.dumps({'message': words})}"
    api = EngineApi()
    try:
        with pytest.raises(meaning):
            await api.query("containers/x/json")
    finally:
        await api.close()


class Told:
    """An engine that answers everything but its version with `body`; `paths` were asked for."""

    def __init__(self) -> None:
        self.body = b"{}"
        self.length: int | None = None
        """What it says that the body has, where that isn't so."""
        self.paths: list[str] = []

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1].decode()
        if asked == "/version":
            body = b'{"ApiVersion": "1.43"}'
        else:
            self.paths.append(asked.removeprefix("/v1.43/"))
            body = self.body
        head = b"HTTP/1.1 200 x\r\nContent-Type: application/json\r\nConnection: close\r\n"
        head += b"" if self.length is None else b"Content-Length: %d\r\n" % self.length
        with contextlib.suppress(ConnectionError):  # whoever asked may have read enough
            writer.write(head + b"\r\n" + body)
            await writer.drain()
        writer.close()


@pytest.fixture
async def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Told]:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    found = Told()
    server = await asyncio.start_unix_server(found.answer, tmp_path / "docker.sock")
    yield found
    server.close()


@pytest.fixture
async def api(told: Told) -> AsyncIterator[EngineApi]:
    found = EngineApi()
    yield found
    await found.close()


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("nginx:stable", "nginx:stable"),
        ("registry.example:5000/a/b:c", "registry.example:5000/a/b:c"),
        ("a@sha256:00ff", "a@sha256:00ff"),
        ("a?all=1", "a%3Fall%3D1"),
        ("a#b", "a%23b"),
        ("a%2F..%2Fb", "a%252F..%252Fb"),
        ("%2e%2e", "%252e%252e"),
    ],
)
async def test_a_name_is_only_a_name_in_a_path(told: Told, api: EngineApi, name: str, path: str):
    await api.query(f"images/{name}/json")
    async with api.stream(f"images/{name}/json"):
        pass
    assert [asked.replace("=", "%3D") for asked in told.paths] == [f"images/{path}/json"] * 2


@pytest.mark.parametrize(
    "name",
    ["a/../nginx:stable", "x/../../../v1.24/images/nginx:stable", "..", "./a", "a//b", "", "/a"],
)
async def test_a_name_that_leads_elsewhere_is_refused_and_the_engine_not_asked(
    told: Told, api: EngineApi, name: str
):
    with pytest.raises(EngineRefused):
        await api.query(f"images/{name}/json")
    with pytest.raises(EngineRefused):
        async with api.stream(f"containers/{name}/logs"):
            pass
    assert await api.last_lines(name, 1) == []
    assert told.paths == []


def _event(id_: str, **attributes: str) -> bytes:
    return json.dumps({"Actor": {"ID": id_, "Attributes": attributes}}).encode() + b"\n"


async def test_an_event_that_is_too_long_is_left_out_and_the_next_ones_arrive(
    told: Told, api: EngineApi
):
    long = _event("b", x="y" * 600 * 1024)
    told.body = _event("a", x="1") + long + _event("c") + long + long + _event("d")
    found: list[tuple[str, dict[str, str]]] = []

    async def hear() -> None:
        async with api.container_events(["start"], []) as actors:
            async for actor in actors:
                found.append((actor["ID"], actor["Attributes"]))  # noqa: PERF401

    with pytest.raises(EngineAway, match="ended"):
        await hear()
    assert found == [("a", {"x": "1"}), ("c", {}), ("d", {})]


async def test_a_line_without_end_in_a_pull_is_a_refusal(told: Told, api: EngineApi):
    told.body = json.dumps({"status": "y" * 600 * 1024}).encode() + b"\n"
    with pytest.raises(EngineRefused):
        await api.pull("nginx:stable")


async def test_a_line_without_end_in_a_stream_is_said_as_an_engine_that_is_away(
    told: Told, api: EngineApi
):
    told.body = b"y" * 600 * 1024 + b"\n"
    with pytest.raises(EngineAway):
        async with api.stream("containers/a/logs") as response:
            await response.content.readline()


async def test_an_answer_that_breaks_off_is_an_engine_that_is_away(told: Told, api: EngineApi):
    told.length = 100
    with pytest.raises(EngineAway):
        async with api.stream("containers/a/logs") as response:
            await response.content.read()


@pytest.mark.parametrize("error", [ValueError, OSError, TimeoutError, UnicodeError])
async def test_what_goes_wrong_with_whoever_reads_is_not_the_engines(
    told: Told, api: EngineApi, error: type[Exception]
):
    with pytest.raises(error, match="mine"):
        async with api.stream("containers/a/logs"):
            raise error("mine")
    told.body = _event("a")

    async def hear() -> None:
        async with api.container_events(["start"], []) as actors:
            async for _ in actors:
                raise error("mine")

    with pytest.raises(error, match="mine"):
        await hear()


async def test_an_event_that_is_none_is_an_engine_that_is_away(told: Told, api: EngineApi):
    told.body = b"not JSON\n"

    async def hear() -> None:
        async with api.container_events(["start"], []) as actors:
            async for _ in actors:
                pass

    with pytest.raises(EngineAway):
        await hear()


async def test_last_lines_that_cannot_be_read_are_none(told: Told, api: EngineApi):
    told.body = b'{"Config": {"Tty": true}, "Path": "\xff"}'
    assert await api.last_lines("a", 1) == []


async def test_an_answer_is_read_up_to_a_bound(
    told: Told, api: EngineApi, monkeypatch: pytest.MonkeyPatch
):
    told.body = json.dumps({"x": "y" * 200_000}).encode()
    assert await api.query("info")
    monkeypatch.setattr(engine, "_LARGEST_ANSWER", 100_000)
    with pytest.raises(EngineRefused, match="too large"):
        await api.query("info")
