"""One holder at a time, over a stream in memory, in virtual time."""

import asyncio
from typing import Any

import pytest
from slipway.eventstore.lease import StreamLease
from slipway.eventstore.stream import Message, Silent, Stored, WrongLastSequence

from tests.simulation.world import VirtualClock, virtual


class Stream:
    """The last message of a subject; it can be out of reach for some."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, bytes]] = []

    async def last(self, subject: str) -> Message | None:
        await asyncio.sleep(0.001)
        for index in range(len(self.messages), 0, -1):
            if self.messages[index - 1][0] == subject:
                return Message(subject, index, self.messages[index - 1][1], 0)
        return None

    async def publish(self, subject: str, data: bytes, *, expected: int | None = None) -> Stored:
        there = await self.last(subject)
        if expected is not None and expected != (there.sequence if there else 0):
            raise WrongLastSequence(subject)
        self.messages.append((subject, data))
        return Stored(len(self.messages), False)


class Cut:
    """One holder's way to the stream."""

    def __init__(self, stream: Stream) -> None:
        self.stream, self.away, self.dead = stream, False, False

    async def _reach(self, subject: str) -> None:
        if self.dead:
            await asyncio.Event().wait()
        if self.away:
            await asyncio.sleep(5)
            raise Silent(subject)

    async def last(self, subject: str) -> Message | None:
        await self._reach(subject)
        return await self.stream.last(subject)

    async def publish(self, subject: str, data: bytes, *, expected: int | None = None) -> Stored:
        await self._reach(subject)
        return await self.stream.publish(subject, data, expected=expected)


def lease(stream: Any, holder: str) -> StreamLease:
    return StreamLease(stream, "deployer", holder, VirtualClock(), 10.0)


async def overlap(*leases: StreamLease, seconds: float) -> int:
    """How many held it at once, at most."""
    most = 0
    for _ in range(int(seconds * 20)):
        most = max(most, sum(item.held for item in leases))
        await asyncio.sleep(0.05)
    return most


@virtual
async def test_a_free_one_is_taken_at_once_and_kept():
    one = lease(Stream(), "one")
    assert not one.held
    await one.acquire()
    assert one.held
    await asyncio.sleep(100)
    assert one.held
    await one.release()
    assert not one.held


@virtual
async def test_the_second_waits_until_the_first_lets_go():
    stream = Stream()
    one, two = lease(stream, "one"), lease(stream, "two")
    await one.acquire()
    waiting = asyncio.create_task(two.acquire())
    assert await overlap(one, two, seconds=60) == 1
    assert one.held
    await one.release()
    await asyncio.sleep(1)
    assert two.held
    await waiting
    await two.release()


@virtual
async def test_the_second_takes_over_from_one_that_died():
    """Nothing more is heard of it; it does not know that either."""
    stream = Stream()
    cut = Cut(stream)
    one, two = lease(cut, "one"), lease(stream, "two")
    await one.acquire()
    cut.dead = True
    waiting = asyncio.create_task(two.acquire())
    assert await overlap(one, two, seconds=12) == 1
    assert not one.held
    assert two.held
    await waiting
    await two.release()


@virtual
async def test_one_that_is_cut_off_knows_before_another_has_it():
    stream = Stream()
    cut = Cut(stream)
    one, two = lease(cut, "one"), lease(stream, "two")
    await one.acquire()
    waiting = asyncio.create_task(two.acquire())
    cut.away = True
    assert await overlap(one, two, seconds=15) == 1
    assert two.held
    cut.away = False
    assert await overlap(one, two, seconds=30) == 1
    assert two.held
    await waiting
    await one.release()
    await two.release()


@virtual
async def test_of_many_at_once_one_gets_it():
    stream = Stream()
    leases = [lease(stream, f"holder{number}") for number in range(8)]
    waiting = [asyncio.create_task(item.acquire()) for item in leases]
    assert await overlap(*leases, seconds=5) == 1
    for task in waiting:
        task.cancel()
    for item in leases:
        await item.release()


@virtual
async def test_the_same_holder_started_again_need_not_wait():
    """Its container's name is new in truth; a process that starts anew in it is not."""
    stream = Stream()
    await lease(stream, "one").acquire()
    again = lease(stream, "one")
    await asyncio.wait_for(again.acquire(), 0.1)
    assert again.held
    await again.release()


@virtual
async def test_one_that_lost_it_gets_it_back_only_when_it_is_free():
    stream = Stream()
    cut = Cut(stream)
    one, two = lease(cut, "one"), lease(stream, "two")
    await one.acquire()
    cut.away = True
    await two.acquire()
    cut.away = False
    await asyncio.sleep(30)
    assert (one.held, two.held) == (False, True)
    await two.release()
    await asyncio.sleep(5)
    assert one.held
    await one.release()


@virtual
async def test_no_error_ends_the_renewing(monkeypatch: pytest.MonkeyPatch):
    stream = Stream()
    one = lease(stream, "one")
    await one.acquire()

    async def unforeseen(_: str) -> Message | None:
        raise RuntimeError("unforeseen")

    with monkeypatch.context() as broken:
        broken.setattr(stream, "last", unforeseen)
        await asyncio.sleep(30)
        assert not one.held
    await asyncio.sleep(5)
    assert one.held
    await one.release()
