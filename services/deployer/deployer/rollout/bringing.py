"""Bringing up a wanted release, workload by workload: each when those that it starts after have
come so far, and when what it holds is free. Pure."""

from collections.abc import Iterator
from datetime import timedelta

from slipway.contracts.rollout import Job, Release, Released, Task, Waiting, at_once
from slipway.contracts.values import Failure
from slipway.contracts.workload import place

from deployer.rollout import explain
from deployer.rollout.domain import SwarmServiceView, TaskView, View, standing
from deployer.rollout.step import (
    SOON,
    Create,
    NoteJobEnded,
    Ready,
    Remove,
    RolloutStep,
    Scale,
    StartJob,
    Stop,
    Wait,
)

REFUSALS = 4
"""So often Swarm may fail to make a container, a second apart: some reasons pass by themselves (a
network's address range that is not free yet on the node)."""
ENDS = 3
"""So many tasks of a workload that ended fail a release: programs of a stack end until what they
need is up. Alone, there is nothing that could come up."""
MOST_SAID = 10
"""So often is said what a release waits for."""
SLOW = timedelta(seconds=10)
"""After which an end is one that is waited for."""


def replicas_of(view: View, workload: Released) -> int:
    """How many of it are to run, not counting that the service may be stopped."""
    wanted = view.replicas.get(workload.name, workload.replicas)
    return at_once(wanted, workload.holds)


def wanted_replicas(view: View, workload: Released) -> int:
    """Of a release that is brought up: one has to run before it may serve."""
    return max(1, 0 if view.stopped else replicas_of(view, workload))


def running(there: SwarmServiceView | None) -> list[TaskView]:
    tasks = there.tasks if there else ()
    return [task for task in tasks if task.phase == "running" and task.address]


def settled(view: View, workload: Released) -> list[TaskView]:
    """Its tasks that are ready: healthy, which with a port says that it accepts; where nothing can
    be asked, those that have run for a while."""
    there = view.there.get(workload.swarm_service)
    tasks = running(there)
    if there is None or there.checked or workload.port is not None:
        return tasks
    began = view.now - timedelta(seconds=workload.settle_seconds)
    return [task for task in tasks if task.since is not None and task.since <= began]


def job_of(view: View, workload: str) -> Job | None:
    return next((job for job in view.rollout.jobs if job.workload == workload), None)


def holders(view: View, wanted: Release, workload: Released) -> list[SwarmServiceView]:
    """What is no part of the wanted release and has what the workload holds."""
    held = frozenset(workload.holds)
    return [
        there
        for name, there in sorted(view.there.items())
        if name not in wanted.names and held & (there.holds | {place(there.workload)})
    ]


def paused(view: View) -> frozenset[str]:
    """The Swarm services that stand still for the sake of the wanted release."""
    wanted = view.rollout.wanted
    if wanted is None:
        return frozenset()
    return frozenset(standing(view.rollout)) | frozenset(
        there.name
        for workload in wanted.workloads
        if not workload.carried
        for there in holders(view, wanted, workload)
    )


def step(view: View, wanted: Release) -> RolloutStep | None:
    """None: nothing but what has to be waited for."""
    waits = False
    for workload in wanted.workloads:
        if workload.carried:
            continue
        found = _job(view, wanted, workload) if workload.job else _program(view, wanted, workload)
        if isinstance(found, Wait):
            waits = True
        elif found is not None:
            return found
    if waits or view.rollout.ready:
        return None
    programs = [workload for workload in wanted.workloads if not workload.job]
    tasks = [
        Task(id=task.id, workload=workload.name, address=task.address)
        for workload in programs
        for task in running(view.there.get(workload.swarm_service))
    ]
    return Ready(tuple(tasks))


def _program(view: View, wanted: Release, workload: Released) -> RolloutStep | None:
    """None: it is ready."""
    there = view.there.get(workload.swarm_service)
    replicas = wanted_replicas(view, workload)
    if there is None and not _may_begin(view, wanted, workload):
        return Wait(SOON)
    free = freed(view, wanted, workload) if there is None or there.replicas == 0 else None
    if there is None:
        return Create(wanted, workload, 0 if workload.holds else replicas)
    if free is not None:
        return free
    if there.replicas != replicas:
        return Scale(there, replicas)
    return None if _is_ready(view, workload) else Wait(SOON)


