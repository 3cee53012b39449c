"""Deployments as they are shown: status, steps and the reason of an end."""

from datetime import datetime
from typing import Any

from slipway.readmodel.model import Document

from api_gateway.gateway import Gateway


def status(document: Document, marks: dict[str, str], serving: str | None) -> str:
    phase = document["state"]["phase"]
    if phase == "succeeded":
        return "live" if serving == document["_id"] else "replaced"
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


_STEPS = (
    ("queue", "deployment.requested", ("build.started",)),
    ("build", "build.started", ("build.succeeded", "build.failed", "build.cancelled")),
    ("rollout", "rollout.started", ("rollout.ready",)),
    ("route", "rollout.ready", ("route.activated", "route.failed")),
)


def steps(timeline: Document) -> list[dict[str, Any]]:
    """The phases in order, with the build's own steps inside it; what was never reached is left
    out, what was cut off ended with the deployment."""
    marks = timeline["marks"]
    end = next(
        (at for name, at in marks.items()
         if name.startswith("deployment.") and name.split(".")[1] in
         ("succeeded", "failed", "cancelled", "superseded", "expired")),
        None,
    )  # fmt: skip
    found = []
    for name, begin, ends in _STEPS:
        if begin not in marks:
            continue
        ended = next((marks[mark] for mark in ends if mark in marks), end)
        found.append(_step(name, marks[begin], ended))
        if name == "build":
            found += [
                _step(f"build: {step['name']}", step["started"], step["ended"], step["cached"])
                for step in timeline.get("steps", [])
            ]
    return found


def deployment(
    document: Document, timeline: Document | None, serving: str | None
) -> dict[str, Any]:
    timeline = timeline or {"marks": {}, "steps": []}
    state = document["state"]
    shown = status(document, timeline["marks"], serving)
    image = state["image"] or timeline.get("image")
    return {
        "id": document["_id"],
        "application": state["application"],
        "environment": state["environment"],
        "project": state["project"],
        "status": shown,
        "stopping": state["phase"] == "open" and state["stop"] is not None,
        "trigger": state["trigger"],
        "actor": document["created_by"],
        "commit": state["commit"] or timeline.get("commit"),
        "image": image["reference"] if image else None,
        "steps": steps(timeline),
        "error": (state["failure"] and {k: v for k, v in state["failure"].items()}) or None,
        "created_at": document["created_at"],
        "ended_at": document["updated_at"] if state["phase"] != "open" else None,
        "sequence": document["first"],
    }


async def shown(gateway: Gateway, documents: list[Document]) -> list[dict[str, Any]]:
    timelines = await gateway.documents.get_many("timeline", [d["_id"] for d in documents])
    applications = list({d["state"]["application"] for d in documents})
    rollouts = await gateway.documents.get_many("rollout", applications)
    result = []
    for document in documents:
        rollout = rollouts.get(document["state"]["application"])
        serving = rollout["state"]["serving"] if rollout else None
        result.append(
            deployment(
                document,
                timelines.get(document["_id"]),
                serving["deployment"] if serving else None,
            )
        )
    return result
