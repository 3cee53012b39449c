"""What the engine answers, and what it means to whoever asked."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
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
