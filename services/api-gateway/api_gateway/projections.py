"""What is read, by collection: one document per aggregate by the same `evolve` that decides, the
timeline of each deployment, and the newest deployment of each application. What nobody reads
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
from slipway.contracts.event import Event
from slipway.contracts.rollout import RolloutEvent, RolloutFailed
from slipway.contracts.route import RouteEvent, RouteFailed
from slipway.eventstore.store import Commit
from slipway.kernel.decider import Decider
from slipway.kernel.envelope import Subject
from slipway.readmodel.model import Document, Projection
from slipway.runtime.clock import iso

from api_gateway.applications.domain import APPLICATION
from api_gateway.deployments.domain import DEPLOYMENT
from api_gateway.domains.domain import HOST
from api_gateway.identity.domain import SESSION, TOKEN, USER
from api_gateway.organizations.domain import MEMBER, ORGANIZATION
from api_gateway.projects.domain import ENVIRONMENT, PROJECT


def key_of(subject: Subject) -> str:
    """A member's aggregate has the user's id in each organization."""
    if subject.category == "member":
        return f"{subject.organization}.{subject.id}"
    return subject.id


def document_of(subject: Subject, state: BaseModel, first: Commit, last: Commit) -> Document:
    """The document of an aggregate whose first and last commit these are."""
    return {
        "org": subject.organization,
        "version": last.head.version,
        "created_at": iso(first.meta.at),
        "updated_at": iso(last.meta.at),
        "created_by": {"kind": first.meta.actor.kind, "id": first.meta.actor.id},
        "first": first.sequence,
        "state": state.model_dump(mode="json"),
    }


class Aggregates:
    """The documents of one category that the gateway writes."""

    def __init__(self, decider: Decider[Any, Any, Any], indexes: Sequence[str] = ()) -> None:
        self.collection = decider.category
        self.indexes: Sequence[str] = ["org", *indexes]
        self._decider = decider
        self._model: type[BaseModel] = type(decider.initial)

    def keys(self, commit: Commit) -> Iterable[str]:
        return (key_of(commit.subject),) if commit.subject.category == self.collection else ()

    def apply(self, document: Document | None, commit: Commit, key: str) -> Document:
        state = self._model.model_validate(document["state"]) if document else None
        folded = self._decider.fold(commit.events, state)
        if document is None:
            return document_of(commit.subject, folded, commit, commit)
        return {
            **document,
            "version": commit.head.version,
            "updated_at": iso(commit.meta.at),
            "state": folded.model_dump(mode="json"),
        }


class Heads:
    """The last event of an aggregate that others write and that carries its whole state."""

    def __init__(self, category: str) -> None:
        self.collection = category
        self.indexes: Sequence[str] = ["org"]

    def keys(self, commit: Commit) -> Iterable[str]:
        return (commit.subject.id,) if commit.subject.category == self.collection else ()

    def apply(self, document: Document | None, commit: Commit, key: str) -> Document:
        event = commit.events[-1]
        data = event.model_dump(mode="json")
        return {
            "org": commit.subject.organization,
            "version": commit.head.version,
            "updated_at": iso(commit.meta.at),
            "event": event.type,
            "state": data.get("state", data),
        }


_ENDS = {
    event.type
    for event in (
        DeploymentSucceeded, DeploymentFailed, DeploymentCancelled,
        DeploymentSuperseded, DeploymentExpired,
    )
}  # fmt: skip


class Timeline:
    """When what happened to a deployment: `marks` (event type → time of its last occurrence) and
    what the build said of itself."""

    collection = "timeline"
    indexes: Sequence[str] = ("org",)

    def keys(self, commit: Commit) -> Iterable[str]:
        if commit.subject.category in ("deployment", "build"):
            return (commit.subject.id,)
        return {i for event in commit.events if (i := _deployment(event))}

    def apply(self, document: Document | None, commit: Commit, key: str) -> Document:
        found: Document = dict(document or {"marks": {}, "steps": []})
        marks = dict(found["marks"])
        for event in commit.events:
            if commit.subject.category in ("rollout", "route") and (
                _deployment(event) != key or _ENDS & marks.keys()
            ):
                continue  # of another deployment, or of what became of it later
            marks[event.type] = iso(commit.meta.at)
            match event:
                case BuildStarted():
                    found["deadline"] = event.deadline
                case BuildSucceeded():
                    found["image"] = event.image.model_dump(mode="json")
                    found["built"] = event.built
                case RolloutFailed() | RouteFailed() | BuildFailed():
                    found["failure"] = event.failure.model_dump(mode="json")
                case _:
                    pass
            if isinstance(event, BuildSucceeded | BuildFailed | BuildCancelled):
                found["steps"] = [step.model_dump(mode="json") for step in event.steps]
            if isinstance(event, BuildSucceeded | BuildFailed) and event.commit:
                found["commit"] = event.commit.model_dump(mode="json")
        return {**found, "org": commit.subject.organization, "marks": marks}


def _deployment(event: Event) -> str | None:
    return event.deployment if isinstance(event, RolloutEvent | RouteEvent) else None


def newest(organization: str, application: str, deployment: str, sequence: int) -> Document:
    """As `Newest` has it from the commit at that sequence."""
    return {"_id": application, "_seq": sequence, "org": organization, "deployment": deployment}


class Newest:
    """The newest deployment that was requested of each application."""

    collection = "newest"
    indexes: Sequence[str] = ()

    def keys(self, commit: Commit) -> Iterable[str]:
        return [e.application for e in commit.events if isinstance(e, DeploymentRequested)]

    def apply(self, document: Document | None, commit: Commit, key: str) -> Document:
        return newest(commit.subject.organization, key, commit.subject.id, commit.sequence)


PROJECTIONS: tuple[Projection, ...] = (
    Aggregates(USER, ["state.email_id"]),
    Aggregates(SESSION, ["state.token_hash"]),
    Aggregates(ORGANIZATION),
    Aggregates(MEMBER, ["state.user"]),
    Aggregates(TOKEN, ["state.hash"]),
    Aggregates(PROJECT, ["created_at"]),
    Aggregates(ENVIRONMENT, ["state.project"]),
    Aggregates(
        APPLICATION, ["state.environment", "state.project", "state.webhook_hash", "created_at"]
    ),
    Aggregates(HOST, ["state.routes.application", "state.routes.domain"]),
    Aggregates(DEPLOYMENT, ["state.application", "state.phase", "first"]),
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
