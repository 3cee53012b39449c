"""Folding the log into documents: as it comes, and anew beside what is live."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from slipway.contracts.project import ProjectRenamed
from slipway.eventstore.store import Commit
from slipway.readmodel.memory import MemoryDocuments
from slipway.readmodel.model import Away, Document, Progress, Projection, Standing
from slipway.readmodel.projector import Projector

from tests.simulation.platform import end, fact
from tests.simulation.world import World, virtual


class Names(Projection):
    """All the names that a project had."""

    collection = "project"
    categories: Sequence[str] = ("project",)
    indexes: Sequence[str] = ()
    mark = ""

    def keys(self, commit: Commit) -> Iterable[str]:
        return (commit.subject.id,)

    def fold(self, document: Document | None, commit: Commit, key: str) -> Document:
        names = list(document["names"]) if document else []
        names += [self.mark + e.name for e in commit.events if isinstance(e, ProjectRenamed)]
        return {"names": names}


class Leases:
    holder: "Held | None" = None


@dataclass(eq=False)
class Held:
    """One process's hold on the lease that is there once."""

    leases: Leases
    gone: bool = False

    @property
    def held(self) -> bool:
        return self.leases.holder is self

    async def acquire(self) -> None:
        while self.leases.holder is not None or self.gone:
            await asyncio.sleep(0.5)
        self.leases.holder = self

    async def release(self) -> None:
        if self.held and not self.gone:
            self.leases.holder = None


class House:
    def __init__(self, documents: MemoryDocuments | None = None) -> None:
        self.world = World(latency=0.0)
        self.documents = documents or MemoryDocuments()
        self.names = Names()
        self.tasks: list[asyncio.Task[None]] = []

    def projector(self, version: str = "v1", lease: "Held | None" = None) -> Projector:
        projector = Projector(self.world, self.documents, (self.names,), version, lease)
        self.tasks.append(asyncio.create_task(projector.run()))
        return projector

    async def rename(self, id_: str, name: str) -> Commit:
        return await fact(self.world, "project", id_, ProjectRenamed(name=name))

    async def of(self, id_: str) -> Any:
        document = await self.documents.get("project", id_)
        return document and document["names"]

    async def close(self) -> None:
        await end(*self.tasks)


@virtual
async def test_what_comes_is_folded_and_waited_for():
    house = House()
    await house.rename("p1", "A")
    projector = house.projector()
    commit = await house.rename("p1", "B")
    assert await projector.wait_for(commit.sequence, 2.0)
    assert await house.of("p1") == ["A", "B"]
    assert projector.caught_up
    document = await house.documents.get("project", "p1")
    assert document is not None
    assert (document["_id"], document["_seq"]) == ("p1", commit.sequence)
    await house.close()


@virtual
async def test_what_does_not_come_is_not_waited_for_endlessly():
    house = House()
    projector = house.projector()
    assert not await projector.wait_for(7, 2.0)
    assert house.world.clock.now().second == 2
    await house.close()


@virtual
async def test_a_restart_goes_on_at_the_checkpoint():
    house = House()
    first = house.projector()
    commit = await house.rename("p1", "A")
    await first.wait_for(commit.sequence, 2.0)
    await house.close()
    house.names.mark = "folded later: "
    second = house.projector()
    commit = await house.rename("p1", "B")
    assert await second.wait_for(commit.sequence, 2.0)
    assert await house.of("p1") == ["A", "folded later: B"]
    assert second.progress.status == "none"
    await house.close()


@virtual
async def test_other_code_builds_all_anew():
    house = House()
    first = house.projector()
    commit = await house.rename("p1", "A")
    await first.wait_for(commit.sequence, 2.0)
    await house.close()
    house.names.mark = "v2 "
    second = house.projector("v2")
    assert await second.wait_for(commit.sequence, 2.0)
    assert await house.of("p1") == ["v2 A"]
    assert (second.progress.status, second.progress.folded) == ("done", 1)
    assert second.progress.differing == 0  # other code may differ
    assert (await house.documents.standing()).version == "v2"
    await asyncio.sleep(15)
    assert len(house.documents._data) == 1
    await house.close()


