"""One behaviour of read models, in memory and on real MongoDB."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterable, Sequence

import pytest
from slipway.contracts.project import ProjectCreated, ProjectRenamed
from slipway.eventstore.memory import MemoryStore
from slipway.eventstore.store import Commit
from slipway.kernel.envelope import NOTHING
from slipway.readmodel.memory import MemoryDocuments
from slipway.readmodel.model import Away, Document, Generations, Progress, Projection
from slipway.readmodel.mongo import MongoDocuments
from slipway.readmodel.projector import Projector
from slipway.testing.store_suite import created, meta, subject


class Names(Projection):
    collection = "project"
    categories: Sequence[str] = ("project",)
    indexes: Sequence[str] = ("org", "state.name")

    def keys(self, commit: Commit) -> Iterable[str]:
        return [commit.subject.id]

    def fold(self, document: Document | None, commit: Commit, key: str) -> Document:
        renames = document["renames"] if document else 0
        name = document["state"]["name"] if document else ""
        for event in commit.events:
            match event:
                case ProjectCreated():
                    name = event.name
                case ProjectRenamed():
                    name, renames = event.name, renames + 1
                case _:
                    pass
        return {"state": {"name": name}, "renames": renames}


class DocumentsSuite:
    async def ready(self, documents: Generations) -> None:
        generation = await documents.create()
        await documents.index(generation, [Names()])
        assert await documents.make_live(generation, "v1", Progress())
        documents.adopt(generation, writable=True)

    async def test_an_older_document_changes_nothing(self, documents: Generations):
        await self.ready(documents)
        await documents.put("project", [{"_id": "a", "_seq": 5, "x": 1}])
        await documents.put("project", [{"_id": "a", "_seq": 4, "x": 0}, {"_id": "b", "_seq": 1}])
        await documents.put("project", [{"_id": "a", "_seq": 5, "x": 2}])
        assert await documents.get("project", "a") == {"_id": "a", "_seq": 5, "x": 1}
        assert set(await documents.get_many("project", ["a", "b", "c"])) == {"a", "b"}

    @pytest.mark.parametrize("descending", [False, True])
    async def test_pages_hold_everything_once(self, documents: Generations, descending: bool):
        await self.ready(documents)
        rows = [
            {"_id": f"i{n:02}", "_seq": n + 1, "org": "o" if n % 3 else "p", "at": n // 4}
            for n in range(40)
        ]
        await documents.put("project", rows)
        seen, cursor = [], None
        while True:
            page = await documents.find(
                "project", {"org": "o"}, sort="at", descending=descending, cursor=cursor, limit=7
            )
            seen += page.items
            if (cursor := page.next) is None:
                break
        wanted = [row for row in rows if row["org"] == "o"]
        assert seen == (wanted[::-1] if descending else wanted)
        with pytest.raises(ValueError):
            await documents.find("project", {}, cursor="not ours")

    async def test_what_is_not_to_be_written_is_not(self, documents: Generations):
        with pytest.raises(Away):
            await documents.get("project", "a")
        await self.ready(documents)
        await documents.put("project", [{"_id": "a", "_seq": 5}])
        documents.adopt((await documents.standing()).generation, writable=False)
        with pytest.raises(Away):
            await documents.put("project", [{"_id": "a", "_seq": 6}])
        assert await documents.get("project", "a") == {"_id": "a", "_seq": 5}

    async def test_only_what_was_begun_last_becomes_live(self, documents: Generations):
        held_up = await documents.create()
        building = await documents.create()
        for generation in (held_up, building):
            await documents.insert(generation, "project", [{"_id": "a", "_seq": 1}])
        assert not await documents.make_live(held_up, "v1", Progress("done"))
        await documents.note_rebuild(held_up, Progress("failed"))
        assert (await documents.standing()).progress.status == "none"
        await documents.drop_others()
        assert await documents.read(held_up, "project", ["a"]) == []
        assert [found for found, _ in await documents.read(building, "project", ["a"])]
        assert await documents.make_live(building, "v1", Progress("done", documents=1))
        standing = await documents.standing()
        assert (standing.generation, standing.version) == (building, "v1")
        assert standing.progress == Progress("done", documents=1)
        await documents.drop_others()
        assert [found for found, _ in await documents.read(building, "project", ["a"])]

    async def test_a_failed_rebuild_is_not_asked_for_any_more(self, documents: Generations):
        await self.ready(documents)
        live = (await documents.standing()).generation
        await documents.ask_rebuild()
        standing = await documents.standing()
        assert (standing.asked, standing.progress.status) == (True, "running")
        assert [await documents.begin_rebuild() for _ in range(2)] == [1, 2]
        generation = await documents.create()
        await documents.note_rebuild(generation, Progress("failed", error="no"))
        standing = await documents.standing()
        assert (standing.asked, standing.progress.error) == (False, "no")
        assert standing.generation == live
        assert not await documents.make_live(generation, "v1", Progress("done"))
        await documents.ask_rebuild()
        assert await documents.begin_rebuild() == 1

    async def test_a_checkpoint_never_goes_back(self, documents: Generations):
        await self.ready(documents)
        generation = (await documents.standing()).generation or ""
        for sequence in (7, 3):
            await documents.set_checkpoint(generation, sequence)
        assert (await documents.standing()).checkpoint == 7

    async def test_what_differs_is_counted(self, documents: Generations):
        old, new = [await documents.create() for _ in range(2)]
        same = {"_id": "same", "_seq": 1, "x": {"y": 1, "z": 2}}
        await documents.insert(
            old,
            "project",
            [
                same,
                {"_id": "later", "_seq": 9, "x": 2},
                {"_id": "new", "_seq": 9, "x": 1},
                {"_id": "spoilt", "_seq": 2, "x": 1},
                {"_id": "too much", "_seq": 3, "x": 1},
            ],
        )
        await documents.insert(
            new,
            "project",
            [
                {"_id": "same", "x": {"z": 2, "y": 1}, "_seq": 1},
                {"_id": "later", "_seq": 4, "x": 1},
                {"_id": "missing", "_seq": 4, "x": 1},
                {"_id": "spoilt", "_seq": 2, "x": 2},
            ],
        )
        assert await documents.differing(old, new, ["project"], 5) == 3
        assert await documents.differing(old, new, ["project"], 9) == 5

    async def test_what_differs_is_counted_to_the_end_of_the_longer(self, documents: Generations):
        old, new = [await documents.create() for _ in range(2)]
        rows = [{"_id": f"{number:04}", "_seq": 1, "x": 0.1} for number in range(1300)]
        await documents.insert(old, "project", [*rows[:700], {**rows[1299], "x": 0.2}])
        await documents.insert(new, "project", rows[100:])
        assert await documents.differing(old, new, ["project"], 5) == 100 + 599 + 1
        assert await documents.differing(new, old, ["project"], 5) == 100 + 599 + 1

    async def test_what_is_read_back_says_its_size(self, documents: Generations):
        generation = await documents.create()
        small = {"_id": "a", "_seq": 1, "x": "x"}
        await documents.insert(generation, "project", [small])
        await documents.replace(
            generation, "project", [{"_id": "b", "_seq": 1, "x": "x" * 9000}, {**small, "_seq": 2}]
        )
        found = await documents.read(generation, "project", ["a", "b", "c"])
        sizes = {document["_id"]: size for document, size in found}
        assert set(sizes) == {"a", "b"}
        assert sizes["a"] < 100
        assert sizes["b"] > 9000
        assert {**small, "_seq": 2} in [document for document, _ in found]

    async def test_the_projector_follows_and_rebuilds(self, documents: Generations):
        store = MemoryStore()
        at = subject()
        first = await store.append(at, NOTHING, [created("A")], meta())
        projector = Projector(store, documents, [Names()], "v1")
        running = asyncio.create_task(projector.run())
        assert await projector.wait_for(1, 10)
        second = await store.append(at, first.head, [ProjectRenamed(name="B")], meta())
        assert await projector.wait_for(second.sequence, 10)
        document = await documents.get("project", at.id)
        wanted = {"_id": at.id, "_seq": 2, "state": {"name": "B"}, "renames": 1}
        assert document == wanted
        before = (await documents.standing()).generation
        projector.ask_rebuild()
        async with asyncio.timeout(20):
            while (
                projector.progress.status != "done"
                or (await documents.standing()).generation == before
            ):
                await asyncio.sleep(0.02)
        assert projector.progress.differing == 0
        assert await documents.get("project", at.id) == wanted
        third = await store.append(at, second.head, [ProjectRenamed(name="C")], meta())
        assert await projector.wait_for(third.sequence, 10)
        running.cancel()
        newer = Projector(store, documents, [Names()], "v2")
        running = asyncio.create_task(newer.run())
        async with asyncio.timeout(20):
            while (await documents.standing()).version != "v2":
                await asyncio.sleep(0.02)
        assert await newer.wait_for(3, 10)
        document = await documents.get("project", at.id)
        assert document is not None
        assert document["state"] == {"name": "C"}
        running.cancel()


class TestMemory(DocumentsSuite):
    @pytest.fixture
    def documents(self) -> MemoryDocuments:
        return MemoryDocuments()

    async def test_a_query_without_an_index_is_refused(self, documents: MemoryDocuments):
        await self.ready(documents)
        assert (await documents.find("project", {"renames": 0, "org": "o"})).items == []
        with pytest.raises(LookupError, match="project is asked by renames, without an index"):
            await documents.find("project", {"renames": 0})


@pytest.mark.engine
class TestMongo(DocumentsSuite):
    @pytest.fixture
    async def documents(self, mongo_url: str) -> AsyncIterator[MongoDocuments]:
        documents = MongoDocuments(mongo_url, f"t{uuid.uuid4().hex[:10]}")
        yield documents
        await documents._client.drop_database(documents._database.name)
        documents._client.close()

    async def test_a_destroyed_database_is_rebuilt(self, documents: MongoDocuments):
        store = MemoryStore()
        at = subject()
        await store.append(at, NOTHING, [created("A")], meta())
        projector = Projector(store, documents, [Names()], "v1")
        running = asyncio.create_task(projector.run())
        assert await projector.wait_for(1, 10)
        await documents._client.drop_database(documents._database.name)
        async with asyncio.timeout(20):
            while (await documents.standing()).generation is None:
                await asyncio.sleep(0.05)
        assert (await documents.get("project", at.id) or {})["state"] == {"name": "A"}
        running.cancel()

    @pytest.mark.parametrize("again", [False, True])
    async def test_what_is_live_has_its_indexes(self, documents: MongoDocuments, again: bool):
        projector = Projector(MemoryStore(), documents, [Names()], "v1")
        running = asyncio.create_task(projector.run())
        async with asyncio.timeout(20):
            while not projector.caught_up:
                await asyncio.sleep(0.02)
            if again:
                first = (await documents.standing()).generation
                projector.ask_rebuild()
                while (await documents.standing()).generation == first:
                    await asyncio.sleep(0.02)
        live = (await documents.standing()).generation
        found = await documents._collection("project", live or "").index_information()
        assert [index["key"] for index in found.values()] == [
            [("_id", 1)],
            *([(path, 1), ("_id", 1)] for path in Names.indexes),
        ]
        running.cancel()
