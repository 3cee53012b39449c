"""What became of a deployment behind its build, as lines of its log: from the events of its
rollout, its route and itself. Pure."""

from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from slipway.contracts.deployment import (
    DeploymentCancelled,
    DeploymentExpired,
    DeploymentFailed,
    DeploymentStopRequested,
    DeploymentSucceeded,
    DeploymentSuperseded,
)
from slipway.contracts.event import Event
from slipway.contracts.rollout import (
    MOST_TASKS,
    Release,
    Released,
    RolloutCancelled,
    RolloutFailed,
    RolloutJobEnded,
    RolloutJobStarted,
    RolloutQueued,
    RolloutReady,
    RolloutReverting,
    RolloutStarted,
    RolloutState,
    RolloutWaiting,
)
from slipway.contracts.route import Binding, RouteActivated, RouteChanged
from slipway.contracts.values import Failure

_STOPPING = {
    "cancelled": "it was asked to stop",
    "superseded": "a newer deployment takes its place",
    "expired": "its time is over",
}


@dataclass(frozen=True, slots=True)
class Said:
    text: str
    step: Literal["rollout", "route", "deployment"] = "deployment"
    stream: Literal["system", "stdout"] = "system"


@dataclass(slots=True)
class Story:
    """Told of one deployment's events in the order of the log; those of its service's rollout and
    route that are about another one say nothing. `public_url` is where the HTTP port is reached."""

    deployment: str
    public_url: str
    build_failed: bool
    """The build's own log has said why."""
    printed: frozenset[str] = frozenset()
    """The last lines of the job that ended last, which were told."""
    _bindings: tuple[Binding, ...] = ()
    _lines: tuple[str, ...] = field(default=())
    """The last ones that a program printed of which the release failed."""

    def tell(self, event: Event) -> list[Said]:
        about = getattr(event, "deployment", self.deployment)
        if about != self.deployment:
            return []
        match event:
            case RolloutQueued():
                return _queued(self.deployment, event.state)
            case RolloutStarted() if event.state.wanted:
                return _started(event.state, event.state.wanted)
            case RolloutReady() if event.state.wanted:
                return _ready(event.state, event.state.wanted)
            case RouteActivated() | RouteChanged():
                self._bindings = event.state.bindings
                return _activated(event) if isinstance(event, RouteActivated) else []
            case RolloutWaiting(words=words):
                said = f"it waits for {words}" if words else "it goes on"
                return [Said(said, "rollout")]
            case RolloutJobStarted():
                return [Said(f"{event.workload}: the job runs", "rollout")]
            case RolloutJobEnded():
                return [Said(f"{event.workload}: the job ended with {event.exit}", "rollout")]
            case RolloutReverting() if event.state.reverting and event.state.reverting.paused:
                return [Said("undoing it, until what served before runs again", "rollout")]
            case RolloutFailed() | RolloutCancelled():
                if isinstance(event, RolloutFailed):
                    self._lines = event.failure.lines
                return _given_up(event)
            case DeploymentStopRequested():
                return [Said(_STOPPING[event.reason])]
            case _:
                return self._ended(event)

    def _ended(self, event: Event) -> list[Said]:
        match event:
            case DeploymentSucceeded() if self._bindings:
                return [Said(f"live at {self._address(binding)}") for binding in self._bindings]
            case DeploymentSucceeded():
                return [Said("live; no domain leads to it")]
            case DeploymentFailed() if self.build_failed:
                return []
            case DeploymentFailed(failure=failure):
                of_job = failure.reason == "job-failed" and self.printed.issuperset(self._lines)
                lines = () if of_job else self._lines
                printed = [Said(line, "rollout", "stdout") for line in lines]
                return [*printed, *_failed("failed", failure)]
            case DeploymentExpired():
                return _failed("expired", event.failure)
            case DeploymentCancelled():
                return [Said("cancelled")]
            case DeploymentSuperseded():
                return [Said("superseded by a newer deployment")]
            case _:
                return []

    def _address(self, binding: Binding) -> str:
        entry = urlsplit(self.public_url)
        port = f":{entry.port}" if entry.port else ""
        return f"{entry.scheme or 'http'}://{binding.host}{port}{binding.path}"


