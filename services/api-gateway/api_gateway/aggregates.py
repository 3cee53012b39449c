"""Aggregates as this process last saw them, as many as fit into a number of bytes."""

from collections import OrderedDict
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice
from typing import Any

from slipway.eventstore.store import Commit
from slipway.kernel.decider import Decider
from slipway.kernel.envelope import NOTHING, Head, Subject
from slipway.readmodel.model import Document

from api_gateway.projections import Origin, document_of, key_of, plain

_LARGEST = 64 * 1024**2
_REMEMBERED = 200
_FIXED, _PER_REQUEST, _PER_BYTE = 4000, 400, 6
"""Bytes of memory: of an aggregate, of each request that it remembers, and of each byte that its
state has as JSON. Measured; a test holds the cache against what it really takes."""


@dataclass(slots=True)
class Aggregate:
    state: Any
    head: Head = NOTHING
    origin: Origin | None = None
    updated_at: datetime | None = None
    requests: dict[str, str | None] = field(default_factory=dict)
    """Commit → the request that it was appended for; of the last ones."""

    def followed_by(self, commits: list[Commit], decider: Decider[Any, Any, Any]) -> "Aggregate":
        requests = {**self.requests, **{c.meta.commit: c.meta.request for c in commits}}
        first, last = commits[0], commits[-1]
        return replace(
            self,
            state=decider.fold((e for c in commits for e in c.events), self.state),
            head=last.head,
            origin=self.origin or Origin.of(first),
            updated_at=last.meta.at,
            requests=dict(islice(requests.items(), max(0, len(requests) - _REMEMBERED), None)),
        )

    def document(self, subject: Subject) -> Document:
        """What is read of it from now on; empty where there is nothing."""
        if self.origin is None or self.updated_at is None:
            return {}
        document = document_of(subject, self.state, self.head.version, self.origin, self.updated_at)
        return {**plain(document), "_id": key_of(subject), "_seq": self.head.sequence}

    @property
    def remembered_to(self) -> int:
        """Up to this sequence `requests` has every commit; 0 when there were more of them."""
        return self.head.sequence if self.head.version <= _REMEMBERED else 0

    @property
    def size(self) -> int:
        """About how many bytes of memory it takes."""
        return (
            _FIXED + _PER_REQUEST * len(self.requests)
            + _PER_BYTE * len(self.state.model_dump_json())
        )  # fmt: skip


class AggregateCache:
    def __init__(self, largest: int = _LARGEST) -> None:
        self._largest = largest
        self._kept: OrderedDict[Subject, tuple[Aggregate, int]] = OrderedDict()
        self.size = 0

    def __contains__(self, subject: Subject) -> bool:
        return subject in self._kept

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, subject: Subject) -> Aggregate | None:
        found = self._kept.get(subject)
        if found is None:
            return None
        self._kept.move_to_end(subject)
        return found[0]

    def keep(self, subject: Subject, aggregate: Aggregate) -> None:
        """Unless a newer one is kept."""
        former, size = self._kept.get(subject, (None, 0))
        if former is not None and former.head.sequence >= aggregate.head.sequence:
            return
        self._kept[subject] = aggregate, (now := aggregate.size)
        self._kept.move_to_end(subject)
        self.size += now - size
        while self.size > self._largest:
            _, (_, gone) = self._kept.popitem(last=False)
            self.size -= gone

    def clear(self) -> None:
        self._kept.clear()
        self.size = 0
