"""Read models in MongoDB: the only importer of motor.

motor is at its end of life; PyMongo's own asynchronous client is the successor, and changing to
it is a change of this file (docs/decisions).
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any
from uuid import uuid4

import bson
import pymongo
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorCollection
from pymongo import IndexModel, ReplaceOne, ReturnDocument
from pymongo.errors import BulkWriteError, PyMongoError
from pymongo.write_concern import WriteConcern

from slipway.readmodel import cursor as cursors
from slipway.readmodel.model import Away, Document, Page, Progress, Projection, Standing

_DUPLICATE = 11000
_META = "meta"
_STATE = {"_id": "state"}
"""Of the one document that says what is live, what is under construction and what was asked for:
`{generation, version, building, asked, begun, progress}`. One, so that a change of it is whole."""
_AT_ONCE = 500
"""Documents in one message: none holds the process up for long."""
_INDEXING = 3600.0
"""Seconds that a database may take for the indexes of a collection."""
_COMPARED = 200
"""Documents of each of two generations that are in memory at once."""


@asynccontextmanager
async def _away() -> AsyncIterator[None]:
    try:
        yield
    except BulkWriteError:
        raise
    except PyMongoError as error:
        raise Away(str(error)) from error


class _Sorted:
    """The documents of a collection by their ids, as bytes: `left` has the next one last. Whole
    batches are read, since an object for each document is most of what it costs to compare."""

    def __init__(self, collection: AsyncIOMotorCollection[Document]) -> None:
        self._batches = collection.find_raw_batches(sort=[("_id", 1)], batch_size=_COMPARED)
        self.left: list[bytes] = []
        self._ended = False

    async def more(self) -> None:
        """When nothing is left: the next ones, unless it was the end."""
        if not self.left and not self._ended:
            batch: Any = await anext(self._batches, b"")
            self.left, self._ended = list(_documents(batch))[::-1], not batch

    def first(self) -> Document | None:
        return bson.decode(self.left[-1]) if self.left else None


def _documents(batch: bytes) -> Iterator[bytes]:
    """Each begins with its length."""
    at = 0
    while at < len(batch):
        end = at + int.from_bytes(batch[at : at + 4], "little")
        yield batch[at:end]
        at = end


def _differs(old: _Sorted, new: _Sorted, sequence: int) -> bool:
    """Of the next two, or the one whose id comes first; it is gone past. See `differing`."""
    one, two = old.first(), new.first()
    if one is None or (two is not None and two["_id"] < one["_id"]):
        new.left.pop()
        return True
    old.left.pop()
    if two is not None and two["_id"] == one["_id"]:
        new.left.pop()
    return one != two and one["_seq"] <= sequence


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
        self._meta = self._database[_META]
        self._adopted: str | None = None
        self._writable = False

    def _collection(self, collection: str, generation: str) -> AsyncIOMotorCollection[Document]:
        return self._database[f"{generation}.{collection}"]

    def _raw(self, collection: str, generation: str) -> AsyncIOMotorCollection[RawBSONDocument]:
        options = CodecOptions(document_class=RawBSONDocument)
        return self._collection(collection, generation).with_options(codec_options=options)  # pyright: ignore[reportReturnType]

    def _of_live(self, collection: str) -> AsyncIOMotorCollection[Document]:
        if self._adopted is None:
            raise Away("the read models are being built")
        return self._collection(collection, self._adopted)

    async def get(self, collection: str, id_: str) -> Document | None:
        async with _away():
            return await self._of_live(collection).find_one({"_id": id_})

    async def get_many(self, collection: str, ids: Sequence[str]) -> dict[str, Document]:
        if not ids:
            return {}
        async with _away():
            found = self._of_live(collection).find({"_id": {"$in": list(ids)}})
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
            found = self._of_live(collection).find(query).sort(order).limit(limit + 1)
            items = await found.to_list(limit + 1)
        page = items[:limit]
        if len(items) <= limit:
            return Page(page, None)
        return Page(page, cursors.encode(cursors.field(page[-1], sort), page[-1]["_id"]))

    async def put(self, collection: str, documents: Sequence[Document]) -> None:
        if not documents:
            return
        if not self._writable:
            raise Away("the read models are not to be written here")
        writes = [
            ReplaceOne({"_id": d["_id"], "_seq": {"$lt": d["_seq"]}}, d, upsert=True)
            for d in documents
        ]
        async with _away():
            try:
                await self._of_live(collection).bulk_write(writes, ordered=False)
            except BulkWriteError as error:
                # A newer document is there: the upsert collides with it, and that is right.
                problems = error.details.get("writeErrors", []) if error.details else []
                if any(problem["code"] != _DUPLICATE for problem in problems):
                    raise Away(str(error)) from error

    async def standing(self) -> Standing:
        async with _away():
            found = {note["_id"]: note async for note in self._meta.find()}
        state: Document = found.get("state", {})
        generation = state.get("generation")
        checkpoint = found.get(f"checkpoint.{generation}", {"sequence": 0})["sequence"]
        progress = Progress(**state.get("progress", {}))
        return Standing(
            generation, state.get("version"), checkpoint, state.get("asked", False), progress
        )

    def adopt(self, generation: str | None, *, writable: bool) -> None:
        self._adopted, self._writable = generation, writable

    async def create(self) -> str:
        generation = f"g{uuid4().hex[:12]}"
        async with _away():
            await self._meta.update_one(_STATE, {"$set": {"building": generation}}, upsert=True)
        return generation

    async def index(self, generation: str, projections: Sequence[Projection]) -> None:
        # One after the other: each keeps one of the few threads from those who read meanwhile.
        for projection in projections:
            wanted = [IndexModel([(path, 1), ("_id", 1)]) for path in projection.indexes]
            if wanted:
                with pymongo.timeout(_INDEXING):
                    async with _away():
                        there = self._collection(projection.collection, generation)
                        await there.create_indexes(wanted)

    async def read(
        self, generation: str, collection: str, ids: Sequence[str]
    ) -> list[tuple[Document, int]]:
        async with _away():
            found = self._raw(collection, generation).find({"_id": {"$in": list(ids)}})
            return [(bson.decode(raw.raw), len(raw.raw)) async for raw in found]

    async def insert(self, generation: str, collection: str, documents: Sequence[Document]) -> None:
        async with _away():
            for at in range(0, len(documents), _AT_ONCE):
                await self._collection(collection, generation).insert_many(
                    documents[at : at + _AT_ONCE], ordered=False
                )

    async def replace(self, generation: str, collection: str, documents: Sequence[Document]) -> int:
        writes = [ReplaceOne({"_id": d["_id"]}, d, upsert=True) for d in documents]
        async with _away():
            done = [
                await self._collection(collection, generation).bulk_write(
                    writes[at : at + _AT_ONCE], ordered=False
                )
                for at in range(0, len(writes), _AT_ONCE)
            ]
        return sum(result.upserted_count for result in done)

    async def set_checkpoint(self, generation: str, sequence: int) -> None:
        async with _away():
            await self._meta.update_one(
                {"_id": f"checkpoint.{generation}"}, {"$max": {"sequence": sequence}}, upsert=True
            )

    async def differing(
        self, former: str, generation: str, collections: Sequence[str], sequence: int
    ) -> int:
        async with _away():
            return sum(
                [await self._differing(former, generation, name, sequence) for name in collections]
            )

    async def _differing(self, former: str, generation: str, name: str, sequence: int) -> int:
        old, new = (_Sorted(self._collection(name, of)) for of in (former, generation))
        await asyncio.gather(old.more(), new.more())
        count = 0
        while old.left or new.left:
            if old.left and new.left and old.left[-1] == new.left[-1]:
                old.left.pop()
                new.left.pop()
            else:
                count += _differs(old, new, sequence)
            if not (old.left and new.left):
                await asyncio.gather(old.more(), new.more())
        return count

    async def make_live(self, generation: str, version: str, progress: Progress) -> bool:
        live = {
            "generation": generation,
            "version": version,
            "building": None,
            "asked": False,
            "progress": asdict(progress),
        }
        async with _away():
            done = await self._meta.update_one(_STATE | {"building": generation}, {"$set": live})
        return done.matched_count > 0

    async def drop_others(self) -> None:
        async with _away():
            # Listed first: what is begun from now on is not among them.
            names = await self._database.list_collection_names()
            state = await self._meta.find_one(_STATE) or {}
            keep = {state.get("generation"), state.get("building")}
            for name in names:
                if name != _META and name.partition(".")[0] not in keep:
                    await self._database.drop_collection(name)
            checkpoints = [f"checkpoint.{generation}" for generation in keep]
            await self._meta.delete_many({"_id": {"$nin": ["state", *checkpoints]}})

    async def ask_rebuild(self) -> None:
        asked = {"asked": True, "begun": 0, "progress": asdict(Progress("running"))}
        async with _away():
            await self._meta.update_one(_STATE, {"$set": asked}, upsert=True)

    async def begin_rebuild(self) -> int:
        async with _away():
            state = await self._meta.find_one_and_update(
                _STATE, {"$inc": {"begun": 1}}, return_document=ReturnDocument.AFTER
            )
        return state["begun"] if state else 0

    async def note_rebuild(self, generation: str, progress: Progress) -> None:
        noted: Document = {"progress": asdict(progress)}
        if progress.status == "failed":
            noted |= {"building": None, "asked": False}
        async with _away():
            await self._meta.update_one(_STATE | {"building": generation}, {"$set": noted})