def _queued(deployment: str, state: RolloutState) -> list[Said]:
    own = next((item.sequence for item in state.queue if item.deployment == deployment), 0)
    earlier = [item.deployment for item in state.queue if item.sequence < own]
    if state.wanted is not None:
        earlier.insert(0, state.wanted.deployment)
    return [Said(f"waiting for the deployment {earlier[-1]}", "rollout")] if earlier else []


def _started(state: RolloutState, release: Release) -> list[Said]:
    if len(release.workloads) > 1:
        lines = [f"{each.name}: {_begins(each)}" for each in release.workloads]
    else:
        lines = [line for only in release.workloads for line in _alone(only)]
    return [Said(line, "rollout") for line in [*_ends_first(state, release), *lines]]


def _ends_first(state: RolloutState, release: Release) -> list[str]:
    ending = _ending(state, release)
    if not ending:
        return []
    new = {held for each in release.workloads if not each.carried for held in each.holds}
    both = sorted(new & {had for each in ending for had in each.occupies})
    things = [held.replace(":", " ", 1) for held in both if not held.startswith("workload:")]
    why = f"two can't have the {' or the '.join(things)}" if things else "its strategy says so"
    names = ", ".join(sorted(each.name for each in ending))
    of = f" of {names}" if len(release.programs) > 1 else ""
    return [f"what served before{of} ends first: {why}"]


def _ending(state: RolloutState, release: Release) -> tuple[Released, ...]:
    """What serves, and ends before the release begins."""
    return () if state.serving is None or state.stopped else state.serving.ends_for(release)


def _alone(workload: Released) -> list[str]:
    if workload.carried:
        return ["nothing of it has changed: its tasks go on as they are"]
    return [
        f"creating the release {workload.swarm_service}",
        f"waiting until its tasks run and are healthy{_asked(workload)}",
    ]


def _begins(workload: Released) -> str:
    if workload.carried:
        return "has not changed and goes on as it is"
    if workload.job:
        return "a job, which runs once"
    others = ", ".join(after.workload for after in workload.after)
    behind = f", after {others}" if others else ""
    return f"creating {workload.swarm_service}{behind}, until it is healthy{_asked(workload)}"


def _asked(workload: Released) -> str:
    if workload.health_command:
        return " (its health check is a command)"
    if workload.port is None:
        return ""
    path = f"GET {workload.health_path} at " if workload.health_path else ""
    return f" ({path}port {workload.port})"


def _ready(state: RolloutState, release: Release) -> list[Said]:
    count = len(state.tasks)
    tasks = f"{count} tasks are ready" if count != 1 else "1 task is ready"
    if count >= MOST_TASKS:
        tasks = f"at least {tasks}"
    new = [each for each in release.programs if not each.carried]
    if not new:
        return []
    settling = f"settling for {max(each.settle_seconds for each in new):g} s"
    if state.serving is not None and not state.stopped and not _ending(state, release):
        settling = f"{settling} beside what serves, then the switch"
    probing = "asking each through the proxy where a domain leads to it, "
    probing = probing if any(each.port for each in new) else ""
    return [Said(tasks, "rollout"), Said(f"{probing}{settling}", "route")]


def _given_up(event: RolloutFailed | RolloutCancelled) -> list[Said]:
    if event.former == "not_running" and event.state.wanted is not None:
        other = f"what serves stands still for the deployment {event.state.wanted.deployment}"
        return [Said(other, "rollout")]
    if event.former == "not_running" and event.state.stopped:
        return [Said("what served before stays stopped", "rollout")]
    scaled = event.state.replicas.values()
    if event.former == "not_running" and scaled and not any(scaled):
        return [Said("what served before stays as it is: scaled to none", "rollout")]
    if event.former == "not_running":
        again = "what served before does not run again yet; the platform goes on trying"
        return [Said(again, "rollout")]
    if event.state.serving is None:
        return []
    return [Said("what served before goes on serving", "rollout")]


def _activated(event: RouteActivated) -> list[Said]:
    if not event.state.bindings:
        return [Said("it has settled", "route")]
    return [Said("it answered and has settled; the routes lead to it", "route")]


def _failed(how: str, failure: Failure) -> list[Said]:
    hint = [Said(f"what to do: {failure.hint}")] if failure.hint else []
    return [Said(f"{how}: {failure.detail}"), *hint]
