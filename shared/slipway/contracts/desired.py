"""What the owner of a service wants of it: the fold of category service, as far as it acts at once
and without a deployment. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from slipway.contracts.event import Event
from slipway.contracts.service import (
    ServiceCreated,
    ServiceDeleted,
    ServiceDeletionRequested,
    ServiceScaled,
    ServiceStarted,
    ServiceStopped,
)
from slipway.contracts.values import Kind
from slipway.contracts.workload import MAIN


@dataclass(frozen=True, slots=True)
class DesiredService:
    """`environment` is empty before the service was created."""

    environment: str = ""
    kind: Kind = "application"
    replicas: Mapping[str, int] = field(default_factory=dict[str, int])
    """By workload, of those that somebody has scaled."""
    stopped: bool = False
    deleting: bool = False


def wanted_replicas(settings: Mapping[str, Any], scaled: Mapping[str, int]) -> dict[str, int]:
    """By workload that goes on running, of settings as they are stored; `scaled`: those that
    somebody has scaled."""
    found = {MAIN: 1}
    if (workloads := settings.get("workloads")) is not None:
        found = {each["name"]: each["replicas"] for each in workloads if not each["job"]}
    return {name: scaled.get(name, count) for name, count in found.items()}


def evolve(state: DesiredService, events: Iterable[Event]) -> DesiredService:
    for event in events:
        match event:
            case ServiceCreated():
                state = replace(state, environment=event.environment, kind=event.settings.kind)
            case ServiceScaled():
                scaled = {**state.replicas, event.workload: event.replicas}
                state = replace(state, replicas=scaled)
            case ServiceStopped():
                state = replace(state, stopped=True)
            case ServiceStarted():
                state = replace(state, stopped=False)
            case ServiceDeletionRequested() | ServiceDeleted():
                state = replace(state, deleting=True)
            case _:
                pass
    return state
