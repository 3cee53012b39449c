"""git itself, and servers that do what no git server should."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from builder.adapters import addresses, shell
from builder.build.failures import BuildError
from builder.build.work import work
from builder.sources import git
from slipway.contracts.values import GitSource

from tests.unit.builder.parts import Played

COMMIT = "1" * 40
type Answer = Callable[[asyncio.StreamWriter, str], Awaitable[None]]


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine itself, which nothing is cloned from otherwise."""

    async def pin(url: str, **_: object) -> str:
        return f"{url.split('/')[2]}:127.0.0.1"

    monkeypatch.setattr(addresses, "pin", pin)


@asynccontextmanager
async def server(answer: Answer) -> AsyncIterator[str]:
    """An HTTP server; `answer` is given the path."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            await answer(writer, head.split()[1])
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"http://localhost:{listening.sockets[0].getsockname()[1]}/app.git"
    finally:
        listening.close()


def played(root: Path) -> Played:
    made = Played(root)
    made.programs = shell.run  # pyright: ignore[reportAttributeAccessIssue]
    return made


def packet(data: bytes) -> bytes:
    return f"{len(data) + 4:04x}".encode() + data


async def advertise(writer: asyncio.StreamWriter, service: str = "upload-pack") -> None:
    refs = f"{COMMIT} HEAD\0side-band-64k shallow ofs-delta symref=HEAD:refs/heads/main\n"
    body = packet(f"# service=git-{service}\n".encode()) + b"0000" + packet(refs.encode())
    body += packet(f"{COMMIT} refs/heads/main\n".encode()) + b"0000"
    writer.write(
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n"
        b"Content-Type: application/x-git-upload-pack-advertisement\r\n\r\n" + body
    )
    await writer.drain()


ANSWER = (
    b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/x-git-upload-pack-result"
    b"\r\n\r\n"
)


async def silent(writer: asyncio.StreamWriter, _: str) -> None:
    await asyncio.sleep(60)


async def silent_later(writer: asyncio.StreamWriter, path: str) -> None:
    await (advertise(writer) if "info/refs" in path else asyncio.sleep(60))


@pytest.mark.parametrize("answer", [silent, silent_later])
async def test_one_that_says_nothing_holds_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: Answer
):
    monkeypatch.setattr(git, "_SILENCE", 1.0)
    async with server(answer) as url:
        with pytest.raises(BuildError) as error:
            async with asyncio.timeout(10):
                await work(played(tmp_path).job(GitSource(url=url)))
    assert error.value.failure.reason == "git-silent"
    assert played(tmp_path).left() == []


@pytest.mark.parametrize("end", [b"\n", b"\r", b""])
async def test_one_that_talks_without_end(tmp_path: Path, end: bytes):
    """A hundred megabytes of progress, as lines, as one that is written over, as one line."""
    asked: list[str] = []

    async def talks(writer: asyncio.StreamWriter, path: str) -> None:
        if "info/refs" in path:
            await advertise(writer)
            return
        writer.write(ANSWER + packet(f"shallow {COMMIT}".encode()) + b"0000")
        asked.append(path)
        if len(asked) == 1:  # how deep it is; the commits come in a second answer
            return
        writer.write(packet(b"NAK\n"))
        for _ in range(1600):
            writer.write(packet(b"\x02" + b"x" * 65_000 + end))
            await writer.drain()
        writer.write(packet(b"\x03\nno more\n") + b"0000")
        await writer.drain()

    async with server(talks) as url:
        with pytest.raises(BuildError) as error:
            await work(played(tmp_path).job(GitSource(url=url)))
    failure = error.value.failure
    assert failure.reason == "git-unreachable"
    assert not end or "no more" in " ".join(failure.lines)
    assert len(failure.model_dump_json()) < 100_000


async def test_one_whose_line_has_no_end(tmp_path: Path):
    async def long(writer: asyncio.StreamWriter, _: str) -> None:
        writer.write(b"HTTP/1.1 500 " + b"x" * 6_000_000 + b"\r\nConnection: close\r\n\r\n")
        await writer.drain()

    async with server(long) as url:
        with pytest.raises(BuildError) as error:
            await work(played(tmp_path).job(GitSource(url=url)))
    assert error.value.failure.reason == "git-unreachable"
