"""Undoing a wanted release that was given up: what holds something goes first, and then what stood
still for its sake runs again. Whatever happens, it has an end. Pure."""

from datetime import datetime

from slipway.contracts.rollout import Former, Release, Reverting

from deployer.rollout.bringing import ended, freed, replicas_of, running
from deployer.rollout.domain import View
from deployer.rollout.step import SOON, Create, End, Remove, RolloutStep, Scale, Wait


def step(view: View, wanted: Release, reverting: Reverting) -> RolloutStep:
    late = view.now > datetime.fromisoformat(reverting.deadline)
    if not reverting.paused:
        return End(reverting, _former(view))
    if view.away:
        return End(reverting, "not_running") if late else Wait(SOON)
    for workload in reversed(wanted.workloads):
        there = view.there.get(workload.swarm_service)
        if workload.carried or there is None or not there.holds:
            continue
        return _or_end(ended(there), reverting, late=late) or Remove(there)
    again = _again(view, reverting)
    return _or_end(again, reverting, late=late) or End(reverting, "running")


def _former(view: View) -> Former:
    """Where nothing stood still. What was stopped is not started by an attempt that failed."""
    if view.rollout.serving is None:
        return "none"
    return "not_running" if view.rollout.stopped else "running"


def _or_end(step: RolloutStep | None, reverting: Reverting, *, late: bool) -> RolloutStep | None:
    """What takes too long is left to whoever keeps what serves running."""
    return End(reverting, "not_running") if late and isinstance(step, Wait | Create) else step


def _again(view: View, reverting: Reverting) -> RolloutStep | None:
    """None: all that stood still runs."""
    serving = view.rollout.serving
    if serving is None:
        return None
    for workload in serving.workloads:
        if workload.swarm_service not in reverting.paused:
            continue
        there, replicas = view.there.get(workload.swarm_service), replicas_of(view, workload)
        if there is None:
            again = Create(serving, workload, replicas, repair=True)
            return freed(view, serving, workload) or again
        if there.replicas != replicas:
            return freed(view, serving, workload) or Scale(there, replicas)
        if len(running(there)) < replicas:
            return Wait(SOON)
    return None
