"""Documents that are stored ahead of the projector, behind the back of the request that wrote them:
whoever reads of their collection afterwards waits until they are there."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from slipway.readmodel.model import Away, Document, Documents, Page


class Ahead:
    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self._storing: defaultdict[str, set[asyncio.Task[None]]] = defaultdict(set)

    def store(self, collection: str, document: Document) -> None:
        """Begins. When the database is away the projector will bring the same."""
        task = asyncio.create_task(self._store(collection, document))
        self._storing[collection].add(task)
        task.add_done_callback(self._storing[collection].discard)

    async def _store(self, collection: str, document: Document) -> None:
        try:
            await self._documents.put(collection, [document])
        except Away:
            return

    async def _stored(self, collection: str) -> None:
        if storing := self._storing[collection]:
            await asyncio.wait(storing)

    async def get(self, collection: str, id_: str) -> Document | None:
        await self._stored(collection)
        return await self._documents.get(collection, id_)

    async def get_many(self, collection: str, ids: Sequence[str]) -> dict[str, Document]:
        await self._stored(collection)
        return await self._documents.get_many(collection, ids)

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
        await self._stored(collection)
        return await self._documents.find(
            collection, where, sort=sort, descending=descending, cursor=cursor, limit=limit
        )

    async def put(self, collection: str, documents: Sequence[Document]) -> None:
        await self._documents.put(collection, documents)
