"""The gap in which a domain's program stands still, because what comes after it has to have alone
what it holds. Pure."""

from collections.abc import Collection

from slipway.contracts.rollout import Release

from proxy_sync.routing.domain import View

RETRY_AFTER = 5
"""Seconds, for who asks in the gap: a program ends and another starts meanwhile."""
BAD_ANSWERS = 8
"""So many of a program that runs again, and it is not the gap that keeps it from answering."""


def standing(view: View, chosen: Release | None, led: Collection[str]) -> tuple[str, ...]:
    """The workloads of the serving release that stand still for the wanted one's sake, or run again
    and have not answered yet. `chosen`: what the proxy routes to; `led`: the workloads of it that
    have an address, and so no gap."""
    serving = view.rollout.serving
    if serving is None or chosen is None or chosen.deployment != serving.deployment:
        return ()
    return tuple(sorted(_paused(view, serving) - frozenset(led)))


def _paused(view: View, serving: Release) -> frozenset[str]:
    wanted, reverting = view.rollout.wanted, view.rollout.reverting
    if wanted is None:
        still = view.loaded.standing if view.loaded else ()
        return frozenset(name for name in still if _starts_again(view, serving, name))
    if reverting is not None:
        names = frozenset(reverting.paused)
        return frozenset(each.name for each in serving.programs if each.swarm_service in names)
    held = {held for each in wanted.workloads if not each.carried for held in each.holds}
    return frozenset(
        each.name
        for each in serving.programs
        if each.swarm_service not in wanted.names and not held.isdisjoint(each.has)
    )


def _starts_again(view: View, serving: Release, workload: str) -> bool:
    names = {each.swarm_service for each in serving.programs if each.name == workload}
    tasks = {task.id for task in view.tasks if task.swarm_service in names}
    bad = [asked.bad for (task, _), asked in view.asked.items() if task in tasks]
    return bool(tasks) and max(bad, default=0) < BAD_ANSWERS