@virtual
async def test_a_rebuild_that_is_asked_for_finds_what_differs():
    house = House()
    projector = house.projector()
    commit = await house.rename("p1", "A")
    await projector.wait_for(commit.sequence, 2.0)
    for spoilt, differing in (("", 0), ("spoilt", 1)):
        generation = (await house.documents.standing()).generation or ""
        if spoilt:
            house.documents._data[generation]["project"]["p1"]["names"] = [spoilt]
        projector.ask_rebuild()
        assert projector.progress.status == "running"
        await house.world.until(lambda: projector.progress.status == "done")
        assert projector.progress.differing == differing
        assert await house.of("p1") == ["A"]
        assert (await house.documents.standing()).generation != generation
    await house.close()


class Slow(MemoryDocuments):
    """Takes its time to store what is built anew."""

    seconds = 5.0

    async def insert(self, generation: str, collection: str, documents: Sequence[Document]) -> None:
        await asyncio.sleep(self.seconds)
        await super().insert(generation, collection, documents)


@virtual
async def test_what_comes_is_shown_while_all_is_built_anew():
    house = House(Slow())
    projector = house.projector()
    commit = await house.rename("p1", "A")
    await projector.wait_for(commit.sequence, 20.0)
    projector.ask_rebuild()
    await asyncio.sleep(3)
    for name in "BC":
        later = await house.rename("p1", name)
        assert await projector.wait_for(later.sequence, 1.0)
        assert projector.progress.status == "running"
    assert await house.of("p1") == ["A", "B", "C"]
    await house.world.until(lambda: projector.progress.status == "done")
    assert projector.progress.differing == 0
    assert await house.of("p1") == ["A", "B", "C"]
    await house.close()


@virtual
async def test_a_database_that_was_emptied_is_filled_again():
    house = House()
    projector = house.projector()
    commit = await house.rename("p1", "A")
    await projector.wait_for(commit.sequence, 2.0)
    house.documents._data, house.documents._standing = {}, Standing()
    await house.world.until(lambda: house.documents._standing.version)
    assert await house.of("p1") == ["A"]
    await house.close()


@pytest.mark.parametrize("method", ["standing", "get_many", "put", "set_checkpoint"])
@virtual
async def test_a_database_that_is_away_is_waited_for_and_nothing_is_skipped(method: str):
    class Shaky(MemoryDocuments):
        away = 0

        def __getattribute__(self, name: str) -> Any:
            found = super().__getattribute__(name)
            if name != method:
                return found

            async def fails(*args: Any) -> Any:
                if self.away:
                    self.away -= 1
                    raise Away("gone")
                return await found(*args)

            return fails

    documents = Shaky()
    house = House(documents)
    projector = house.projector()
    first = await house.rename("p1", "A")
    await projector.wait_for(first.sequence, 2.0)
    documents.away = 3
    await house.rename("p1", "B")
    await asyncio.sleep(3)
    documents.away = 0
    last = await house.rename("p1", "C")
    assert await projector.wait_for(last.sequence, 20.0)
    assert await house.of("p1") == ["A", "B", "C"]
    await house.close()


@virtual
async def test_a_document_that_is_newer_is_left():
    """Whoever writes puts its document before it answers; the projector comes later."""
    house = House()
    projector = house.projector()
    first = await house.rename("p1", "A")
    await projector.wait_for(first.sequence, 2.0)
    ahead = {"_id": "p1", "_seq": first.sequence + 1, "names": ["A", "B"]}
    await house.documents.put("project", [ahead])
    second = await house.rename("p1", "B")
    assert second.sequence == ahead["_seq"]
    assert await projector.wait_for(second.sequence, 2.0)
    assert await house.of("p1") == ["A", "B"]
    await house.close()


@virtual
async def test_who_listens_hears_of_it_when_it_can_be_read():
    house = House()
    heard: list[Any] = []
    projector = house.projector()

    async def read(commit: Commit) -> None:
        heard.append(await house.of(commit.subject.id))

    reads: list[asyncio.Task[None]] = []
    projector.listeners.append(lambda commit: reads.append(asyncio.create_task(read(commit))))
    commit = await house.rename("p1", "A")
    await projector.wait_for(commit.sequence, 2.0)
    await asyncio.gather(*reads)
    assert heard == [["A"]]
    await house.close()


