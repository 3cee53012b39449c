"""The next step of a rollout, from what the log says and what the engine has. Pure.

One step at a time: it is carried out, and everything is looked at again.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from slipway.contracts.rollout import Pending, Release, Task
from slipway.contracts.values import Failure

from deployer.rollout import explain
from deployer.rollout.domain import Health, ReleaseView, TaskView, View, first, resting


@dataclass(frozen=True, slots=True)
class Start:
    pending: Pending


@dataclass(frozen=True, slots=True)
class Drop:
    """A waiting deployment that will not start: it was asked to stop, or a later one started, or
    too many later ones wait."""

    pending: Pending
    superseded: bool


@dataclass(frozen=True, slots=True)
class Create:
    release: Release
    replicas: int
    repair: bool = False


@dataclass(frozen=True, slots=True)
class Ready:
    tasks: tuple[Task, ...]


@dataclass(frozen=True, slots=True)
class Succeed:
    pass


@dataclass(frozen=True, slots=True)
class Fail:
    failure: Failure


@dataclass(frozen=True, slots=True)
class Cancel:
    pass


@dataclass(frozen=True, slots=True)
class Remove:
    release: ReleaseView


@dataclass(frozen=True, slots=True)
class Scale:
    release: ReleaseView
    replicas: int


@dataclass(frozen=True, slots=True)
class NoteScaled:
    replicas: int


@dataclass(frozen=True, slots=True)
class NoteStopped:
    pass


@dataclass(frozen=True, slots=True)
class Finish:
    """Nothing of a deleted service is left."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Look again when something happens, at the latest in `seconds`."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Rest:
    """Nothing is to be done, or looked at, until something new is asked for."""


type RolloutStep = (
    Start | Drop | Create | Ready | Succeed | Fail | Cancel | Remove | Scale
    | NoteScaled | NoteStopped | Finish | Wait | Rest
)  # fmt: skip

SOON = 0.5
"""For the deadlines: what happens to tasks and in the log is told at once."""
IDLE = 30.0
WAITING = 200
"""So many deployments of one service may wait: all of them stand in each event of the rollout."""
REFUSALS = 4
"""So often Swarm may fail to make a container, a second apart: some reasons pass by themselves (a
network's address range that is not free yet on the node)."""


def next_step(view: View) -> RolloutStep:
    if view.rollout.removed:
        return Rest()
    if view.deleting:
        return _delete(view)
    if len(view.rollout.queue) > WAITING:
        return Drop(first(view.rollout), superseded=True)
    if view.rollout.wanted is not None:
        return _roll_out(view, view.rollout.wanted)
    if view.rollout.queue:
        return _take(view)
    return _keep(view)


def about(step: RolloutStep, deployment: str | None) -> bool:
    """Whether it is this deployment that can't go on without the step."""
    match step:
        case Create(release) | Scale(release):
            return release.deployment == deployment
        case Remove() | NoteScaled() | NoteStopped() | Finish():
            return False
        case Start() | Drop() | Ready() | Succeed() | Fail() | Cancel() | Wait() | Rest():
            return True
        case _:
            assert_never(step)


def _take(view: View) -> RolloutStep:
    pending = first(view.rollout)
    if pending.deployment in view.stops:
        return Drop(pending, superseded=False)
    if pending.sequence <= view.rollout.highest:
        return Drop(pending, superseded=True)
    return Start(pending)


def _roll_out(view: View, wanted: Release) -> RolloutStep:
    if (view.route.deployment, view.route.attempt) == (wanted.deployment, wanted.attempt):
        return Succeed()
    if wanted.deployment in view.stops:
        return Cancel()
    if view.impossible is not None:
        return Fail(view.impossible)
    if view.away:
        return Fail(explain.engine_away(view.away)) if _late(view) else Wait(SOON)
    release = view.releases.get(wanted.deployment)
    replicas = 0 if view.stopped else view.replicas
    if release is None:
        return Fail(explain.too_late()) if _late(view) else Create(wanted, max(1, replicas))
    if view.health is not None and view.health.unhealthy:
        return Fail(_unhealthy(view, view.health))
    ended = next((task for task in release.tasks if task.phase == "ended"), None)
    if ended is not None:
        return Fail(explain.task(ended, ready=view.rollout.ready))
    refusals = [task for task in release.tasks if task.phase == "refused"]
    if len(refusals) >= REFUSALS or any(explain.final(task) for task in refusals):
        return Fail(explain.task(refusals[-1], ready=view.rollout.ready))
    refused = view.route.refused
    if refused is not None and (refused.deployment, refused.attempt) == (
        wanted.deployment, wanted.attempt,
    ):  # fmt: skip
        return Fail(refused.failure)
    if _late(view):
        return Fail(_timeout(view, release))
    if release.replicas != max(1, replicas):
        return Scale(release, max(1, replicas))
    running = _running(release)
    if not view.rollout.ready and len(running) >= release.replicas:
        return Ready(tuple(Task(id=task.id, address=task.address) for task in running))
    return _serve(view) or _clear(view) or Wait(SOON)


def _late(view: View) -> bool:
    deadline = view.rollout.deadline
    return deadline is not None and view.now > datetime.fromisoformat(deadline)


def _timeout(view: View, release: ReleaseView) -> Failure:
    if view.rollout.ready:
        return explain.no_route()
    if view.health is not None:
        return _unhealthy(view, view.health)
    return explain.never_ready(release.tasks)


def _unhealthy(view: View, health: Health) -> Failure:
    return explain.unhealthy(health, ready=view.rollout.ready)


def _running(release: ReleaseView) -> list[TaskView]:
    return [task for task in release.tasks if task.phase == "running" and task.address]


def _keep(view: View) -> RolloutStep:
    """Nothing is being rolled out: the world is made equal to the log."""
    if view.away:
        return Wait(SOON)
    return _serve(view) or _clear(view) or (Rest() if resting(view.rollout) else Wait(IDLE))


def _serve(view: View) -> RolloutStep | None:
    serving = view.rollout.serving
    if serving is None:
        return None
    release = view.releases.get(serving.deployment)
    if view.stopped:
        # Only once the proxy names nothing of it: callers must not meet what is going away.
        if view.route_event != "route.withdrawn" and view.route.deployments:
            return Wait(SOON)
        if release is not None and release.replicas != 0:
            return Scale(release, 0)
        return None if view.rollout.stopped else NoteStopped()
    if view.rollout.stopped:
        return None  # started again by a deployment, which replaces it
    if release is None:
        return Create(serving, view.replicas, repair=True)
    if release.replicas != view.replicas:
        return Scale(release, view.replicas)
    if view.rollout.replicas != view.replicas:
        return NoteScaled(view.replicas)
    return None


def _clear(view: View) -> RolloutStep | None:
    """A release goes once it neither serves nor is wanted, and the proxy no longer names it."""
    kept = set(view.route.deployments)
    for release in (view.rollout.serving, view.rollout.wanted):
        if release is not None:
            kept.add(release.deployment)
    for deployment, release in sorted(view.releases.items()):
        if deployment not in kept:
            return Remove(release)
    return None


def _delete(view: View) -> RolloutStep:
    if view.rollout.wanted is not None:
        return Cancel()
    if view.rollout.queue:
        return Drop(view.rollout.queue[0], superseded=False)
    if view.away or view.route_event != "route.withdrawn":
        return Wait(SOON)
    for _, release in sorted(view.releases.items()):
        return Remove(release)
    if view.containers:
        return Wait(0.3)  # they drain; their images can't be removed before they have gone
    return Finish()
