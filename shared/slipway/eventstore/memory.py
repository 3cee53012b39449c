"""The event store and what stands beside it in memory, for tests and the simulator."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import lru_cache
from typing import Literal

from slipway.contracts.event import Event
from slipway.contracts.logs import LogLine
from slipway.contracts.streams import DURABLES
from slipway.eventstore import codec
from slipway.eventstore.dead_letters import Changed, DeadLetter
from slipway.eventstore.store import Batch, Commit, Conflict, Delivery, OutcomeUnknown
from slipway.kernel.clock import Clock
from slipway.kernel.envelope import Head, Meta, Subject

_BATCH = 100

type Fault = Literal["conflict", "unknown_before", "unknown_after"]


@lru_cache(maxsize=100_000)
def matches(pattern: str, subject: str) -> bool:
    """NATS' rules: `*` is one token, `>` is all the rest."""
    wanted, given = pattern.split("."), subject.split(".")
    for index, part in enumerate(wanted):
        if part == ">":
            return len(given) > index
        if index >= len(given) or part not in ("*", given[index]):
            return False
    return len(wanted) == len(given)


class MemoryStore:
    def __init__(self) -> None:
        self._log: list[Commit] = []
        self._of: dict[Subject, list[Commit]] = {}
        self._grew = asyncio.Condition()
        self._acknowledged: dict[str, set[int]] = {}
        self.faults: list[Fault] = []
        """What happens to the next appends, first to last."""

    async def append(
        self,
        subject: Subject,
        expected: Head,
        events: Sequence[Event],
        meta: Meta,
        *,
        since: int = 0,
    ) -> Commit:
        data = codec.to_bytes(expected, events, meta)
        fault = self.faults.pop(0) if self.faults else None
        mine = self._of.setdefault(subject, [])
        for commit in mine:
            if commit.meta.commit == meta.commit and not self.forgotten(commit, expected, since):
                return commit
        last = mine[-1].sequence if mine else 0
        if fault == "conflict" or last != expected.sequence:
            raise Conflict(subject, expected.sequence, last)
        if fault == "unknown_before":
            raise OutcomeUnknown(meta.commit)
        commit = codec.from_bytes(str(subject), len(self._log) + 1, data)
        async with self._grew:
            self._log.append(commit)
            mine.append(commit)
            self._grew.notify_all()
        if fault == "unknown_after":
            raise OutcomeUnknown(meta.commit)
        return commit

    def forgotten(self, _commit: Commit, _expected: Head, _since: int) -> bool:
        """Whether the store has forgotten a commit's id: never here; in the simulator a while
        after, where the caller said that it knows."""
        return False

    async def load(self, subject: Subject, after: int = 0) -> list[Commit]:
        return [c for c in self._of.get(subject, ()) if c.sequence > after]

    async def head(self, subject: Subject) -> Commit | None:
        found = await self.load(subject)
        return found[-1] if found else None

    async def heads(self, organization: str, category: str) -> list[Commit]:
        last: dict[Subject, Commit] = {}
        for commit in self._log:
            if matches(f"evt.{organization}.{category}.*", str(commit.subject)):
                last[commit.subject] = commit
        return list(last.values())

    async def at(self, sequence: int) -> Commit | None:
        return self._log[sequence - 1] if 0 < sequence <= len(self._log) else None

    async def last_sequence(self) -> int:
        return len(self._log)

    async def read(
        self, after: int = 0, until: int | None = None, pattern: str = "evt.>"
    ) -> AsyncIterator[Commit]:
        for commit in self._log[after : len(self._log) if until is None else until]:
            if matches(pattern, str(commit.subject)):
                yield commit

    async def batches(
        self, after: int, until: int, categories: Collection[str]
    ) -> AsyncIterator[Batch]:
        found: list[Commit] = []
        async for commit in self.read(after, until):
            found.append(commit)
            if len(found) == _BATCH:
                yield _batch(found, categories)
                found = []
        if found:
            yield _batch(found, categories)

    async def follow(self, after: int, pattern: str = "evt.>") -> AsyncIterator[Commit]:
        while True:
            async for commit in self.read(after, None, pattern):
                yield commit
                after = commit.sequence
            async with self._grew:
                if not self._matching(after, pattern):
                    await self._grew.wait()

    def _matching(self, after: int, pattern: str) -> bool:
        return any(matches(pattern, str(commit.subject)) for commit in self._log[after:])

    @asynccontextmanager
    async def reaction(self, durable: str) -> AsyncIterator["MemoryReaction"]:
        filters = next(d.filters for d in DURABLES if d.name == durable)
        acknowledged = self._acknowledged.setdefault(durable, set())
        yield MemoryReaction(self, filters, acknowledged)


