"""The workloads of a service as they are shown: what is wanted of each, and what was seen. Pure."""

from collections.abc import Mapping
from typing import Any, Literal

from slipway.contracts.observation import Count
from slipway.kernel.clock import iso

from api_gateway.http.schema import Shown
from api_gateway.observed import Seen

type Status = Literal["running", "degraded", "starting", "not running", "stopped", "unknown"]


class Replicas(Shown):
    wanted: int
    running: int | None
    """Of which it is so now; null where nobody knows."""
    healthy: int | None


class RunningWorkload(Shown):
    name: str
    image: str
    replicas: Replicas
    status: Status
    observed_at: str | None
    """When its tasks were looked at last."""


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
    state: Mapping[str, Any], rollout: Mapping[str, Any], seen: Seen
) -> list[dict[str, Any]]:
    """Of what serves, or is to serve first; without jobs. `state`: of the service."""
    release = rollout.get("serving") or rollout.get("wanted") or {"workloads": ()}
    found: list[dict[str, Any]] = []
    for each in release["workloads"]:
        if each.get("job"):
            continue
        scaled = state["replicas"].get(each["name"], each.get("replicas", 1))
        wanted = 0 if state["stopped"] else scaled
        count = None
        if seen.counts is not None:
            count = seen.counts.get(each["swarm_service"], _NOTHING)
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
                "observed_at": iso(seen.at) if seen.at else None,
            }
        )
    return found


_NOTHING = Count(running=0, healthy=0)
