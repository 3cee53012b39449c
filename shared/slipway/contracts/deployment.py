"""Category deployment: a process manager's stream. Written by the gateway alone."""

from typing import Literal

from slipway.contracts.event import Event, Value
from slipway.contracts.values import Failure, GitCommit, Kind, Specification


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

    @property
    def whole(self) -> float:
        """From the request to the end, whatever happens in between."""
        return self.queue + self.build + self.rollout + self.route


class Repeats(Value):
    """Nothing is built: the outcome of that deployment's build is this one's too. `whole`: its
    workloads as they were (rollback, restart, start); else its images alone, in workloads of this
    deployment's specification (`build: false`)."""

    deployment: str
    whole: bool = True


class DeploymentRequested(Event):
    """The sequence of this event orders a service's deployments."""

    type = "deployment.requested"
    public = frozenset({"project", "environment", "service", "kind", "trigger"})
    project: str
    environment: str
    service: str
    kind: Kind
    specification: Specification
    trigger: Trigger
    repeats: Repeats | None = None
    commit: GitCommit | None = None
    stops_earlier: bool = False
    """Every earlier unfinished deployment of the service is asked to stop (rollback, restart,
    start); otherwise only those that still wait are superseded."""
    limits: Limits = Limits()


class DeploymentStopRequested(Event):
    type = "deployment.stop_requested"
    public = frozenset({"service", "kind", "reason"})
    service: str
    kind: Kind
    reason: Literal["cancelled", "superseded", "expired"]


class DeploymentSucceeded(Event):
    type = "deployment.succeeded"
    public = frozenset({"service", "kind", "commit"})
    service: str
    kind: Kind
    commit: GitCommit | None = None


class DeploymentFailed(Event):
    type = "deployment.failed"
    public = frozenset({"service", "kind", "failure"})
    service: str
    kind: Kind
    failure: Failure


class DeploymentCancelled(Event):
    type = "deployment.cancelled"
    public = frozenset({"service", "kind"})
    service: str
    kind: Kind


class DeploymentSuperseded(Event):
    type = "deployment.superseded"
    public = frozenset({"service", "kind"})
    service: str
    kind: Kind


class DeploymentExpired(Event):
    type = "deployment.expired"
    public = frozenset({"service", "kind", "failure"})
    service: str
    kind: Kind
    failure: Failure
