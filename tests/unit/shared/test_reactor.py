"""The reaction loop over the store in memory, in virtual time."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from slipway.contracts.project import ProjectRenamed
from slipway.eventstore.dead_letters import DeadLetter, DeadLetters, ask_again
from slipway.eventstore.memory import MemoryDeadLetters, MemoryReaction
from slipway.eventstore.store import Commit, Delivery
from slipway.runtime import reactor
from slipway.runtime.reactor import NoFact, Reactor, dead_letter

from tests.simulation.platform import end, fact
from tests.simulation.world import World, virtual

type Handle = Callable[[Commit], Awaitable[None]]


class Day:
    """What a reactor did, with the second at which it did it."""

    def __init__(self) -> None:
        self.world = World(latency=0.0)
        self.letters = MemoryDeadLetters(self.world.clock)
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
        dead: Callable[[Commit, Exception], Awaitable[None]] = dead_letter,
        letters: DeadLetters | None = None,
        parallel: int = 64,
    ) -> AsyncIterator[None]:
        reactor = Reactor(
            self.world,
            "builder",
            key,
            handle,
            dead=dead,
            letters=letters or self.letters,
            parallel=parallel,
        )
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


async def never(_: Commit) -> None:
    raise RuntimeError("never")


def acknowledged(day: Day) -> set[int]:
    return day.world._acknowledged["builder"]


@virtual
async def test_after_eight_errors_a_fact_says_so():
    day = Day()

    async def handle(commit: Commit) -> None:
        day.note(text(commit))
        await never(commit)

    async def dead(commit: Commit, error: Exception) -> None:
        day.note(f"dead {text(commit)}: {error}")

    await day.say("x", "bad")
    async with day.reactor(handle, dead=dead):
        await asyncio.sleep(500)
    assert len(day.did) == 9
    assert day.did[-1] == "91 dead bad: never"
    assert len(acknowledged(day)) == 1
    assert await day.letters.list() == []


@virtual
async def test_without_a_fact_it_becomes_a_dead_letter_and_its_key_goes_on():
    day = Day()

    async def handle(commit: Commit) -> None:
        if text(commit) == "bad":
            raise RuntimeError("x" * 5000 + "\ud800")
        day.note(text(commit))

    bad = await day.say("x", "bad")
    await day.say("x", "next")
    async with day.reactor(handle):
        await asyncio.sleep(100)
    (letter,) = await day.letters.list()
    assert (letter.durable, letter.sequence) == ("builder", bad.sequence)
    assert (letter.subject, letter.attempts, letter.state) == (str(bad.subject), 8, "dead")
    assert letter.at == "2026-01-01T00:01:31+00:00"
    assert letter.error.startswith("RuntimeError: xxx")
    assert len(letter.error.encode()) < 1100
    assert day.did == ["91 next"]
    assert len(acknowledged(day)) == 2


@virtual
async def test_what_fails_holds_no_slot_while_it_waits():
    day = Day()

    async def handle(commit: Commit) -> None:
        if text(commit) == "bad":
            raise RuntimeError("never")
        await asyncio.sleep(1)
        day.note(text(commit))

    for number in range(5):
        await day.say(f"k{number}", "bad")
    await day.say("x", "good")
    async with day.reactor(handle, parallel=1):
        await asyncio.sleep(200)
    assert day.did == ["1 good"]
    assert len(await day.letters.list()) == 5


@virtual
async def test_where_telling_fails_too_it_becomes_a_dead_letter():
    day, told = Day(), 0

    async def dead(_: Commit, error: Exception) -> None:
        nonlocal told
        told += 1
        raise ValueError("too large") from error

    await day.say("x", "bad")
    async with day.reactor(never, dead=dead):
        await asyncio.sleep(600)
    (letter,) = await day.letters.list()
    assert (told, letter.error) == (6, "RuntimeError: never")
    assert len(acknowledged(day)) == 1


@virtual
async def test_what_has_a_fact_for_some_commits_says_for_which():
    day = Day()

    async def dead(commit: Commit, _: Exception) -> None:
        if text(commit) == "other":
            raise NoFact
        day.note(f"dead {text(commit)}")

    await day.say("x", "mine")
    other = await day.say("y", "other")
    async with day.reactor(never, dead=dead):
        await asyncio.sleep(600)
    assert day.did == ["91 dead mine"]
    assert [letter.sequence for letter in await day.letters.list()] == [other.sequence]


@virtual
async def test_what_nothing_can_be_said_of_comes_again():
    """Neither fact nor letter: it is not acknowledged, and what waits behind it goes on."""

    class Full(MemoryDeadLetters):
        async def put(self, letter: DeadLetter) -> DeadLetter:
            raise RuntimeError("no space")

    day = Day()

    async def handle(commit: Commit) -> None:
        if text(commit) == "bad":
            raise RuntimeError("never")
        day.note(text(commit))

    await day.say("x", "bad")
    good = await day.say("x", "good")
    async with day.reactor(handle, letters=Full(day.world.clock)):
        await asyncio.sleep(300)
    assert day.did == ["122 good"]
    assert acknowledged(day) == {good.sequence}


@virtual
async def test_a_letter_asked_for_again_is_handled_in_its_keys_order():
    day, mended = Day(), False

    async def handle(commit: Commit) -> None:
        if text(commit) == "bad" and not mended:
            raise RuntimeError("not yet")
        day.note(text(commit))
        await asyncio.sleep(5)

    await day.say("x", "bad")
    async with day.reactor(handle):
        await asyncio.sleep(100)
        mended = True
        await day.say("x", "next")
        await asyncio.sleep(1)
        await ask_again(day.letters, (await day.letters.list())[0])
        await asyncio.sleep(100)
    assert day.did == ["100 next", "105 bad"]
    (letter,) = await day.letters.list()
    assert letter.state == "done"


@virtual
async def test_a_letter_that_fails_again_is_dead_again_and_counts_on():
    day = Day()
    await day.say("x", "bad")
    async with day.reactor(never):
        await asyncio.sleep(100)
        await ask_again(day.letters, (await day.letters.list())[0])
        await asyncio.sleep(100)
        (letter,) = await day.letters.list()
        assert (letter.state, letter.attempts) == ("dead", 16)
        await ask_again(day.letters, letter)
        await asyncio.sleep(100)
    (letter,) = await day.letters.list()
    assert (letter.state, letter.attempts) == ("dead", 24)


@virtual
async def test_a_letter_that_now_has_a_fact_is_done():
    day = Day()

    async def dead(commit: Commit, _: Exception) -> None:
        day.note(f"dead {text(commit)}")

    await day.say("x", "bad")
    async with day.reactor(never):
        await asyncio.sleep(100)
    await ask_again(day.letters, (await day.letters.list())[0])
    async with day.reactor(never, dead=dead):
        await asyncio.sleep(100)
    assert day.did == ["191 dead bad"]
    assert (await day.letters.list())[0].state == "done"


@virtual
async def test_a_death_forgets_no_letter_that_was_asked_for():
    day = Day()

    async def slow(commit: Commit) -> None:
        day.note(text(commit))
        await asyncio.sleep(5)

    await day.say("x", "bad")
    async with day.reactor(never):
        await asyncio.sleep(100)
    await ask_again(day.letters, (await day.letters.list())[0])
    for _ in range(2):  # asked for while nobody was there; and dies in the midst of it
        async with day.reactor(slow):
            await asyncio.sleep(3)
    async with day.reactor(slow):
        await asyncio.sleep(10)
    async with day.reactor(slow):
        await asyncio.sleep(10)
    assert day.did == ["100 bad", "103 bad", "106 bad"]
    assert (await day.letters.list())[0].state == "done"


@virtual
async def test_a_letter_of_what_the_log_does_not_have_is_dead_again():
    day = Day()
    stored = await day.letters.put(DeadLetter("builder", 7, "evt.org.deployment.x", "", 8))
    await ask_again(day.letters, stored)
    async with day.reactor(never):
        await asyncio.sleep(1)
    (letter,) = await day.letters.list()
    assert (letter.state, letter.error) == ("dead", "the log has no commit at this sequence")


@virtual
async def test_a_log_that_is_away_counts_as_one_error():
    day, away = Day(), False

    class Away(World):
        async def last_sequence(self) -> int:
            if away:
                raise RuntimeError("away")
            return await super().last_sequence()

    day.world = Away(latency=0.0)

    async def handle(commit: Commit) -> None:
        if away:
            raise RuntimeError("away")
        day.note(text(commit))

    await day.say("x", "one")
    away = True
    async with day.reactor(handle):
        await asyncio.sleep(3600)
        away = False
        await asyncio.sleep(20)
    assert [what.split()[1] for what in day.did] == ["one"]
    assert await day.letters.list() == []


@virtual
async def test_no_trouble_of_one_ends_the_others():
    """A key that can't be read, and a settling that fails."""

    def key(commit: Commit) -> str | None:
        if text(commit) == "bad":
            raise ValueError("unreadable")
        return commit.subject.id

    class Settle:
        async def ack(self) -> None:
            raise ConnectionError("closed")

        in_progress = ack

    class Refusing(MemoryReaction):
        async def deliveries(self) -> AsyncIterator[Delivery]:
            async for delivery in super().deliveries():
                settle = Settle() if text(delivery.commit) == "lost" else delivery.settle
                yield Delivery(delivery.commit, settle)

    class Store(World):
        @asynccontextmanager
        async def reaction(self, durable: str) -> AsyncIterator[MemoryReaction]:
            async with super().reaction(durable) as there:
                yield Refusing(self, there._filters, there._acknowledged)

    day = Day()
    day.world = Store(latency=0.0)

    async def handle(commit: Commit) -> None:
        if text(commit) == "bad":
            raise RuntimeError("never")
        await asyncio.sleep(15)
        day.note(text(commit))

    for id_, said in (("x", "bad"), ("y", "lost"), ("z", "good")):
        await day.say(id_, said)
    async with day.reactor(handle, key=key):
        await asyncio.sleep(100)
        await day.say("z", "later")
        await asyncio.sleep(100)
    assert day.did == ["15 lost", "15 good", "115 later"]
    assert [letter.sequence for letter in await day.letters.list()] == [1]


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
async def test_of_what_waits_so_many_bytes_are_held_and_the_rest_is_read_again(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(reactor, "_HELD", 3_000_000)
    day, read = Day(), list[int]()

    class Counted(World):
        async def at(self, sequence: int) -> Commit | None:
            read.append(sequence)
            return await super().at(sequence)

    day.world = Counted(latency=0.0)

    async def handle(commit: Commit) -> None:
        await asyncio.sleep(1)
        day.note(text(commit)[:2])
        if text(commit).startswith("9"):
            raise RuntimeError("never")

    async def dead(commit: Commit, _: Exception) -> None:
        day.note(f"dead {text(commit)[:2]}")

    for number in range(10):
        await day.say("x" if number % 2 else f"k{number}", f"{number}{'.' * 450_000}")
    async with day.reactor(handle, dead=dead, parallel=2):
        await asyncio.sleep(300)
        assert sorted(set(read)) == [7, 8, 9, 10]  # the first six are held
        read.clear()
        await day.say("y", "y.")
        await asyncio.sleep(5)
    assert read == []  # there is room again
    done = [what.split(" ", 1)[1] for what in day.did]
    assert [what for what in done if what in {"1.", "3.", "5.", "7."}] == ["1.", "3.", "5.", "7."]
    assert set(done) == {f"{number}." for number in range(10)} | {"dead 9.", "y."}
    assert len(acknowledged(day)) == 11


@virtual
async def test_waiting_work_is_kept_alive():
    day = Day()
    kept: list[tuple[float, str]] = []

    class Settle:
        def __init__(self, name: str) -> None:
            self.name = name

        async def ack(self) -> None:
            day.note(f"ack {self.name}")

        async def in_progress(self) -> None:
            kept.append((asyncio.get_running_loop().time(), self.name))

    first, second = await day.say("x", "1"), await day.say("x", "2")

    class Two(MemoryReaction):
        async def deliveries(self) -> AsyncIterator[Delivery]:
            yield Delivery(first, Settle("1"))
            yield Delivery(second, Settle("2"))
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
