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
from slipway.readmodel.model import Document, Generations, Projection
from slipway.readmodel.mongo import MongoDocuments
from slipway.readmodel.projector import Projector
from slipway.testing.store_suite import created, meta, subject


class Names(Projection):
    collection = "project"
    categories: Sequence[str] = ("project",)
    indexes: Sequence[str] = ("state.name",)

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
        await documents.create("g1", [Names()])
        await documents.make_live("g1", "v1")

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
        before = await documents.live()
        projector.ask_rebuild()
        async with asyncio.timeout(20):
            while projector.progress.status != "done" or await documents.live() == before:
                await asyncio.sleep(0.02)
        assert projector.progress.differing == 0
        assert await documents.get("project", at.id) == wanted
        third = await store.append(at, second.head, [ProjectRenamed(name="C")], meta())
        assert await projector.wait_for(third.sequence, 10)
        running.cancel()
        newer = Projector(store, documents, [Names()], "v2")
        running = asyncio.create_task(newer.run())
        async with asyncio.timeout(20):
            while (await documents.live() or ("", ""))[1] != "v2":
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
            while (await documents.live()) is None:
                await asyncio.sleep(0.05)
        assert (await documents.get("project", at.id) or {})["state"] == {"name": "A"}
        running.cancel()
