"""Folding a long log in bounded memory gives what folding it all at once gives."""

import asyncio
from collections.abc import Iterable, Sequence
from random import Random
from typing import Any

import pytest
from slipway.contracts.project import ProjectRenamed
from slipway.eventstore.memory import MemoryStore
from slipway.eventstore.store import Commit
from slipway.kernel.envelope import NOTHING, Head
from slipway.readmodel.building import Lost
from slipway.readmodel.holding import Held, Holding, Place
from slipway.readmodel.memory import MemoryDocuments
from slipway.readmodel.model import Document, Progress, Projection
from slipway.readmodel.rebuild import Rebuild, Seen
from slipway.testing.store_suite import meta, subject


class Names(Projection):
    """All the names that a project had: grows."""

    collection = "names"
    categories: Sequence[str] = ("project",)
    indexes: Sequence[str] = ()

    def keys(self, commit: Commit) -> Iterable[str]:
        return (commit.subject.id,)

    def fold(self, document: Document | None, commit: Commit, key: str) -> Document:
        names = list(document["names"]) if document else []
        return {"names": names + [e.name for e in commit.events if isinstance(e, ProjectRenamed)]}


class Last(Names):
    """The last name alone, by its first letter: touched by many."""

    collection = "last"

    def keys(self, commit: Commit) -> Iterable[str]:
        return [e.name[0] for e in commit.events if isinstance(e, ProjectRenamed)]

    def fold(self, document: Document | None, commit: Commit, key: str) -> Document:
        return {"names": super().fold(None, commit, key)["names"][-1:]}


class Alone(Last):
    """`Last`, that says of itself that it needs nothing of what was."""

    collection = "alone"

    def alone(self, commit: Commit) -> bool:
        return True


PROJECTIONS = (Names(), Last())


class Counted(MemoryDocuments):
    """Notes the largest number of bytes that were asked for at once, and refuses doubles."""

    def __init__(self) -> None:
        super().__init__()
        self.read_back = 0
        self.largest = 0

    async def read(
        self, generation: str, collection: str, ids: Sequence[str]
    ) -> list[tuple[Document, int]]:
        found = await super().read(generation, collection, ids)
        self.read_back += len(found)
        self.largest = max(self.largest, sum(size for _, size in found))
        return found

    async def insert(self, generation: str, collection: str, documents: Sequence[Document]) -> None:
        there = self._data[generation][collection]
        assert not any(document["_id"] in there for document in documents)
        await asyncio.sleep(0)
        await super().insert(generation, collection, documents)

    async def replace(self, generation: str, collection: str, documents: Sequence[Document]) -> int:
        there = set(self._data[generation][collection])
        await MemoryDocuments.insert(self, generation, collection, documents)
        return sum(document["_id"] not in there for document in documents)


async def history(events: int, projects: int, length: int = 10) -> MemoryStore:
    store, chance = MemoryStore(), Random(7)
    subjects = [subject() for _ in range(projects)]
    heads: dict[Any, Head] = {}
    for number in range(events):
        at = chance.choice(subjects)
        name = chance.choice("abcdef") + f"{number:0{length}}"
        commit = await store.append(at, heads.get(at, NOTHING), [ProjectRenamed(name=name)], meta())
        heads[at] = commit.head
    return store


async def turn() -> None:
    """It may go on."""


async def rebuilt(
    store: MemoryStore,
    documents: MemoryDocuments,
    budget: int,
    steps: Sequence[int],
    projections: Sequence[Projection] = PROJECTIONS,
) -> tuple[Rebuild, int, dict[str, Any]]:
    """The rebuild, the most that it held, and what is stored."""
    generation = await documents.create()
    rebuild = Rebuild(store, documents, projections, generation, Progress(), turn, budget=budget)
    most, change = 0, rebuild._change

    def watched(place: Place, projection: Projection, commit: Commit) -> None:
        nonlocal most
        change(place, projection, commit)
        most = max(most, rebuild._held.size)

    rebuild._change = watched
    for end in steps:
        await rebuild.up_to(end)
        assert rebuild.sequence == end
    return rebuild, most, {name: dict(rows) for name, rows in documents._data[generation].items()}


@pytest.mark.parametrize("steps", [[1500], [1, 700, 701, 1500]])
async def test_little_memory_gives_the_same_as_much(steps: list[int]):
    store = await history(1500, 200)
    _, _, wanted = await rebuilt(store, MemoryDocuments(), 1 << 30, [1500])
    documents = Counted()
    rebuild, most, found = await rebuilt(store, documents, 20_000, steps)
    assert found == wanted
    assert documents.read_back > 50
    assert rebuild.progress.documents == sum(map(len, wanted.values()))
    assert most < 20_000 + 1000, "the commit that made it too much, and no more"
    assert rebuild._held.size == 0
    assert not rebuild._held


async def test_what_follows_from_the_commit_alone_is_not_read_back():
    store = await history(600, 1)
    *_, wanted = await rebuilt(store, MemoryDocuments(), 1 << 30, [600], [Last()])
    documents = Counted()
    rebuild, _, found = await rebuilt(store, documents, 100, [300, 600], [Alone()])
    assert found["alone"] == wanted["last"]
    assert documents.read_back == 0
    assert rebuild.progress.documents == len(found["alone"])


async def test_what_is_touched_all_the_time_is_not_taken_for_large():
    """A document that is replaced is as large as it is, not as all that was ever in it."""
    store = await history(3000, 1)
    documents = Counted()
    rebuild, most, _ = await rebuilt(store, documents, 200_000, [3000])
    assert most < 200_000
    assert documents.read_back == 0, "the six last names stay"
    assert rebuild.progress.folded == 3000


async def test_large_documents_come_back_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("slipway.readmodel.rebuild._AWAITED", 1 << 20)
    store = await history(300, 40, length=30_000)
    documents = Counted()
    await rebuilt(store, documents, 500_000, [300])
    assert documents.read_back > 40
    assert documents.largest < 1 << 20


async def test_who_lost_the_lease_stops():
    store = await history(300, 10)
    documents = MemoryDocuments()
    generation = await documents.create()

    async def until_200() -> None:
        if rebuild.sequence == 200:
            raise Lost

    rebuild = Rebuild(store, documents, PROJECTIONS, generation, Progress(), until_200)
    with pytest.raises(Lost):
        await rebuild.up_to(300)
    assert rebuild.sequence == 200


def test_what_came_back_stays_while_much_goes_by():
    holding, left = Holding(), list[Place]()
    for number in range(10):
        holding.add((0, f"again {number}"), Held({}, 10, 10, there=True))
    for number in range(1000):
        holding.add((1, f"once {number}"), Held({}, 50, 50, there=False))
        while holding.size > 300:
            left.append(holding.leave()[0])
    assert left == [(1, f"once {number}") for number in range(996)]
    grown = holding.get((0, "again 0"))
    assert grown
    holding.touch((0, "again 0"), grown, 1000)
    assert holding.leave()[0] == (0, "again 1"), "too much of all"
    sizes = [holding.leave()[1].size for _ in range(len(holding))]
    assert (sum(sizes), holding.size) == (4 * 50 + 8 * 10 + 1000, 0)


def test_what_was_seen_is_known_and_little_else():
    seen = Seen()
    for number in range(100_000):
        seen.add((number % 7, f"id-{number}"))
    assert all((number % 7, f"id-{number}") in seen for number in range(100_000))
    assert sum((1, f"other-{number}") in seen for number in range(10_000)) < 20
