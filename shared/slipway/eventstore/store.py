"""The event store's Protocol and its errors. `memory.MemoryStore` and `jetstream.JetStreamStore`
both pass the behaviour suite in `slipway.testing`."""

from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from slipway.contracts.event import Event
from slipway.kernel.envelope import Head, Meta, Recorded, Subject

type Commit = Recorded[Event]


class Conflict(Exception):
    """Somebody else appended first: load and decide again."""

    def __init__(self, subject: Subject, expected: int, actual: int) -> None:
        super().__init__(f"{subject}: expected sequence {expected}, the log has {actual}")
        self.subject = subject


class OutcomeUnknown(Exception):
    """The server did not answer in time, repeatedly. The same commit may be appended again."""


class TooLarge(Exception):
    """The commit is above 512 KiB; large values belong in the object store."""


class Damaged(Exception):
    """A gap in the sequences, or a commit that can't be decoded: do not go on silently."""


class Batch(NamedTuple):
    """A piece of the log that ends at a sequence: the commits of the categories that were asked
    for, each decoded when it is taken."""

    end: int
    commits: Iterable[Commit]


class EventStore(Protocol):
    async def append(
        self,
        subject: Subject,
        expected: Head,
        events: Sequence[Event],
        meta: Meta,
        *,
        since: int = 0,
    ) -> Commit:
        """Append one commit behind `expected` (NOTHING for a new aggregate) and return it as
        stored. Appending the same `meta.commit` again appends nothing and returns the stored one,
        whatever `expected` is and however much later. Raises Conflict, OutcomeUnknown, TooLarge.

        `since`: the caller knows that no commit of this id stands at or below that sequence: it
        has looked, or the commit's cause stands there. What is left up to `expected` is read
        first; above it the log itself refuses."""
        ...

    async def load(self, subject: Subject, after: int = 0) -> list[Commit]:
        """All commits of the aggregate with a sequence above `after`, in order."""
        ...

    async def head(self, subject: Subject) -> Commit | None:
        """The last commit of the aggregate."""
        ...

    async def heads(self, organization: str, category: str) -> list[Commit]:
        """The last commit of each aggregate of a category (`*` for every organization)."""
        ...

    async def at(self, sequence: int) -> Commit | None:
        """The commit at that sequence of the log."""
        ...

    async def last_sequence(self) -> int:
        """The sequence at which the log ends now; 0 when it is empty."""
        ...

    def read(
        self, after: int = 0, until: int | None = None, pattern: str = "evt.>"
    ) -> AsyncIterator[Commit]:
        """Commits in order, from above `after` to `until` (default: the end at call). With the
        default pattern every sequence is checked to be there: Damaged on a gap."""
        ...

    def batches(self, after: int, until: int, categories: Collection[str]) -> AsyncIterator[Batch]:
        """All of the log from above `after` to `until`, in order, for who folds much of it: what
        nobody asks for is checked to be there, and costs no decoding. Damaged on a gap."""
        ...

    def follow(self, after: int, pattern: str = "evt.>") -> AsyncIterator[Commit]:
        """Like `read`, and goes on with what is appended later; ends only when cancelled."""
        ...

    def reaction(self, durable: str) -> AbstractAsyncContextManager["Reaction"]:
        """The durable consumer made by init under that exact name."""
        ...


@dataclass(frozen=True, slots=True)
class Delivery:
    """A commit handed to a reaction."""

    commit: Commit
    settle: "Settle"


class Settle(Protocol):
    """`ack` when the delivery is over, `in_progress` at least every 10 s until then; what is not
    acknowledged comes again. It holds nothing of the commit."""

    async def ack(self) -> None: ...
    async def in_progress(self) -> None: ...


class Reaction(Protocol):
    def deliveries(self) -> AsyncIterator[Delivery]:
        """Deliveries as they come; ends when the reaction's context is left."""
        ...
