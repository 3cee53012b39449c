"""The next step of a rollout, from what the log says and what the engine has. Pure.

One step at a time: it is carried out, and everything is looked at again.
"""

from datetime import datetime, timedelta

from slipway.contracts.rollout import Release
from slipway.contracts.values import Failure
from slipway.kernel.clock import iso

from deployer.rollout import bringing, explain, undoing
from deployer.rollout.bringing import paused, replicas_of
from deployer.rollout.domain import SwarmServiceView, View, first, resting
from deployer.rollout.step import (
    SOON,
    Create,
    Drop,
    EndContainers,
    Finish,
    NoteRemoving,
    NoteScaled,
    NoteStopped,
    NoteWaiting,
    Remove,
    Rest,
    Revert,
    RolloutStep,
    Scale,
    Start,
    Succeed,
    Wait,
)

IDLE = 30.0
LEFT = 60.0
"""Seconds that what is left of a deleted service has to end, whatever is said of it."""
ENDING = timedelta(seconds=20)
"""For what was scaled to none before it is removed."""
WAITING = 200
"""So many deployments of one service may wait: all of them stand in each event of the rollout."""


def next_step(view: View) -> RolloutStep:
    if view.rollout.removed:
        return Rest()
    if view.rollout.wanted is not None and view.rollout.reverting is not None:
        return undoing.step(view, view.rollout.wanted, view.rollout.reverting)
    if view.deleting:
        return _delete(view)
    if len(view.rollout.queue) > WAITING:
        return Drop(first(view.rollout), superseded=True)
    if view.rollout.wanted is not None:
        return _roll_out(view, view.rollout.wanted)
    if view.rollout.queue:
        return _take(view)
    return _keep(view)


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
        return cancel(view)
    if view.impossible is not None:
        return fail(view, view.impossible)
    late = _late(view)
    if view.away:
        return fail(view, explain.engine_away(view.away)) if late else Wait(SOON)
    if (failure := bringing.failure(view, wanted, late=late)) is not None:
        return fail(view, failure)
    if (step := bringing.step(view, wanted)) is not None:
        return step
    if (waiting := bringing.waiting(view, wanted)) is not None:
        return NoteWaiting(waiting)
    return _serve(view) or _clear(view) or Wait(SOON)


def fail(view: View, failure: Failure) -> Revert:
    return Revert(undoing.begun(view.rollout, view.now, "failed", failure))


def cancel(view: View) -> Revert:
    return Revert(undoing.begun(view.rollout, view.now, "cancelled"))


def _late(view: View) -> bool:
    deadline = view.rollout.deadline
    return deadline is not None and view.now > datetime.fromisoformat(deadline)


def _keep(view: View) -> RolloutStep:
    """Nothing is being rolled out: the world is made equal to the log."""
    if view.away:
        return Wait(SOON)
    return _serve(view) or _clear(view) or (Rest() if resting(view.rollout) else Wait(IDLE))


def _serve(view: View) -> RolloutStep | None:
    serving = view.rollout.serving
    if serving is None:
        return None
    if view.stopped:
        # Only once the proxy names nothing of it: callers must not meet what is going away.
        if view.route_event != "route.withdrawn" and view.route.named:
            return Wait(SOON)
        for workload in serving.programs:
            there = view.there.get(workload.swarm_service)
            if there is not None and there.replicas != 0:
                return Scale(there, 0)
        return None if view.rollout.stopped else NoteStopped()
    if view.rollout.stopped:
        return None  # started again by a deployment, which replaces it
    still = paused(view)
    for workload in serving.programs:
        there = view.there.get(workload.swarm_service)
        if workload.swarm_service in still:
            continue
        replicas = replicas_of(view, workload)
        more = there is None or there.replicas < replicas
        if more and (step := bringing.freed(view, serving, workload)) is not None:
            return step
        if there is None:
            return Create(serving, workload, 0 if workload.holds else replicas, repair=True)
        if there.replicas != replicas:
            return Scale(there, replicas)
    scaled = {workload.name: replicas_of(view, workload) for workload in serving.programs}
    if view.rollout.wanted is None and view.rollout.replicas != scaled:
        return NoteScaled(scaled)
    return None


def _clear(view: View) -> RolloutStep | None:
    """What neither serves nor is wanted goes, once the proxy no longer names it."""
    kept = set(view.route.named)
    for release in (view.rollout.serving, view.rollout.wanted):
        if release is not None:
            kept |= release.names
    waits = False
    for there in _newest(view):
        if there.name not in kept:
            if (step := _removed(view, there)) is not None:
                return step
            waits = True
    return Wait(SOON) if waits else None


def _newest(view: View) -> list[SwarmServiceView]:
    """What is there, in the order in which it goes: what started after another goes before it."""
    named = sorted(view.there.values(), key=lambda there: there.name)
    return sorted(named, key=lambda there: there.created, reverse=True)


def _removed(view: View, there: SwarmServiceView) -> RolloutStep | None:
    """None: it ends first. What holds something does, so that it is seen when that is free; and
    what was scaled to none before it goes, for so long."""
    if there.holds:
        step = bringing.ended(view, there)
        return None if isinstance(step, Wait) else step or Remove(there)
    return None if _ending(view, there) else Remove(there)


def _ending(view: View, there: SwarmServiceView) -> bool:
    """It was scaled to none before it is removed, and something of it may run. The engine's clock
    may be another one's: where it is ahead by more than that, nothing is waited for."""
    return there.replicas == 0 and there.alive and abs(view.now - there.updated) < ENDING


def _delete(view: View) -> RolloutStep:
    if view.rollout.wanted is not None:
        return cancel(view)
    if view.rollout.queue:
        return Drop(view.rollout.queue[0], superseded=False)
    if view.away or view.route_event != "route.withdrawn":
        return Wait(SOON)
    for there in _newest(view):
        if not _ending(view, there):
            return Remove(there)
    if view.there:
        return Wait(SOON)
    if not view.containers:
        return Finish()  # before, their images could not be removed
    removing = view.rollout.removing
    if removing is None:
        return NoteRemoving(iso(view.now + timedelta(seconds=LEFT)))
    return EndContainers() if view.now > datetime.fromisoformat(removing) else Wait(0.3)
