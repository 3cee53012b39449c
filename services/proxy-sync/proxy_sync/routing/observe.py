"""Looks at one service: the log's heads, what came since the last look, its domains and tasks."""

import asyncio
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from slipway.contracts.desired import DesiredService, evolve
from slipway.contracts.event import readable
from slipway.contracts.host import Bound
from slipway.contracts.rollout import RolloutEvent, RolloutState
from slipway.contracts.route import RouteEvent, RouteState
from slipway.eventstore.store import Commit, EventStore
from slipway.kernel.clock import Clock
from slipway.kernel.envelope import Subject

from proxy_sync.routing import plan
from proxy_sync.routing.domain import Answers, Routing, TaskAddress, View

_FRESH = 1.0
"""Seconds for which what was read of the log holds, where nothing said that it is older."""


class BoundHosts(Protocol):
    def of(self, service: str) -> tuple[Bound, ...]: ...


class RunningTasks(Protocol):
    def of(self, service: str) -> tuple[TaskAddress, ...]: ...


@dataclass(slots=True)
class Memory:
    """What is known of a service besides the log, and the log as it was last read. Lost with the
    process, and found again by asking."""

    desired: DesiredService = field(default_factory=DesiredService)
    desired_at: int = 0
    """The sequence up to which it is folded."""
    rollout: Commit | None = None
    route: Commit | None = None
    read_at: float = -_FRESH
    asked: dict[tuple[str, int], Answers] = field(default_factory=dict)
    asking: set[tuple[str, int]] = field(default_factory=set)
    candidate: str | None = None
    began: float = 0.0
    loaded: Routing | None = None
    confirmed: str | None = None

    def outdated(self) -> None:
        """The log has gone on."""
        self.read_at = -_FRESH

    @property
    def rollout_state(self) -> RolloutState:
        """Raises NewerRelease, as all of these."""
        last = readable(self.rollout.events[-1] if self.rollout else None, RolloutEvent)
        return last.state if last else RolloutState()

    @property
    def route_state(self) -> RouteState:
        last = self._last_of_route
        return last.state if last else RouteState()

    @property
    def route_event(self) -> str:
        last = self._last_of_route
        return last.type if last else ""

    @property
    def _last_of_route(self) -> RouteEvent | None:
        return readable(self.route.events[-1] if self.route else None, RouteEvent)


def monotonic() -> float:
    return asyncio.get_running_loop().time()


class Observer:
    def __init__(
        self, store: EventStore, hosts: BoundHosts, tasks: RunningTasks, clock: Clock
    ) -> None:
        self._store, self._hosts, self._tasks, self._clock = store, hosts, tasks, clock

    async def look(self, organization: str, service: str, memory: Memory) -> View:
        if monotonic() - memory.read_at >= _FRESH:
            await self.read(organization, service, memory)
        refused = memory.route_state.refused
        view = View(
            service=service,
            now=monotonic(),
            rollout=memory.rollout_state,
            route=memory.route_state,
            route_event=memory.route_event,
            route_failed=(refused.deployment, refused.attempt) if refused else None,
            bound=self._hosts.of(service),
            tasks=self._tasks.of(service),
            kind=memory.desired.kind,
            stopped=memory.desired.stopped,
            deleting=memory.desired.deleting,
            loaded=memory.loaded,
            waited=self.waited(memory.rollout_state),
        )
        return _remembered(view, memory)

    async def read(self, organization: str, service: str, memory: Memory) -> None:
        """The log, as far as it is not known yet. The time is that of the question: what comes
        while it is answered makes it outdated again."""
        memory.read_at = monotonic()
        memory.rollout = await self._store.head(Subject(organization, "rollout", service))
        memory.route = await self._store.head(Subject(organization, "route", service))
        subject = Subject(organization, "service", service)
        for commit in await self._store.load(subject, memory.desired_at):
            memory.desired = evolve(memory.desired, commit.events)
            memory.desired_at = commit.sequence

    def waited(self, rollout: RolloutState) -> float:
        """Seconds since the wanted release became ready; a restart does not begin them anew."""
        if not rollout.ready_at:
            return 0.0
        return (self._clock.now() - datetime.fromisoformat(rollout.ready_at)).total_seconds()


def _remembered(view: View, memory: Memory) -> View:
    there = {task.id for task in view.tasks}
    memory.asked = {key: asked for key, asked in memory.asked.items() if key[0] in there}
    release = plan.candidate(view)
    if (release and release.deployment) != memory.candidate:
        memory.candidate = release.deployment if release else None
        memory.began = view.now
        memory.confirmed = None
    return replace(view, asked=memory.asked, began=memory.began, confirmed=memory.confirmed)
