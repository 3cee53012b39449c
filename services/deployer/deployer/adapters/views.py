"""What the engine says of Swarm services, tasks and health checks, as a plan looks at it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from slipway.contracts import labels

from deployer.rollout.domain import Health, Phase, SwarmServiceView, TaskView
from deployer.rollout.render import asked

OVER = {"complete", "failed", "shutdown", "rejected", "orphaned"}
"""Of a task in one of these states nothing runs any more."""
_RETRIES = 3
"""The engine's, where a health check says none."""
_PHASES: dict[str, Phase] = {
    "new": "starting", "allocated": "starting", "pending": "starting", "assigned": "starting",
    "accepted": "starting", "preparing": "starting", "ready": "starting", "starting": "starting",
    "running": "running", "complete": "ended", "failed": "ended", "rejected": "refused",
    "orphaned": "ended", "shutdown": "stopping", "remove": "stopping",
}  # fmt: skip


def task_view(task: Mapping[str, Any], network: str) -> TaskView:
    """`network` is the name of the network on which the address is looked for."""
    status = task.get("Status") or {}
    phase = _PHASES.get(status.get("State", "new"), "starting")
    container = status.get("ContainerStatus") or {}
    if phase == "ended" and not container.get("ContainerID"):
        phase = "refused"
    wanted = task.get("DesiredState")  # shutdown also of one that ended and is followed by another
    if wanted == "remove" or (wanted == "shutdown" and phase not in ("ended", "refused")):
        phase = "stopping"
    address = next(
        (
            entry["Addresses"][0].partition("/")[0]
            for entry in task.get("NetworksAttachments") or ()
            if entry["Network"]["Spec"]["Name"] == network and entry.get("Addresses")
        ),
        "",
    )
    return TaskView(
        id=task["ID"],
        phase=phase,
        address=address,
        exit_code=container.get("ExitCode") if phase == "ended" else None,
        error=status.get("Err", ""),
        container=container.get("ContainerID", ""),
        since=_time(status.get("Timestamp")) if phase == "running" else None,
        over=status.get("State") in OVER,
    )


def _time(said: str | None) -> datetime | None:
    """Of what the engine says; in Go's form, of which no time is the year 1."""
    found = datetime.fromisoformat(said) if said else None
    return found if found and found.year > 1 else None


def release_view(found: Mapping[str, Any]) -> SwarmServiceView:
    """Of a Swarm service, without its tasks. Raises KeyError where it is no release: it lacks our
    labels, or is not replicated."""
    spec = found["Spec"]
    return SwarmServiceView(
        id=found["ID"],
        name=spec["Labels"][labels.RELEASE],
        workload=spec["Labels"][labels.WORKLOAD],
        job="ReplicatedJob" in spec["Mode"],
        checked=_checked(spec["TaskTemplate"]["ContainerSpec"]),
        replicas=1 if "ReplicatedJob" in spec["Mode"] else spec["Mode"]["Replicated"]["Replicas"],
        version=found["Version"]["Index"],
        holds=frozenset(held.split(","))
        if (held := spec["Labels"].get(labels.HOLDS))
        else frozenset(),
        created=datetime.fromisoformat(found["CreatedAt"]),
        updated=datetime.fromisoformat(found["UpdatedAt"]),
    )


def _checked(container: Mapping[str, Any]) -> bool:
    return (container.get("Healthcheck") or {}).get("Test", ["NONE"]) != ["NONE"]


def health_of(found: Mapping[str, Any]) -> Health | None:
    """Of a container, running or ended, what its health check said; None when that was not bad. The
    engine's own word can't be taken: it calls every container that has ended unhealthy."""
    health = found["State"].get("Health") or {}
    log, check = health.get("Log") or [], found["Config"].get("Healthcheck") or {}
    if not log or log[-1]["ExitCode"] == 0:
        return None
    good = [number for number, entry in enumerate(log) if entry["ExitCode"] == 0]
    first = log[good[-1] + 1 if good else 0]
    return Health(
        asked=asked(check.get("Test") or ()),
        answer=log[-1]["Output"].strip(),
        exit_code=log[-1]["ExitCode"],
        started=datetime.fromisoformat(found["State"]["StartedAt"]),
        since=datetime.fromisoformat(first["Start"]),
        last=datetime.fromisoformat(log[-1]["Start"]),
        unhealthy=health.get("FailingStreak", 0) >= (check.get("Retries") or _RETRIES),
    )
