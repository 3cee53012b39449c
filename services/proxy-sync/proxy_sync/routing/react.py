"""Routes: each service of which something is or shall be routed has an actor that makes the proxy
equal to the log and to the tasks that Swarm runs. Whatever comes only wakes it."""

import asyncio
from dataclasses import dataclass, field
from typing import Protocol, assert_never

from slipway.contracts import labels
from slipway.contracts.event import Event, NewerRelease, Unknown
from slipway.contracts.rollout import Release, RolloutEvent
from slipway.contracts.route import RouteEvent, RouteState
from slipway.contracts.service import ServiceDeletionRequested
from slipway.contracts.values import Failure
from slipway.eventstore.lease import Lease
from slipway.eventstore.store import EventStore
from slipway.kernel.clock import Clock
from slipway.kernel.envelope import Subject
from slipway.runtime import failpoints, retry
from slipway.runtime.actor import woken
from slipway.runtime.engine import EngineAway, EngineMissing, EngineRefused
from slipway.runtime.logging import logger
from slipway.runtime.trouble import Trouble

from proxy_sync.routing import explain, plan, probes, render
from proxy_sync.routing.domain import Answers, Probe, Routing, View, resting
from proxy_sync.routing.facts import RouteFacts
from proxy_sync.routing.hosts import HostTable
from proxy_sync.routing.observe import Memory, Observer, monotonic
from proxy_sync.routing.probes import NotLoaded, Proxy
from proxy_sync.routing.tasks import OPEN, TaskLists, Tasks

failpoints.register(
    "proxy-sync.switch.before",
    "proxy-sync.switch.after",
    "proxy-sync.activated.appended",
)
IDLE = 30.0
AT_ONCE = 20
"""Probes of one service under way: each holds a connection for as long as nothing is answered."""
_LOOK, _LOAD, _JOIN = "look", "load", "join"


class JoinedEdge(Protocol):
    """The proxy's container."""

    up: asyncio.Event

    def look(self) -> None:
        """Something happened to it."""
        ...

    async def join(self, network: str) -> None:
        """Raises EngineMissing while there is no such network."""
        ...


@dataclass(slots=True)
class _Actor:
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    memory: Memory = field(default_factory=Memory)
    trouble: Trouble = field(default_factory=lambda: Trouble(longest=5.0))
    step: str = _LOOK
    """What it is about to do."""


