"""One container's log, from the engine into the log, over deaths of everybody."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import pytest
from metrics.adapters.engine import State
from metrics.container import Container
from metrics.logs.ledger import Ledger
from metrics.logs.reader import Reader
from slipway.contracts.logs import LogLine
from slipway.eventstore.stream import Silent
from slipway.runtime.engine import EngineAway, EngineRefused

BOX = Container("c" * 64, "org", "app", "task", True)


class Engine:
    """The log of one container; a read gives some of what is there, waits while it runs, and
    ends."""

    def __init__(self, terminal: bool = False) -> None:
        self.log_: list[bytes] = []
        self.running = True
        self.gone = False
        self.terminal = terminal
        self.some = 100
        self.cut_after: int | None = None
        """The engine goes away after so many reads."""
        self.opened: list[str | None] = []
        self._grew = asyncio.Event()

    def say(self, text: str, stream: int = 1) -> None:
        number = len(self.log_)
        message = b"2026-01-02T03:04:05.%09dZ %s" % (number, text.encode())
        head = b"" if self.terminal else bytes([stream, 0, 0, 0]) + len(message).to_bytes(4)
        self.log_.append(head + message)
        self._wake()

    def die(self) -> None:
        self.running = False
        self._wake()

    def _wake(self) -> None:
        self._grew.set()
        self._grew = asyncio.Event()

    async def state(self, id_: str) -> State | None:
        return None if self.gone else State(self.running, self.terminal)

    @asynccontextmanager
    async def log(
        self, id_: str, since: str | None, follow: bool
    ) -> AsyncIterator[Callable[[], Awaitable[bytes]]]:
        self.opened.append(since)
        number = int(since.rpartition(".")[2]) if since else 0

        async def read() -> bytes:
            nonlocal number
            if self.cut_after is not None:
                self.cut_after -= 1
                if self.cut_after < 0:
                    self.cut_after = None
                    raise EngineAway("gone")
            while number >= len(self.log_):
                if not follow or not self.running:
                    return b""
                await self._grew.wait()
            some = self.log_[number : number + self.some]
            number += len(some)
            return b"".join(some)

        yield read


class Batches:
    def __init__(self) -> None:
        self.stored: list[tuple[str, tuple[LogLine, ...]]] = []
        self.ids: dict[str, int] = {}
        self.silent = 0
        """So many appends are not answered; every other one of them is stored all the same."""
        self.hold: asyncio.Event | None = None

    async def append(self, subject: str, lines: Sequence[LogLine], id_: str) -> int:
        if self.hold is not None:
            await self.hold.wait()
        if self.silent:
            self.silent -= 1
            if self.silent % 2:
                self._store(subject, lines, id_)
            raise Silent(subject)
        return self._store(subject, lines, id_)

    def _store(self, subject: str, lines: Sequence[LogLine], id_: str) -> int:
        if id_ not in self.ids:
            self.stored.append((subject, tuple(lines)))
            self.ids[id_] = len(self.stored)
        return self.ids[id_]

    async def find(self, subject: str, lines: Sequence[LogLine], after: int) -> int | None:
        for number, batch in enumerate(self.stored[after:], after + 1):
            if batch == (subject, tuple(lines)):
                return number
        return None

    async def batches(self, after: int) -> AsyncIterator[tuple[int, tuple[LogLine, ...]]]:
        for number, (_, lines) in enumerate(self.stored[after:], after + 1):
            yield number, lines

    @property
    def texts(self) -> list[str]:
        return [line.text for _, lines in self.stored for line in lines]


class File:
    def __init__(self) -> None:
        self.data: bytes | None = None

    def load(self) -> bytes | None:
        return self.data

    def save(self, data: bytes) -> None:
        self.data = data


def reader(engine: Engine, ledger: Ledger, most: int = 10**6) -> Reader:
    return Reader(engine, ledger, BOX, most, asyncio.Semaphore(8))


async def settle(check: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not check():
            await asyncio.sleep(0.01)


async def test_lines_come_while_it_runs_and_the_last_ones_after_it_died():
    engine, batches = Engine(), Batches()
    running = asyncio.create_task(reader(engine, Ledger(batches, File())).run())
    engine.say("one\n")
    began = asyncio.get_running_loop().time()
    await settle(lambda: batches.texts == ["one"])
    assert asyncio.get_running_loop().time() - began < 1
    engine.say("two\n", 2)
    engine.say("no line feed")
    engine.die()
    await asyncio.wait_for(running, 5)
    assert batches.texts == ["one", "two", "no line feed"]
    subject, lines = batches.stored[-1]
    assert subject == "log.org.run.app"
    assert {line.step for line in lines} == {"task"}


async def test_a_container_that_had_ended_before_is_read_once():
    engine, batches = Engine(), Batches()
    engine.say("said\n")
    engine.die()
    await reader(engine, Ledger(batches, File())).run()
    assert batches.texts == ["said"]
    assert engine.opened == [None]


async def test_an_engine_that_goes_away_and_comes_back():
    engine, batches = Engine(), Batches()
    for number in range(9):
        engine.say(f"{number}\n")
    engine.some, engine.cut_after = 1, 4
    running = asyncio.create_task(reader(engine, Ledger(batches, File())).run())
    await settle(lambda: len(batches.texts) == 9)
    engine.die()
    await asyncio.wait_for(running, 5)
    assert batches.texts == [str(number) for number in range(9)]
    assert engine.opened[1] is not None


async def test_answers_that_do_not_come_double_nothing():
    engine, batches = Engine(), Batches()
    batches.silent = 3
    for number in range(5):
        engine.say(f"{number}\n")
    engine.die()
    await asyncio.wait_for(reader(engine, Ledger(batches, File())).run(), 5)
    assert batches.texts == [str(number) for number in range(5)]


async def test_what_was_read_is_stored_when_it_is_ended():
    engine, batches = Engine(), Batches()
    running = asyncio.create_task(reader(engine, Ledger(batches, File())).run())
    engine.say("one\n")
    await asyncio.sleep(0.02)
    running.cancel()
    await asyncio.wait([running])
    assert running.cancelled()
    assert batches.texts == ["one"]


async def test_a_batch_that_was_on_its_way_when_it_is_ended_is_stored_once():
    engine, batches = Engine(), Batches()
    ledger = Ledger(batches, File())
    batches.hold = asyncio.Event()
    it = reader(engine, ledger)
    running = asyncio.create_task(it.run())
    engine.say("one\n")
    await settle(lambda: it._sending is not None)
    assert ledger.floor == 0
    engine.say("two\n")
    running.cancel()
    await asyncio.sleep(0.02)
    batches.hold.set()
    await asyncio.wait([running])
    assert batches.texts == ["one"]
    assert ledger.position(BOX).at.endswith("000000000Z")


async def test_nothing_is_read_while_a_full_batch_waits():
    engine, batches = Engine(), Batches()
    batches.hold = asyncio.Event()
    for number in range(1000):
        engine.say(f"{number}\n")
    it = reader(engine, Ledger(batches, File()))
    running = asyncio.create_task(it.run())
    await settle(lambda: it._sending is not None)
    await asyncio.sleep(0.1)
    assert len(it._batch) == 0
    assert it._sending is not None
    assert len(it._sending[0]) == 200
    batches.hold.set()
    engine.die()
    await asyncio.wait_for(running, 5)
    assert batches.texts == [str(number) for number in range(1000)]


async def test_dropped_lines_are_told_of_when_the_container_falls_silent():
    engine, batches = Engine(), Batches()
    for number in range(5):
        engine.say(f"{number}\n")
    running = asyncio.create_task(reader(engine, Ledger(batches, File()), most=2).run())
    await settle(lambda: len(batches.texts) == 3)
    assert batches.texts[2] == "3 lines dropped: more than 2 in a second"
    running.cancel()
    await asyncio.wait([running])


async def test_a_container_that_is_gone_and_one_without_a_log():
    engine, batches = Engine(), Batches()
    engine.gone = True
    await asyncio.wait_for(reader(engine, Ledger(batches, File())).run(), 5)

    class Refusing(Engine):
        @asynccontextmanager
        async def log(
            self, id_: str, since: str | None, follow: bool
        ) -> AsyncIterator[Callable[[], Awaitable[bytes]]]:
            raise EngineRefused("configured logging driver does not support reading")
            yield

    await asyncio.wait_for(reader(Refusing(), Ledger(batches, File())).run(), 5)
    assert batches.texts == []


async def test_a_fault_of_the_engine_is_not_the_end_of_a_log():
    class Faulty(Engine):
        faults = 2

        async def state(self, id_: str) -> State | None:
            self.faults -= 1
            if self.faults >= 0:
                raise EngineRefused("something went wrong", 500)
            return await super().state(id_)

    engine, batches = Faulty(), Batches()
    engine.say("one")
    engine.die()
    await asyncio.wait_for(reader(engine, Ledger(batches, File())).run(), 5)
    assert batches.texts == ["one"]


@pytest.mark.parametrize("kept", [0, 3])
async def test_after_a_death_at_any_time_the_next_life_goes_on_exactly_there(kept: int):
    """The file is saved at some time, lines are stored after it, and all else is lost."""
    engine, batches, file = Engine(), Batches(), File()
    for number in range(6):
        engine.say(f"{number}\n")
        ledger = Ledger(batches, file)
        await ledger.recover()
        life = asyncio.create_task(reader(engine, ledger).run())
        wanted = [str(said) for said in range(number + 1)]
        await settle(lambda wanted=wanted: batches.texts == wanted)
        if number == kept:
            ledger.save()
        life.cancel()
        await asyncio.wait([life])
        assert batches.texts == wanted


async def test_a_file_that_is_lost_or_torn_costs_no_line():
    engine, batches, file = Engine(), Batches(), File()
    engine.say("one\n")
    engine.say("two\n")
    engine.die()
    await reader(engine, Ledger(batches, file)).run()
    for data in (None, b"", b"{", b'{"floor": 1}', b"[]"):
        file.data = data
        ledger = Ledger(batches, file)
        await ledger.recover()
        await reader(engine, ledger).run()
        assert batches.texts == ["one", "two"]


async def test_containers_that_are_gone_are_forgotten():
    batches, file = Batches(), File()
    ledger = Ledger(batches, file)
    line = LogLine(at="2026-01-02T03:04:05.000000000Z", step="task", text="one")
    await ledger.store(BOX, [line], ledger.position(BOX).after(line.at))
    assert ledger.floor == 1
    ledger.keep({"task"})
    assert ledger.position(BOX).at == line.at
    ledger.keep(set())
    assert ledger.position(BOX).at == ""
