"""The reaction loop over the store in memory, in virtual time."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from slipway.contracts.project import ProjectRenamed
from slipway.eventstore.memory import MemoryReaction
from slipway.eventstore.store import Commit, Delivery
from slipway.runtime.reactor import Reactor

from tests.simulation.platform import end, fact
from tests.simulation.world import World, virtual

type Handle = Callable[[Commit], Awaitable[None]]


class Day:
    """What a reactor did, with the second at which it did it."""

    def __init__(self) -> None:
        self.world = World(latency=0.0)
        self.did: list[str] = []

    def note(self, what: str) -> None:
        seconds = asyncio.get_running_loop().time()
        self.did.append(f"{seconds:g} {what}")

    async def say(self, id_: str, text: str) -> Commit:
        return await fact(self.world, "deployment", id_, ProjectRenamed(name=text))

    @asynccontextmanager
    async def reactor(
        self,
        handle: Handle,
        *,
        key: Callable[[Commit], str | None] = lambda commit: commit.subject.id,
        dead: Callable[[Commit, Exception], Awaitable[None]] | None = None,
        parallel: int = 64,
    ) -> AsyncIterator[None]:
        reactor = Reactor(self.world, "builder", key, handle, dead=dead, parallel=parallel)
        task = asyncio.create_task(reactor.run())
        try:
            yield
        finally:
            await end(task)


def text(commit: Commit) -> str:
    event = commit.events[0]
    assert isinstance(event, ProjectRenamed)
    return event.name


@virtual
async def test_one_key_is_serial_and_keys_are_parallel():
    day = Day()

    async def handle(commit: Commit) -> None:
        day.note(f"begin {text(commit)}")
        await asyncio.sleep(1)
        day.note(f"end {text(commit)}")

    for id_, name in (("x", "x1"), ("x", "x2"), ("y", "y1")):
        await day.say(id_, name)
    async with day.reactor(handle):
        await asyncio.sleep(5)
    assert day.did == ["0 begin x1", "0 begin y1", "1 end x1", "1 begin x2", "1 end y1", "2 end x2"]


@virtual
async def test_at_most_so_many_at_a_time():
    day, now, most = Day(), 0, 0

    async def handle(_: Commit) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(1)
        now -= 1

    for number in range(10):
        await day.say(f"k{number}", "go")
    async with day.reactor(handle, parallel=3):
        await asyncio.sleep(20)
    assert most == 3
    assert len(day.world._acknowledged["builder"]) == 10


@virtual
async def test_a_key_that_went_idle_is_taken_up_again():
    day = Day()

    async def handle(commit: Commit) -> None:
        day.note(text(commit))

    async with day.reactor(handle):
        for number in range(3):
            await day.say("x", str(number))
            await asyncio.sleep(10)
    assert day.did == ["0 0", "10 1", "20 2"]


@virtual
async def test_what_is_of_no_interest_is_acknowledged_unhandled():
    day = Day()

    async def handle(commit: Commit) -> None:
        day.note(text(commit))

    await day.say("x", "other")
    async with day.reactor(handle, key=lambda _: None):
        await asyncio.sleep(1)
    assert day.did == []
    assert len(day.world._acknowledged["builder"]) == 1


@virtual
async def test_an_error_is_tried_again_later_and_later_and_holds_back_its_key():
    day = Day()

    async def handle(commit: Commit) -> None:
        day.note(text(commit))
        if text(commit) == "bad" and len(day.did) < 5:
            raise RuntimeError("not yet")

    await day.say("x", "bad")
    await day.say("x", "next")
    async with day.reactor(handle):
        await asyncio.sleep(60)
    assert day.did == ["0 bad", "1 bad", "3 bad", "7 bad", "15 bad", "15 next"]
    assert len(day.world._acknowledged["builder"]) == 2


@virtual
async def test_after_eight_errors_it_is_given_up_where_somebody_says_so():
    day = Day()

    async def handle(commit: Commit) -> None:
        day.note(text(commit))
        raise RuntimeError("never")

    async def dead(commit: Commit, error: Exception) -> None:
        day.did.append(f"dead {text(commit)}: {error}")

    await day.say("x", "bad")
    async with day.reactor(handle, dead=dead):
        await asyncio.sleep(500)
    assert len(day.did) == 9
    assert day.did[-1] == "dead bad: never"
    assert len(day.world._acknowledged["builder"]) == 1


@virtual
async def test_nobody_says_so_it_is_tried_for_ever():
    day = Day()

    async def handle(commit: Commit) -> None:
        day.note(text(commit))
        raise RuntimeError("never")

    await day.say("x", "bad")
    async with day.reactor(handle):
        await asyncio.sleep(600)
    assert len(day.did) > 20
    assert day.world._acknowledged["builder"] == set()


@virtual
async def test_what_was_not_finished_comes_again_after_a_restart():
    day = Day()

    async def handle(commit: Commit) -> None:
        day.note(text(commit))
        await asyncio.sleep(5)

    await day.say("x", "one")
    await day.say("x", "two")
    async with day.reactor(handle):
        await asyncio.sleep(7)
    async with day.reactor(handle):
        await asyncio.sleep(10)
    assert day.did == ["0 one", "5 two", "7 two"]


@virtual
async def test_waiting_work_is_kept_alive():
    day = Day()
    kept: list[tuple[float, str]] = []

    class Settle:
        def __init__(self, name: str) -> None:
            self.name = name

        async def ack(self) -> None:
            day.note(f"ack {self.name}")

        async def nak(self, delay: float) -> None:
            raise AssertionError(delay)

        async def in_progress(self) -> None:
            kept.append((asyncio.get_running_loop().time(), self.name))

    first, second = await day.say("x", "1"), await day.say("x", "2")

    class Two(MemoryReaction):
        async def deliveries(self) -> AsyncIterator[Delivery]:
            yield Delivery(first, 1, Settle("1"))
            yield Delivery(second, 1, Settle("2"))
            await asyncio.Event().wait()

    class Store(World):
        @asynccontextmanager
        async def reaction(self, durable: str) -> AsyncIterator[MemoryReaction]:
            yield Two(self, [], set())

    async def handle(_: Commit) -> None:
        await asyncio.sleep(25)

    day.world = Store()
    async with day.reactor(handle):
        await asyncio.sleep(100)
    assert day.did == ["25 ack 1", "50 ack 2"]
    assert {moment for moment, name in kept if name == "1"} == {10, 20}
    assert {10, 20, 30, 40} <= {moment for moment, name in kept if name == "2"}
