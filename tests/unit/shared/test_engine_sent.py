"""What the engine is sent: files for containers, and the account for the registry."""

import asyncio
import base64
import io
import json
import tarfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from slipway.contracts.registry import Account
from slipway.runtime.engine import EngineApi, EngineRefused


@dataclass
class Asked:
    line: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Engine:
    """Answers `status`, with an error's words where it is one."""

    status: int = 200
    asked: list[Asked] = field(default_factory=list)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (row.partition(": ") for row in head)}
        body = b""
        if headers.get("transfer-encoding") == "chunked":
            while size := int(await reader.readline(), 16):
                body += (await reader.readexactly(size + 2))[:-2]
        else:
            body = await reader.readexactly(int(headers.get("content-length", "0")))
        said, status = b'{"message": "no such thing", "ApiVersion": "1.43"}', self.status
        if "/version" in head[0]:
            status = 200
        else:
            self.asked.append(Asked(head[0], headers, body))
        writer.write(b"HTTP/1.1 %d x\r\nContent-Type: application/json\r\n" % status)
        writer.write(b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(said) + said)
        await writer.drain()
        writer.close()


@pytest.fixture
async def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Engine]:
    made, socket = Engine(), tmp_path / "docker.sock"
    monkeypatch.setenv("DOCKER_HOST", f"unix://{socket}")
    server = await asyncio.start_unix_server(made.answer, socket)
    yield made
    server.close()


@pytest.fixture
async def api(engine: Engine) -> AsyncIterator[EngineApi]:
    made = EngineApi(account=Account("platform", "secret"))
    yield made
    await made.close()


def signed_in(asked: Asked) -> dict[str, str]:
    return json.loads(base64.urlsafe_b64decode(asked.headers["x-registry-auth"]))


async def test_a_swarm_service_and_a_pull_carry_the_account(engine: Engine, api: EngineApi):
    await api.query("services/create", "POST", data={"Name": "web"})
    await api.pull("127.0.0.1:5000/org/a1@sha256:0")
    wanted = {"username": "platform", "password": "secret"}
    for asked in engine.asked:
        assert wanted.items() <= signed_in(asked).items()
    assert json.loads(engine.asked[0].body) == {"Name": "web"}


async def test_without_an_account_nothing_is_said_of_one(engine: Engine):
    api = EngineApi()
    try:
        await api.query("services/create", "POST", data={"Name": "web"})
        await api.pull("nginx:1")
    finally:
        await api.close()
    assert not any("x-registry-auth" in asked.headers for asked in engine.asked)


async def test_files_are_put_as_they_are(engine: Engine, api: EngineApi):
    await api.put_files("door", {"/etc/slipway/a": "one", "/etc/slipway/users/b": "ü\n"})
    (asked,) = engine.asked
    assert asked.line.startswith("PUT /v1.43/containers/door/archive?path=/ ")
    assert asked.headers["content-type"] == "application/x-tar"
    with tarfile.open(fileobj=io.BytesIO(asked.body)) as tar:
        found = {entry.name: (tar.extractfile(entry), entry.mode) for entry in tar}
        texts = {name: (file.read().decode(), mode) for name, (file, mode) in found.items() if file}
    assert texts == {"etc/slipway/a": ("one", 0o644), "etc/slipway/users/b": ("ü\n", 0o644)}
    engine.status = 400
    with pytest.raises(EngineRefused, match="no such thing"):
        await api.put_files("door", {"/etc/a": "one"})


@pytest.mark.parametrize(("status", "there"), [(200, True), (404, False)])
async def test_whether_a_file_is_there(engine: Engine, api: EngineApi, status: int, there: bool):
    engine.status = status
    assert await api.has_file("kit", "/run/socket") is there
