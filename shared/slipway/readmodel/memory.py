"""Read models in memory, for tests and the simulator."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any
from uuid import uuid4

from slipway.readmodel import cursor as cursors
from slipway.readmodel.model import Away, Document, Page, Progress, Projection, Standing


class MemoryDocuments:
    def __init__(self) -> None:
        self._data: dict[str, dict[str, dict[str, Document]]] = {}
        self._standing = Standing()
        self._indexed: dict[str, set[str]] = {}
        self._building: str | None = None
        self._begun = 0
        self._checkpoints: dict[str, int] = {}
        self._adopted: str | None = None
        self._writable = False

    def _collection(self, collection: str) -> dict[str, Document]:
        if self._adopted is None:
            raise Away("the read models are being built")
        return self._data.get(self._adopted, {}).get(collection, {})

    async def get(self, collection: str, id_: str) -> Document | None:
        return deepcopy(self._collection(collection).get(id_))

    async def get_many(self, collection: str, ids: Sequence[str]) -> dict[str, Document]:
        there = self._collection(collection)
        return {id_: deepcopy(there[id_]) for id_ in ids if id_ in there}

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
        """A database would answer by looking at every document where nothing asked for has an
        index, and nobody would notice before there are many."""
        indexed = self._indexed.get(collection)
        if where and indexed is not None and indexed.isdisjoint(where):
            raise LookupError(f"{collection} is asked by {', '.join(where)}, without an index")

        def fits(document: Document) -> bool:
            for path, wanted in where.items():
                value = cursors.field(document, path)
                values = value if isinstance(value, list) else [value]
                accepted = wanted if isinstance(wanted, list) else [wanted]
                if not any(item in accepted for item in values):
                    return False
            return True

        def key(document: Document) -> tuple[Any, str]:
            return cursors.field(document, sort), document["_id"]

        found = sorted(filter(fits, self._collection(collection).values()), key=key)
        if descending:
            found.reverse()
        if cursor is not None:
            last = cursors.decode(cursor)
            found = [d for d in found if (key(d) < last if descending else key(d) > last)]
        page = deepcopy(found[:limit])
        more = len(found) > limit
        return Page(page, cursors.encode(*key(page[-1])) if more else None)

    async def put(self, collection: str, documents: Sequence[Document]) -> None:
        if self._adopted is None or not self._writable:
            raise Away("the read models are not to be written here")
        there = self._data.setdefault(self._adopted, defaultdict(dict))[collection]
        for document in documents:
            old = there.get(document["_id"])
            if old is None or old["_seq"] < document["_seq"]:
                there[document["_id"]] = deepcopy(document)

    async def standing(self) -> Standing:
        return replace(
            self._standing,
            checkpoint=self._checkpoints.get(self._standing.generation or "", 0),
            progress=replace(self._standing.progress),
        )

    def adopt(self, generation: str | None, *, writable: bool) -> None:
        self._adopted, self._writable = generation, writable

    async def index(self, generation: str, projections: Sequence[Projection]) -> None:
        self._indexed |= {item.collection: {"_id", *item.indexes} for item in projections}

    async def create(self) -> str:
        generation = self._building = f"g{uuid4().hex[:12]}"
        self._data[generation] = defaultdict(dict)
        return generation

    async def read(
        self, generation: str, collection: str, ids: Sequence[str]
    ) -> list[tuple[Document, int]]:
        there = self._data.get(generation, {}).get(collection, {})
        return [(deepcopy(there[id_]), len(json.dumps(there[id_]))) for id_ in ids if id_ in there]

    async def insert(self, generation: str, collection: str, documents: Sequence[Document]) -> None:
        there = self._data.setdefault(generation, defaultdict(dict))[collection]
        for document in documents:
            there[document["_id"]] = deepcopy(document)

    async def replace(self, generation: str, collection: str, documents: Sequence[Document]) -> int:
        there = self._data[generation][collection]
        new = sum(document["_id"] not in there for document in documents)
        await self.insert(generation, collection, documents)
        return new

    async def set_checkpoint(self, generation: str, sequence: int) -> None:
        self._checkpoints[generation] = max(sequence, self._checkpoints.get(generation, 0))

    async def differing(
        self, former: str, generation: str, collections: Sequence[str], sequence: int
    ) -> int:
        count = 0
        for name in collections:
            old, new = self._data[former][name], self._data[generation][name]
            count += sum(
                old.get(id_) != new.get(id_) and old.get(id_, {}).get("_seq", 0) <= sequence
                for id_ in old.keys() | new.keys()
            )
        return count

    async def make_live(self, generation: str, version: str, progress: Progress) -> bool:
        if self._building != generation:
            return False
        self._standing = Standing(generation, version, progress=replace(progress))
        self._building, self._begun = None, 0
        return True

    async def drop_others(self) -> None:
        keep = (self._standing.generation, self._building)
        self._data = {name: data for name, data in self._data.items() if name in keep}

    async def ask_rebuild(self) -> None:
        self._begun = 0
        self._standing = replace(self._standing, asked=True, progress=Progress("running"))

    async def begin_rebuild(self) -> int:
        self._begun += 1
        return self._begun

    async def note_rebuild(self, generation: str, progress: Progress) -> None:
        if self._building == generation:
            failed = progress.status == "failed"
            self._building = None if failed else generation
            self._standing = replace(
                self._standing,
                asked=self._standing.asked and not failed,
                progress=replace(progress),
            )
