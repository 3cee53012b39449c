"""What a plan looks at: the log's heads of one service, and what the engine has of it. Plain
values."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from slipway.contracts.rollout import RolloutState
from slipway.contracts.route import RouteState
from slipway.contracts.values import Failure

type Phase = Literal["starting", "running", "ended", "refused", "stopping"]


@dataclass(frozen=True, slots=True)
class TaskView:
    """A task of a release. `phase` running means healthy as well, if it has a health check;
    `ended` has an `exit_code`; `refused` never had a container, `error` says why; `stopping` is
    one that Swarm takes away."""

    id: str
    phase: Phase
    address: str = ""
    exit_code: int | None = None
    error: str = ""
    container: str = ""


@dataclass(frozen=True, slots=True)
class ServiceView:
    """A release on the engine."""

    id: str
    name: str
    deployment: str
    replicas: int
    version: int
    tasks: tuple[TaskView, ...] = ()


@dataclass(frozen=True, slots=True)
class View:
    """`sequence`: of the rollout's last event, behind which alone anything planned from this may
    be appended. `stops`: deployments that were asked to stop or have ended. `route_event`: the
    last event of the route."""

    now: datetime
    rollout: RolloutState
    sequence: int = 0
    services: dict[str, ServiceView] = field(default_factory=dict)
    replicas: int = 1
    stopped: bool = False
    deleting: bool = False
    stops: frozenset[str] = frozenset()
    route: RouteState = field(default_factory=RouteState)
    route_event: str = ""
    unhealthy: str = ""
    """What the wanted release has answered to its health check for too long; empty otherwise."""
    containers: bool = False
    """Of a service that is being deleted: some of its containers are still there."""
    impossible: Failure | None = None
    """Why the wanted release can't be created."""
