"""What starts containers' logs being followed, and what must not end it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from metrics.adapters.engine import Engine
from metrics.container import Container
from metrics.logs import react
from metrics.logs.ledger import Ledger
from metrics.logs.react import Logs
from slipway.runtime import retry


class Odd(Exception):
    """What nobody thought of."""


class Told:
    """An engine whose events and list fail oddly at first."""

    def __init__(self) -> None:
        self.heard = self.looked = 0

    async def containers(self, *, ended: bool) -> list[Container]:
        self.looked += 1
        if self.looked <= 2:
            raise Odd
        return []

    async def started(self) -> AsyncIterator[Container | None]:
        self.heard += 1
        yield None
        if self.heard <= 4:
            raise Odd
        await asyncio.Event().wait()


class Kept:
    async def recover(self) -> None: ...
    async def save_regularly(self) -> None: ...
    def save(self) -> None: ...
    def keep(self, steps: set[str]) -> None: ...


@asynccontextmanager
async def _running(engine: Any, every: float) -> AsyncIterator[asyncio.Task[None]]:
    logs = Logs(cast("Engine", engine), cast("Ledger", Kept()), 10, every)
    task = asyncio.create_task(logs.run())
    yield task
    task.cancel()
    await asyncio.wait([task])


@pytest.mark.parametrize("every", [0.005, 1000.0])
async def test_what_nobody_thought_of_does_not_end_it(
    monkeypatch: pytest.MonkeyPatch, every: float
):
    monkeypatch.setattr(react, "_HEAR_AGAIN_SECONDS", 0.001)
    monkeypatch.setattr(retry, "CONNECT", retry.Policy(first=0.001, longest=0.002, attempts=None))
    engine = Told()
    async with _running(engine, every) as task, asyncio.timeout(5):
        while engine.heard < 5 or engine.looked < 3:
            assert not task.done()
            await asyncio.sleep(0.005)
        assert not task.done()


async def test_a_look_that_fails_oddly_is_followed_by_another(monkeypatch: pytest.MonkeyPatch):
    class Silent(Told):
        async def started(self) -> AsyncIterator[Container | None]:
            await asyncio.Event().wait()
            yield None

    engine = Silent()
    async with _running(engine, 0.005) as task, asyncio.timeout(5):
        while engine.looked < 4:
            assert not task.done()
            await asyncio.sleep(0.005)
