"""The workloads of a service as they are shown: what is wanted of each, and what was seen. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from slipway.contracts.observation import Count
from slipway.contracts.rollout import at_once
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
    """Of what serves, or is to serve first; without jobs. `state`: of the service; `counts`: by
    Swarm service, of those that were there `at` that time, None where that is too long ago."""
    release = rollout.get("serving") or rollout.get("wanted") or {"workloads": ()}
    found: list[dict[str, Any]] = []
    for each in release["workloads"]:
        if each.get("job"):
            continue
        scaled = state["replicas"].get(each["name"], each.get("replicas", 1))
        wanted = 0 if state["stopped"] else at_once(scaled, each.get("holds", ()))
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


_NOTHING = Count(running=0, healthy=0)
