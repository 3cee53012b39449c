"""The timeline of each deployment, and the newest deployment of each service."""

from collections.abc import Iterable, Sequence

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
from slipway.readmodel.model import Document, Projection
from slipway.runtime.clock import iso

from api_gateway.projections import Whole

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
                found["workloads"], found["built"] = data["workloads"], data["built"]
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


class Newest(Whole):
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
        return {"org": commit.subject.organization, "deployment": commit.subject.id}
