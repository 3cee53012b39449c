"""A rollout's states, and what a plan looks at: the log's heads of one service, and what the engine
has of it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

from slipway.contracts.deployment import Limits
from slipway.contracts.event import Event, readable
from slipway.contracts.rollout import (
    Job,
    Pending,
    Release,
    Released,
    Reverting,
    RolloutEvent,
    RolloutState,
    Task,
)
from slipway.contracts.route import RouteState
from slipway.contracts.values import Failure, Kind

_NEVER = datetime.min.replace(tzinfo=UTC)
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
    since: datetime | None = None
    """When it came to run, as its node says; None while it does not."""
    over: bool = False
    """Nothing of it runs any more."""


@dataclass(frozen=True, slots=True)
class Health:
    """What the health check of a container said last, when that was bad. `asked`: its command, or
    the line for a shell; `answer`: of a few kilobytes, as the engine keeps them; `since`, `last`:
    when it was asked for the first and the last of its bad answers, as far as those are kept;
    `started`: the container; `unhealthy`: so often in a row that Swarm ends it."""

    asked: tuple[str, ...]
    answer: str
    exit_code: int
    started: datetime
    since: datetime
    last: datetime
    unhealthy: bool


@dataclass(frozen=True, slots=True)
class SwarmServiceView:
    """A workload of a release on the engine. `created`, `updated`: when, as the engine says."""

    id: str
    name: str
    workload: str
    replicas: int
    version: int
    tasks: tuple[TaskView, ...] = ()
    holds: frozenset[str] = frozenset()
    """What two cannot have at once."""
    looked: bool = False
    """Its tasks have been looked at."""
    job: bool = False
    """It can't be scaled, and ends when it is removed: its containers linger then."""
    checked: bool = False
    """It has a health check: its tasks run only once they are healthy."""
    created: datetime = _NEVER
    updated: datetime = _NEVER

    @property
    def alive(self) -> bool:
        """It has tasks that have not ended, or may have some."""
        return not self.looked or self.replicas > 0 or any(not task.over for task in self.tasks)


@dataclass(frozen=True, slots=True)
class View:
    """`sequence`: of the rollout's last event, behind which alone anything planned from this may
    be appended. `stops`: deployments that were asked to stop or have ended. `route_event`: the
    last event of the route."""

    now: datetime
    rollout: RolloutState
    sequence: int = 0
    there: dict[str, SwarmServiceView] = field(default_factory=dict)
    """What is on the engine, by name; tasks only of what is being rolled out."""
    lingering: frozenset[str] = frozenset()
    """What containers still hold whose Swarm service is gone."""
    away: str = ""
    """Why the engine can't be asked now (what is there is as it was); empty when it answers."""
    kind: Kind = "application"
    replicas: Mapping[str, int] = field(default_factory=dict[str, int])
    """By workload, of those that somebody has scaled."""
    stopped: bool = False
    deleting: bool = False
    stops: frozenset[str] = frozenset()
    route: RouteState = field(default_factory=RouteState)
    route_event: str = ""
    health: Mapping[str, Health] = field(default_factory=dict[str, Health])
    """By workload, of the wanted release's new tasks that answer badly: before all others of one
    that Swarm ends for it, or has ended."""
    told: frozenset[str] = frozenset()
    """Containers that were told to end."""
    containers: bool = False
    """Of a service that is being deleted: some of its containers are still there."""
    impossible: Failure | None = None
    """Why the wanted release can't be created."""


# -- the state after each fact --------------------------------------------------------------------


def state_of(last: Event | None) -> RolloutState:
    """`last`: the rollout's last event. Raises NewerRelease."""
    event = readable(last, RolloutEvent)
    return event.state if event else RolloutState()


def turn(state: RolloutState) -> str | None:
    """The deployment whose turn it is: the one that is rolled out, else the next one."""
    if state.wanted is not None:
        return state.wanted.deployment
    return first(state).deployment if state.queue else None


def first(state: RolloutState) -> Pending:
    return min(state.queue, key=lambda pending: pending.sequence)


def unfinished(state: RolloutState, deployment: str) -> bool:
    wanted = state.wanted is not None and state.wanted.deployment == deployment
    return wanted or any(pending.deployment == deployment for pending in state.queue)