def _job(view: View, wanted: Release, workload: Released) -> RolloutStep | None:
    """None: it has ended."""
    there, job = view.there.get(workload.swarm_service), job_of(view, workload.name)
    if job is None:
        if not _may_begin(view, wanted, workload):
            return Wait(SOON)
        return freed(view, wanted, workload) or StartJob(wanted, workload)
    if job.exit is not None:
        return Remove(there) if there is not None else None
    if (ended := _ended_task(there)) is not None:
        return NoteJobEnded(workload, ended.exit_code or 0)
    return Wait(SOON)


def waiting(view: View, wanted: Release) -> Waiting | None:
    """What is new to say of tasks that no node takes, and of what has to end first; no words once
    there is none of it."""
    tasks = [
        (workload, task)
        for workload, there in _new(view, wanted)
        for task in (there.tasks if there else ())
    ]
    words = [
        explain.no_node(wanted, workload, task.error)
        for workload, task in tasks
        if task.phase == "starting" and task.error and not task.container
    ]
    for workload, there in _new(view, wanted):
        words += _ending(view, wanted, workload, there)
    last = view.rollout.waiting or Waiting(words="", times=0)
    if not words:
        placed = last.words and any(task.container for _, task in tasks)
        return last.model_copy(update={"words": ""}) if placed else None
    found = Waiting(words="; ".join(dict.fromkeys(words)), times=last.times + 1)
    return None if found.words == last.words or found.times > MOST_SAID else found


def _ending(
    view: View, wanted: Release, workload: Released, there: SwarmServiceView | None
) -> list[str]:
    """What has to end before it, and takes long."""
    if (there is not None and there.replicas) or not _may_begin(view, wanted, workload):
        return []
    before = holders(view, wanted, workload)
    if before:
        slow = [each for each in before if each.replicas == 0 and each.alive]
        return [explain.ends(wanted, each) for each in slow if view.now - each.updated >= SLOW]
    lingering = view.lingering & frozenset(workload.holds)
    return [explain.lingers(sorted(lingering))] if lingering else []


def freed(view: View, wanted: Release, workload: Released) -> RolloutStep | None:
    """None: nobody else has what it holds."""
    for there in holders(view, wanted, workload):
        if (step := ended(view, there)) is not None:
            return step
    return Wait(SOON) if view.lingering & frozenset(workload.holds) else None


def ended(view: View, there: SwarmServiceView) -> RolloutStep | None:
    """None: nothing of it runs any more. It is told once the proxy leads nobody to it."""
    if there.job:
        return Remove(there)
    if there.replicas > 0:
        return Scale(there, 0)
    for task in there.tasks:
        untold = task.container and task.container not in view.told
        if untold and _being_ended(task) and task.address not in view.route.addresses:
            return Stop(task.container)
    return Wait(SOON) if there.alive else None


def _being_ended(task: TaskView) -> bool:
    return task.phase == "stopping" and not task.over


def _may_begin(view: View, wanted: Release, workload: Released) -> bool:
    return _waits_for(view, wanted, workload) is None


def _waits_for(view: View, wanted: Release, workload: Released) -> Released | None:
    """The first of those that it starts after which has not come so far."""
    others = {other.name: other for other in wanted.workloads}
    for after in workload.after:
        other = others.get(after.workload)
        if other is None:
            continue  # a job that this deployment does not repeat
        if other.job:
            job = job_of(view, other.name)
            if job is None or job.exit is None:
                return other
        else:
            begun = running(view.there.get(other.swarm_service))
            enough = begun if after.condition == "started" else settled(view, other)
            # Nobody brings up what goes on as it is: scaled to none, it has come as far as it will.
            count = replicas_of if other.carried else wanted_replicas
            if len(enough) < count(view, other):
                return other
    return None