class Pair(House):
    """Two processes: `one` has the lease."""

    def __init__(self, documents: MemoryDocuments | None = None) -> None:
        super().__init__(documents)
        self.leases = Leases()
        self.holds = [Held(self.leases), Held(self.leases)]
        self.heard: list[list[int]] = []

    async def start(self, version: str = "v1") -> Projector:
        projector = self.projector(version, self.holds[len(self.tasks)])
        heard: list[int] = []
        self.heard.append(heard)
        projector.listeners.append(lambda commit: heard.append(commit.sequence))
        await asyncio.sleep(0.01)
        return projector

    async def kill(self, number: int, seconds: float = 10) -> None:
        """Without a word: the lease is over some time later."""
        self.holds[number].gone = True
        await end(self.tasks[number])

        def over() -> None:
            self.leases.holder = None

        asyncio.get_running_loop().call_later(seconds, over)


@virtual
async def test_who_has_no_lease_writes_nothing_and_hears_all():
    house = Pair()
    one = await house.start()
    commit = await house.rename("p1", "A")
    await one.wait_for(commit.sequence, 2.0)
    two = await house.start()
    await house.world.until(lambda: two.caught_up)
    written: list[Any] = []
    watched: Any = Watched(house.documents, written)
    two._documents = watched
    for name in "BC":
        commit = await house.rename("p1", name)
        assert await two.wait_for(commit.sequence, 1.0)
        assert await house.of("p1") == list("ABC")[: commit.sequence]
    assert house.heard[1] == [2, 3]
    assert (one.leads, two.leads) == (True, False)
    assert written == []
    await house.close()


class Watched:
    """Notes what changes something."""

    def __init__(self, documents: MemoryDocuments, written: list[Any]) -> None:
        self._documents, self._written = documents, written

    def __getattr__(self, name: str) -> Any:
        if name not in ("standing", "adopt", "get", "get_many", "find"):
            self._written.append(name)
        return getattr(self._documents, name)


@virtual
async def test_whoever_asks_the_holder_rebuilds_and_both_know():
    house = Pair()
    one, two = await house.start(), await house.start()
    commit = await house.rename("p1", "A")
    assert await two.wait_for(commit.sequence, 3.0)
    before, progress = (await house.documents.standing()).generation, two.progress
    two.ask_rebuild()
    assert two.progress.status == "running"
    await house.world.until(lambda: two.progress.status == "done")
    assert (await house.documents.standing()).generation != before
    assert one.progress.status == "done"
    assert two.progress is not progress, "what is kept in memory is read again"
    assert house.documents._adopted != before
    await house.close()


@pytest.mark.parametrize("version", ["v1", "v2"])
@virtual
async def test_a_holder_that_dies_while_it_rebuilds_is_followed_by_the_other(version: str):
    """Asked for (v1), or because the code is another one (v2)."""
    documents = Slow()
    house = Pair(documents)
    first = house.projector("v1")
    commit = await house.rename("p1", "A")
    await first.wait_for(commit.sequence, 20.0)
    await house.close()
    house.tasks.clear()
    before = (await documents.standing()).generation
    documents.seconds = 1000.0
    one, two = await house.start(version), await house.start(version)
    if version == "v1":
        one.ask_rebuild()
    await asyncio.sleep(5)
    assert one.progress.status == "running"
    assert len(documents._data) == 2
    await house.kill(0)
    documents.seconds = 5.0
    later = await house.rename("p1", "B")
    await house.world.until(lambda: documents._standing.generation != before)
    await two.wait_for(later.sequence, 2.0)
    assert await house.of("p1") == ["A", "B"]
    assert two.leads
    assert not (await documents.standing()).asked
    await asyncio.sleep(20)
    assert list(documents._data) == [documents._standing.generation]
    await house.close()


@virtual
async def test_a_holder_that_was_held_up_changes_nothing_when_it_goes_on():
    documents = Slow()
    documents.seconds = 0.0
    house = Pair(documents)
    one, two = await house.start(), await house.start()
    commit = await house.rename("p1", "A")
    await one.wait_for(commit.sequence, 5.0)
    documents.seconds = 100.0
    one.ask_rebuild()
    await house.world.until(lambda: len(documents._data) == 2)
    house.leases.holder = None  # it is held up in the middle, and the other takes over
    documents.seconds = 0.0
    await house.world.until(lambda: two.leads and two.progress.status == "done")
    live = (await documents.standing()).generation
    commit = await house.rename("p1", "B")
    assert await two.wait_for(commit.sequence, 2.0)
    await asyncio.sleep(200)
    assert (await documents.standing()).generation == live
    assert list(documents._data) == [live]
    assert await house.of("p1") == ["A", "B"]
    assert await one.wait_for(commit.sequence, 2.0)
    await house.close()


