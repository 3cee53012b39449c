"""What the proxy shall have of a service, whom to ask, and what to say of it. Pure.

A *candidate* is a release that is to serve and does not yet: the wanted one once its tasks are
ready, or the serving one when the route leads elsewhere. The *current* release is the one that
the route names. No address of a task enters the public routes before it has answered its probe.
"""

from dataclasses import dataclass

from slipway.contracts.rollout import Release
from slipway.contracts.route import Binding, Refusal, RouteState
from slipway.contracts.values import Failure

from proxy_sync.routing import explain
from proxy_sync.routing.domain import Answers, Probe, Routing, TaskAddress, View, resting

ANSWER_WITHIN = 90.0
"""Seconds that a wanted release has for its first good answer, from when it became ready."""
ASKED_FOR = 10.0
"""Seconds of asking that it has in any case: nobody may have asked while this process was away."""
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
    if wanted is not None and view.rollout.ready:
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


def ports_of(view: View, release: Release) -> tuple[int, ...]:
    """The ports at which a task of the release has to answer by HTTP: those to which a domain
    leads. Of all others the deployer knows that they accept."""
    ports = {bound.port or release.port for bound in view.bound}
    return tuple(sorted(port for port in ports if port is not None))


def settle_of(view: View, release: Release) -> float:
    """What served before is not tried for long when the route comes back to it."""
    return release.settle_seconds if release == view.rollout.wanted else 0.0


def _tasks(view: View, deployment: str | None) -> list[TaskAddress]:
    return [task for task in view.tasks if task.deployment == deployment]


def _good_since(view: View, task: TaskAddress, ports: tuple[int, ...]) -> float | None:
    """Since when the task has answered at every port; None while it has not."""
    latest = view.began if not ports else 0.0
    for port in ports:
        since = view.asked.get((task.id, port), Answers()).good_since
        if since is None:
            return None
        latest = max(latest, since)
    return latest


def _ready_since(view: View, release: Release) -> float | None:
    """Since when every running task of the candidate has answered; at least as many as the
    deployer found ready, or as there are when it was scaled down meanwhile."""
    running = [task for task in _tasks(view, release.deployment) if task.running]
    since = [_good_since(view, task, ports_of(view, release)) for task in running]
    known = [moment for moment in since if moment is not None]
    return max(known) if running and len(known) == len(running) else None


def _settled(view: View, release: Release) -> bool:
    since = _ready_since(view, release)
    return since is not None and view.now - since >= settle_of(view, release)


def _current_serves(view: View) -> bool:
    """A former release has tasks that may get requests."""
    trusted = set(view.route.addresses)
    return any(task.address in trusted for task in _tasks(view, view.route.deployment))


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


def _bindings(view: View, own: int | None) -> tuple[Binding, ...]:
    """What can be routed: a domain without a port needs the release's `own`."""
    found: list[Binding] = []
    for bound in view.bound:
        port = bound.port or own
        if port is not None:
            found.append(Binding(domain=bound.domain, host=bound.host, path=bound.path, port=port))
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
    trusted = set(view.route.addresses if deployment == view.route.deployment else ())
    ports = ports_of(view, chosen) if chosen else ()
    addresses = tuple(
        sorted(
            task.address
            for task in (_tasks(view, deployment) if view.bound else ())
            if (task.running and chosen is not None and _good_since(view, task, ports) is not None)
            or task.address in trusted
        )
    )
    open_ = view.stopped or deployment is None
    return Routing(
        service=view.service,
        bindings=() if open_ else _kept(view, _bindings(view, chosen.port if chosen else None)),
        addresses=addresses,
        deployment=deployment,
        probes=_probes(view, trusted),
    )


def _kept(view: View, bindings: tuple[Binding, ...]) -> tuple[Binding, ...]:
    """Of a release that is neither serving nor wanted any more only its route tells the port."""
    if _of_deployment(view, view.route.deployment) is not None or public(view) is not None:
        return bindings
    domains = {bound.domain for bound in view.bound}
    return tuple(binding for binding in view.route.bindings if binding.domain in domains)


def _probes(view: View, trusted: set[str]) -> tuple[Probe, ...]:
    found: dict[tuple[str, int], Probe] = {}
    new = candidate(view)
    for release in (view.rollout.wanted, view.rollout.serving):
        if release is None or view.route_failed == (release.deployment, release.attempt):
            continue
        # The wanted release's routers stand as soon as its tasks have addresses: the proxy loads
        # them while the containers start.
        asks = release in (new, view.rollout.wanted) and release.deployment != view.route.deployment
        ports = ports_of(view, release)
        for task in _tasks(view, release.deployment):
            if asks or (task.address not in trusted and _good_since(view, task, ports) is None):
                for port in ports:
                    attempt = f"{release.deployment}.{release.attempt}"
                    found[task.id, port] = Probe(task.id, task.address, port, attempt)
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
        gone = view.route_event == "route.withdrawn" or not view.route.deployments
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
    if release.port is None:
        for bound in view.bound:
            if bound.port is None:
                return explain.no_port(bound.host, release.image.ports)
    ports = ports_of(view, release)
    answers = [
        view.asked.get((task.id, port), Answers())
        for task in _tasks(view, release.deployment)
        for port in ports
    ]
    for asked in answers:
        if asked.good_since is not None and asked.bad >= BAD_IN_A_ROW:
            return explain.stopped_answering(asked.text)
    silent = [asked for asked in answers if asked.good_since is None and asked.last > 0]
    late = view.waited > ANSWER_WITHIN and view.now - view.began > ASKED_FOR
    if (silent or not answers) and ports and late:
        return explain.never_answered(ANSWER_WITHIN, silent[0].text if silent else "")
    return None


def _state(view: View, loaded: Routing, attempt: int, refused: Refusal | None) -> RouteState:
    return RouteState(
        environment=view.rollout.environment or view.route.environment,
        deployment=loaded.deployment,
        attempt=attempt,
        deployments=(loaded.deployment,) if loaded.deployment else (),
        addresses=loaded.addresses,
        bindings=loaded.bindings,
        refused=refused,
    )
