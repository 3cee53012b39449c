"""Answers that go on: signs of life, an end, and errors that are not swallowed."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
from api_gateway.events.routes import position
from api_gateway.http import streaming
from api_gateway.http.streaming import beating
from slipway.kernel.errors import Invalid


async def chunks(*waits: float, error: Exception | None = None) -> AsyncGenerator[bytes]:
    for number, wait in enumerate(waits):
        await asyncio.sleep(wait)
        yield str(number).encode()
    if error is not None:
        raise error


async def test_what_comes_goes_on_until_it_ends():
    assert [chunk async for chunk in beating(chunks(0, 0, 0))] == [b"0", b"1", b"2"]


async def test_a_sign_of_life_while_nothing_comes(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(streaming, "_HEARTBEAT", 0.02)
    seen = [chunk async for chunk in beating(chunks(0, 0.1), b"beat")]
    assert seen[0] == b"0"
    assert seen[-1] == b"1"
    assert 2 <= seen.count(b"beat") <= 6
    assert [chunk async for chunk in beating(chunks(0, 0.1))] == [b"0", b"1"]


async def test_it_ends_after_a_while(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(streaming, "_LONGEST", 0.05)
    async with asyncio.timeout(2):
        assert [chunk async for chunk in beating(chunks(0, 60))] == [b"0"]


async def test_an_error_is_the_error_of_the_answer():
    answer = beating(chunks(0, error=LookupError("gone")))
    assert await anext(answer) == b"0"
    with pytest.raises(LookupError):
        await anext(answer)


async def test_who_stops_listening_stops_the_source():
    stopped = asyncio.Event()

    async def source() -> AsyncGenerator[bytes]:
        try:
            while True:
                yield b"x"
                await asyncio.sleep(0.001)
        finally:
            stopped.set()

    answer = beating(source())
    assert await anext(answer) == b"x"
    await answer.aclose()  # pyright: ignore[reportAttributeAccessIssue]
    async with asyncio.timeout(2):
        await stopped.wait()


@pytest.mark.parametrize(
    ("after", "expected"),
    [(None, (0, 10**9)), ("", (0, 10**9)), ("7", (7, 10**9)), ("7.2", (7, 2))],
)
def test_positions(after: str | None, expected: tuple[int, int]):
    assert position(after) == expected


@pytest.mark.parametrize("after", ["x", "7.", ".2", "-1", "7.2.1", "7 ", "²", "9" * 19])
def test_no_positions(after: str):
    with pytest.raises(Invalid):
        position(after)
