"""Routes: each service has an actor that makes the proxy equal to the log and to the tasks
that Swarm runs. Whatever comes only wakes it."""

import asyncio
from dataclasses import dataclass, field, replace
from typing import Any

from slipway.contracts import labels
from slipway.contracts.rollout import Release, RolloutEvent, RolloutState
from slipway.contracts.route import (
    Refusal,
    RouteActivated,
    RouteChanged,
    RouteEvent,
    RouteFailed,
    RouteState,
    RouteWithdrawn,
)
from slipway.contracts.service import (
    ServiceDeletionRequested,
    ServiceStarted,
    ServiceStopped,
)
from slipway.contracts.values import Failure
from slipway.eventstore.lease import Lease
from slipway.eventstore.store import Commit, EventStore
from slipway.kernel.clock import Clock
from slipway.kernel.envelope import Subject
from slipway.runtime import failpoints
from slipway.runtime.append import Appender
from slipway.runtime.engine import EngineAway, EngineMissing, EngineRefused
from slipway.runtime.logging import logger

from proxy_sync.adapters.engine import Engine
from proxy_sync.adapters.traefik import NotLoaded, Traefik
from proxy_sync.edge.react import Edge
from proxy_sync.routing import explain, plan, render
from proxy_sync.routing.domain import Hosts
from proxy_sync.routing.model import Asked, Probe, Routing, View
from proxy_sync.routing.tasks import OPEN, Tasks
from proxy_sync.settings import ProxySettings

failpoints.register(
    "proxy-sync.switch.before",
    "proxy-sync.switch.after",
    "proxy-sync.activated.appended",
)
IDLE = 30.0


@dataclass(slots=True)
class _Memory:
    """What an actor knows besides the log; lost with the process, and found again by asking."""

    wake: asyncio.Event = field(default_factory=asyncio.Event)
    asked: dict[tuple[str, int], Asked] = field(default_factory=dict)
    asking: set[tuple[str, int]] = field(default_factory=set)
    candidate: str | None = None
    began: float = 0.0
    loaded: Routing | None = None
    confirmed: str | None = None