def _batch(commits: list[Commit], categories: Collection[str]) -> Batch:
    wanted = [commit for commit in commits if commit.subject.category in categories]
    return Batch(commits[-1].sequence, wanted)


class MemoryReaction:
    """Hands out every commit not yet acknowledged, in order."""

    def __init__(self, store: MemoryStore, filters: list[str], acknowledged: set[int]) -> None:
        self._store, self._filters, self._acknowledged = store, filters, acknowledged

    async def deliveries(self) -> AsyncIterator[Delivery]:
        async for commit in self._store.follow(0):
            wanted = any(matches(pattern, str(commit.subject)) for pattern in self._filters)
            if wanted and commit.sequence not in self._acknowledged:
                yield Delivery(commit, _Settle(self, commit))

    def settle(self, commit: Commit) -> None:
        self._acknowledged.add(commit.sequence)


class _Settle:
    def __init__(self, reaction: MemoryReaction, commit: Commit) -> None:
        self._reaction, self._commit = reaction, commit

    async def ack(self) -> None:
        self._reaction.settle(self._commit)

    async def in_progress(self) -> None:
        pass


class MemoryLogs:
    def __init__(self) -> None:
        self._batches: list[tuple[str, tuple[LogLine, ...]]] = []
        self._grew = asyncio.Condition()

    async def write(self, subject: str, lines: Sequence[LogLine]) -> None:
        async with self._grew:
            self._batches.append((subject, tuple(lines)))
            self._grew.notify_all()

    async def read(
        self, subject: str, after: int = 0, follow: bool = False
    ) -> AsyncIterator[tuple[int, tuple[LogLine, ...]]]:
        while True:
            end = len(self._batches)
            for sequence in range(after + 1, end + 1):
                name, lines = self._batches[sequence - 1]
                if name == subject:
                    yield sequence, lines
            after = end
            if not follow:
                return
            async with self._grew:
                if len(self._batches) == end:
                    await self._grew.wait()


class MemoryObjects:
    def __init__(self) -> None:
        self._objects: dict[str, bytes] = {}

    async def put(self, name: str, data: bytes) -> None:
        self._objects[name] = data

    async def get(self, name: str) -> bytes | None:
        return self._objects.get(name)

    async def remove(self, names: str) -> None:
        for name in [name for name in self._objects if name.startswith(f"{names}.")]:
            del self._objects[name]


class MemoryKeys:
    def __init__(self) -> None:
        self._keys: dict[str, bytes] = {}

    async def put(self, name: str, wrapped: bytes) -> None:
        if self._keys.setdefault(name, wrapped) != wrapped:
            raise ValueError(f"another key of {name} is there")

    async def get(self, name: str) -> bytes | None:
        return self._keys.get(name)


class MemoryLease:
    held = True

    async def acquire(self) -> None:
        pass

    async def release(self) -> None:
        pass


class MemoryDeadLetters:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._letters: list[DeadLetter] = []
        self._grew = asyncio.Condition()

    async def list(self) -> list[DeadLetter]:
        last = {(letter.durable, letter.sequence): letter for letter in self._letters}
        return sorted(last.values(), key=lambda letter: letter.revision)

    async def put(self, letter: DeadLetter) -> DeadLetter:
        async with self._grew:
            mine = (letter.durable, letter.sequence)
            there = [x for x in self._letters if (x.durable, x.sequence) == mine]
            if letter.revision != (there[-1].revision if there else 0):
                raise Changed(f"{mine} is not at revision {letter.revision}")
            at = self._clock.now().isoformat(timespec="seconds")
            self._letters.append(replace(letter, at=at, revision=len(self._letters) + 1))
            self._grew.notify_all()
            return self._letters[-1]

    async def follow(self, durable: str) -> AsyncGenerator[DeadLetter]:
        seen = 0
        while True:
            new, seen = self._letters[seen:], len(self._letters)
            kept = {(letter.durable, letter.sequence): letter for letter in new}
            for letter in kept.values():
                if letter.durable == durable:
                    yield letter
            async with self._grew:
                if len(self._letters) == seen:
                    await self._grew.wait()
