"""Deployments as they are shown: status, steps and the reason of an end."""

import asyncio
from datetime import datetime
from typing import Any, Literal

from slipway.contracts.deployment import Trigger
from slipway.contracts.values import GitCommit
from slipway.readmodel.model import Document, Documents

from api_gateway.http.schema import Shown


class Step(Shown):
    """A phase, or a step of the build inside of it. `seconds` is null while it lasts."""

    name: str
    started_at: str
    ended_at: str | None
    seconds: float | None
    cached: bool


class Actor(Shown):
    kind: Literal["user", "token", "service", "webhook", "setup"]
    id: str


class Reason(Shown):
    """`reason` is stable."""

    reason: str
    detail: str
    hint: str


class Failed(Reason):
    """`lines` are the last ones of the output."""

    lines: list[str]


class BuiltWorkload(Shown):
    name: str
    image: str


class _Facts(Shown):
    id: str
    service: str
    environment: str
    project: str
    status: Literal[
        "queued", "building", "deploying", "live", "replaced",
        "failed", "cancelled", "superseded", "expired",
    ]  # fmt: skip
    stopping: bool
    trigger: Trigger
    actor: Actor
    commit: GitCommit | None
    image: str | None
    """Of its only workload; null where there are several."""
    workloads: list[BuiltWorkload]
    created_at: str
    ended_at: str | None
    sequence: int


class Deployment(_Facts):
    steps: list[Step]
    error: Failed | None


class ListedDeployment(_Facts):
    """Without its steps, and without the output that its error shows: these are at its own
    address."""

    error: Reason | None


def status(document: Document, marks: dict[str, str], serving: int | None) -> str:
    """`serving` is the sequence of the deployment that serves, as far as the views know. They may
    know of an end before they know of the rollout: what succeeded last is live, whatever they
    say, and what served before a later one is replaced."""
    phase = document["state"]["phase"]
    if phase == "succeeded":
        return "replaced" if serving is not None and serving > document["first"] else "live"
    if phase != "open":
        return phase
    if "build.succeeded" in marks:
        return "deploying"
    return "building" if "build.started" in marks else "queued"


def _step(name: str, started: str, ended: str | None, cached: bool = False) -> dict[str, Any]:
    seconds = None
    if ended is not None:
        span = datetime.fromisoformat(ended) - datetime.fromisoformat(started)
        seconds = round(max(0.0, span.total_seconds()), 3)
    return {
        "name": name,
        "started_at": started,
        "ended_at": ended,
        "seconds": seconds,
        "cached": cached,
    }


_GIVEN_UP = ("rollout.failed", "rollout.cancelled")
_STEPS = (
    ("queue", "deployment.requested", ("build.started",)),
    ("build", "build.started", ("build.succeeded", "build.failed", "build.cancelled")),
    ("rollout", "rollout.started", ("rollout.ready", *_GIVEN_UP)),
    ("route", "rollout.ready", ("route.activated", "route.failed", *_GIVEN_UP)),
)


def steps(document: Document, timeline: Document) -> list[dict[str, Any]]:
    """The phases in order, with the build's own steps inside it; what was never reached is left
    out, what was cut off ended with the deployment."""
    marks = {"deployment.requested": document["created_at"], **timeline["marks"]}
    end = ended_at(document)
    found = []
    for name, begin, ends in _STEPS:
        if begin not in marks:
            continue
        ended = next((marks[mark] for mark in ends if mark in marks), end)
        found.append(_step(name, marks[begin], ended))
        if name == "build":
            found += [
                _step(f"build: {step['name']}", step["started"], step["ended"], step["cached"])
                for step in timeline["steps"]
            ]
    return found


def ended_at(document: Document) -> str | None:
    """Nothing comes after the end of a deployment."""
    return document["updated_at"] if document["state"]["phase"] != "open" else None


def deployment(
    document: Document, timeline: Document | None, serving: int | None
) -> dict[str, Any]:
    timeline = timeline or {"marks": {}, "steps": []}
    state = document["state"]
    workloads = [
        {"name": built["name"], "image": built["image"]["reference"]}
        for built in timeline.get("workloads", ())
    ]
    return {
        "id": document["_id"],
        "service": state["service"],
        "environment": state["environment"],
        "project": state["project"],
        "status": status(document, timeline["marks"], serving),
        "stopping": state["phase"] == "open" and state["stop"] is not None,
        "trigger": state["trigger"],
        "actor": document["created_by"],
        "commit": state["commit"] or timeline.get("commit"),
        "image": workloads[0]["image"] if len(workloads) == 1 else None,
        "workloads": workloads,
        "steps": steps(document, timeline),
        "error": state["failure"],
        "created_at": document["created_at"],
        "ended_at": ended_at(document),
        "sequence": document["first"],
    }


def listed(shown: dict[str, Any]) -> dict[str, Any]:
    """Of a deployment as it is shown at its own address: what a list has of it."""
    error = shown["error"]
    return {
        **{name: value for name, value in shown.items() if name != "steps"},
        "error": error and {name: error[name] for name in Reason.model_fields},
    }


async def deployments(documents: Documents, found: list[Document]) -> list[dict[str, Any]]:
    services = list({d["state"]["service"] for d in found})
    timelines, rollouts = await asyncio.gather(
        documents.get_many("timeline", [d["_id"] for d in found]),
        documents.get_many("rollout", services),
    )
    result = []
    for document in found:
        rollout = rollouts.get(document["state"]["service"])
        serving = rollout["state"].get("serving") if rollout else None
        result.append(
            deployment(
                document,
                timelines.get(document["_id"]),
                serving["sequence"] if serving else None,
            )
        )
    return result