class Routes:
    def __init__(
        self,
        store: EventStore,
        engine: Engine,
        traefik: Traefik,
        edge: Edge,
        clock: Clock,
        lease: Lease,
        settings: ProxySettings,
    ) -> None:
        self._store, self._engine, self._traefik, self._edge = store, engine, traefik, edge
        self._clock, self._lease, self._settings = clock, lease, settings
        self._appender = Appender(store, clock, "proxy-sync")
        self._secret = settings.probe_key.get_secret_value()
        self._actors: dict[str, _Memory] = {}
        self._hosts = Hosts()
        self._tasks = Tasks(engine, clock, self.wake, edge.look)
        self._group: asyncio.TaskGroup | None = None

    # -- what wakes an actor ------------------------------------------------------------------

    def ensure(self, organization: str, service: str) -> None:
        """Let there be an actor, and wake it."""
        if service not in self._actors and self._group is not None:
            self._actors[service] = _Memory()
            self._group.create_task(self._act(organization, service), name=f"route:{service}")
        self.wake(service)

    def scaling(self) -> None:
        """Tasks will come and go."""
        self._tasks.closely()

    def wake(self, service: str) -> None:
        if service in self._actors:
            self._actors[service].wake.set()

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()

    async def run(self) -> None:
        """For ever: actors of everything that the log knows, then of what comes."""
        end = await self._store.last_sequence()
        async for commit in self._store.read(0, end, "evt._.host.*"):
            self._fold_hosts(commit)
        while not await self._tasks.look():
            await self._clock.sleep(0.5)
        await self._edge.up.wait()
        async with asyncio.TaskGroup() as group:
            self._group = group
            known = set()
            for head in await self._store.heads("*", "rollout"):
                known.add(head.subject.id)
                self.ensure(head.subject.organization, head.subject.id)
            for head in await self._store.heads("*", "service"):
                if isinstance(head.events[-1], ServiceDeletionRequested):
                    self.ensure(head.subject.organization, head.subject.id)
            for name in self._traefik.names() - self._actors.keys() - {"platform"}:
                self._traefik.write(name, {})
            group.create_task(self._follow_hosts(end))
            group.create_task(self._tasks.watch())
            group.create_task(self._tasks.follow_events())

    def _fold_hosts(self, commit: Commit) -> None:
        for event in commit.events:
            service = self._hosts.evolve(event)
            if service is not None:
                self.wake(service)

    async def _follow_hosts(self, after: int) -> None:
        async for commit in self._store.follow(after, "evt._.host.*"):
            self._fold_hosts(commit)

    # -- one actor ----------------------------------------------------------------------------

    async def _act(self, organization: str, service: str) -> None:
        log = logger(service=service)
        memory = self._actors[service]
        trouble = 0
        while True:
            memory.wake.clear()
            try:
                view, head, rollout = await self._look(organization, service, memory)
                if view.rollout.removed and view.route_event in ("", "route.withdrawn"):
                    self._traefik.write(service, {})
                    self._tasks.open.discard(service)
                    del self._actors[service]
                    return
                wait = 0.5
                if self._lease.held:
                    wait = await self._turn(organization, view, head, rollout, memory)
                trouble = 0
            except (EngineAway, EngineRefused, NotLoaded, EngineMissing) as error:
                log.warning("not routed yet; trying again", error=repr(error)[:300])
                trouble += 1
                wait = min(5.0, 0.1 * 2**trouble)
            except Exception:
                log.exception("routing failed; trying again")
                trouble += 1
                wait = min(30.0, 0.5 * 2**trouble)
            if wait:
                try:
                    async with asyncio.timeout(wait):
                        await memory.wake.wait()
                except TimeoutError:
                    continue

    async def _look(
        self, organization: str, service: str, memory: _Memory
    ) -> tuple[View, Commit | None, Commit | None]:
        """(what to plan from, the route's head, the rollout's head)."""
        rollout = await self._store.head(Subject(organization, "rollout", service))
        route = await self._store.head(Subject(organization, "route", service))
        stopped, deleting = False, False
        for commit in await self._store.load(Subject(organization, "service", service)):
            for event in commit.events:
                match event:
                    case ServiceStopped():
                        stopped = True
                    case ServiceStarted():
                        stopped = False
                    case ServiceDeletionRequested():
                        deleting = True
                    case _:
                        pass
        said: Any = rollout.events[-1] if rollout else None
        last = route.events[-1] if route else None
        state = last.state if isinstance(last, RouteEvent) else RouteState()
        view = View(
            service=service,
            now=self._now(),
            rollout=said.state if isinstance(said, RolloutEvent) else RolloutState(),
            route=state,
            route_event=last.type if last else "",
            route_failed=(state.refused.deployment, state.refused.attempt)
            if state.refused
            else None,
            bound=self._hosts.of(service),
            tasks=self._tasks.of(service),
            stopped=stopped,
            deleting=deleting,
            loaded=memory.loaded,
            confirmed=memory.confirmed,
        )
        return self._remembered(view, memory), route, rollout

    def _remembered(self, view: View, memory: _Memory) -> View:
        there = {task.id for task in view.tasks}
        memory.asked = {key: asked for key, asked in memory.asked.items() if key[0] in there}
        release = plan.candidate(view)
        if (release and release.deployment) != memory.candidate:
            memory.candidate = release.deployment if release else None
            memory.began = view.now
            memory.confirmed = None
        return replace(view, asked=memory.asked, began=memory.began, confirmed=memory.confirmed)

    async def _turn(
        self,
        organization: str,
        view: View,
        head: Commit | None,
        rollout: Commit | None,
        memory: _Memory,
    ) -> float:
        """One look carried out; the seconds until the next one, if nothing happens before."""
        service = view.service
        busy = plan.candidate(view) is not None or view.rollout.wanted is not None
        wanted = plan.routing(view)
        if busy or wanted.probes:
            self._tasks.open.add(service)
        else:
            self._tasks.open.discard(service)
        await self._join(view, needed=bool(wanted.addresses or wanted.probes))
        if wanted != memory.loaded:
            await self._load(view, wanted)
            memory.loaded = wanted
            return 0.0
        for probe in wanted.probes:
            key = (probe.task, probe.port)
            if key not in memory.asking and plan.due(view, probe) and self._group is not None:
                memory.asking.add(key)
                self._group.create_task(self._ask(view, probe, memory))
        step = plan.step(view, wanted)
        if step is None:
            return OPEN if busy or wanted.probes else IDLE
        await self._perform(organization, view, head, rollout, memory, step)
        return 0.0

    async def _join(self, view: View, *, needed: bool) -> None:
        """Early: as soon as a release is wanted, so that it costs nothing later."""
        if not view.rollout.environment or not (needed or view.rollout.wanted):
            return
        network = labels.network(self._settings.instance, view.rollout.environment)
        try:
            await self._edge.join(network)
        except EngineMissing:
            if needed:
                raise

    async def _load(self, view: View, wanted: Routing) -> None:
        former = view.loaded.deployment if view.loaded else view.route.deployment
        release = plan.candidate(view)
        switches = release is not None and wanted.deployment == release.deployment != former
        if switches:
            await failpoints.hit("proxy-sync.switch.before")
        document = render.service(wanted, self._secret)
        self._traefik.write(view.service, document)
        await self._traefik.loaded(view.service, document)
        if switches:
            await failpoints.hit("proxy-sync.switch.after")

    # -- asking -------------------------------------------------------------------------------

    async def _ask(self, view: View, probe: Probe, memory: _Memory) -> None:
        key = (probe.task, probe.port)
        try:
            release = next(
                (
                    release
                    for release in (view.rollout.wanted, view.rollout.serving)
                    if release and f"{release.deployment}.{release.attempt}" == probe.attempt
                ),
                None,
            )
            path, host = _asked_for(view, release, probe)
            answer = await self._traefik.probe(
                probe.task, probe.port, probe.attempt, host, path, seconds=10.0
            )
            checked = release is not None and release.health_path and release.port == probe.port
            good = answer.good(strict=bool(checked))
            before = memory.asked.get(key, Asked())
            now = self._now()
            if good:
                since = before.good_since if before.good_since and not before.bad else now
                memory.asked[key] = Asked(good_since=since, last=now)
            else:
                memory.asked[key] = replace(
                    before, last=now, bad=before.bad + 1, text=answer.said(path)
                )
        finally:
            memory.asking.discard(key)
            memory.wake.set()

    # -- the steps ----------------------------------------------------------------------------

    async def _perform(
        self,
        organization: str,
        view: View,
        head: Commit | None,
        rollout: Commit | None,
        memory: _Memory,
        step: plan.Step,
    ) -> None:
        subject = Subject(organization, "route", view.service)
        match step:
            case plan.Confirm(deployment):
                failure = await self._confirm(memory.loaded or Routing(view.service))
                if failure is None:
                    memory.confirmed = deployment
                else:
                    await self._refuse(subject, view, head, failure)
            case plan.Activate(state):
                now = await self._store.head(Subject(organization, "rollout", view.service))
                if (now and now.sequence) != (rollout and rollout.sequence):
                    return  # it may have been given up meanwhile: look again
                event = RouteActivated(deployment=state.deployment, state=state)
                await self._append(subject, head, event, "activated")
                await failpoints.hit("proxy-sync.activated.appended")
            case plan.Fail(failure):
                await self._refuse(subject, view, head, failure)
            case plan.Change(state):
                event = RouteChanged(deployment=state.deployment, state=state)
                await self._append(subject, head, event, "changed")
            case plan.Withdraw(state):
                await self._append(subject, head, RouteWithdrawn(state=state), "withdrawn")

    async def _confirm(self, loaded: Routing) -> Failure | None:
        """Every public address once more, as anybody would ask; a bad answer is asked twice."""
        for binding in loaded.bindings:
            for pause in (0.2, 0.5, None):
                answer = await self._traefik.public(binding.host, binding.path, seconds=10.0)
                if answer.good(strict=False):
                    break
                if pause is None:
                    return explain.not_public(binding.host, answer.said(binding.path))
                await self._clock.sleep(pause)
        return None

    async def _refuse(
        self, subject: Subject, view: View, head: Commit | None, failure: Failure
    ) -> None:
        """The former release serves on, or again."""
        release = plan.candidate(view)
        if release is None:
            return
        refused = Refusal(deployment=release.deployment, attempt=release.attempt, failure=failure)
        state = view.route.model_copy(
            update={
                "refused": refused,
                "environment": view.rollout.environment or view.route.environment,
            }
        )
        event = RouteFailed(deployment=release.deployment, state=state, failure=failure)
        await self._append(subject, head, event, "failed")

    async def _append(
        self, subject: Subject, head: Commit | None, event: RouteEvent, step: str
    ) -> None:
        """Only behind the head that it was planned from."""
        planned = head.sequence if head else 0
        correlation = event.deployment or subject.id

        def decide(now: Commit | None) -> tuple[RouteEvent, ...]:
            return (event,) if (now.sequence if now else 0) == planned else ()

        await self._appender.append(
            subject,
            step,
            decide,
            cause=f"{correlation}/{planned}",
            correlation=correlation,
            since=planned,
        )


def _asked_for(view: View, release: Release | None, probe: Probe) -> tuple[str, str]:
    """(path, host) of a probe: the health check's path on the service's own port, else the
    path under which the port is public."""
    bound = [b for b in view.bound if (b.port or (release and release.port)) == probe.port]
    host = bound[0].host if bound else "localhost"
    if release is not None and release.port == probe.port:
        return release.health_path or "/", host
    return (bound[0].path if bound else "/"), host
