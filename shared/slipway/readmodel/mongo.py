"""Read models in MongoDB: the only importer of motor.

motor is at its end of life; PyMongo's own asynchronous client is the successor, and changing to
it is a change of this file (docs/decisions).
"""

import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import orjson
from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorCollection
from pymongo import ReplaceOne
from pymongo.errors import BulkWriteError, PyMongoError
from pymongo.write_concern import WriteConcern

from slipway.readmodel import cursor as cursors
from slipway.readmodel.model import Away, Document, Page, Projection

_DUPLICATE = 11000


@asynccontextmanager
async def _away() -> AsyncIterator[None]:
    try:
        yield
    except BulkWriteError:
        raise
    except PyMongoError as error:
        raise Away(str(error)) from error


class MongoDocuments:
    def __init__(self, url: str, database: str = "slipway") -> None:
        self._client: AsyncIOMotorClient[Document] = AsyncIOMotorClient(
            url,
            serverSelectionTimeoutMS=2000,
            socketTimeoutMS=10_000,
            authSource="admin",
            maxPoolSize=20,
        )
        # Projections can be rebuilt and the checkpoint is written after them: one
        # acknowledgement is enough.
        self._database = self._client.get_database(database, write_concern=WriteConcern(w=1))
        self._generation: str | None = None

    def _collection(self, collection: str, generation: str) -> AsyncIOMotorCollection[Document]:
        return self._database[f"{generation}.{collection}"]

    async def _of_live(self, collection: str) -> AsyncIOMotorCollection[Document]:
        if self._generation is None and await self.live() is None:
            raise Away("the read models are being built")
        assert self._generation is not None  # noqa: S101 - set by live
        return self._collection(collection, self._generation)

    async def get(self, collection: str, id_: str) -> Document | None:
        async with _away():
            return await (await self._of_live(collection)).find_one({"_id": id_})

    async def get_many(self, collection: str, ids: Sequence[str]) -> dict[str, Document]:
        if not ids:
            return {}
        async with _away():
            found = (await self._of_live(collection)).find({"_id": {"$in": list(ids)}})
            return {document["_id"]: document async for document in found}

    async def find(
        self,
        collection: str,
        where: Mapping[str, Any],
        *,
        sort: str = "_id",
        descending: bool = False,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page:
        query: dict[str, Any] = {
            path: {"$in": value} if isinstance(value, list) else value
            for path, value in where.items()
        }
        direction, beyond = (-1, "$lt") if descending else (1, "$gt")
        if cursor is not None:
            value, id_ = cursors.decode(cursor)
            query["$or"] = [{sort: {beyond: value}}, {sort: value, "_id": {beyond: id_}}]
        order = [("_id", direction)] if sort == "_id" else [(sort, direction), ("_id", direction)]
        async with _away():
            found = (await self._of_live(collection)).find(query).sort(order).limit(limit + 1)
            items = await found.to_list(limit + 1)
        page = items[:limit]
        if len(items) <= limit:
            return Page(page, None)
        return Page(page, cursors.encode(cursors.field(page[-1], sort), page[-1]["_id"]))

    async def put(self, collection: str, documents: Sequence[Document]) -> None:
        if not documents:
            return
        writes = [
            ReplaceOne({"_id": d["_id"], "_seq": {"$lt": d["_seq"]}}, d, upsert=True)
            for d in documents
        ]
        async with _away():
            try:
                await (await self._of_live(collection)).bulk_write(writes, ordered=False)
            except BulkWriteError as error:
                # A newer document is there: the upsert collides with it, and that is right.
                problems = error.details.get("writeErrors", []) if error.details else []
                if any(problem["code"] != _DUPLICATE for problem in problems):
                    raise Away(str(error)) from error

    async def live(self) -> tuple[str, str] | None:
        async with _away():
            pointer = await self._database["meta"].find_one({"_id": "live"})
        self._generation = pointer["generation"] if pointer else None
        return (pointer["generation"], pointer["version"]) if pointer else None

    async def create(self, generation: str, projections: Sequence[Projection]) -> None:
        async with _away():
            for projection in projections:
                collection = self._collection(projection.collection, generation)
                for path in projection.indexes:
                    await collection.create_index([(path, 1), ("_id", 1)])

    async def insert(self, generation: str, collection: str, documents: Sequence[Document]) -> None:
        async with _away():
            for at in range(0, len(documents), 2000):
                await self._collection(collection, generation).insert_many(
                    documents[at : at + 2000], ordered=False
                )

    async def replace(
        self, generation: str, collection: str, documents: Sequence[Document]
    ) -> None:
        writes = [ReplaceOne({"_id": d["_id"]}, d, upsert=True) for d in documents]
        async with _away():
            await self._collection(collection, generation).bulk_write(writes, ordered=False)

    async def checkpoint(self, generation: str) -> int:
        async with _away():
            found = await self._database["meta"].find_one({"_id": f"checkpoint.{generation}"})
        return found["sequence"] if found else 0

    async def set_checkpoint(self, generation: str, sequence: int) -> None:
        async with _away():
            await self._database["meta"].replace_one(
                {"_id": f"checkpoint.{generation}"}, {"sequence": sequence}, upsert=True
            )

    async def make_live(self, generation: str, version: str) -> None:
        async with _away():
            await self._database["meta"].replace_one(
                {"_id": "live"}, {"generation": generation, "version": version}, upsert=True
            )
        self._generation = generation

    async def drop_others(self) -> None:
        live = await self.live()
        keep = f"{live[0]}." if live else ""
        async with _away():
            for name in await self._database.list_collection_names():
                if name != "meta" and not (keep and name.startswith(keep)):
                    await self._database.drop_collection(name)
            await self._database["meta"].delete_many(
                {"_id": {"$nin": ["live", f"checkpoint.{live[0]}" if live else ""]}}
            )

    async def digest(self, generation: str, collections: Sequence[str]) -> dict[str, str]:
        result = {}
        async with _away():
            for name in collections:
                hashed = hashlib.sha256()
                async for document in self._collection(name, generation).find().sort("_id", 1):
                    hashed.update(orjson.dumps(document, option=orjson.OPT_SORT_KEYS))
                result[name] = hashed.hexdigest()
        return result
