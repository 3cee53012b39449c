"""A deployment: asked for, perhaps asked to stop, and ended exactly once."""

from dataclasses import dataclass, field
from typing import Literal

from slipway.contracts.deployment import (
    DeploymentCancelled,
    DeploymentExpired,
    DeploymentFailed,
    DeploymentRequested,
    DeploymentStopRequested,
    DeploymentSucceeded,
    DeploymentSuperseded,
    Limits,
    Repeats,
    Trigger,
)
from slipway.contracts.event import Event, Value
from slipway.contracts.values import Failure, GitCommit, Kind, Specification
from slipway.kernel.decider import Decider
from slipway.kernel.errors import NotFound, Refused

type StopReason = Literal["cancelled", "superseded", "expired"]
type Phase = Literal["none", "open", "succeeded", "failed", "cancelled", "superseded", "expired"]


class AlreadyEnded(Refused):
    slug = "already-ended"


class DeploymentState(Value):
    phase: Phase = "none"
    project: str = ""
    environment: str = ""
    service: str = ""
    kind: Kind = "application"
    specification: Specification | None = None
    trigger: Trigger | None = None
    repeats: Repeats | None = None
    commit: GitCommit | None = None
    limits: Limits = Limits()
    stops_earlier: bool = False
    stop: StopReason | None = None
    failure: Failure | None = None


def coming(state: DeploymentState) -> str | None:
    """The announced commit that it is about to deploy: it has not ended, and nobody asked it to."""
    if state.phase != "open" or state.stop is not None or state.trigger is None:
        return None
    return state.trigger.commit


@dataclass(frozen=True, slots=True)
class Request:
    project: str
    environment: str
    service: str
    specification: Specification
    trigger: Trigger
    repeats: Repeats | None = None
    commit: GitCommit | None = None
    stops_earlier: bool = False
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class RequestStop:
    """`strict`: somebody asked by hand and wants to know that there is nothing to stop."""

    reason: StopReason
    strict: bool = False


@dataclass(frozen=True, slots=True)
class Succeed:
    commit: GitCommit | None


@dataclass(frozen=True, slots=True)
class Fail:
    failure: Failure


@dataclass(frozen=True, slots=True)
class Stopped:
    """Whoever held the work has stopped, or nobody held it yet: the end is what was asked for.
    `otherwise` is the end when nobody had asked (a lower one than was started)."""

    failure: Failure | None = None
    otherwise: StopReason = "superseded"


type Command = Request | RequestStop | Succeed | Fail | Stopped


def decide(command: Command, state: DeploymentState) -> tuple[Event, ...]:
    match command, state.phase:
        case Request(), "none":
            return (
                DeploymentRequested(
                    project=command.project,
                    environment=command.environment,
                    service=command.service,
                    kind=command.specification.settings.kind,
                    specification=command.specification,
                    trigger=command.trigger,
                    repeats=command.repeats,
                    commit=command.commit,
                    stops_earlier=command.stops_earlier,
                    limits=command.limits,
                ),
            )
        case Request(), _:
            return ()
        case _, "none":
            raise NotFound("there is no such deployment")
        case RequestStop(), "open":
            if state.stop is not None:
                return ()
            return (
                DeploymentStopRequested(
                    service=state.service, kind=state.kind, reason=command.reason
                ),
            )
        case RequestStop(_, True), ended:
            raise AlreadyEnded(f"the deployment has ended already: {ended}")
        case Succeed(commit), "open":
            return (DeploymentSucceeded(service=state.service, kind=state.kind, commit=commit),)
        case Fail(failure), "open":
            return (DeploymentFailed(service=state.service, kind=state.kind, failure=failure),)
        case Stopped(failure, otherwise), "open":
            return (_end(state, state.stop or otherwise, failure),)
        case RequestStop() | Succeed() | Fail() | Stopped(), _:
            return ()  # exactly one end


def _end(state: DeploymentState, reason: StopReason, failure: Failure | None) -> Event:
    match reason:
        case "cancelled":
            return DeploymentCancelled(service=state.service, kind=state.kind)
        case "superseded":
            return DeploymentSuperseded(service=state.service, kind=state.kind)
        case "expired":
            late = Failure(
                reason="expired",
                detail="it did not end within the time it was given",
                hint="look at its log for the step that took long, and deploy again",
            )
            return DeploymentExpired(
                service=state.service, kind=state.kind, failure=failure or late
            )


def evolve(state: DeploymentState, event: Event) -> DeploymentState:
    match event:
        case DeploymentRequested():
            return DeploymentState(phase="open", **dict(event))
        case DeploymentStopRequested():
            return state.model_copy(update={"stop": event.reason})
        case DeploymentSucceeded():
            return state.model_copy(update={"phase": "succeeded", "commit": event.commit})
        case DeploymentFailed():
            return state.model_copy(update={"phase": "failed", "failure": event.failure})
        case DeploymentCancelled():
            return state.model_copy(update={"phase": "cancelled"})
        case DeploymentSuperseded():
            return state.model_copy(update={"phase": "superseded"})
        case DeploymentExpired():
            return state.model_copy(update={"phase": "expired", "failure": event.failure})
        case _:
            return state


DEPLOYMENT = Decider("deployment", DeploymentState(), decide, evolve)