@virtual
async def test_who_took_over_announces_what_the_other_had_stored():
    house = Pair()
    one = await house.start()
    commit = await house.rename("p1", "A")
    await one.wait_for(commit.sequence, 2.0)
    two = await house.start()
    await house.world.until(lambda: two.caught_up)
    await house.kill(0, seconds=0)
    for name in "BCD":
        commit = await house.rename("p1", name)
    assert await two.wait_for(commit.sequence, 5.0)
    assert house.heard[1] == [2, 3, 4]
    await house.close()


@virtual
async def test_other_code_does_not_write_what_it_does_not_lead():
    house = Pair()
    one = await house.start("v1")
    commit = await house.rename("p1", "A")
    await one.wait_for(commit.sequence, 2.0)
    two = await house.start("v2")
    await asyncio.sleep(5)
    assert not two.caught_up
    assert not house.documents._writable
    await house.close()


@virtual
async def test_a_rebuild_that_fails_leaves_what_is_live():
    house = House()
    projector = house.projector()
    commit = await house.rename("p1", "A")
    await projector.wait_for(commit.sequence, 2.0)
    before = (await house.documents.standing()).generation

    class Broken(MemoryDocuments):
        async def differing(self, *_: Any, **__: Any) -> int:
            raise KeyError("name")

    house.documents.__class__ = Broken
    projector.ask_rebuild()
    await house.world.until(lambda: projector.progress.status == "failed")
    assert "KeyError" in projector.progress.error
    standing = await house.documents.standing()
    assert (standing.generation, standing.asked) == (before, False)
    later = await house.rename("p1", "B")
    assert await projector.wait_for(later.sequence, 2.0)
    assert await house.of("p1") == ["A", "B"]
    await house.close()


@virtual
async def test_a_rebuild_that_kills_each_time_is_given_up():
    documents = Slow()
    house = House(documents)
    first = house.projector()
    commit = await house.rename("p1", "A")
    await first.wait_for(commit.sequence, 20.0)
    documents.seconds = 1000.0
    first.ask_rebuild()
    for _ in range(3):
        await asyncio.sleep(5)
        assert (await documents.standing()).asked
        await end(house.tasks[-1])
        house.projector()
    await asyncio.sleep(5)
    standing = await documents.standing()
    assert (standing.asked, standing.progress.status) == (False, "failed")
    assert "3 times something interrupted it" in standing.progress.error
    await house.close()


@virtual
async def test_what_another_stored_before_the_lease_came_is_announced_once():
    house = House()
    for name in "ABC":
        await house.rename("p1", name)
    projector = Projector(house.world, house.documents, (house.names,), "v1")
    heard: list[int] = []
    projector.listeners.append(lambda commit: heard.append(commit.sequence))
    await projector._moved_to(1)
    await projector._take_over(Standing("g", "v1", checkpoint=3))
    assert (heard, projector.sequence) == ([2, 3], 3)


@virtual
async def test_what_was_overtaken_at_the_last_moment_is_not_read():
    """It still takes itself for the holder when it flips the pointer."""

    class Overtaken(MemoryDocuments):
        live: str | None = None

        def adopt(self, generation: str | None, *, writable: bool) -> None:
            assert generation == self._standing.generation
            super().adopt(generation, writable=writable)

        async def make_live(self, generation: str, version: str, progress: Progress) -> bool:
            if self.live is None and self._standing.generation is not None:
                self.live = await self.create()
                await self.insert(self.live, "project", [{"_id": "p1", "_seq": 1, "names": ["B"]}])
                await self.set_checkpoint(self.live, 1)
                await super().make_live(self.live, version, progress)
            return await super().make_live(generation, version, progress)

    documents = Overtaken()
    house = House(documents)
    projector = house.projector()
    commit = await house.rename("p1", "A")
    await projector.wait_for(commit.sequence, 2.0)
    projector.ask_rebuild()
    await house.world.until(lambda: documents.live)
    await asyncio.sleep(1)
    assert documents._adopted == documents._standing.generation == documents.live
    assert await house.of("p1") == ["B"]
    await house.close()
