"""What routing appends: the facts of one service's route."""

from typing import TypedDict

from slipway.contracts.rollout import Release
from slipway.contracts.route import (
    Refusal,
    RouteActivated,
    RouteChanged,
    RouteEvent,
    RouteFailed,
    RouteState,
    RouteWithdrawn,
)
from slipway.contracts.values import Failure, Kind
from slipway.eventstore.store import Commit, EventStore
from slipway.kernel.clock import Clock
from slipway.kernel.envelope import Subject
from slipway.runtime.append import Appender


class _About(TypedDict):
    service: str
    kind: Kind


class RouteFacts:
    """Each is appended only behind `head`, the route's last commit from which it was planned: what
    came meanwhile makes it plan again."""

    def __init__(self, store: EventStore, clock: Clock) -> None:
        self._appender = Appender(store, clock, "proxy-sync")

    async def activated(
        self, subject: Subject, kind: Kind, head: Commit | None, state: RouteState
    ) -> None:
        event = RouteActivated(**_about(subject, kind), deployment=state.deployment, state=state)
        await self._append(subject, head, event, "activated")

    async def changed(
        self, subject: Subject, kind: Kind, head: Commit | None, state: RouteState
    ) -> None:
        event = RouteChanged(**_about(subject, kind), deployment=state.deployment, state=state)
        await self._append(subject, head, event, "changed")

    async def withdrawn(
        self, subject: Subject, kind: Kind, head: Commit | None, state: RouteState
    ) -> None:
        await self._append(
            subject, head, RouteWithdrawn(**_about(subject, kind), state=state), "withdrawn"
        )

    async def failed(
        self, subject: Subject, kind: Kind, head: Commit | None, state: RouteState,
        release: Release, failure: Failure,
    ) -> None:  # fmt: skip
        """The former release serves on, or again; `state` is the route's present one."""
        refused = Refusal(deployment=release.deployment, attempt=release.attempt, failure=failure)
        event = RouteFailed(
            **_about(subject, kind),
            deployment=release.deployment,
            state=state.model_copy(update={"refused": refused}),
            failure=failure,
        )
        await self._append(subject, head, event, "failed")

    async def _append(
        self, subject: Subject, head: Commit | None, event: RouteEvent, step: str
    ) -> None:
        planned, correlation = head.sequence if head else 0, event.deployment or subject.id
        await self._appender.behind(planned, subject, step, event, correlation=correlation)


def _about(subject: Subject, kind: Kind) -> _About:
    return _About(service=subject.id, kind=kind)
