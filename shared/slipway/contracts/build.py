"""Category build; the aggregate's id is the deployment's id. Written by the builder."""

from slipway.contracts.event import Event
from slipway.contracts.values import BuiltImage, Failure, GitCommit, Step


class BuildStarted(Event):
    """`attempt` counts from 1; a later attempt follows a builder's death. `deadline` ISO 8601."""

    type = "build.started"
    public = frozenset({"service", "attempt"})
    service: str
    environment: str
    attempt: int
    deadline: str


class BuildSucceeded(Event):
    type = "build.succeeded"
    public = frozenset({"service", "image", "commit", "steps"})
    service: str
    environment: str
    image: BuiltImage
    commit: GitCommit | None = None
    steps: tuple[Step, ...] = ()
    built: bool = True
    """False where an image was only resolved."""


class BuildFailed(Event):
    type = "build.failed"
    public = frozenset({"service", "failure", "steps"})
    service: str
    environment: str
    failure: Failure
    commit: GitCommit | None = None
    steps: tuple[Step, ...] = ()


class BuildCancelled(Event):
    """Stopped because the deployment was asked to stop; the reason is the deployment's."""

    type = "build.cancelled"
    public = frozenset({"service"})
    service: str
    environment: str
    steps: tuple[Step, ...] = ()
