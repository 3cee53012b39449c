"""What is read: documents in collections, a fold of the log and nothing else.

A document is `{_id, _seq, …}`; `_seq` is the sequence of the last commit that it holds, and a
write with a lower or equal one changes nothing. All of it may be deleted at any time.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from slipway.eventstore.store import Commit

type Document = dict[str, Any]


class Away(Exception):
    """The database does not answer."""


@dataclass(frozen=True, slots=True)
class Page:
    """`next` is the cursor of the following page, None at the end."""

    items: list[Document]
    next: str | None


class Documents(Protocol):
    """The live generation. Every method raises Away."""

    async def get(self, collection: str, id_: str) -> Document | None: ...

    async def get_many(self, collection: str, ids: Sequence[str]) -> dict[str, Document]: ...

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
        """Documents whose fields (dotted paths) equal `where` (a list: one of it), ordered by
        `sort` and then by id. Raises ValueError for a cursor that none of ours is."""
        ...

    async def put(self, collection: str, documents: Sequence[Document]) -> None:
        """Store each whose `_seq` is above the stored one's."""
        ...


class Projection(Protocol):
    """A pure fold from commits to the documents of one collection. Inherit from it."""

    collection: str
    categories: Sequence[str]
    """Only commits of these are folded."""
    indexes: Sequence[str]
    """Fields (dotted paths) that are queried."""

    def keys(self, commit: Commit) -> Iterable[str]:
        """The ids of the documents that the commit changes."""
        ...

    def fold(self, document: Document | None, commit: Commit, key: str) -> Document:
        """The next document, without `_id` and `_seq`, which the projector sets. It is a new one,
        and may hold models: who folds much has them made into data once, at the end."""
        ...

    def stored(self, document: Document) -> Document:
        """The document as data alone. `fold` takes such a one as well."""
        return document


class Generations(Documents, Protocol):
    """What the projector needs besides: generations side by side, one of them live."""

    async def live(self) -> tuple[str, str] | None:
        """(generation, version of the code that made it), or None when there is none."""
        ...

    async def create(self, generation: str, projections: Sequence[Projection]) -> None:
        """Empty collections with their indexes."""
        ...

    async def insert(
        self, generation: str, collection: str, documents: Sequence[Document]
    ) -> None: ...

    async def replace(
        self, generation: str, collection: str, documents: Sequence[Document]
    ) -> None:
        """Store each in place of what is there."""
        ...

    async def checkpoint(self, generation: str) -> int: ...

    async def set_checkpoint(self, generation: str, sequence: int) -> None: ...

    async def make_live(self, generation: str, version: str) -> None: ...

    async def drop_others(self) -> None:
        """Everything of generations that are not live."""
        ...

    async def digest(self, generation: str, collections: Sequence[str]) -> dict[str, str]:
        """A hash of all documents, by collection."""
        ...