def failure(view: View, wanted: Release, *, late: bool) -> Failure | None:
    """Why the wanted release has failed."""
    refused = view.route.refused
    if refused is not None and (refused.deployment, refused.attempt) == (
        wanted.deployment, wanted.attempt,
    ):  # fmt: skip
        return refused.failure
    for workload, there in _new(view, wanted):
        if workload.job:
            failed = _of_job(view, workload, there) or _of_refusals(view, there, 1)
        else:
            failed = _of_health(view, wanted, workload) or _of_ends(view, wanted, workload, there)
            failed = failed or _of_refusals(view, there)
        if failed is not None:
            return explain.of_workload(wanted, workload, failed)
    return _of_time(view, wanted) if late else None


def _of_time(view: View, wanted: Release) -> Failure:
    if view.rollout.ready:
        return explain.no_route()
    new = list(_new(view, wanted))
    for workload, _ in new:
        if (health := view.health.get(workload.name)) is not None:
            failed = explain.unhealthy(health, ready=False)
            return explain.of_workload(wanted, workload, failed)
    for workload, there in new:
        idle = there is None or there.replicas == 0
        if workload.holds and idle and freed(view, wanted, workload) is not None:
            return explain.of_workload(wanted, workload, explain.not_free(workload.holds))
        if there is not None and _runs(job_of(view, workload.name)):
            return explain.of_workload(wanted, workload, explain.job_late(there.tasks))
    for workload, there in new:
        if there and not workload.job and not _is_ready(view, workload):
            return explain.of_workload(wanted, workload, explain.never_ready(there.tasks))
    for workload, there in new:
        other = _waits_for(view, wanted, workload) if there is None else None
        if other is not None and other.carried:
            return explain.of_workload(wanted, workload, explain.waited_for(other.name))
    return explain.too_late()


def _is_ready(view: View, workload: Released) -> bool:
    return len(settled(view, workload)) >= wanted_replicas(view, workload)


def _runs(job: Job | None) -> bool:
    return job is not None and job.exit is None


def _new(view: View, wanted: Release) -> Iterator[tuple[Released, SwarmServiceView | None]]:
    for workload in wanted.workloads:
        if not workload.carried:
            yield workload, view.there.get(workload.swarm_service)


def _of_job(view: View, workload: Released, there: SwarmServiceView | None) -> Failure | None:
    job = job_of(view, workload.name)
    if job is None:
        return None
    if job.exit is None:
        return explain.job_lost() if there is None else None
    return explain.job(job.exit, _ended_task(there)) if job.exit else None


def _ended_task(there: SwarmServiceView | None) -> TaskView | None:
    return next((task for task in there.tasks if task.phase == "ended"), None) if there else None


def _of_health(view: View, wanted: Release, workload: Released) -> Failure | None:
    """Alone, it has failed as soon as Swarm ends it for its answers; else that is one end."""
    health = view.health.get(workload.name)
    if health is None or not health.unhealthy or _ends(wanted) > 1:
        return None
    return explain.unhealthy(health, ready=view.rollout.ready)


def _ends(wanted: Release) -> int:
    return 1 if len(wanted.programs) == 1 else ENDS


def _of_ends(
    view: View, wanted: Release, workload: Released, there: SwarmServiceView | None
) -> Failure | None:
    ended = [task for task in there.tasks if task.phase == "ended"] if there else []
    if len(ended) < _ends(wanted):
        return None
    health, ready = view.health.get(workload.name), view.rollout.ready
    # Of one that takes its end well Swarm says 0, and no word of its health.
    told = explain.by_health(ended[-1]) or ended[-1].exit_code == 0
    if health is not None and health.unhealthy and told:
        return explain.unhealthy(health, ready=ready)
    return explain.task(ended[-1], ready=ready)


def _of_refusals(
    view: View, there: SwarmServiceView | None, most: int = REFUSALS
) -> Failure | None:
    """`most`: of a job, one: Swarm makes no second task of it."""
    tasks = there.tasks if there else ()
    refusals = [
        task
        for task in tasks
        if task.phase == "refused" and not (most > 1 and explain.passes(task))
    ]
    if len(refusals) >= most or any(explain.final(task) for task in refusals):
        return explain.task(refusals[-1], ready=view.rollout.ready)
    return None
