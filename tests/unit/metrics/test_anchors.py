"""Anchors of the log: written as it grows, and what they find."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from metrics.adapters.files import LineFile, StateFile
from metrics.anchors.chain import START, Anchor, Chain, Damage, Entry, parse
from metrics.anchors.react import Anchors
from slipway.contracts.alert import AlertRaised
from slipway.eventstore.memory import MemoryStore
from slipway.eventstore.stream import Silent

SUBJECT = "evt.org.project.p1"


def entry(sequence: int, text: str = "body") -> Entry:
    body = f"{sequence} {text}".encode()
    return Entry(sequence, SUBJECT, hashlib.sha256(body).digest())


class Log:
    def __init__(self, *entries: Entry) -> None:
        self.entries = list(entries)
        self.silent = False

    async def end(self) -> int:
        if self.silent:
            raise Silent("evt.>")
        return self.entries[-1].sequence if self.entries else 0

    async def follow(self, after: int) -> AsyncIterator[Entry]:
        number = after
        while True:
            while number < len(self.entries):
                number += 1
                yield self.entries[number - 1]
            await asyncio.sleep(0.005)


class Clock:
    def now(self) -> datetime:
        return datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


async def run(
    log: Log,
    file: LineFile,
    store: MemoryStore | None = None,
    *,
    commits: int = 10,
    seconds: float = 60,
    lasting: float = 0.05,
) -> list[Anchor]:
    """The anchors on file after a life of that many seconds."""
    anchors = Anchors(log, file, store or MemoryStore(), Clock(), commits, seconds)
    running = asyncio.create_task(anchors.run())
    await asyncio.sleep(lasting)
    running.cancel()
    await asyncio.wait([running])
    assert running.cancelled()
    return [parse(line) for line in file.lines()]


async def alerts(store: MemoryStore) -> list[AlertRaised]:
    heads = await store.heads("_", "alert")
    return [event for head in heads for event in head.events if isinstance(event, AlertRaised)]


@pytest.fixture
def file(tmp_path: Path) -> LineFile:
    return LineFile(tmp_path / "anchors.jsonl")


def test_the_chain_is_over_sequence_subject_and_body():
    chain = Chain()
    chain.add(entry(1))
    body = hashlib.sha256(b"1 body").digest()
    first = hashlib.sha256(START + bytes(7) + b"\x01" + SUBJECT.encode() + body)
    assert chain.hash == first.hexdigest()
    with pytest.raises(Damage, match="sequence 1 is followed by 3"):
        chain.add(entry(3))


async def test_an_anchor_each_so_many_commits_and_one_at_the_end(file: LineFile):
    log = Log(*(entry(number) for number in range(1, 26)))
    found = await run(log, file)
    assert [anchor.sequence for anchor in found] == [10, 20, 25]
    chain = Chain()
    for item in log.entries:
        chain.add(item)
    assert found[-1].hash == chain.hash
    assert json.loads(next(file.lines()))["at"] == "2026-01-02T03:04:05.000Z"


async def test_an_anchor_after_some_time_only_if_something_came(file: LineFile):
    found = await run(Log(entry(1), entry(2)), file, seconds=0.02, lasting=0.2)
    assert [anchor.sequence for anchor in found] == [2]


async def test_it_goes_on_from_the_last_anchor(file: LineFile):
    log = Log(*(entry(number) for number in range(1, 16)))
    await run(log, file)
    assert [anchor.sequence for anchor in await run(log, file)] == [10, 15]
    log.entries += [entry(number) for number in range(16, 31)]
    store = MemoryStore()
    found = await run(log, file, store)
    assert [anchor.sequence for anchor in found] == [10, 15, 25, 30]
    assert await alerts(store) == []


async def test_a_changed_log_is_found_and_not_anchored_any_more(file: LineFile):
    log = Log(*(entry(number) for number in range(1, 31)))
    before = await run(log, file)
    log.entries[6] = entry(7, "forged")
    log.entries += [entry(number) for number in range(31, 60)]
    store = MemoryStore()
    for _ in range(2):
        assert await run(log, file, store, seconds=0.01) == before
    (alert,) = await alerts(store)
    assert alert.what == "log-damaged"
    assert "changed at or before sequence 10" in alert.detail


async def test_a_shortened_log_is_found_also_when_it_has_grown_again(file: LineFile):
    log = Log(*(entry(number) for number in range(1, 26)))
    before = await run(log, file)
    del log.entries[20:]
    store = MemoryStore()
    assert await run(log, file, store, seconds=0.01) == before
    (alert,) = await alerts(store)
    assert alert.detail == "the log ends at sequence 20, but it has reached 25 before"
    log.entries += [entry(number, "new") for number in range(21, 40)]
    assert await run(log, file, store) == before
    assert len(await alerts(store)) == 1, "it is one alert"


async def test_a_log_that_loses_its_end_meanwhile(file: LineFile):
    log, store = Log(*(entry(number) for number in range(1, 6))), MemoryStore()
    anchors = Anchors(log, file, store, Clock(), 10, 0.03)
    running = asyncio.create_task(anchors.run())
    await asyncio.sleep(0.06)
    del log.entries[3:]
    await asyncio.sleep(0.06)
    running.cancel()
    await asyncio.wait([running])
    assert len(await alerts(store)) == 1
    assert [parse(line).sequence for line in file.lines()] == [5]


async def test_a_gap_and_a_torn_record_are_damage_too(file: LineFile):
    store = MemoryStore()
    assert await run(Log(entry(1), entry(3)), file, store) == []
    file.append(b"no anchor")
    store_2 = MemoryStore()
    with pytest.raises(Damage):
        await run(Log(entry(1)), file, store_2)
    assert "sequence 1 is followed by 3" in (await alerts(store))[0].detail
    assert "anchors' file" in (await alerts(store_2))[0].detail


async def test_a_silent_server_is_no_damage(file: LineFile):
    log, store = Log(entry(1)), MemoryStore()
    log.silent = True
    await run(log, file, store, seconds=0.01)
    assert await alerts(store) == []


def test_a_line_that_a_crash_left_half_written_is_none(tmp_path: Path):
    path = tmp_path / "lines"
    file = LineFile(path)
    assert file.last() is None
    file.append(b"one")
    with path.open("ab") as torn:
        torn.write(b"tw")
    assert list(file.lines()) == [b"one"]
    file.append(b"three")
    assert path.read_bytes() == b"one\nthree\n"
    assert file.last() == b"three"


def test_a_state_is_replaced_as_a_whole(tmp_path: Path):
    file = StateFile(tmp_path / "state")
    assert file.load() is None
    file.save(b"one")
    file.save(b"two")
    assert file.load() == b"two"
    assert [path.name for path in tmp_path.iterdir()] == ["state"]
