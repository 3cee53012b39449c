"""The deployer in the world, and around it what it meets: the gateway's and the builder's facts,
and a proxy that says what it routes."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Literal

from builder.workloads import workloads_of
from deployer.adapters.engine import Engine
from deployer.adapters.guard import Guard
from deployer.app import giving_up, key, reaction
from deployer.egress.react import Egress
from deployer.networks.react import Networks
from deployer.rollout.masks import Masks
from deployer.rollout.printed import Printed
from deployer.rollout.react import Rollouts
from deployer.rollout.sealed import SealedWorkloads
from deployer.volumes.react import Volumes
from slipway.contracts import labels
from slipway.contracts.build import BuildSucceeded, WorkloadsObject
from slipway.contracts.deployment import (
    DeploymentCancelled,
    DeploymentRequested,
    DeploymentStopRequested,
    Limits,
    Repeats,
    Trigger,
)
from slipway.contracts.event import Event
from slipway.contracts.frames import RawLine
from slipway.contracts.rollout import Release, RolloutEvent
from slipway.contracts.route import (
    Refusal,
    RouteActivated,
    RouteChanged,
    RouteEvent,
    RouteFailed,
    RouteState,
    RouteWithdrawn,
    Served,
)
from slipway.contracts.service import (
    ServiceCreated,
    ServiceDeletionRequested,
    ServiceScaled,
    ServiceStopped,
)
from slipway.contracts.values import (
    ApplicationSettings,
    BuiltImage,
    Failure,
    ImageSource,
    Runtime,
    Sealed,
    Specification,
)
from slipway.contracts.workload import MAIN, Workload, Workloads, shown, to_json
from slipway.eventstore.memory import MemoryDeadLetters, MemoryLease
from slipway.eventstore.store import Commit, EventStore
from slipway.kernel.envelope import NOTHING, Actor, Meta, Subject
from slipway.kernel.ids import derived
from slipway.runtime.engine import EngineAway, EngineMissing, EngineRefused
from slipway.runtime.reactor import Reactor
from slipway.sealing import Opener, OrganizationKey, generate, wrap

from tests.simulation.world import (
    EPOCH,
    INSTANCE,
    REGISTRY_PORT,
    Away,
    Behaviour,
    Life,
    Refuses,
    Seen,
    Swarm,
    World,
)

ORGANIZATION, PROJECT, ENVIRONMENT = "org", derived("project"), derived("environment")
ENDS = {"rollout.succeeded", "rollout.failed", "rollout.cancelled", "rollout.superseded"}
KEEP = 3600.0
"""Seconds for which a volume outlives its service."""
MASTER, PAIR = generate(), generate()
KEY = OrganizationKey(ORGANIZATION, PAIR.private)


async def wrapped_key(organization: str) -> bytes | None:
    return wrap(MASTER.public, PAIR, organization) if organization == ORGANIZATION else None


class SwarmTransport:
    """The Swarm in memory, as a process reaches it: what changes it is an effect of its life."""

    def __init__(self, swarm: Swarm, life: Life) -> None:
        self._swarm, self._life = swarm, life

    async def query(
        self, path: str, method: str = "GET", *, params: dict[str, str] | None = None,
        data: Any = None,
    ) -> Any:  # fmt: skip
        async def ask() -> Any:
            return await self._swarm.query(path, method, params or {}, data)

        try:
            return await (ask() if method == "GET" else self._life.effect(f"{method} {path}", ask))
        except Refuses as error:
            raise EngineRefused(str(error)) from error
        except Away as error:
            raise EngineAway(str(error)) from error
        except KeyError as error:  # the swarm's own dictionaries know no such id
            raise EngineMissing(path) from error

    async def last_lines(self, container: str, count: int) -> list[str]:
        raise AssertionError("what containers print is asked of Outputs")

    @asynccontextmanager
    async def container_events(
        self, events: Sequence[str], marks: Sequence[str]
    ) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
        try:
            yield self._swarm.events()
        except Away as error:
            raise EngineAway(str(error)) from error


class SwarmOutputs:
    def __init__(self, swarm: Swarm) -> None:
        self._swarm = swarm

    async def last(self, container: str, count: int) -> list[str]:
        return self._swarm.printed[-count:] if container else []

    async def first(self, container: str, most: int) -> tuple[Sequence[RawLine], bool]:
        self._swarm.asked[f"GET containers/{container}/logs"] += 1
        data = [line.encode() for line in self._swarm.printed]
        lines = [RawLine(EPOCH.isoformat(), "stdout", line, len(line)) for line in data]
        kept = [line for at, line in enumerate(lines) if sum(map(len, data[: at + 1])) <= most]
        return kept, len(kept) == len(lines)


async def deployer(world: World, swarm: Swarm, life: Life, master: str = MASTER.private) -> None:
    """One life of the service, wired as its `app.py` does."""
    store: EventStore = Seen(world, life)
    engine, lease = Engine(SwarmTransport(swarm, life), INSTANCE, REGISTRY_PORT), MemoryLease()
    sealed = SealedWorkloads(world.workloads, Opener(master, wrapped_key))
    networks = Networks(store, engine, world.clock, lease, INSTANCE)
    volumes = Volumes(store, engine, world.clock, lease, INSTANCE, KEEP)
    printed = Printed(Masks(sealed), SwarmOutputs(swarm), world.job_logs)
    rollouts = Rollouts(
        store, engine, networks, volumes, sealed, printed, world.clock, lease, INSTANCE
    )
    egress = Egress(store, Guard(SwarmTransport(swarm, life), INSTANCE), lease)  # no guard here

    async with asyncio.TaskGroup() as group:
        group.create_task(rollouts.run())
        group.create_task(networks.run())
        group.create_task(volumes.run())
        reactor = Reactor(
            store,
            "deployer",
            key,
            reaction(rollouts, networks, volumes, egress),
            dead=giving_up(rollouts),
            letters=MemoryDeadLetters(world.clock),
        )
        group.create_task(reactor.run())


async def edge(world: World, settle: float = 1.0, drain: float = 0.0) -> None:
    """A proxy to whose probes everything answers: what is ready is switched to, and the former
    release is let go after `drain`; one that was given up at that very moment is switched back
    from; what is stopped or being deleted is withdrawn."""
    async for commit in world.follow(0):
        service = commit.subject.id
        last, now = world.events(commit.subject.category, service)[-1], routed(world, service)
        stops = last.type in ("service.stopped", "service.deletion_requested")
        if stops and (now is None or now.type != "route.withdrawn"):
            await fact(world, "route", service, route_event("route.withdrawn", service=service))
        if not isinstance(last, RolloutEvent):
            continue
        chosen, deployment = chosen_by(last), now.state.deployment if now else None
        if (chosen.deployment if chosen else None) == deployment:
            continue
        if deployment is None and not last.state.ready:
            continue  # it is stopped
        if chosen is None:
            await fact(world, "route", service, route_event("route.withdrawn", service=service))
            continue
        if last.state.ready:
            await asyncio.sleep(settle)
            if chosen_by(world.events("rollout", service)[-1]) != chosen:
                continue
        former = now.state.named if now else ()
        await fact(world, "route", service, routed_to("activated", chosen, service, former))
        if former and last.state.ready:
            await asyncio.sleep(drain)
            await fact(world, "route", service, routed_to("changed", chosen, service))


def chosen_by(last: Event) -> Release | None:
    """Which release is to be routed after this fact of its rollout."""
    assert isinstance(last, RolloutEvent)
    return last.state.wanted if last.state.ready else last.state.serving


def routed_to(
    wire: Literal["activated", "changed"], release: Release, service: str,
    former: tuple[str, ...] = (),
) -> RouteEvent:  # fmt: skip
    served = tuple(
        Served(workload=each.name, swarm_service=each.swarm_service) for each in release.programs
    )
    names = dict.fromkeys((*(each.swarm_service for each in served), *former))
    state = RouteState(
        environment=ENVIRONMENT, deployment=release.deployment, attempt=release.attempt,
        served=served, named=tuple(names),
    )  # fmt: skip
    event = RouteActivated if wire == "activated" else RouteChanged
    return event(service=service, kind="application", deployment=release.deployment, state=state)


def routed(world: World, service: str) -> RouteEvent | None:
    events = world.events("route", service)
    return events[-1] if events and isinstance(events[-1], RouteEvent) else None


def swarm_service(deployment: str, workload: str = MAIN, service: str = "service-1") -> str:
    """The name of the Swarm service that runs it."""
    return labels.release(INSTANCE, service, workload, deployment)


def route_event(
    wire: str, deployment: str | None = None, *former: str, service: str = "service-1"
) -> RouteEvent:
    """`route.failed` says that nothing is routed; the others that the main workload of the
    deployment is, beside the tasks of the former ones."""
    routed = None if wire in ("route.failed", "route.withdrawn") else deployment
    named = [swarm_service(each, service=service) for each in (routed, *former)] if routed else []
    state = RouteState(
        environment=ENVIRONMENT,
        deployment=routed,
        attempt=1 if routed else 0,
        served=tuple(Served(workload=MAIN, swarm_service=name) for name in named[:1]),
        named=tuple(named),
    )
    about: Any = {"service": service, "kind": "application", "deployment": deployment}
    match wire:
        case "route.activated":
            return RouteActivated(**about, state=state)
        case "route.failed":
            failure = Failure(reason="probe-failed", detail="it answered 500")
            refused = Refusal(deployment=deployment or "", attempt=1, failure=failure)
            state = state.model_copy(update={"refused": refused})
            return RouteFailed(
                **about,
                state=state,
                failure=failure,
            )
        case "route.changed":
            return RouteChanged(**about, state=state)
        case _:
            return RouteWithdrawn(**about, state=state)


async def activate(world: World, service: str, deployment: str) -> Commit:
    return await fact(
        world, "route", service, route_event("route.activated", deployment, service=service)
    )


async def fact(world: World, category: str, id_: str, *events: Event, cause: str = "") -> Commit:
    """Somebody else's fact, appended behind whatever is there."""
    subject = Subject(ORGANIZATION, category, id_)
    head = await world.head(subject)
    sequence = await world.last_sequence()
    meta = Meta(
        commit=derived("fact", sequence, category, id_, cause),
        at=world.clock.now(),
        actor=Actor("service", "test"),
        correlation=id_,
    )
    return await world.append(subject, head.head if head else NOTHING, events, meta)


