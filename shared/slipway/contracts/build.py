"""Category build; the aggregate's id is the deployment's id. Written by the builder."""

from typing import Annotated

from slipway.contracts.clipping import only
from slipway.contracts.event import Event, Value
from slipway.contracts.values import Failure, GitCommit, Kind, Steps
from slipway.contracts.workload import MOST, Built


class BuildStarted(Event):
    """`attempt` counts from 1; a second one follows the builder's death, or an error that it does
    not know. `deadline` (ISO 8601) is that of the first attempt."""

    type = "build.started"
    public = frozenset({"service", "kind", "attempt"})
    service: str
    kind: Kind
    environment: str
    attempt: int
    deadline: str


class WorkloadsObject(Value):
    """Where the workloads of a deployment lie, sealed: the object's name in the bucket `workloads`
    (`<service>.<deployment>.<attempt>`), and the SHA-256 (hex) of its bytes."""

    name: str
    hash: str


class BuildSucceeded(Event):
    """What is to run: made anew, or that of the deployment which is repeated."""

    type = "build.succeeded"
    public = frozenset({"service", "kind", "workloads", "commit", "steps"})
    service: str
    kind: Kind
    environment: str
    workloads: Annotated[tuple[Built, ...], only(slice(MOST))]
    sealed: WorkloadsObject
    commit: GitCommit | None = None
    steps: Steps = ()
    built: bool = True
    """False where images were only resolved."""


class BuildFailed(Event):
    type = "build.failed"
    public = frozenset({"service", "kind", "failure", "steps"})
    service: str
    kind: Kind
    environment: str
    failure: Failure
    commit: GitCommit | None = None
    steps: Steps = ()


class BuildCancelled(Event):
    """Stopped because the deployment was asked to stop; the reason is the deployment's."""

    type = "build.cancelled"
    public = frozenset({"service", "kind"})
    service: str
    kind: Kind
    environment: str
    steps: Steps = ()


class BuildSwept(Event):
    """Behind `build.succeeded`: its images are no longer kept for a rollback, as they are none of
    the last `kept` deployments' of the service. From now on nothing repeats it; they are removed a
    while later, where nothing else runs them."""

    type = "build.swept"
    public = frozenset({"service", "kind"})
    service: str
    kind: Kind
    environment: str
    kept: int
