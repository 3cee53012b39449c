"""Rollouts: each service has an actor that makes the engine equal to the log, step by step.

Whatever comes (an event of the log, of the engine, the clock) only wakes it. What it knows it
reads from the heads each time, so that it may die anywhere and begin anew.
"""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

from slipway.contracts import labels
from slipway.contracts.build import BuildSucceeded
from slipway.contracts.event import Event
from slipway.contracts.rollout import (
    DriftRepaired,
    NetworkCreated,
    Pending,
    Release,
    RolloutCancelled,
    RolloutEvent,
    RolloutFailed,
    RolloutQueued,
    RolloutReady,
    RolloutRemoved,
    RolloutScaled,
    RolloutStarted,
    RolloutState,
    RolloutStopped,
    RolloutSucceeded,
    RolloutSuperseded,
)
from slipway.contracts.service import (
    ServiceDeletionRequested,
)
from slipway.contracts.values import Failure
from slipway.contracts.variables import UnknownReference, resolve
from slipway.eventstore.lease import Lease
from slipway.eventstore.store import Commit, EventStore
from slipway.kernel.clock import Clock
from slipway.kernel.envelope import Subject
from slipway.runtime import failpoints
from slipway.runtime.append import Appender
from slipway.runtime.clock import iso
from slipway.runtime.engine import EngineAway, EngineMissing, EngineRefused
from slipway.runtime.logging import logger
from slipway.sealing import CannotOpen, Opener

from deployer.adapters.engine import Engine
from deployer.rollout import explain, facts, render
from deployer.rollout.observe import Observer, state_of
from deployer.rollout.plan import (
    Cancel,
    Create,
    Drop,
    Fail,
    Finish,
    NoteScaled,
    NoteStopped,
    Ready,
    Remove,
    Scale,
    Start,
    Step,
    Succeed,
    Wait,
    next_step,
)
from deployer.rollout.view import ServiceView, View
from deployer.settings import DeployerSettings

failpoints.register(
    "deployer.started.appended",
    "deployer.create.before",
    "deployer.create.after",
    "deployer.ready.appended",
    "deployer.succeeded.appended",
    "deployer.remove.after",
)


