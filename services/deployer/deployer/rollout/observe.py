"""Looks at one service: the log's heads, what came since the last look, and its releases."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from slipway.contracts.deployment import DeploymentRequested
from slipway.contracts.desired import DesiredService, evolve
from slipway.contracts.event import readable
from slipway.contracts.rollout import Release, RolloutState
from slipway.contracts.route import RouteEvent, RouteState
from slipway.contracts.values import Failure
from slipway.eventstore.store import Commit, EventStore
from slipway.kernel.clock import Clock
from slipway.kernel.envelope import Subject
from slipway.runtime.engine import EngineAway, EngineMissing, EngineRefused

from deployer.rollout import explain
from deployer.rollout.domain import Health, SwarmServiceView, View, state_of, turn
from deployer.rollout.masks import Mask, Masks
from deployer.rollout.releases import Owner, Releases

_ANSWER = 500
"""Characters of what a health check said."""


class Containers(Protocol):
    """What the engine is asked for here."""

    async def health(self, container: str) -> Health | None:
        """None when the health check said nothing bad last, or the container is gone."""
        ...

    async def holding(self, service: str) -> Mapping[str, frozenset[str]]:
        """Swarm service → what its tasks hold that have not ended, on any node."""
        ...

    async def any_containers(self, service: str) -> bool:
        """On this node, running or not."""
        ...


@dataclass(slots=True)
class Memory:
    """What is known of a service from the last look, so that the next one reads only what came
    since. Lost with the process, and read anew."""

    desired: DesiredService = field(default_factory=DesiredService)
    desired_at: int = 0
    """The sequence up to which it is folded."""
    requested: Commit | None = None
    """The request of the deployment whose turn it is."""
    stopped: bool = False
    """Whether that one was asked to stop, or has ended."""
    impossible: Failure | None = None
    """Why its release can't be made."""
    told: frozenset[str] = frozenset()
    """Containers that were told to end since that turn began."""
    said: dict[str, tuple[str, Mask, str]] = field(default_factory=dict)
    """Workload → what its health check said last, what masked it, and what is shown of it."""


async def requested(store: EventStore, organization: str, deployment: str) -> Commit:
    """The commit that holds `deployment.requested`; it never changes."""
    return (await store.load(Subject(organization, "deployment", deployment)))[0]


def request(commit: Commit) -> DeploymentRequested:
    event = commit.events[0]
    if not isinstance(event, DeploymentRequested):
        raise RuntimeError(f"{commit.subject.id} does not begin with a request")
    return event


