"""Documents that are stored ahead of the projector, behind the back of the request that wrote them:
whoever reads of their collection afterwards waits until they are there."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from slipway.eventstore.store import Commit
from slipway.readmodel.model import Away, Document, Documents, Page, Projection

from api_gateway.listener import Listener
from api_gateway.projections import Aggregates, Whole


class Ahead(Listener):
    """Stores what follows from one commit alone: the documents of `Aggregates`, which the writer
    has, and those of `Whole` projections."""

    def __init__(self, documents: Documents, projections: Sequence[Projection]) -> None:
        self._documents = documents
        self._storing: defaultdict[str, set[asyncio.Task[None]]] = defaultdict(set)
        self._aggregates = {
            item.collection for item in projections if isinstance(item, Aggregates) and item.ahead
        }
        self._whole = [item for item in projections if isinstance(item, Whole)]

    def written(self, commit: Commit, document: Document) -> None:
        if commit.subject.category in self._aggregates:
            self.store(commit.subject.category, document)
        for projection in self._whole:
            if commit.subject.category in projection.categories:
                for key in projection.keys(commit):
                    found = projection.fold(None, commit, key)
                    self.store(
                        projection.collection, {**found, "_id": key, "_seq": commit.sequence}
                    )

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
