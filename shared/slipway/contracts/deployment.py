"""Category deployment: a process manager's stream. Written by the gateway alone."""

from typing import Literal

from slipway.contracts.event import Event, Value
from slipway.contracts.values import BuiltImage, Failure, GitCommit, Specification


class Trigger(Value):
    """Why. `delivery` is the webhook's id; `commit` the hash it announced (what is built is the
    branch's head at that time, at least that commit); `of` the deployment that is repeated."""

    kind: Literal["manual", "webhook", "rollback", "restart", "start"]
    delivery: str | None = None
    commit: str | None = None
    of: str | None = None


class Limits(Value):
    """How long each phase may last, in seconds, from its own start."""

    queue: float = 3600.0
    build: float = 1800.0
    rollout: float = 600.0
    route: float = 180.0


class DeploymentRequested(Event):
    """The sequence of this event orders a service's deployments. With `image` nothing is built:
    that image runs again (rollback, restart, start, `build: false`)."""

    type = "deployment.requested"
    public = frozenset({"project", "environment", "service", "trigger"})
    project: str
    environment: str
    service: str
    specification: Specification
    trigger: Trigger
    image: BuiltImage | None = None
    commit: GitCommit | None = None
    stops_earlier: bool = False
    """Every earlier unfinished deployment of the service is asked to stop (rollback, restart,
    start); otherwise only those that still wait are superseded."""
    limits: Limits = Limits()


class DeploymentStopRequested(Event):
    type = "deployment.stop_requested"
    public = frozenset({"service", "reason"})
    service: str
    reason: Literal["cancelled", "superseded", "expired"]


class DeploymentSucceeded(Event):
    type = "deployment.succeeded"
    public = frozenset({"service", "image", "commit"})
    service: str
    image: BuiltImage
    commit: GitCommit | None = None


class DeploymentFailed(Event):
    type = "deployment.failed"
    public = frozenset({"service", "failure"})
    service: str
    failure: Failure


class DeploymentCancelled(Event):
    type = "deployment.cancelled"
    public = frozenset({"service"})
    service: str


class DeploymentSuperseded(Event):
    type = "deployment.superseded"
    public = frozenset({"service"})
    service: str


class DeploymentExpired(Event):
    type = "deployment.expired"
    public = frozenset({"service", "failure"})
    service: str
    failure: Failure
