"""What is read: documents in collections, a fold of the log and nothing else.

A document is `{_id, _seq, …}`; `_seq` is the sequence of the last commit that it holds, and a
write with a lower or equal one changes nothing. All of it may be deleted at any time.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from slipway.eventstore.store import Commit, Damaged

type Document = dict[str, Any]


class Away(Exception):
    """The database does not answer."""


class Unfoldable(Exception):
    """A fold failed: at a document that other code has stored, or by a defect."""


@dataclass(frozen=True, slots=True)
class Page:
    """`next` is the cursor of the following page, None at the end."""

    items: list[Document]
    next: str | None


@dataclass(slots=True)
class Progress:
    """Of the newest rebuild. `differing` counts documents that differ from the former ones made
    by the same code: it should be 0."""

    status: Literal["none", "running", "done", "failed"] = "none"
    folded: int = 0
    of: int = 0
    documents: int = 0
    differing: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """What is noted beside the documents. `generation` is the live one, made by the code of
    `version`; None when there is none. `checkpoint` is the sequence up to which it holds the log.
    `asked`: somebody wants all of it built anew."""

    generation: str | None = None
    version: str | None = None
    checkpoint: int = 0
    asked: bool = False
    progress: Progress = field(default_factory=Progress)


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
        """Store each whose `_seq` is above the stored one's. Raises Away as well when the live
        generation is not to be written by this process (see `Generations.adopt`)."""
        ...


class Projection(Protocol):
    """A pure fold from commits to the documents of one collection. Inherit from it."""

    collection: str
    categories: Sequence[str]
    """Only commits of these are folded."""
    indexes: Sequence[str]
    """Fields (dotted paths) that are queried: each query is by one of them at least."""
    models: bool = False
    """Documents hold models while they are folded."""

    def keys(self, commit: Commit) -> Iterable[str]:
        """The ids of the documents that the commit changes."""
        ...

    def fold(self, document: Document | None, commit: Commit, key: str) -> Document:
        """The next document, without `_id` and `_seq`, which the projector sets. It is a new one,
        and may hold `models`: who folds much has them made into data once, at the end."""
        ...

    def alone(self, commit: Commit) -> bool:
        """The documents after the commit follow from it alone, whatever was there before."""
        return False

    def stored(self, document: Document) -> Document:
        """The document as data alone. `fold` takes such a one as well."""
        return document


def next_document(
    projection: Projection, document: Document | None, commit: Commit, key: str
) -> Document:
    """The document after the commit, numbered. Raises Unfoldable, and Damaged."""
    try:
        found = projection.fold(document, commit, key)
    except Damaged:
        raise
    except Exception as error:
        where = f"{key} of {projection.collection} at sequence {commit.sequence}"
        raise Unfoldable(f"{where}: {error!r}") from error
    found["_id"], found["_seq"] = key, commit.sequence
    return found


class Generations(Documents, Protocol):
    """What the projector needs besides: generations side by side, one of them live, at most one
    under construction. Whoever began another one since can't make a generation live, nor can a
    generation go while it is built: so a process that was held up changes nothing."""

    async def standing(self) -> Standing: ...

    def adopt(self, generation: str | None, *, writable: bool) -> None:
        """The one that this process reads from now on; `put` stores in it if it is `writable`: who
        folds by other code must not."""
        ...

    async def create(self) -> str:
        """The generation under construction from now on: empty."""
        ...

    async def index(self, generation: str, projections: Sequence[Projection]) -> None:
        """So that they can be found: once most of them are there, for that is quicker."""
        ...

    async def read(
        self, generation: str, collection: str, ids: Sequence[str]
    ) -> list[tuple[Document, int]]:
        """Those documents that are there, each with its size in bytes."""
        ...

    async def insert(
        self, generation: str, collection: str, documents: Sequence[Document]
    ) -> None: ...

    async def replace(self, generation: str, collection: str, documents: Sequence[Document]) -> int:
        """Store each in place of what is there; for how many there was nothing."""
        ...

    async def set_checkpoint(self, generation: str, sequence: int) -> None:
        """It never goes back."""
        ...

    async def differing(
        self, former: str, generation: str, collections: Sequence[str], sequence: int
    ) -> int:
        """How many documents are not the same in both. `generation` holds the log up to `sequence`,
        `former` at least so far: what it has of later commits does not count."""
        ...

    async def make_live(self, generation: str, version: str, progress: Progress) -> bool:
        """What was asked for is done then. False, and nothing is changed, when it is not the one
        under construction any more."""
        ...

    async def drop_others(self) -> None:
        """Everything of generations that are neither live nor under construction."""
        ...

    async def ask_rebuild(self) -> None:
        """Noted until it is done or failed, so that who asks may die."""
        ...

    async def begin_rebuild(self) -> int:
        """How often what is asked for has been begun, this time included."""
        ...

    async def note_rebuild(self, generation: str, progress: Progress) -> None:
        """How far the one under construction is, for the others; a failed one is so no more, and
        is not asked for any more."""
        ...
