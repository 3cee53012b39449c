"""The general kinds of projection: one document per aggregate by the same `evolve` that decides,
and the last event of what others write. What nobody reads (names, addresses, the installation) has
no document: the log alone decides on it.

`{_id, _seq, org, version, created_at, updated_at, created_by, first, state}`; `first` is the
sequence of the aggregate's first commit. Times are ISO 8601.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from pydantic import BaseModel
from slipway.contracts.event import UNKNOWN, Value, lasting
from slipway.eventstore.store import Commit
from slipway.kernel.decider import Decider
from slipway.kernel.envelope import Actor, Subject
from slipway.readmodel.model import Document, Projection
from slipway.runtime.clock import iso


def key_of(subject: Subject) -> str:
    """A member's aggregate has the user's id in each organization."""
    if subject.category == "member":
        return f"{subject.organization}.{subject.id}"
    return subject.id


class Origin(NamedTuple):
    """What is kept of an aggregate's first commit."""

    sequence: int
    at: datetime
    actor: Actor

    @classmethod
    def of(cls, commit: Commit) -> "Origin":
        return cls(commit.sequence, commit.meta.at, commit.meta.actor)


def document_of(
    subject: Subject, state: BaseModel, version: int, origin: Origin, updated_at: datetime
) -> Document:
    """The document of an aggregate; see `plain`."""
    return {
        "org": subject.organization,
        "version": version,
        "created_at": iso(origin.at),
        "updated_at": iso(updated_at),
        "created_by": {"kind": origin.actor.kind, "id": origin.actor.id},
        "first": origin.sequence,
        "state": state,
    }


def plain(document: Document) -> Document:
    """The document with its state as data."""
    return {**document, "state": document["state"].model_dump(mode="json")}


class Aggregates(Projection):
    """The documents of one category that the gateway writes. `ahead`: whoever writes one stores it
    as well, and does not wait for the projector."""

    models = True

    def __init__(
        self, decider: Decider[Any, Any, Any], indexes: Sequence[str] = (), *, ahead: bool = True
    ) -> None:
        self.collection = decider.category
        self.categories = (decider.category,)
        self.indexes: Sequence[str] = ["org", *indexes]
        self.ahead = ahead
        self.folds_with = (decider.evolve, type(decider.initial))
        self._decider = decider
        self._model: type[Value] = type(decider.initial)

    def keys(self, commit: Commit) -> Iterable[str]:
        return (key_of(commit.subject),)

    def fold(self, document: Document | None, commit: Commit, key: str) -> Document:
        if document is None:
            state = self._decider.fold(commit.events)
            lasting(state)
            origin = Origin.of(commit)
            return document_of(commit.subject, state, commit.version, origin, origin.at)
        state = document["state"]
        if isinstance(state, dict):
            state = self._model.model_validate(state)
            lasting(state)
        return {
            **document,
            "version": commit.version,
            "updated_at": iso(commit.meta.at),
            "state": self._decider.fold(commit.events, state),
        }

    def stored(self, document: Document) -> Document:
        return plain(document)


class Whole(Projection):
    """Its documents follow from one commit alone: whoever writes it stores them ahead as well."""

    def alone(self, commit: Commit) -> bool:
        return True


class Heads(Projection):
    """The last event of an aggregate that others write and that carries its whole state, as data
    in the newest shape: a field which came later may be missing. An event of a newer release says
    nothing here: the state before it stays, empty where there was none."""

    def __init__(self, category: str) -> None:
        self.collection = category
        self.categories = (category,)
        self.indexes: Sequence[str] = ["org"]

    def keys(self, commit: Commit) -> Iterable[str]:
        return (commit.subject.id,)

    def alone(self, commit: Commit) -> bool:
        return commit.stored[-1].type != UNKNOWN

    def fold(self, document: Document | None, commit: Commit, key: str) -> Document:
        event = commit.stored[-1]
        if document is not None and event.type == UNKNOWN:
            return {**document, "version": commit.version}
        return {
            "org": commit.subject.organization,
            "version": commit.version,
            "updated_at": iso(commit.meta.at),
            "event": event.type,
            "state": {} if event.type == UNKNOWN else event.data.get("state", event.data),
        }
