"""Looks at one service: the log's heads, and what the engine has of it."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from slipway.contracts import labels
from slipway.contracts.deployment import DeploymentRequested
from slipway.contracts.rollout import RolloutEvent, RolloutState
from slipway.contracts.route import RouteEvent
from slipway.contracts.service import (
    ServiceDeletionRequested,
    ServiceScaled,
    ServiceStarted,
    ServiceStopped,
)
from slipway.eventstore.store import Commit, EventStore
from slipway.kernel.clock import Clock
from slipway.kernel.envelope import Subject

from deployer.adapters.engine import Engine
from deployer.rollout.view import ServiceView, View

_UNHEALTHY = 10.0
"""A release that listens and answers its health check badly for so many seconds has failed."""


def state_of(head: Commit | None) -> RolloutState:
    event: Any = head.events[-1] if head else None
    return event.state if isinstance(event, RolloutEvent) else RolloutState()


class Observer:
    def __init__(self, store: EventStore, engine: Engine, clock: Clock, instance: str) -> None:
        self._store, self._engine, self._clock = store, engine, clock
        self._instance = instance
        self._requests: dict[str, Commit] = {}
        self._unhealthy: dict[str, datetime] = {}

    async def look(self, organization: str, service: str) -> View:
        head = await self._store.head(Subject(organization, "rollout", service))
        state = state_of(head)
        replicas, stopped, deleting = 1, False, False
        created = None
        for commit in await self._store.load(Subject(organization, "service", service)):
            for event in commit.events:
                created = created or event
                match event:
                    case ServiceScaled():
                        replicas = event.replicas
                    case ServiceStopped():
                        stopped = True
                    case ServiceStarted():
                        stopped = False
                    case ServiceDeletionRequested():
                        deleting = True
                    case _:
                        pass
        environment = state.environment or getattr(created, "environment", "")
        # Before the route: one that came before the wish to stop has succeeded.
        stops = await self._stops(organization, state)
        route = await self._store.head(Subject(organization, "route", service))
        last = route.events[-1] if route else None
        network = labels.network(self._instance, environment)
        services = await self._engine.services(service, network)
        view = View(
            now=self._clock.now(),
            rollout=state,
            sequence=head.sequence if head else 0,
            services=services,
            replicas=replicas,
            stopped=stopped,
            deleting=deleting,
            stops=stops,
            unhealthy=await self._answers(state, services),
            containers=deleting and await self._engine.any_containers(service),
        )
        if isinstance(last, RouteEvent):
            return replace(view, route=last.state, route_event=last.type)
        return view

    async def _stops(self, organization: str, state: RolloutState) -> frozenset[str]:
        stops = set()
        open_ = [item.deployment for item in state.queue]
        for deployment in [*open_, *([state.wanted.deployment] if state.wanted else [])]:
            requested = await self.requested(organization, deployment)
            if await self._store.load(requested.subject, requested.sequence):
                stops.add(deployment)
        return frozenset(stops)

    async def _answers(self, state: RolloutState, services: Mapping[str, ServiceView]) -> str:
        """What a wanted release that listens has answered badly for too long."""
        wanted = state.wanted
        service = services.get(wanted.deployment) if wanted else None
        if wanted is None or service is None or state.ready:
            return ""
        for task in service.tasks:
            if task.phase == "starting" and task.container:
                output = await self._engine.health_answers(task.container)
                if "answered" in output:
                    since = self._unhealthy.setdefault(wanted.deployment, self._clock.now())
                    late = (self._clock.now() - since).total_seconds() >= _UNHEALTHY
                    return f"{output}, for {_UNHEALTHY:.0f} s" if late else ""
        self._unhealthy.pop(wanted.deployment, None)
        return ""

    async def requested(self, organization: str, deployment: str) -> Commit:
        """The commit that holds `deployment.requested`; it never changes."""
        if deployment not in self._requests:
            commits = await self._store.load(Subject(organization, "deployment", deployment))
            if len(self._requests) > 2000:
                self._requests.clear()
            self._requests[deployment] = commits[0]
        return self._requests[deployment]

    async def request_of(self, organization: str, deployment: str) -> DeploymentRequested:
        event = (await self.requested(organization, deployment)).events[0]
        if not isinstance(event, DeploymentRequested):
            raise RuntimeError(f"{deployment} does not begin with a request")
        return event