class Rollouts:
    def __init__(
        self,
        store: EventStore,
        engine: Engine,
        opener: Opener,
        clock: Clock,
        lease: Lease,
        settings: DeployerSettings,
    ) -> None:
        self._store, self._engine, self._opener = store, engine, opener
        self._clock, self._lease, self._settings = clock, lease, settings
        self._appender = Appender(store, clock, "deployer")
        self._wakes: dict[str, asyncio.Event] = {}
        self._group: asyncio.TaskGroup | None = None
        self._observer = Observer(store, engine, clock, settings.instance)
        self._impossible: dict[str, Failure] = {}

    # -- what wakes an actor ------------------------------------------------------------------

    async def queue(self, commit: Commit, event: BuildSucceeded) -> None:
        """Stored before the message is acknowledged: from then on the head alone tells."""
        organization, deployment = commit.subject.organization, commit.subject.id
        requested = await self._observer.requested(organization, deployment)
        subject = Subject(organization, "rollout", event.service)
        pending = Pending(deployment=deployment, sequence=requested.sequence)
        if await self._rolled_out_before(subject, requested):
            return

        def decide(head: Commit | None) -> tuple[Event, ...]:
            state = facts.queued(state_of(head), pending, event.environment)
            return () if state is None else (RolloutQueued(deployment=deployment, state=state),)

        await self._appender.append(
            subject,
            "queued",
            decide,
            cause=commit.meta.commit,
            correlation=deployment,
            since=commit.sequence,
        )

    async def _rolled_out_before(self, subject: Subject, requested: Commit) -> bool:
        """An old message came again, long after this deployment had its turn."""
        head = await self._store.head(subject)
        later = await self._store.load(requested.subject, requested.sequence)
        if not later and requested.sequence > state_of(head).highest:
            return False
        return any(
            isinstance(event, RolloutEvent) and event.deployment == requested.subject.id
            for past in await self._store.load(subject)
            for event in past.events
        )

    def wake(self, service: str) -> None:
        if service in self._wakes:
            self._wakes[service].set()

    def ensure(self, organization: str, service: str) -> None:
        """Let there be an actor, and wake it."""
        if service not in self._wakes and self._group is not None:
            self._wakes[service] = asyncio.Event()
            self._group.create_task(self._act(organization, service), name=f"rollout:{service}")
        self.wake(service)

    async def run(self) -> None:
        """For ever: actors of everything that the log knows, then of what comes."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            for head in await self._store.heads("*", "rollout"):
                if not state_of(head).removed:
                    self.ensure(head.subject.organization, head.subject.id)
            for head in await self._store.heads("*", "service"):
                if isinstance(head.events[-1], ServiceDeletionRequested):
                    self.ensure(head.subject.organization, head.subject.id)
            while True:
                try:
                    async for service in self._engine.events():
                        self.wake(service)
                except EngineAway as error:
                    logger().warning("the engine is away; trying again", error=str(error))
                    await self._clock.sleep(1.0)

    # -- one actor ----------------------------------------------------------------------------

    async def _act(self, organization: str, service: str) -> None:
        log = logger(service=service)
        wake = self._wakes[service]
        trouble = 0
        while True:
            wake.clear()
            try:
                view = await self._observer.look(organization, service)
                if view.rollout.wanted is not None:
                    why_not = self._impossible.get(view.rollout.wanted.deployment)
                    view = replace(view, impossible=why_not)
                if view.rollout.removed:
                    del self._wakes[service]
                    return
                step = next_step(view)
                wait = step.seconds if isinstance(step, Wait) else 0.0
                if wait == 0.0 and self._lease.held:
                    await self._perform(organization, service, view, step)
                trouble = 0
            except (EngineAway, EngineRefused, EngineMissing) as error:
                log.warning("the engine; trying again", error=repr(error)[:300])
                trouble += 1
                wait = min(10.0, 0.2 * 2**trouble)
                if isinstance(error, EngineAway):
                    await self._fail_late(organization, service, str(error))
            except Exception:
                log.exception("rollout step failed; trying again")
                trouble += 1
                wait = min(30.0, 0.5 * 2**trouble)
            if wait or not self._lease.held:
                try:
                    async with asyncio.timeout(wait or 0.5):
                        await wake.wait()
                except TimeoutError:
                    continue

    async def _fail_late(self, organization: str, service: str, error: str) -> None:
        """No state without an exit: also where the engine can't be looked at, a rollout ends when
        its time is over. What it left there is cleared once the engine is back."""
        subject = Subject(organization, "rollout", service)
        head = await self._store.head(subject)
        state = state_of(head)
        if head is None or state.wanted is None or state.deadline is None or not self._lease.held:
            return
        if self._clock.now() > datetime.fromisoformat(state.deadline):
            event = RolloutFailed(
                deployment=state.wanted.deployment,
                state=facts.given_up(state),
                failure=explain.engine_away(error),
            )
            await self._append(subject, head.sequence, event, "failed")

    # -- the steps ----------------------------------------------------------------------------

    async def _perform(self, organization: str, service: str, view: View, step: Step) -> None:
        state, wanted = view.rollout, view.rollout.wanted
        subject, planned = Subject(organization, "rollout", service), view.sequence
        match step:
            case Start():
                await self._start(subject, planned, state, step)
            case Drop(pending, superseded):
                kind = RolloutSuperseded if superseded else RolloutCancelled
                event = kind(deployment=pending.deployment, state=facts.dropped(state, step))
                await self._append(subject, planned, event, "dropped")
            case Create(release, replicas, repair):
                await self._create(subject, state, release, replicas)
                if repair:
                    what = f"the release of {release.deployment} was missing and was made again"
                    await self._drift(subject, what)
            case Ready(tasks) if wanted is not None:
                limits = (await self._observer.request_of(organization, wanted.deployment)).limits
                deadline = iso(self._clock.now() + timedelta(seconds=limits.route))
                after = facts.ready(state, tasks, deadline)
                event = RolloutReady(deployment=wanted.deployment, state=after)
                await self._append(subject, planned, event, "ready")
                await failpoints.hit("deployer.ready.appended")
            case Succeed() if wanted is not None:
                after = facts.succeeded(state, view.replicas)
                event = RolloutSucceeded(deployment=wanted.deployment, state=after)
                await self._append(subject, planned, event, "succeeded")
                await failpoints.hit("deployer.succeeded.appended")
            case Fail(failure) if wanted is not None:
                failure = await self._with_lines(failure, view.services.get(wanted.deployment))
                event = RolloutFailed(
                    deployment=wanted.deployment, state=facts.given_up(state), failure=failure
                )
                await self._append(subject, planned, event, "failed")
                self._impossible.pop(wanted.deployment, None)
            case Cancel() if wanted is not None:
                event = RolloutCancelled(deployment=wanted.deployment, state=facts.given_up(state))
                await self._append(subject, planned, event, "cancelled")
            case Remove(former):
                await self._engine.remove(former)
                await failpoints.hit("deployer.remove.after")
            case Scale(release, replicas):
                await self._engine.scale(release, replicas)
            case NoteScaled(replicas):
                after = state.model_copy(update={"replicas": replicas})
                event = RolloutScaled(state=after)
                await self._append(subject, planned, event, f"scaled.{replicas}")
            case NoteStopped():
                after = state.model_copy(update={"stopped": True})
                await self._append(subject, planned, RolloutStopped(state=after), "stopped")
            case Finish():
                await self._engine.remove_images(service)
                after = RolloutState(
                    environment=state.environment, highest=state.highest, removed=True
                )
                await self._append(subject, planned, RolloutRemoved(state=after), "removed")
            case _:
                pass

    async def _start(
        self, subject: Subject, planned: int, state: RolloutState, step: Start
    ) -> None:
        organization, deployment = subject.organization, step.pending.deployment
        requested = await self._observer.request_of(organization, deployment)
        build = await self._store.head(Subject(organization, "build", deployment))
        built = build.events[-1] if build else None
        if not isinstance(built, BuildSucceeded):
            raise RuntimeError(f"{deployment} is queued without an image")
        specification = requested.specification
        runtime = specification.settings.runtime
        release = Release(
            deployment=deployment,
            sequence=step.pending.sequence,
            service=labels.release(self._settings.instance, specification.name, deployment),
            image=built.image,
            specification=specification.digest(),
            port=render.port_of(specification, built.image.ports),
            settle_seconds=runtime.settle_seconds,
            drain_seconds=runtime.drain_seconds,
            health_path=runtime.health_check.path if runtime.health_check else None,
            commit=built.commit,
        )
        deadline = iso(self._clock.now() + timedelta(seconds=requested.limits.rollout))
        event = RolloutStarted(
            deployment=deployment, state=facts.started(state, step, release, deadline)
        )
        await self._append(subject, planned, event, "started")
        await failpoints.hit("deployer.started.appended")

    async def _create(
        self, subject: Subject, state: RolloutState, release: Release, replicas: int
    ) -> None:
        organization = subject.organization
        requested = await self._observer.request_of(organization, release.deployment)
        wanted = state.wanted is not None and state.wanted.deployment == release.deployment
        try:
            unseal = await self._opener.for_organization(organization)
            variables = resolve(requested.specification.variables, unseal)
        except (CannotOpen, UnknownReference) as error:
            if wanted:
                failure = explain.secrets_unreadable(str(error))
                self._impossible[release.deployment] = failure
            raise
        config = await self._engine.image_config(release.image.reference)
        network = await self._network(organization, requested.environment)
        body = render.service(
            instance=self._settings.instance,
            organization=organization,
            project=requested.project,
            environment=requested.environment,
            service=requested.service,
            network=network,
            release=release,
            specification=requested.specification,
            variables=variables,
            image_config=config or {},
            replicas=replicas,
            start_interval=await self._engine.knows_start_interval(),
        )
        await failpoints.hit("deployer.create.before")
        try:
            await self._engine.create(body)
        except EngineRefused as error:
            if wanted:
                self._impossible[release.deployment] = explain.refused(str(error))
                return
            raise
        await failpoints.hit("deployer.create.after")

    async def _network(self, organization: str, environment: str) -> str:
        name = labels.network(self._settings.instance, environment)
        marks = {labels.ORGANIZATION: organization, labels.ENVIRONMENT: environment}
        await self._engine.ensure_network(name, marks)
        subject = Subject(organization, "network", environment)

        def decide(head: Commit | None) -> tuple[Event, ...]:
            there = head is not None and isinstance(head.events[-1], NetworkCreated)
            return () if there else (NetworkCreated(name=name),)

        await self._appender.append(
            subject, "created", decide, cause=environment, correlation=environment
        )
        return name

    async def _drift(self, subject: Subject, what: str) -> None:
        logger().info("drift repaired", what=what)
        drift = Subject(subject.organization, "drift", subject.id)
        at = iso(self._clock.now())
        await self._appender.append(
            drift, "repaired", lambda _: (DriftRepaired(what=what),), cause=at, correlation=at
        )

    async def _with_lines(self, failure: Failure, service: ServiceView | None) -> Failure:
        for task in service.tasks if service else ():
            lines = await self._engine.lines(task.container)
            if lines:
                return explain.with_lines(failure, lines)
        return failure

    async def _append(self, subject: Subject, planned: int, event: RolloutEvent, step: str) -> None:
        """Only behind the state that it was planned from: whatever came meanwhile, such as one
        more in the queue, makes it plan again."""
        correlation = event.deployment or subject.id

        def decide(now: Commit | None) -> tuple[Event, ...]:
            return (event,) if (now.sequence if now else 0) == planned else ()

        await self._appender.append(
            subject,
            step,
            decide,
            cause=f"{correlation}/{planned}",
            correlation=correlation,
            since=planned,
        )