class Observer:
    def __init__(
        self,
        store: EventStore,
        engine: Containers,
        releases: Releases,
        masks: Masks,
        clock: Clock,
    ) -> None:
        self._store, self._engine, self._releases = store, engine, releases
        self._masks, self._clock = masks, clock

    async def look(self, owner: Owner, memory: Memory) -> View:
        organization, service = owner
        head = await self._store.head(Subject(organization, "rollout", service))
        state = state_of(head.events[-1] if head else None)
        await self._follow_desired(owner, memory)
        # Before the route: one that came before the wish to stop has succeeded.
        await self._follow_turn(organization, turn(state), memory)
        route = await self._store.head(Subject(organization, "route", service))
        last = readable(route.events[-1] if route else None, RouteEvent)
        deleting = memory.desired.deleting
        away = await self._away(owner, state, deleting=deleting)
        return View(
            now=self._clock.now(),
            rollout=state,
            sequence=head.sequence if head else 0,
            there=self._releases.of(owner),
            lingering=frozenset() if away else await self._lingering(owner, state),
            away=away,
            kind=memory.desired.kind,
            replicas=memory.desired.replicas,
            stopped=memory.desired.stopped,
            deleting=deleting,
            stops=frozenset({turn(state) or ""} if memory.stopped else ()),
            route=last.state if last else RouteState(),
            route_event=last.type if last else "",
            told=memory.told,
            health={} if away else await self._health(owner, state, memory),
            containers=deleting and not away and await self._engine.any_containers(service),
            impossible=memory.impossible,
        )

    async def _away(self, owner: Owner, state: RolloutState, *, deleting: bool) -> str:
        """Why its releases can't be looked at; no error, as its deadline is to be judged."""
        if turn(state) is None and not self._leaves(owner, None if deleting else state.serving):
            self._releases.close(owner)
        elif not self._releases.away:
            try:
                await self._releases.open(owner)
            except (EngineAway, EngineRefused, EngineMissing) as error:
                return str(error) or type(error).__name__
        return self._releases.away

    def _leaves(self, owner: Owner, serving: Release | None) -> bool:
        """Something is left over that has to be seen to end: it holds something, or is to have no
        tasks."""
        kept = serving.names if serving else frozenset[str]()
        left = [found for name, found in self._releases.of(owner).items() if name not in kept]
        return any(found.holds or found.replicas == 0 for found in left)

    async def _lingering(self, owner: Owner, state: RolloutState) -> frozenset[str]:
        """What is still held by tasks whose Swarm service is gone, or is to have none. Nobody
        asks where nothing is to be begun that holds something."""
        wanted = [*(state.wanted.workloads if state.wanted else ())]
        wanted += state.serving.workloads if state.serving and not state.stopped else ()
        if not any(workload.holds for workload in wanted):
            return frozenset()
        there, holding = self._releases.of(owner), await self._engine.holding(owner[1])
        wanted_of = {name: found.replicas for name, found in there.items()}
        ending = (held for name, held in holding.items() if not wanted_of.get(name))
        return frozenset().union(*ending)

    async def _follow_desired(self, owner: Owner, memory: Memory) -> None:
        organization, service = owner
        subject = Subject(organization, "service", service)
        for commit in await self._store.load(subject, memory.desired_at):
            memory.desired = evolve(memory.desired, commit.events)
            memory.desired_at = commit.sequence

    async def _follow_turn(self, organization: str, deployment: str | None, memory: Memory) -> None:
        before = memory.requested.subject.id if memory.requested else None
        if before is not None and before != deployment:
            self._masks.drop(before)
            memory.said.clear()
        if deployment is None:
            memory.requested = None
            return
        if memory.requested is None or before != deployment:
            memory.requested = await requested(self._store, organization, deployment)
            memory.stopped, memory.impossible, memory.told = False, None, frozenset()
        if not memory.stopped:
            later = await self._store.load(memory.requested.subject, memory.requested.sequence)
            memory.stopped = bool(later)

    async def _health(self, owner: Owner, state: RolloutState, memory: Memory) -> dict[str, Health]:
        found: dict[str, Health] = {}
        there, wanted = self._releases.of(owner), state.wanted
        if wanted is None or state.reverting is not None:
            return found
        for workload in wanted.workloads:
            if workload.swarm_service not in there or workload.carried or workload.job:
                continue
            health = await self._health_of(there[workload.swarm_service])
            if health is not None and explain.silent(health):
                found[workload.name] = replace(health, answer=health.answer[:_ANSWER])
            elif health is not None:
                mask = await self._masks.of(owner[0], wanted)
                answer = await _shown(memory, workload.name, health.answer, mask)
                found[workload.name] = replace(health, answer=answer)
        return found

    async def _health_of(self, there: SwarmServiceView) -> Health | None:
        found = None
        for task in there.tasks:
            if not task.container or task.phase not in ("starting", "ended"):
                continue
            try:
                health = await self._engine.health(task.container)
            except EngineAway:
                continue  # its deadline goes on
            if health is not None and health.unhealthy:
                return health
            found = found or health
        return found


async def _shown(memory: Memory, workload: str, answer: str, mask: Mask) -> str:
    """Masked before it is cut: half a secret is one too. And once: it is looked at twice a
    second."""
    before = memory.said.get(workload)
    if before is None or before[:2] != (answer, mask):
        masked = await asyncio.to_thread(mask, answer)
        before = memory.said[workload] = (answer, mask, masked[:_ANSWER])
    return before[2]
