"""What the proxy shall have of a service, whom to ask, and what to say of it. Pure.

A *candidate* is a release that is to serve and does not yet: the wanted one once its tasks are
ready, or the serving one when the route leads elsewhere. The *current* release is the one that
the route names. No address of a task enters the public routes before it has answered its probe.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from slipway.contracts.rollout import Release
from slipway.contracts.route import Binding, Refusal, RouteState, Served
from slipway.contracts.values import Failure

from proxy_sync.routing import explain, gap
from proxy_sync.routing.domain import Answers, Probe, Routing, TaskAddress, View, resting

ANSWER_WITHIN = 90.0
"""Seconds that a wanted release has for its first good answer, from when it became ready."""
ASKED_FOR = 10.0
"""Seconds of asking that it has in any case: nobody may have asked while this process was away."""
LISTED_WITHIN = 3.0
"""Seconds: the tasks are listed every 0.1 s meanwhile, and at the latest every 2."""
BAD_IN_A_ROW = 2
"""One bad answer may be an accident of the moment; so many in a row are none."""


@dataclass(frozen=True, slots=True)
class Activate:
    """Say that the candidate serves."""

    state: RouteState


@dataclass(frozen=True, slots=True)
class Fail:
    failure: Failure


@dataclass(frozen=True, slots=True)
class Change:
    state: RouteState


@dataclass(frozen=True, slots=True)
class Withdraw:
    state: RouteState


@dataclass(frozen=True, slots=True)
class Confirm:
    """Ask the public addresses of the deployment that was just switched to."""

    deployment: str


type RouteStep = Activate | Fail | Change | Withdraw | Confirm


def rests(view: View) -> bool:
    if view.deleting and view.route_event != "route.withdrawn":
        return False
    return resting(view.rollout, view.route, view.route_event)


def candidate(view: View) -> Release | None:
    wanted, serving = view.rollout.wanted, view.rollout.serving
    if wanted is not None and view.rollout.ready and view.rollout.reverting is None:
        failed = view.route_failed == (wanted.deployment, wanted.attempt)
        if wanted.deployment != view.route.deployment and not failed:
            return wanted
        return None
    if serving is not None and not _closed(view) and serving.deployment != view.route.deployment:
        return serving
    return None


def _closed(view: View) -> bool:
    """Nothing is to be routed: it is being deleted, or stopped with no start on its way."""
    return view.deleting or view.rollout.removed or (view.stopped and view.rollout.wanted is None)


def targets(view: View, release: Release) -> frozenset[tuple[str, int]]:
    """(workload, port) to which a domain leads: there its tasks have to answer by HTTP. Of all
    others the deployer knows that they accept."""
    found: set[tuple[str, int]] = set()
    for bound in view.bound:
        program = release.program(bound.workload)
        port = bound.port or (program.port if program else None)
        if program is not None and port is not None:
            found.add((program.name, port))
    return frozenset(found)


def own_networks(view: View) -> Mapping[tuple[str, ...], bool]:
    """Of each workload to which a domain leads, those of the service's own that it is in; whether
    it has tasks: else they may not be there yet, as what it starts after has not come so far."""
    tasks = {task.swarm_service for task in view.tasks}
    found: dict[tuple[str, ...], bool] = {}
    for release in (view.rollout.wanted, view.rollout.serving):
        led = [release.program(bound.workload) for bound in view.bound] if release else []
        for program in (each for each in led if each is not None):
            there = program.swarm_service in tasks
            found[program.networks] = there or found.get(program.networks, False)
    return found


def settle_of(view: View, release: Release) -> float:
    """What served before is not tried for long when the route comes back to it, and what was
    carried over not at all."""
    if release != view.rollout.wanted:
        return 0.0
    return max((each.settle_seconds for each in release.programs if not each.carried), default=0.0)


def _served(release: Release) -> tuple[Served, ...]:
    return tuple(
        Served(workload=each.name, swarm_service=each.swarm_service) for each in release.programs
    )


def _tasks(view: View, served: Collection[Served]) -> list[tuple[str, TaskAddress]]:
    """(workload, task of it)."""
    names = {each.swarm_service: each.workload for each in served}
    return [(names[task.swarm_service], task) for task in view.tasks if task.swarm_service in names]


def _trusted(view: View, task: TaskAddress) -> bool:
    """It has answered before, maybe for an earlier deployment that it was carried over from."""
    names = {each.swarm_service for each in view.route.served}
    return task.swarm_service in names and task.address in view.route.addresses


def _good_since(
    view: View, workload: str, task: TaskAddress, asked: Collection[tuple[str, int]]
) -> float | None:
    """Since when the task has answered at every port; None while it has not."""
    ports = [port for name, port in asked if name == workload]
    if not ports or _trusted(view, task):
        return view.began
    latest = 0.0
    for port in ports:
        since = view.asked.get((task.id, port), Answers()).good_since
        if since is None:
            return None
        latest = max(latest, since)
    return latest


def _ready_since(view: View, release: Release) -> float | None:
    """Since when every running task of the candidate has answered; at least as many as the
    deployer found ready, or as there are when it was scaled down meanwhile. None while it has not
    come so far."""
    if _behind(view, release):
        return None
    running = [(name, task) for name, task in _tasks(view, _served(release)) if task.running]
    if not running and release == view.rollout.wanted and not view.rollout.tasks:
        return view.began  # all of it was carried over, and scaled to none: nobody is to be asked
    since = [_good_since(view, *each, targets(view, release)) for each in running]
    known = [moment for moment in since if moment is not None]
    return max(known) if running and len(known) == len(running) else None


def _behind(view: View, release: Release) -> bool:
    """The list of tasks has not got to where the deployer has seen them all run."""
    if release != view.rollout.wanted or view.waited > LISTED_WITHIN:
        return False
    led = {name for name, _ in targets(view, release)}
    running = {task.id for task in view.tasks if task.running}
    return any(task.workload in led and task.id not in running for task in view.rollout.tasks)


def _settled(view: View, release: Release) -> bool:
    since = _ready_since(view, release)
    return since is not None and view.now - since >= settle_of(view, release)


def _current_serves(view: View) -> bool:
    """A former release has tasks that may get requests."""
    return any(_trusted(view, task) for _, task in _tasks(view, view.route.served))


def _switched(view: View, release: Release) -> bool:
    return view.loaded is not None and view.loaded.deployment == release.deployment


def public(view: View) -> Release | None:
    """The release to which the public addresses shall lead now; None keeps the current one."""
    release = candidate(view)
    if release is None:
        return None
    if _switched(view, release):
        return release
    if _current_serves(view):
        return release if _settled(view, release) else None
    return release if _ready_since(view, release) is not None else None


def _bindings(view: View, release: Release | None) -> tuple[Binding, ...]:
    """What can be routed: where no port is said, the workload's own. A workload that the release
    does not have, or one that is not named among several, answers nothing, and fails nothing."""
    found: list[Binding] = []
    for bound in view.bound:
        program = release.program(bound.workload) if release else None
        port = bound.port or (program.port if program else None)
        missing = program is None and (bound.workload is not None or release is not None)
        if (program is not None and port is not None) or missing:
            name = program.name if program else bound.workload or ""
            found.append(
                Binding(
                    domain=bound.domain, host=bound.host, path=bound.path, workload=name,
                    port=port or 0,
                )
            )  # fmt: skip
    return tuple(found)


def _of_deployment(view: View, deployment: str | None) -> Release | None:
    for release in (view.rollout.serving, view.rollout.wanted):
        if release is not None and release.deployment == deployment:
            return release
    return None


def routing(view: View) -> Routing:
    if _closed(view):
        return Routing(view.service)
    chosen = public(view) or _of_deployment(view, view.route.deployment)
    deployment = chosen.deployment if chosen else view.route.deployment
    served = _served(chosen) if chosen else view.route.served
    tasks = _tasks(view, served)
    if chosen is None:
        trusted = [(name, task) for name, task in tasks if _trusted(view, task)]
    else:
        # Nobody has asked what no domain leads to: it's asked when one does.
        asked = targets(view, chosen)
        led = {name for name, _ in asked}
        trusted = [
            (name, task)
            for name, task in tasks
            if name in led
            and (_trusted(view, task)
                 or (task.running and _good_since(view, name, task, asked) is not None))
        ]  # fmt: skip
    addresses = tuple(sorted((name, task.address) for name, task in trusted))
    closed = view.stopped or deployment is None
    return Routing(
        service=view.service,
        bindings=() if closed else _kept(view, _bindings(view, chosen)),
        addresses=addresses,
        deployment=deployment,
        served=served if deployment else (),
        probes=_probes(view),
        standing=gap.standing(view, chosen, {name for name, _ in addresses}),
    )


def _kept(view: View, bindings: tuple[Binding, ...]) -> tuple[Binding, ...]:
    """Of a release that is neither serving nor wanted any more only its route tells the port."""
    if _of_deployment(view, view.route.deployment) is not None or public(view) is not None:
        return bindings
    domains = {bound.domain for bound in view.bound}
    return tuple(binding for binding in view.route.bindings if binding.domain in domains)


def _probes(view: View) -> tuple[Probe, ...]:
    found: dict[tuple[str, int], Probe] = {}
    for release in (view.rollout.wanted, view.rollout.serving):
        if release is None:
            continue
        failed = view.route_failed == (release.deployment, release.attempt)
        # What serves is asked also after it was refused: it may answer by now.
        if release == view.rollout.wanted and (failed or view.rollout.reverting is not None):
            continue
        # The wanted release's routers stand as soon as its tasks have addresses: the proxy loads
        # them while the containers start.
        open_ = release in (candidate(view), view.rollout.wanted)
        asks = open_ and release.deployment != view.route.deployment
        asked = targets(view, release)
        for name, task in _tasks(view, _served(release)):
            if _trusted(view, task):
                continue
            if asks or _good_since(view, name, task, asked) is None:
                for port in [port for of, port in asked if of == name]:
                    attempt = f"{release.deployment}.{release.attempt}"
                    found[task.id, port] = Probe(task.id, name, task.address, port, attempt)
    return tuple(found[key] for key in sorted(found))


def last_asked(view: View, probe: Probe) -> float:
    return view.asked.get((probe.task, probe.port), Answers()).last


def due(view: View, probe: Probe) -> bool:
    """Whether it is time to ask: four times a second until the first good answer, then each
    second (and at once again after a bad one)."""
    if not any(task.id == probe.task and task.running for task in view.tasks):
        return False
    asked = view.asked.get((probe.task, probe.port))
    if asked is None:
        return True
    slow = asked.good_since is None and view.now - view.began > ASKED_FOR
    every = 1.0 if slow or (asked.good_since is not None and not asked.bad) else 0.25
    return view.now - asked.last >= every


def step(view: View, loaded: Routing) -> RouteStep | None:
    """What is to be said or asked now that the proxy has `loaded`; None: nothing."""
    if _closed(view):
        gone = view.route_event == "route.withdrawn" or not view.route.named
        if gone and not (view.deleting and view.route_event != "route.withdrawn"):
            return None
        return Withdraw(RouteState(environment=view.route.environment))
    release = candidate(view)
    if release is not None:
        found = _of_candidate(view, release, loaded)
        if found is not None:
            return found
    if view.route.deployment is not None and loaded.deployment == view.route.deployment:
        state = _state(view, loaded, view.route.attempt, view.route.refused)
        return Change(state) if state != view.route else None
    return None


def _of_candidate(view: View, release: Release, loaded: Routing) -> RouteStep | None:
    if release == view.rollout.wanted and (failure := _failure(view, release)) is not None:
        return Fail(failure)
    if loaded.deployment != release.deployment:
        return None
    if loaded.bindings and view.confirmed != release.deployment:
        return Confirm(release.deployment)
    if _settled(view, release):
        return Activate(_state(view, loaded, release.attempt, None))
    return None


def _failure(view: View, release: Release) -> Failure | None:
    for bound in view.bound:
        program = release.program(bound.workload)
        if program is not None and bound.port is None and program.port is None:
            return explain.no_port(bound.host, program.image.ports)
    asked = targets(view, release)
    answers = [
        view.asked.get((task.id, port), Answers())
        for name, task in _tasks(view, _served(release))
        if not _trusted(view, task)
        for of, port in asked
        if of == name
    ]
    for each in answers:
        if each.good_since is not None and each.bad >= BAD_IN_A_ROW:
            return explain.stopped_answering(each.text)
    silent = [each for each in answers if each.good_since is None and each.last > 0]
    late = view.waited > ANSWER_WITHIN and view.now - view.began > ASKED_FOR
    if (silent or not _tasks(view, _served(release))) and asked and late:
        return explain.never_answered(ANSWER_WITHIN, silent[0].text if silent else "")
    return None


def _state(view: View, loaded: Routing, attempt: int, refused: Refusal | None) -> RouteState:
    return RouteState(
        environment=view.rollout.environment or view.route.environment,
        deployment=loaded.deployment,
        attempt=attempt,
        served=loaded.served,
        named=tuple(each.swarm_service for each in loaded.served),
        addresses=tuple(address for _, address in loaded.addresses),
        bindings=loaded.bindings,
        refused=refused,
    )
