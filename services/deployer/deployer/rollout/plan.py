"""The next step of a rollout, from what the log says and what the engine has. Pure.

One step at a time: it is carried out, and everything is looked at again.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from slipway.contracts.rollout import Pending, Release, Released, Task
from slipway.contracts.values import Failure

from deployer.rollout import explain
from deployer.rollout.domain import SwarmServiceView, TaskView, View, first, resting


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
    workload: Released
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
    there: SwarmServiceView


@dataclass(frozen=True, slots=True)
class Scale:
    there: SwarmServiceView
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


def about(step: RolloutStep, wanted: Release | None) -> bool:
    """Whether what is being rolled out, or waits for it, can't go on without the step."""
    match step:
        case Create(_, workload):
            return wanted is not None and workload.swarm_service in wanted.names
        case Scale(there):
            return wanted is not None and there.name in wanted.names
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
    replicas = max(1, 0 if view.stopped else view.replicas)
    there: dict[str, SwarmServiceView] = {}
    for workload in wanted.workloads:
        found = view.there.get(workload.swarm_service)
        if found is None:
            late = _late(view)
            return Fail(explain.too_late()) if late else Create(wanted, workload, replicas)
        there[workload.name] = found
    if (failure := _failure(view, wanted, tuple(there.values()))) is not None:
        return Fail(failure)
    for found in there.values():
        if found.replicas != replicas:
            return Scale(found, replicas)
    running = {name: _running(found) for name, found in there.items()}
    if not view.rollout.ready and all(len(tasks) >= replicas for tasks in running.values()):
        return Ready(
            tuple(
                Task(id=task.id, workload=name, address=task.address)
                for name, tasks in running.items()
                for task in tasks
            )
        )
    return _serve(view) or _clear(view) or Wait(SOON)


def _failure(view: View, wanted: Release, there: tuple[SwarmServiceView, ...]) -> Failure | None:
    tasks = [task for found in there for task in found.tasks]
    ended = next((task for task in tasks if task.phase == "ended"), None)
    if ended is not None:
        return explain.task(ended, ready=view.rollout.ready)
    for found in there:
        refusals = [task for task in found.tasks if task.phase == "refused"]
        if len(refusals) >= REFUSALS or any(explain.final(task) for task in refusals):
            return explain.task(refusals[-1], ready=view.rollout.ready)
    refused = view.route.refused
    if refused is not None and (refused.deployment, refused.attempt) == (
        wanted.deployment, wanted.attempt,
    ):  # fmt: skip
        return refused.failure
    if view.unhealthy:
        return explain.unhealthy(view.unhealthy)
    if _late(view):
        return explain.no_route() if view.rollout.ready else explain.never_ready(tasks)
    return None


def _late(view: View) -> bool:
    deadline = view.rollout.deadline
    return deadline is not None and view.now > datetime.fromisoformat(deadline)


def _running(there: SwarmServiceView) -> list[TaskView]:
    return [task for task in there.tasks if task.phase == "running" and task.address]


def _keep(view: View) -> RolloutStep:
    """Nothing is being rolled out: the world is made equal to the log."""
    if view.away:
        return Wait(SOON)
    return _serve(view) or _clear(view) or (Rest() if resting(view.rollout) else Wait(IDLE))


def _serve(view: View) -> RolloutStep | None:
    serving = view.rollout.serving
    if serving is None:
        return None
    there = [view.there.get(workload.swarm_service) for workload in serving.workloads]
    if view.stopped:
        # Only once the proxy names nothing of it: callers must not meet what is going away.
        if view.route_event != "route.withdrawn" and view.route.named:
            return Wait(SOON)
        for found in there:
            if found is not None and found.replicas != 0:
                return Scale(found, 0)
        return None if view.rollout.stopped else NoteStopped()
    if view.rollout.stopped:
        return None  # started again by a deployment, which replaces it
    for workload, found in zip(serving.workloads, there, strict=True):
        if found is None:
            return Create(serving, workload, view.replicas, repair=True)
        if found.replicas != view.replicas:
            return Scale(found, view.replicas)
    if view.rollout.replicas != view.replicas:
        return NoteScaled(view.replicas)
    return None


def _clear(view: View) -> RolloutStep | None:
    """What neither serves nor is wanted goes, once the proxy no longer names it."""
    kept = set(view.route.named)
    for release in (view.rollout.serving, view.rollout.wanted):
        if release is not None:
            kept |= release.names
    for name, found in sorted(view.there.items()):
        if name not in kept:
            return Remove(found)
    return None


def _delete(view: View) -> RolloutStep:
    if view.rollout.wanted is not None:
        return Cancel()
    if view.rollout.queue:
        return Drop(view.rollout.queue[0], superseded=False)
    if view.away or view.route_event != "route.withdrawn":
        return Wait(SOON)
    for _, found in sorted(view.there.items()):
        return Remove(found)
    if view.containers:
        return Wait(0.3)  # they drain; their images can't be removed before they have gone
    return Finish()