class Routes:
    """`secret` lets a request through to a probe's router."""

    def __init__(
        self,
        store: EventStore,
        engine: TaskLists,
        proxy: Proxy,
        edge: JoinedEdge,
        clock: Clock,
        lease: Lease,
        *,
        instance: str,
        secret: str,
    ) -> None:
        self._store, self._proxy, self._edge = store, proxy, edge
        self._clock, self._lease = clock, lease
        self._instance, self._secret = instance, secret
        self._facts = RouteFacts(store, clock)
        self._actors: dict[str, _Actor] = {}
        self._hosts = HostTable(store, self.wake)
        self._tasks = Tasks(engine, clock, self.wake, edge.look)
        self._observer = Observer(store, self._hosts, self._tasks, clock)
        self._group: asyncio.TaskGroup | None = None

    # -- what wakes an actor ------------------------------------------------------------------

    def ensure(self, organization: str, service: str) -> None:
        """The log has gone on: let there be an actor, and wake it."""
        if service not in self._actors and self._group is not None:
            self._actors[service] = _Actor()
            self._group.create_task(self._act(organization, service), name=f"route:{service}")
        self.outdated(service)

    def outdated(self, service: str) -> None:
        """The log has gone on; a service at rest stays so."""
        if service in self._actors:
            self._actors[service].memory.outdated()
            self._actors[service].wake.set()

    def scaling(self) -> None:
        """Tasks will come and go."""
        self._tasks.closely()

    def wake(self, service: str) -> None:
        if service in self._actors:
            self._actors[service].wake.set()

    async def run(self) -> None:
        """For ever: actors of what the log says is not at rest, then of what comes. What rests has
        none: a start costs no more where a thousand services are stopped."""
        await self._hosts.begin()
        while not await self._tasks.look():
            await self._clock.sleep(0.5)
        await self._edge.up.wait()
        async with asyncio.TaskGroup() as group:
            self._group = group
            heads = await self._store.heads("*", "route")
            routes = {head.subject.id: head.events[-1] for head in heads}
            left = {id_ for id_, last in routes.items() if isinstance(last, Unknown)}
            for head in await self._store.heads("*", "rollout"):
                rollout, route = head.events[-1], routes.get(head.subject.id)
                if isinstance(rollout, Unknown):
                    left.add(head.subject.id)
                if head.subject.id in left or _stirs(rollout, route):
                    self.ensure(head.subject.organization, head.subject.id)
            for head in await self._store.heads("*", "service"):
                if isinstance(head.events[-1], ServiceDeletionRequested):
                    self.ensure(head.subject.organization, head.subject.id)
            for name in self._proxy.names() - self._actors.keys() - left - {"platform"}:
                self._proxy.write(name, {})
            logger().info("ready", services=len(self._actors))
            group.create_task(self._hosts.follow())
            group.create_task(self._tasks.watch())
            group.create_task(self._tasks.follow_events())

    # -- one actor ----------------------------------------------------------------------------

    async def _act(self, organization: str, service: str) -> None:
        """Ends when the service rests, and never by an error: what fails here is one service's. Of
        what a newer release wrote nothing follows: it rests until more is told."""
        actor = self._actors[service]
        subject = Subject(organization, "route", service)
        while True:
            actor.wake.clear()
            actor.step = _LOOK
            try:
                wait = await self._turn(subject, actor)
            except NewerRelease as error:
                logger(service=service).warning("left as it is in the proxy", why=str(error))
                wait = None
            except Exception as error:
                actor.memory.outdated()
                wait = await self._troubled(subject, actor, error)
            if wait is None and not actor.wake.is_set():
                self._tasks.open.discard(service)
                del self._actors[service]
                return
            if wait:
                await woken(actor.wake, wait)

    async def _turn(self, subject: Subject, actor: _Actor) -> float | None:
        """One look, and what is to be done upon it. The seconds until the next one, if nothing
        happens before; None for rest."""
        memory, service = actor.memory, subject.id
        view = await self._observer.look(subject.organization, service, memory)
        actor.trouble.over(_LOOK)
        if not self._lease.held:
            return 0.5
        busy = plan.candidate(view) is not None or view.rollout.wanted is not None
        wanted = plan.routing(view)
        if busy or wanted.probes:
            self._tasks.open.add(service)
        else:
            self._tasks.open.discard(service)
        await self._join(actor, view, needed=bool(wanted.addresses or wanted.probes))
        if wanted != memory.loaded:
            await self._load(actor, view, wanted)
            return 0.0
        for probe in sorted(wanted.probes, key=lambda probe: plan.last_asked(view, probe)):
            self._begin_to_ask(actor, view, probe)
        step = plan.step(view, wanted)
        if step is None:
            if plan.rests(view):
                return None
            return OPEN if busy or wanted.probes else IDLE
        actor.step = type(step).__name__
        await self._perform(subject, view, memory, step)
        actor.trouble.over(actor.step)
        memory.outdated()
        return 0.0

    async def _troubled(self, subject: Subject, actor: _Actor, error: Exception) -> float:
        """How long to wait. A release that is to be routed fails when a step fails again and again.
        Where none is (a task that moved, a route to be withdrawn) there is nothing to fail: that
        goes on, more and more seldom."""
        log = logger(service=subject.id, step=actor.step)
        if isinstance(error, EngineAway):
            # The deadline of the rollout ends a deployment that waits for it.
            actor.trouble.met("away")
            if actor.trouble.worth_saying("away"):
                log.warning("the engine is away; trying again", error=str(error)[:300])
            return actor.trouble.wait("away")
        # While the log is away nothing can be done: however long, it is one error.
        await retry.CONNECT.run(self._store.last_sequence)
        count = actor.trouble.met(actor.step)
        if actor.trouble.worth_saying(actor.step):
            log.error("a step failed; trying again", times=count, exc_info=error)
        if count >= Trouble.ENOUGH and self._lease.held:
            try:
                await self._give_up(subject, actor, error)
            except Exception:
                # The deadline of the rollout ends the deployment.
                log.exception("a release could not be refused; trying again")
        return actor.trouble.wait(actor.step)

    async def _give_up(self, subject: Subject, actor: _Actor, error: Exception) -> None:
        """The release that is to be routed fails; nothing where there is none."""
        memory = actor.memory
        await self._observer.read(subject.organization, subject.id, memory)
        rollout = memory.rollout_state
        theirs = isinstance(error, EngineMissing | EngineRefused | NotLoaded)
        if theirs and self._observer.waited(rollout) <= plan.ANSWER_WITHIN:
            return  # the engine and the proxy may come round: as patient as with the release
        if rollout.wanted is not None and rollout.ready:
            await self._refuse(
                subject, memory, rollout.wanted, _why(rollout.wanted, actor.step, error)
            )
            actor.trouble.forget()

    async def _join(self, actor: _Actor, view: View, *, needed: bool) -> None:
        """Early: as soon as a release is wanted, so that it costs nothing later."""
        if not view.rollout.environment or not (needed or view.rollout.wanted):
            return
        actor.step, environment = _JOIN, view.rollout.environment
        networks = {labels.network(self._instance, environment): needed}
        for own, there in plan.own_networks(view).items():
            network = labels.reached_on(self._instance, environment, view.service, own)
            networks[network] = networks.get(network, False) or (needed and there)
        for network, missed in sorted(networks.items()):
            try:
                await self._edge.join(network)
            except EngineMissing:
                if missed:
                    raise
        actor.trouble.over(_JOIN)

    async def _load(self, actor: _Actor, view: View, wanted: Routing) -> None:
        actor.step = _LOAD
        former = view.loaded.deployment if view.loaded else view.route.deployment
        release = plan.candidate(view)
        switches = release is not None and wanted.deployment == release.deployment != former
        if switches:
            await failpoints.hit("proxy-sync.switch.before")
        document = render.configuration(wanted, self._secret)
        self._proxy.write(view.service, document)
        await self._proxy.loaded(view.service, document)
        if switches:
            await failpoints.hit("proxy-sync.switch.after")
        actor.memory.loaded = wanted
        actor.trouble.over(_LOAD)

    def _begin_to_ask(self, actor: _Actor, view: View, probe: Probe) -> None:
        key, asking = (probe.task, probe.port), actor.memory.asking
        if len(asking) >= AT_ONCE or key in asking or self._group is None:
            return
        if plan.due(view, probe):
            asking.add(key)
            self._group.create_task(self._ask(actor, view, probe))

    async def _ask(self, actor: _Actor, view: View, probe: Probe) -> None:
        key, memory = (probe.task, probe.port), actor.memory
        try:
            good, said = await probes.ask(self._proxy, view, probe)
            before = memory.asked.get(key, Answers())
            memory.asked[key] = probes.after(before, monotonic(), good, said)
        finally:
            memory.asking.discard(key)
            actor.wake.set()

    # -- the steps ----------------------------------------------------------------------------

    async def _perform(
        self, subject: Subject, view: View, memory: Memory, step: plan.RouteStep
    ) -> None:
        head = memory.route
        match step:
            case plan.Confirm(deployment):
                loaded = memory.loaded or Routing(view.service)
                release = plan.candidate(view)
                failure = await probes.confirm(self._proxy, self._clock, loaded, release)
                if failure is None:
                    memory.confirmed = deployment
                elif release is not None:
                    await self._refuse(subject, memory, release, failure)
            case plan.Activate(state):
                rollout = Subject(subject.organization, "rollout", subject.id)
                now, seen = await self._store.head(rollout), memory.rollout
                if (now and now.sequence) != (seen and seen.sequence):
                    return  # it may have been given up meanwhile: look again
                await self._facts.activated(subject, view.kind, head, state)
                await failpoints.hit("proxy-sync.activated.appended")
            case plan.Fail(failure):
                release = plan.candidate(view)
                if release is not None:
                    await self._refuse(subject, memory, release, failure)
            case plan.Change(state):
                await self._facts.changed(subject, view.kind, head, state)
            case plan.Withdraw(state):
                await self._facts.withdrawn(subject, view.kind, head, state)
            case _:
                assert_never(step)

    async def _refuse(
        self, subject: Subject, memory: Memory, release: Release, failure: Failure
    ) -> None:
        route = memory.route_state
        environment = memory.rollout_state.environment or route.environment
        state = route.model_copy(update={"environment": environment})
        await self._facts.failed(
            subject, memory.desired.kind, memory.route, state, release, failure
        )
        memory.outdated()


def _stirs(rollout: Event, route: Event | None) -> bool:
    """Whether a service with these last events needs an actor from the start."""
    last = route if isinstance(route, RouteEvent) else None
    return isinstance(rollout, RolloutEvent) and not resting(
        rollout.state, last.state if last else RouteState(), last.type if last else ""
    )


def _why(release: Release, step: str, error: Exception) -> Failure:
    if isinstance(error, NotLoaded):
        return explain.not_loaded()
    if isinstance(error, EngineMissing):
        return explain.network_missing(str(error))
    if isinstance(error, EngineRefused):
        return explain.refused(str(error))
    return explain.internal(release.deployment, step, error)
