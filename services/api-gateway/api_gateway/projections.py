"""What is read, by collection: one document per aggregate by the same `evolve` that decides, the
timeline of each deployment, and the newest deployment of each service. What nobody reads
(names, addresses, the installation) has no document: the log alone decides on it.

`{_id, _seq, org, version, created_at, updated_at, created_by, first, state}`; `first` is the
sequence of the aggregate's first commit. Times are ISO 8601.
"""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import slipway.contracts
from pydantic import BaseModel
from slipway.contracts.build import BuildCancelled, BuildFailed, BuildStarted, BuildSucceeded
from slipway.contracts.deployment import (
    DeploymentCancelled,
    DeploymentExpired,
    DeploymentFailed,
    DeploymentRequested,
    DeploymentSucceeded,
    DeploymentSuperseded,
)
from slipway.contracts.rollout import RolloutFailed
from slipway.contracts.route import RouteFailed
from slipway.eventstore.store import Commit
from slipway.kernel.decider import Decider
from slipway.kernel.envelope import Subject
from slipway.readmodel.model import Document, Projection
from slipway.runtime.clock import iso

from api_gateway.deployments.domain import DEPLOYMENT
from api_gateway.domains.domain import HOST
from api_gateway.identity.domain import SESSION, TOKEN, USER
from api_gateway.organizations.domain import MEMBER, ORGANIZATION
from api_gateway.projects.domain import ENVIRONMENT, PROJECT
from api_gateway.services.domain import SERVICE


def key_of(subject: Subject) -> str:
    """A member's aggregate has the user's id in each organization."""
    if subject.category == "member":
        return f"{subject.organization}.{subject.id}"
    return subject.id


def document_of(subject: Subject, state: BaseModel, first: Commit, last: Commit) -> Document:
    """The document of an aggregate whose first and last commit these are; see `plain`."""
    return {
        "org": subject.organization,
        "version": last.version,
        "created_at": iso(first.meta.at),
        "updated_at": iso(last.meta.at),
        "created_by": {"kind": first.meta.actor.kind, "id": first.meta.actor.id},
        "first": first.sequence,
        "state": state,
    }


def plain(document: Document) -> Document:
    """The document with its state as data."""
    return {**document, "state": document["state"].model_dump(mode="json")}


class Aggregates(Projection):
    """The documents of one category that the gateway writes."""

    def __init__(self, decider: Decider[Any, Any, Any], indexes: Sequence[str] = ()) -> None:
        self.collection = decider.category
        self.categories = (decider.category,)
        self.indexes: Sequence[str] = ["org", *indexes]
        self._decider = decider
        self._model: type[BaseModel] = type(decider.initial)

    def keys(self, commit: Commit) -> Iterable[str]:
        return (key_of(commit.subject),)

    def fold(self, document: Document | None, commit: Commit, key: str) -> Document:
        if document is None:
            state = self._decider.fold(commit.events)
            return document_of(commit.subject, state, commit, commit)
        state = document["state"]
        if isinstance(state, dict):
            state = self._model.model_validate(state)
        return {
            **document,
            "version": commit.version,
            "updated_at": iso(commit.meta.at),
            "state": self._decider.fold(commit.events, state),
        }

    def stored(self, document: Document) -> Document:
        return plain(document)


class Heads(Projection):
    """The last event of an aggregate that others write and that carries its whole state, as data
    in the newest shape: a field which came later may be missing."""

    def __init__(self, category: str) -> None:
        self.collection = category
        self.categories = (category,)
        self.indexes: Sequence[str] = ["org"]

    def keys(self, commit: Commit) -> Iterable[str]:
        return (commit.subject.id,)

    def fold(self, document: Document | None, commit: Commit, key: str) -> Document:
        event = commit.stored[-1]
        return {
            "org": commit.subject.organization,
            "version": commit.version,
            "updated_at": iso(commit.meta.at),
            "event": event.type,
            "state": event.data.get("state", event.data),
        }


