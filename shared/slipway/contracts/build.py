"""Category build; the aggregate's id is the deployment's id. Written by the builder."""

from slipway.contracts.event import Event
from slipway.contracts.values import BuiltImage, Failure, GitCommit, Kind, Steps


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


class BuildSucceeded(Event):
    type = "build.succeeded"
    public = frozenset({"service", "kind", "image", "commit", "steps"})
    service: str
    kind: Kind
    environment: str
    image: BuiltImage
    commit: GitCommit | None = None
    steps: Steps = ()
    built: bool = True
    """False where an image was only resolved."""


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
