"""Undoing a wanted release that was given up: what holds something goes first, and then what stood
still for its sake runs again. Whatever happens, it has an end. Pure."""

from datetime import datetime, timedelta
from typing import Literal

from slipway.contracts.rollout import Former, Release, Released, Reverting, RolloutState
from slipway.contracts.values import Failure
from slipway.kernel.clock import iso

from deployer.rollout.bringing import ended, freed, replicas_of, running
from deployer.rollout.domain import View, standing
from deployer.rollout.step import SOON, Create, End, Remove, RolloutStep, Scale, Wait

LONGEST = 150.0
"""Seconds after which a release that is undone is over, whatever the former one does: the time of a
program to end, a minute to start, and one more. Where programs have longer to end, it is longer. So
long again is tried what would go at once: nobody may have tried while this process was away."""
_AGAIN, _MOST = 120.0, 600.0
"""Seconds: what there is besides ending, and what of that is counted."""


def begun(
    state: RolloutState, now: datetime, outcome: Literal["failed", "cancelled"],
    failure: Failure | None = None,
) -> Reverting:  # fmt: skip
    allowed = max(LONGEST, min(_ending(state), _MOST) + _AGAIN)
    deadline = iso(now + timedelta(seconds=allowed))
    return Reverting(
        outcome=outcome, failure=failure, paused=standing(state), deadline=deadline
    )  # fmt: skip


def _ending(state: RolloutState) -> float:
    """The longest that what has to end first may take: of the wanted release what holds something,
    and of the serving one what stopped for it, which may be ending still."""
    if state.wanted is None:
        return 0.0
    ending = [each for each in state.wanted.workloads if each.holds and not each.carried]
    ending += state.serving.ends_for(state.wanted) if state.serving else ()
    return max((each.stop_seconds for each in ending), default=0.0)


def step(view: View, wanted: Release, reverting: Reverting) -> RolloutStep:
    late = view.now > datetime.fromisoformat(reverting.deadline)
    if not reverting.paused or view.deleting:
        former = _former(view)
        if former is None and not late and not view.deleting:
            return Wait(SOON)
        return End(reverting, former or "not_running")
    if view.away:
        return End(reverting, "not_running") if late else Wait(SOON)
    for workload in reversed(wanted.workloads):
        there = view.there.get(workload.swarm_service)
        if workload.carried or there is None or not there.holds:
            continue
        return _or_end(view, reverting, ended(view, there) or Remove(there))
    again = _again(view, reverting)
    runs = any(replicas_of(view, each) for each in _programs(view))
    end = End(reverting, "running" if runs else "not_running")
    return _or_end(view, reverting, again) if again is not None else end


def said(state: RolloutState) -> Former:
    """How the release that serves is, as far as the log alone tells: also for a deployment that
    waits behind another, for which what serves may stand still."""
    if state.serving is None:
        return "none"
    idle = state.stopped or (state.replicas and not any(state.replicas.values()))
    waits = standing(state) or (state.reverting is not None and state.reverting.paused)
    return "not_running" if idle or waits else "running"


def _former(view: View) -> Former | None:
    """Of one from which nothing was taken. None: its tasks have not been looked at."""
    if view.away or said(view.rollout) != "running":
        return said(view.rollout)
    wanted = [each.swarm_service for each in _programs(view) if replicas_of(view, each)]
    there = [view.there.get(name) for name in wanted]
    if not all(found.looked for found in there if found):
        return None
    return "running" if wanted and all(running(found) for found in there) else "not_running"


def _programs(view: View) -> tuple[Released, ...]:
    return view.rollout.serving.programs if view.rollout.serving else ()


def _or_end(view: View, reverting: Reverting, step: RolloutStep) -> RolloutStep:
    """What takes too long is left to whoever keeps what serves running."""
    late = view.now - datetime.fromisoformat(reverting.deadline)
    passes = isinstance(step, Wait | Create)
    return (
        End(reverting, "not_running")
        if late > (timedelta(0) if passes else timedelta(seconds=LONGEST))
        else step
    )


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
            again = Create(serving, workload, 0, repair=True)
            return freed(view, serving, workload) or again
        if there.replicas != replicas:
            return freed(view, serving, workload) or Scale(there, replicas)
        if len(running(there)) < replicas:
            return Wait(SOON)
    return None
