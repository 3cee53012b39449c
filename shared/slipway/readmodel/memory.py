"""Read models in memory, for tests and the simulator."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from slipway.readmodel import cursor as cursors
from slipway.readmodel.model import Document, Page, Projection


class MemoryDocuments:
    def __init__(self) -> None:
        self._data: dict[str, dict[str, dict[str, Document]]] = {}
        self._live: tuple[str, str] | None = None
        self._checkpoints: dict[str, int] = {}

    def _collection(self, collection: str) -> dict[str, Document]:
        if self._live is None:
            return {}
        return self._data[self._live[0]][collection]

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
        there = self._collection(collection)
        for document in documents:
            old = there.get(document["_id"])
            if old is None or old["_seq"] < document["_seq"]:
                there[document["_id"]] = deepcopy(document)

    async def live(self) -> tuple[str, str] | None:
        return self._live

    async def create(self, generation: str, projections: Sequence[Projection]) -> None:
        self._data[generation] = defaultdict(dict)

    async def insert(self, generation: str, collection: str, documents: Sequence[Document]) -> None:
        for document in documents:
            self._data[generation][collection][document["_id"]] = deepcopy(document)

    async def replace(
        self, generation: str, collection: str, documents: Sequence[Document]
    ) -> None:
        await self.insert(generation, collection, documents)

    async def checkpoint(self, generation: str) -> int:
        return self._checkpoints.get(generation, 0)

    async def set_checkpoint(self, generation: str, sequence: int) -> None:
        self._checkpoints[generation] = sequence

    async def make_live(self, generation: str, version: str) -> None:
        self._live = (generation, version)

    async def drop_others(self) -> None:
        live = self._live[0] if self._live else None
        self._data = {name: data for name, data in self._data.items() if name == live}

    async def digest(self, generation: str, collections: Sequence[str]) -> dict[str, str]:
        return {
            name: hashlib.sha256(
                json.dumps(sorted(self._data[generation][name].items()), sort_keys=True).encode()
            ).hexdigest()
            for name in collections
        }
