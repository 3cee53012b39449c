"""Folding the log into documents: as it comes, and anew beside what is live."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from slipway.contracts.project import ProjectRenamed
from slipway.eventstore.store import Commit
from slipway.readmodel.memory import MemoryDocuments
from slipway.readmodel.model import Away, Document, Projection
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


class House:
    def __init__(self, documents: MemoryDocuments | None = None) -> None:
        self.world = World(latency=0.0)
        self.documents = documents or MemoryDocuments()
        self.names = Names()
        self.tasks: list[asyncio.Task[None]] = []

    def projector(self, version: str = "v1") -> Projector:
        projector = Projector(self.world, self.documents, (self.names,), version)
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
    assert await house.documents.live() is not None
    assert len(house.documents._data) == 1
    await house.close()


@virtual
async def test_a_rebuild_that_is_asked_for_finds_what_differs():
    house = House()
    projector = house.projector()
    commit = await house.rename("p1", "A")
    await projector.wait_for(commit.sequence, 2.0)
    live = await house.documents.live()
    assert live is not None
    for spoilt, differing in (("", 0), ("spoilt", 1)):
        generation = (await house.documents.live() or live)[0]
        if spoilt:
            house.documents._data[generation]["project"]["p1"]["names"] = [spoilt]
        projector.ask_rebuild()
        assert projector.progress.status == "running"
        await house.world.until(lambda: projector.progress.status == "done")
        assert projector.progress.differing == differing
        assert await house.of("p1") == ["A"]
        assert (await house.documents.live() or live)[0] != generation
    await house.close()


@virtual
async def test_what_is_read_stays_while_it_is_built_anew():
    seen: list[Any] = []
    house = House()

    class Slow(MemoryDocuments):
        async def insert(
            self, generation: str, collection: str, documents: Sequence[Document]
        ) -> None:
            await asyncio.sleep(5)
            seen.append(await house.of("p1"))
            await super().insert(generation, collection, documents)

    house.documents = Slow()
    projector = house.projector()
    commit = await house.rename("p1", "A")
    await projector.wait_for(commit.sequence, 20.0)
    projector.ask_rebuild()
    await asyncio.sleep(3)
    later = await house.rename("p1", "B")
    assert await projector.wait_for(later.sequence, 20.0)
    assert seen[-1] == ["A"]
    assert await house.of("p1") == ["A", "B"]
    await house.close()


@virtual
async def test_a_database_that_was_emptied_is_filled_again():
    house = House()
    projector = house.projector()
    commit = await house.rename("p1", "A")
    await projector.wait_for(commit.sequence, 2.0)
    house.documents._data, house.documents._live = {}, None
    await house.world.until(lambda: house.documents._live)
    assert await house.of("p1") == ["A"]
    await house.close()


@pytest.mark.parametrize("method", ["live", "get_many", "put", "set_checkpoint", "checkpoint"])
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
