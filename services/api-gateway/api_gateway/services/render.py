"""The workloads of a service as they are shown: what is wanted of each, and what was seen. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from slipway.contracts.observation import Count
from slipway.contracts.rollout import at_once
from slipway.contracts.workload import place
from slipway.kernel.clock import iso

type Status = Literal["running", "degraded", "starting", "not running", "stopped", "unknown"]


def status(wanted: int, seen: Count | None) -> Status:
    """`seen` is None where it is not known how it is."""
    if wanted == 0:
        return "stopped"
    if seen is None:
        return "unknown"
    if seen.running == 0:
        return "not running"
    if seen.healthy == 0:
        return "starting"
    return "running" if seen.healthy >= wanted else "degraded"


def workloads(
    state: Mapping[str, Any], rollout: Mapping[str, Any],
    at: datetime | None, counts: Mapping[str, Count] | None,
) -> list[dict[str, Any]]:  # fmt: skip
    """Of what serves, or is to serve first; without jobs. What has ended for the next release is
    followed by that one's as soon as it runs: it answers. `state`: of the service; `counts`: by
    Swarm service, of those that were there `at` that time, None where that is too long ago."""
    wanted_release = rollout.get("wanted") or {"workloads": ()}
    release = rollout.get("serving") or wanted_release
    next_ = {each["name"]: each for each in wanted_release["workloads"] if not each.get("carried")}
    found: list[dict[str, Any]] = []
    for former in release["workloads"]:
        if former.get("job"):
            continue
        each = _answering(former, next_.get(former["name"], former), counts or {})
        scaled = state["replicas"].get(each["name"], each.get("replicas", 1))
        gone = state["stopped"] or state["phase"] == "deleting"
        wanted = 0 if gone else at_once(scaled, each.get("holds", ()))
        count = None
        if counts is not None:
            count = counts.get(each["swarm_service"], _NOTHING)
        found.append(
            {
                "name": each["name"],
                "image": each["image"]["reference"],
                "replicas": {
                    "wanted": wanted,
                    "running": count.running if count else None,
                    "healthy": count.healthy if count else None,
                },
                "status": status(wanted, count),
                "observed_at": iso(at) if at else None,
            }
        )
    return found


def waits_for(state: Mapping[str, Any], rollout: Mapping[str, Any]) -> str | None:
    """What keeps it from being deleted, or its deployment from going on, in words."""
    if state["phase"] == "deleting":
        if until := rollout.get("removing"):
            return f"its containers, which end by force after {until}"
        return "its routes to go, and what runs of it to be taken away"
    words: str = (rollout.get("waiting") or {"words": ""})["words"]
    return words if words and not rollout.get("reverting") else None


def _answering(
    former: Mapping[str, Any], next_: Mapping[str, Any], counts: Mapping[str, Count]
) -> Mapping[str, Any]:
    """Of the two that never run at once the one that runs."""
    runs = [counts.get(each["swarm_service"], _NOTHING).running > 0 for each in (former, next_)]
    occupied = {*former.get("holds", ()), place(former["name"])}
    alone = not occupied.isdisjoint(next_.get("holds", ()))
    return next_ if alone and runs == [False, True] else former


_NOTHING = Count(running=0, healthy=0)
