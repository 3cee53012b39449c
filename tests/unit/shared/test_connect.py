"""Connecting while the server is there and its log is not yet."""

import asyncio
from typing import Any

import pytest
from slipway.eventstore import jetstream
from slipway.eventstore.former import FormerFormat
from slipway.eventstore.stream import Silent

from tests.simulation.world import virtual


class Client:
    """A server that answers; what its log says is told by `answers`."""

    closed = False

    async def connect(self, _url: str, **_: Any) -> None:
        pass

    async def take(self, *_: Any) -> None:
        pass

    async def close(self) -> None:
        self.closed = True

    def new_inbox(self) -> str:
        return "_INBOX"

    def jetstream(self, **_: Any) -> None:
        pass


def connecting(patch: pytest.MonkeyPatch, *answers: Exception | None) -> Client:
    client, left = Client(), list(answers)

    async def refuse_former(_: Any) -> None:
        if (answer := left.pop(0)) is not None:
            raise answer

    patch.setattr(jetstream, "DirectClient", lambda: client)
    patch.setattr(jetstream, "refuse_former", refuse_former)
    return client


@virtual
async def test_a_log_without_an_answer_is_waited_for():
    with pytest.MonkeyPatch.context() as patch:
        client = connecting(patch, *[Silent("no leader")] * 10, None)
        await jetstream.connect("nats://x", "builder", "secret")
    assert asyncio.get_running_loop().time() > 30
    assert not client.closed


@virtual
async def test_a_log_that_is_refused_is_left():
    with pytest.MonkeyPatch.context() as patch:
        client = connecting(patch, Silent("no leader"), FormerFormat())
        with pytest.raises(FormerFormat):
            await jetstream.connect("nats://x", "builder", "secret")
    assert client.closed
