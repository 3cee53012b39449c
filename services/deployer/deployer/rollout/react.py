"""Rollouts: each service for which something is to be done has an actor that makes the engine equal
to the log, step by step.

Whatever comes (an event of the log, of the engine, the clock) only wakes it. What it knows it
reads from the log, so that it may die anywhere and begin anew.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Protocol

from slipway.contracts.build import BuildSucceeded
from slipway.contracts.event import Event, NewerRelease
from slipway.contracts.rollout import Pending, RolloutEvent, RolloutQueued
from slipway.contracts.service import ServiceDeletionRequested
from slipway.contracts.values import Failure
from slipway.eventstore.lease import Lease
from slipway.eventstore.store import Commit, EventStore
from slipway.kernel.clock import Clock
from slipway.kernel.envelope import Subject
from slipway.runtime import retry
from slipway.runtime.actor import woken
from slipway.runtime.append import Appender
from slipway.runtime.engine import EngineAway, EngineMissing, EngineRefused
from slipway.runtime.logging import logger
from slipway.runtime.trouble import Trouble

from deployer.rollout import domain, explain
from deployer.rollout.bringing import paused
from deployer.rollout.creating import Creator, EnvironmentNetworks, ServiceVolumes
from deployer.rollout.domain import resting, state_of
from deployer.rollout.observe import Containers, Memory, Observer, requested
from deployer.rollout.plan import next_step
from deployer.rollout.printed import Printed
from deployer.rollout.releases import Owner, ReleaseLists, Releases
from deployer.rollout.sealed import SealedWorkloads
from deployer.rollout.step import Rest, Wait, about
from deployer.rollout.steps import ReleaseEngine, Steps

_LOOK, _AWAY = "look", "away"


class RolloutEngine(ReleaseLists, ReleaseEngine, Containers, Protocol):
    """All that rollouts ask of the engine."""


@dataclass(slots=True)
class _Actor:
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    memory: Memory = field(default_factory=Memory)
    trouble: Trouble = field(default_factory=lambda: Trouble(longest=10.0))
    """What keeps the deployment whose turn it is."""
    aside: Trouble = field(default_factory=lambda: Trouble(longest=10.0))
    """Of all else that is done."""
    turn: str | None = None
    undoes: bool = False
    """What is being rolled out."""


class Rollouts:
    def __init__(
        self,
        store: EventStore,
        engine: RolloutEngine,
        networks: EnvironmentNetworks,
        volumes: ServiceVolumes,
        sealed: SealedWorkloads,
        printed: Printed,
        clock: Clock,
        lease: Lease,
        instance: str,
    ) -> None:
        self._store, self._lease = store, lease
        self._appender = Appender(store, clock, "deployer")
        self._actors: dict[Owner, _Actor] = {}
        self._group: asyncio.TaskGroup | None = None
        self.releases = Releases(engine, clock, lambda owner: self.ensure(*owner))
        self._observer = Observer(store, engine, self.releases, printed.masks, clock)
        creator = Creator(store, engine, networks, volumes, sealed, instance)
        self._steps = Steps(store, engine, self.releases, creator, printed, clock)

    # -- what wakes an actor ------------------------------------------------------------------

    async def queue(self, commit: Commit, event: BuildSucceeded) -> None:
        """Stored before the message is acknowledged: from then on the head alone tells."""
        organization, deployment = commit.subject.organization, commit.subject.id
        asked = await requested(self._store, organization, deployment)
        subject = Subject(organization, "rollout", event.service)
        pending = Pending(deployment=deployment, sequence=asked.sequence)
        if await self._rolled_out_before(subject, asked):
            return

        def decide(head: Commit | None) -> tuple[Event, ...]:
            state = domain.queued(_state(head), pending, event.environment)
            if state is None:
                return ()
            queued = RolloutQueued(
                service=event.service, kind=event.kind, deployment=deployment, state=state
            )
            return (queued,)

        await self._appender.append(
            subject,
            "queued",
            decide,
            cause=commit.meta.commit,
            correlation=deployment,
            since=commit.sequence,
        )

    async def _rolled_out_before(self, subject: Subject, asked: Commit) -> bool:
        """An old message came again, long after this deployment had its turn."""
        head = await self._store.head(subject)
        later = await self._store.load(asked.subject, asked.sequence)
        if not later and asked.sequence > _state(head).highest:
            return False
        return any(
            isinstance(event, RolloutEvent) and event.deployment == asked.subject.id
            for past in await self._store.load(subject, asked.sequence)
            for event in past.events
        )

    async def refuse(self, commit: Commit, event: BuildSucceeded, error: Exception) -> None:
        """A build that could not be queued, as often as it was tried."""
        deployment = commit.subject.id
        failure = explain.internal(deployment, "queue", error)
        subject = Subject(commit.subject.organization, "rollout", event.service)
        await self._steps.give_up(subject, event.kind, deployment, failure, queued=False)

    def ensure(self, organization: str, service: str) -> None:
        """Let there be an actor, and wake it."""
        owner = (organization, service)
        if owner not in self._actors and self._group is not None:
            self._actors[owner] = _Actor()
            self._group.create_task(self._act(owner), name=f"rollout:{service}")
        if owner in self._actors:
            self._actors[owner].wake.set()

    async def run(self) -> None:
        """For ever: actors of what the log says is not at rest, then of what comes. What rests has
        none: a start costs no more where a thousand services are stopped."""
        await self.releases.begin()
        async with asyncio.TaskGroup() as group:
            self._group = group
            for head in await self._store.heads("*", "rollout"):
                owner = (head.subject.organization, head.subject.id)
                if self._stirs(owner, head):
                    self.ensure(*owner)
            for head in await self._store.heads("*", "service"):
                if isinstance(head.events[-1], ServiceDeletionRequested):
                    self.ensure(head.subject.organization, head.subject.id)
            logger().info("ready", services=len(self._actors))
            group.create_task(self.releases.watch())
            group.create_task(self.releases.follow_events())

    def _stirs(self, owner: Owner, head: Commit) -> bool:
        """Whether it needs an actor from the start."""
        try:
            state = _state(head)
        except NewerRelease:
            return True  # which says that it is left alone
        return not resting(state) or self.releases.strange(owner, state.serving)

    # -- one actor ----------------------------------------------------------------------------

    async def _act(self, owner: Owner) -> None:
        """Ends when the service rests, and never by an error: what fails here is one service's. Of
        what a newer release wrote nothing follows: it rests until more is told."""
        actor = self._actors[owner]
        while True:
            actor.wake.clear()
            try:
                wait = await self._turn(owner, actor)
            except NewerRelease as error:
                logger(service=owner[1]).warning("left as it is on the engine", why=str(error))
                wait = None
            except Exception as error:
                wait = await self._troubled(owner, actor, _LOOK, error)
            if wait is None and not actor.wake.is_set():
                self.releases.close(owner)
                del self._actors[owner]
                return
            if wait:
                await woken(actor.wake, wait)

    async def _turn(self, owner: Owner, actor: _Actor) -> float | None:
        """One step. Seconds until the next one, if nothing happens before; None for rest."""
        view = await self._observer.look(owner, actor.memory)
        actor.trouble.over(_LOOK)
        turn, undoes = domain.turn(view.rollout), view.rollout.reverting is not None
        if (turn, undoes) != (actor.turn, actor.undoes):
            actor.turn, actor.undoes = turn, undoes
            actor.trouble.forget()
        step = next_step(view)
        if isinstance(step, Rest):
            return None
        if isinstance(step, Wait):
            return step.seconds
        if not self._lease.held:
            return 0.5
        name, own = type(step).__name__, about(step, view.rollout.wanted, paused(view))
        try:
            await self._steps.perform(owner, view, actor.memory, step)
        except Exception as error:
            return await self._troubled(owner, actor, name, error, own=own)
        (actor.trouble if own else actor.aside).over(name, _AWAY)
        return 0.0

    async def _troubled(
        self, owner: Owner, actor: _Actor, step: str, error: Exception, *, own: bool = True
    ) -> float:
        """How long to wait. `own`: the deployment whose turn it is can't go on without the step. It
        ends as failed when that fails again and again. What else is done (drift, a removal) has
        nothing to fail: that goes on, more and more seldom."""
        log = logger(service=owner[1], step=step)
        trouble = actor.trouble if own else actor.aside
        if isinstance(error, EngineAway) or (isinstance(error, EngineRefused) and error.fault):
            # It may go well the next time; the deadline ends a deployment that waits for that.
            trouble.met(_AWAY)
            if trouble.worth_saying(_AWAY):
                log.warning("the engine failed; trying again", error=str(error)[:300])
            return trouble.wait(_AWAY)
        # While the log is away nothing can be done: however long, it is one error.
        await retry.CONNECT.run(self._store.last_sequence)
        count = trouble.met(step)
        if trouble.worth_saying(step):
            log.error("a step failed; trying again", times=count, exc_info=error)
        if count >= Trouble.ENOUGH and actor.turn is not None and own:
            await self._give_up(owner, actor, actor.turn, step, error)
        return trouble.wait(step)

    async def _give_up(
        self, owner: Owner, actor: _Actor, deployment: str, step: str, error: Exception
    ) -> None:
        if not self._lease.held:
            return
        subject = Subject(owner[0], "rollout", owner[1])
        try:
            why = _why(deployment, step, error)
            await self._steps.give_up(subject, actor.memory.desired.kind, deployment, why)
        except Exception:
            # The gateway ends the deployment when its time is over.
            logger(service=owner[1]).exception("a rollout could not be given up; trying again")


def _why(deployment: str, step: str, error: Exception) -> Failure:
    if isinstance(error, EngineRefused | EngineMissing):
        return explain.refused(str(error))
    return explain.internal(deployment, step, error)


def _state(head: Commit | None) -> domain.RolloutState:
    return state_of(head.events[-1] if head else None)