async def seal(
    world: World, name: str, plain: bytes, key: OrganizationKey = KEY
) -> WorkloadsObject:
    """As the builder does."""
    data = key.seal_object(plain, name)
    await world.workloads.put(name, data)
    return WorkloadsObject(name=name, hash=hashlib.sha256(data).hexdigest())


def newer(event: Event) -> Event:
    """The same as a newer release would store it: in a version that is not known here."""
    cls = type(type(event).__name__, (type(event),), {"v": 99, "__module__": __name__})
    return cls.from_stored(event.model_dump())


@dataclass
class Site:
    """One service and its deployments, as gateway and builder would tell them."""

    world: World
    swarm: Swarm
    id: str = "service-1"
    name: str = "web"
    runtime: Runtime = field(default_factory=lambda: Runtime(port=8080))
    hidden: tuple[str, ...] | None = ()
    """Its secret values."""

    @property
    def settings(self) -> ApplicationSettings:
        return ApplicationSettings(source=ImageSource(image="web:1"), runtime=self.runtime)

    async def create(self) -> None:
        event = ServiceCreated(
            project=PROJECT, environment=ENVIRONMENT, name=self.name, settings=self.settings,
            webhook_token=Sealed(key="gateway", text=""), webhook_hash="",
        )  # fmt: skip
        await fact(self.world, "service", self.id, event)

    @property
    def specification(self) -> Specification:
        return Specification(name=self.name, settings=self.settings)

    async def request(
        self, deployment: str, *, limits: Limits | None = None,
        trigger: Literal["manual", "restart", "start"] = "manual",
    ) -> Commit:  # fmt: skip
        """A restart repeats; a start builds, as one does that a push was kept for."""
        event = DeploymentRequested(
            kind="application",
            project=PROJECT,
            environment=ENVIRONMENT,
            service=self.id,
            specification=self.specification,
            trigger=Trigger(kind=trigger),
            repeats=Repeats(deployment="former") if trigger == "restart" else None,
            limits=limits or Limits(),
        )
        return await fact(self.world, "deployment", deployment, event)

    async def built(
        self, deployment: str, behaviour: Behaviour | None = None, **beside: Behaviour
    ) -> Commit:
        """`beside`: workloads next to its own, by name, and how their tasks behave."""
        image = self.image(deployment, behaviour or Behaviour())
        program = workloads_of(self.specification, {MAIN: image}, {})
        others = [
            Workload(name=name, image=self.image(f"{deployment}/{name}", how), aliases=(name,))
            for name, how in beside.items()
        ]
        return await self.made(deployment, *program.items, *others)

    async def made(self, deployment: str, *workloads: Workload) -> Commit:
        """What was built is a stack of these. One that is the same as before is carried over."""
        made = Workloads(items=workloads, hidden=self.hidden)
        secret = KEY.secret_for("workload digest")
        event = BuildSucceeded(
            kind="application",
            service=self.id,
            environment=ENVIRONMENT,
            workloads=tuple(shown(workload, secret) for workload in made.items),
            sealed=await seal(self.world, f"{deployment}.1", to_json(made)),
        )
        return await fact(self.world, "build", deployment, event)

    def image(self, name: str, behaviour: Behaviour) -> BuiltImage:
        """One whose tasks behave so."""
        image = BuiltImage(reference=f"sha256:{name}", node="node1", ports=(8080,))
        self.swarm.behaviours[image.reference] = behaviour
        return image

    async def deploy(
        self, deployment: str, behaviour: Behaviour | None = None, limits: Limits | None = None
    ) -> None:
        await self.request(deployment, limits=limits)
        await self.built(deployment, behaviour)

    async def stop(self, deployment: str) -> None:
        event = DeploymentStopRequested(kind="application", service=self.id, reason="cancelled")
        await fact(self.world, "deployment", deployment, event)

    async def scale(self, replicas: int, workload: str = MAIN) -> None:
        event = ServiceScaled(workload=workload, replicas=replicas)
        await fact(self.world, "service", self.id, event)

    async def stop_service(self) -> None:
        await fact(self.world, "service", self.id, ServiceStopped())

    @property
    def told(self) -> dict[str, Any]:
        """What every event of its rollout and route names."""
        return {"service": self.id, "kind": self.settings.kind}

    async def over(self, deployment: str) -> None:
        """The gateway has seen the end of it."""
        event = DeploymentCancelled(kind="application", service=self.id)
        await fact(self.world, "deployment", deployment, event)

    async def delete(self) -> None:
        event = ServiceDeletionRequested(project=PROJECT, environment=ENVIRONMENT)
        await fact(self.world, "service", self.id, event)

    # - what can be seen

    def rollout(self) -> list[str]:
        """`started d1`, … of the rollout's events so far."""
        return [
            f"{event.type.removeprefix('rollout.')} {event.deployment or ''}".strip()
            for event in self.world.events("rollout", self.id)
            if isinstance(event, RolloutEvent)
        ]

    def ends(self, deployment: str) -> list[str]:
        return [
            event.type
            for event in self.world.events("rollout", self.id)
            if isinstance(event, RolloutEvent)
            and event.deployment == deployment
            and event.type in ENDS
        ]

    async def ended(self, deployment: str, seconds: float = 120) -> str:
        await self.world.until(lambda: self.ends(deployment), seconds)
        return self.ends(deployment)[0]

    def last(self) -> RolloutEvent:
        event = self.world.events("rollout", self.id)[-1]
        assert isinstance(event, RolloutEvent)
        return event


@asynccontextmanager
async def platform(
    *, routed: bool = True, settle: float = 1.0, master: str = MASTER.private,
    swarm: Swarm | None = None,
) -> AsyncIterator[Site]:  # fmt: skip
    """A world with one service, a deployer that lives for ever and, if `routed`, a proxy."""
    world, swarm = World(), swarm or Swarm()
    site = Site(world, swarm)
    await site.create()
    running = [asyncio.create_task(deployer(world, swarm, Life(), master))]
    if routed:
        running.append(asyncio.create_task(edge(world, settle)))
    try:
        yield site
    finally:
        await end(*running)


async def end(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    for task in tasks:
        with suppress(asyncio.CancelledError):
            await task