def standing(state: RolloutState) -> tuple[str, ...]:
    """The Swarm services of the serving release that have to stand still for the wanted one: they
    have what it holds, whatever is left of them on the engine."""
    if state.serving is None or state.wanted is None or state.stopped:
        return ()
    return tuple(sorted({each.swarm_service for each in state.serving.ends_for(state.wanted)}))


def resting(state: RolloutState) -> bool:
    """Nothing is to be kept running or to be brought about until something new is asked for."""
    if state.removed:
        return True
    idle = state.wanted is None and not state.queue
    return idle and (state.serving is None or state.stopped)


def until(requested: datetime, now: datetime, limits: Limits, phase: float) -> datetime:
    """When a phase that begins now and may last so many seconds is over: at the latest when the
    whole deployment has had its time, counted from its request. Neither is ever renewed."""
    return min(now + timedelta(seconds=phase), requested + timedelta(seconds=limits.whole))


def queued(state: RolloutState, pending: Pending, environment: str) -> RolloutState | None:
    """None when this deployment is known already."""
    known = {item.deployment for item in state.queue}
    for release in (state.serving, state.wanted):
        if release is not None:
            known.add(release.deployment)
    if pending.deployment in known or state.removed:
        return None
    return state.model_copy(update={"queue": (*state.queue, pending), "environment": environment})


def _without(state: RolloutState, pending: Pending) -> tuple[Pending, ...]:
    return tuple(item for item in state.queue if item.deployment != pending.deployment)


def dropped(state: RolloutState, pending: Pending) -> RolloutState:
    return state.model_copy(update={"queue": _without(state, pending)})


def started(state: RolloutState, pending: Pending, release: Release, deadline: str) -> RolloutState:
    return state.model_copy(
        update={
            "queue": _without(state, pending),
            "wanted": release,
            "ready": False,
            "ready_at": None,
            "tasks": (),
            "jobs": (),
            "waiting": None,
            "deadline": deadline,
            "highest": pending.sequence,
        }
    )


def ready(state: RolloutState, tasks: tuple[Task, ...], at: str, deadline: str) -> RolloutState:
    return state.model_copy(
        update={"ready": True, "ready_at": at, "tasks": tasks, "deadline": deadline}
    )


def succeeded(state: RolloutState, replicas: Mapping[str, int]) -> RolloutState:
    return state.model_copy(
        update={
            "serving": state.wanted,
            "wanted": None,
            "ready": False,
            "ready_at": None,
            "deadline": None,
            "stopped": False,
            "replicas": dict(replicas),
            "jobs": (),
            "waiting": None,
        }
    )


def living(state: RolloutState) -> Release | None:
    """What runs, so that something of it may be carried over."""
    return None if state.stopped else state.serving


def runs(state: RolloutState, workload: Released) -> bool:
    """A job that was started, of which no end is known."""
    return any(job.workload == workload.name and job.exit is None for job in state.jobs)


def job_started(state: RolloutState, workload: str) -> RolloutState:
    return state.model_copy(update={"jobs": (*state.jobs, Job(workload=workload))})


def job_ended(state: RolloutState, workload: str, code: int) -> RolloutState:
    others = tuple(job for job in state.jobs if job.workload != workload)
    return state.model_copy(update={"jobs": (*others, Job(workload=workload, exit=code))})


def undone(state: RolloutState, reverting: Reverting) -> RolloutState:
    after = {
        "reverting": reverting, "deadline": reverting.deadline, "ready": False, "ready_at": None,
    }  # fmt: skip
    return state.model_copy(update=after)


def given_up(state: RolloutState) -> RolloutState:
    nothing = {
        "wanted": None, "ready": False, "ready_at": None, "deadline": None, "tasks": (),
        "jobs": (), "waiting": None, "reverting": None,
    }  # fmt: skip
    return state.model_copy(update=nothing)


def failed(state: RolloutState, deployment: str) -> RolloutState:
    """One that waited."""
    waiting = tuple(item for item in state.queue if item.deployment != deployment)
    return state.model_copy(update={"queue": waiting})