_ENDS = {
    event.type
    for event in (
        DeploymentSucceeded, DeploymentFailed, DeploymentCancelled,
        DeploymentSuperseded, DeploymentExpired,
    )
}  # fmt: skip


class Timeline(Projection):
    """When what happened to a deployment: `marks` (event type → time of its last occurrence) and
    what the build said of itself."""

    collection = "timeline"
    categories: Sequence[str] = ("deployment", "build", "rollout", "route")
    indexes: Sequence[str] = ("org",)

    def keys(self, commit: Commit) -> Iterable[str]:
        if commit.subject.category in ("deployment", "build"):
            return (commit.subject.id,)
        return {about for event in commit.stored if (about := event.data.get("deployment"))}

    def fold(self, document: Document | None, commit: Commit, key: str) -> Document:
        found: Document = dict(document or {"steps": []})
        marks = dict(found.get("marks", {}))
        at = iso(commit.meta.at)
        for event, data in commit.stored:
            if commit.subject.category in ("rollout", "route") and (
                data.get("deployment") != key or not _ENDS.isdisjoint(marks)
            ):
                continue  # of another deployment, or of what became of it later
            if event != BuildStarted.type or event not in marks:
                marks[event] = at  # of the first start: another attempt does not begin anew
            if event == BuildSucceeded.type:
                found["image"], found["built"] = data["image"], data["built"]
            elif event in _FAILURES:
                found["failure"] = data["failure"]
            if event in _BUILT:
                found["steps"] = data["steps"]
                if data.get("commit"):
                    found["commit"] = data["commit"]
        found["org"], found["marks"] = commit.subject.organization, marks
        return found


_FAILURES = {RolloutFailed.type, RouteFailed.type, BuildFailed.type}
_BUILT = {BuildSucceeded.type, BuildFailed.type, BuildCancelled.type}


def newest(organization: str, service: str, deployment: str, sequence: int) -> Document:
    """As `Newest` has it from the commit at that sequence."""
    return {"_id": service, "_seq": sequence, "org": organization, "deployment": deployment}


class Newest(Projection):
    """The newest deployment that was requested of each service."""

    collection = "newest"
    categories: Sequence[str] = ("deployment",)
    indexes: Sequence[str] = ()

    def keys(self, commit: Commit) -> Iterable[str]:
        return [
            event.data["service"]
            for event in commit.stored
            if event.type == DeploymentRequested.type
        ]

    def fold(self, document: Document | None, commit: Commit, key: str) -> Document:
        return newest(commit.subject.organization, key, commit.subject.id, commit.sequence)


PROJECTIONS: tuple[Projection, ...] = (
    Aggregates(USER, ["state.email_id"]),
    Aggregates(SESSION, ["state.token_hash"]),
    Aggregates(ORGANIZATION),
    Aggregates(MEMBER, ["state.user"]),
    Aggregates(TOKEN, ["state.hash"]),
    Aggregates(PROJECT, ["created_at"]),
    Aggregates(ENVIRONMENT, ["state.project"]),
    Aggregates(SERVICE, ["state.environment", "state.project", "state.webhook_hash", "created_at"]),
    Aggregates(HOST, ["state.routes.service", "state.routes.domain"]),
    Aggregates(DEPLOYMENT, ["state.service", "state.phase", "first"]),
    Heads("rollout"),
    Heads("route"),
    Timeline(),
    Newest(),
)
SHOWN = frozenset(p.collection for p in PROJECTIONS) - {"project", "environment"}
"""What is stored by whoever writes it; projects and environments are read from the trees."""


def version() -> str:
    """A hash of all code that folds: when it changes, the documents are built anew."""
    folders = [Path(__file__).parent, Path(slipway.contracts.__file__).parent]
    hashed = hashlib.sha256()
    for folder in folders:
        for file in sorted(folder.rglob("*.py")):
            if file.name in ("domain.py", "projections.py") or folder is folders[1]:
                hashed.update(file.read_bytes())
    return hashed.hexdigest()[:16]
