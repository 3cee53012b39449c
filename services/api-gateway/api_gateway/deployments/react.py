"""The process manager: whenever an outcome is appended, the deployment ends with it, once.

It alone writes ends. Builder, deployer and proxy-sync go on by themselves while it is away.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from slipway.contracts.build import BuildCancelled, BuildFailed, BuildSucceeded
from slipway.contracts.deployment import DeploymentRequested, DeploymentStopRequested, Limits
from slipway.contracts.event import Event
from slipway.contracts.rollout import (
    RolloutCancelled,
    RolloutEvent,
    RolloutFailed,
    RolloutRemoved,
    RolloutState,
    RolloutSucceeded,
    RolloutSuperseded,
)
from slipway.contracts.service import ServiceDeletionRequested, ServiceStopped
from slipway.contracts.values import Failure
from slipway.eventstore.store import Commit
from slipway.kernel import ids
from slipway.kernel.envelope import Actor, Subject
from slipway.runtime import failpoints
from slipway.runtime.logging import logger

from api_gateway.deployments.domain import (
    DEPLOYMENT,
    Fail,
    RequestStop,
    Stopped,
    Succeed,
    coming,
)
from api_gateway.deployments.open import Open, OpenDeployments
from api_gateway.gateway import Gateway
from api_gateway.request_context import RequestContext, service_context
from api_gateway.services.domain import SERVICE, KeepPush

failpoints.register("api-gateway.deployment.before_end", "api-gateway.deployment.after_end")
_SILENT = timedelta(seconds=60)
_ABOUT_TO_END = timedelta(minutes=3)
"""An outcome's reaction has been handled or given up after that time."""
_SELF = "api-gateway"
_SLACK = 30.0
"""Seconds beyond a holder's own deadline."""
_HELD = 1800.0
"""And more seconds for a build: so long its own time may stand still while the registry collects
(see the builder's `build/deadline.py`)."""


async def _handle(
    gateway: Gateway, ctx: RequestContext, organization: str, id_: str, command: Any, step: str
) -> None:
    await gateway.commands.handle(
        ctx, DEPLOYMENT, id_, command, step=step, organization=organization
    )


@dataclass(frozen=True, slots=True)
class Ending:
    """What whoever held the work says of it, and how the deployment ends by that."""

    deployment: str
    command: Succeed | Fail | Stopped


async def end(gateway: Gateway, cause: Commit, found: Ending) -> None:
    """By its outcome, which is in the cause; once, whoever does it."""
    await failpoints.hit("api-gateway.deployment.before_end")
    ctx = service_context(gateway.clock, cause)
    organization = cause.subject.organization
    await _handle(gateway, ctx, organization, found.deployment, found.command, "end")
    await failpoints.hit("api-gateway.deployment.after_end")


async def react(gateway: Gateway, commit: Commit) -> None:
    for event in commit.events:
        await _react(gateway, commit, event)


async def _react(gateway: Gateway, commit: Commit, event: Event) -> None:
    id_ = commit.subject.id
    match event:
        case DeploymentRequested():
            await _supersede_earlier(gateway, commit, event)
            await _end_if_stopped(gateway, commit, event)
        case DeploymentStopRequested():
            # What nobody has begun ends at once; its holder speaks for everything else.
            if not await _begun(gateway, commit.subject.organization, id_):
                await end(gateway, commit, Ending(id_, Stopped()))
        case ServiceStopped():
            await _end_those_of_stopped(gateway, commit)
        case ServiceDeletionRequested() | RolloutRemoved():
            await _stop_all(gateway, commit, commit.subject.id)
        case _:
            if (found := ending_of(commit, event)) is not None:
                await end(gateway, commit, found)


def ending_of(commit: Commit, event: Event) -> Ending | None:
    match event:
        case BuildFailed():
            return Ending(commit.subject.id, Fail(event.failure))
        case BuildCancelled():
            return Ending(commit.subject.id, Stopped(otherwise="cancelled"))
        case RolloutSucceeded() if event.deployment and event.state.serving:
            return Ending(event.deployment, Succeed(event.state.serving.commit))
        case RolloutFailed() if event.deployment:
            return Ending(event.deployment, Fail(event.failure))
        case RolloutCancelled() if event.deployment:
            return Ending(event.deployment, Stopped(otherwise="cancelled"))
        case RolloutSuperseded() if event.deployment:
            return Ending(event.deployment, Stopped())
        case _:
            return None


async def _begun(gateway: Gateway, organization: str, id_: str) -> bool:
    return await gateway.store.head(Subject(organization, "build", id_)) is not None


async def _supersede_earlier(
    gateway: Gateway, commit: Commit, requested: DeploymentRequested
) -> None:
    """A push takes the place of those that wait; a rollback, start or restart of all earlier."""
    ctx = service_context(gateway.clock, commit)
    for earlier in await gateway.memory(OpenDeployments).of(requested.service):
        if earlier.sequence >= commit.sequence:
            continue
        begun = await _begun(gateway, earlier.organization, earlier.id)
        if begun and not requested.stops_earlier:
            continue
        stop = RequestStop("superseded")
        await _handle(gateway, ctx, earlier.organization, earlier.id, stop, "supersede")


async def _stop_all(gateway: Gateway, cause: Commit, service: str) -> None:
    """Every open deployment of a service is asked to stop."""
    ctx = service_context(gateway.clock, cause, "stop")
    for found in await gateway.memory(OpenDeployments).of(service):
        stop = RequestStop("cancelled")
        await _handle(gateway, ctx, found.organization, found.id, stop, "stop")


async def _end_if_stopped(gateway: Gateway, commit: Commit, requested: DeploymentRequested) -> None:
    """It was asked for while its service was being stopped. A start comes before its request."""
    organization, service = commit.subject.organization, requested.service
    if (await gateway.commands.state(SERVICE, organization, service)).stopped:
        found = Open(organization, service, commit.subject.id, commit.sequence)
        await _end_of_stopped(gateway, commit, found)


async def _end_those_of_stopped(gateway: Gateway, stopped: Commit) -> None:
    """What was asked for later may be of a start."""
    for found in await gateway.memory(OpenDeployments).of(stopped.subject.id):
        if found.sequence < stopped.sequence:
            await _end_of_stopped(gateway, stopped, found)


async def _end_of_stopped(gateway: Gateway, cause: Commit, found: Open) -> None:
    """What was pushed is kept for the service's start, also when a start was deploying it."""
    ctx = service_context(gateway.clock, cause, found.id)
    asked = await gateway.commands.state(DEPLOYMENT, found.organization, found.id)
    if (commit := coming(asked)) is not None:
        keep = KeepPush(commit)
        await gateway.commands.handle(ctx, SERVICE, found.service, keep, step="keep")
    await _handle(gateway, ctx, found.organization, found.id, RequestStop("cancelled"), "stop")


@dataclass(frozen=True, slots=True)
class Course:
    """How far a deployment has come, as the log has it. `build` are the commits of its build,
    `rolled_at` is when the rollout was changed last."""

    id: str
    requested_at: datetime
    limits: Limits
    build: Sequence[Commit]
    rollout: RolloutState
    rolled_at: datetime | None = None


def overdue(course: Course, now: datetime) -> str | None:
    """The part of the platform that a deployment has waited for too long, or None. Whoever holds
    the work keeps its own deadline; this is for one that is silent. The whole has a deadline too,
    which no attempt and no restart renews. What has an outcome is only about to end; if not soon,
    the reaction that ends it was given up."""
    limits, rollout = course.limits, course.rollout
    began, allowed, holder = course.requested_at, limits.queue, "builder"
    if course.build:
        began, allowed = course.build[0].meta.at, limits.build + _HELD + _SLACK
        match course.build[-1].events[-1]:
            case BuildFailed() | BuildCancelled():
                return _SELF if now - course.build[-1].meta.at > _ABOUT_TO_END else None
            case BuildSucceeded():
                began, holder = course.build[-1].meta.at, "deployer"
                allowed = limits.queue + limits.rollout + limits.route + _SLACK
            case _:
                pass
    if rollout.serving is not None and rollout.serving.deployment == course.id:
        ended = course.rolled_at or began
        return _SELF if now - ended > _ABOUT_TO_END else None
    if rollout.wanted is not None and rollout.wanted.deployment == course.id and rollout.deadline:
        holder = "proxy-sync" if rollout.ready else "deployer"
        began, allowed = datetime.fromisoformat(rollout.deadline), 2 * _SLACK
        if rollout.reverting is not None:  # which has its own time, whatever was left of the whole
            return holder if now > began + timedelta(seconds=allowed) else None
    due = began + timedelta(seconds=allowed)
    last = course.requested_at + timedelta(seconds=limits.whole + 2 * _SLACK)
    return holder if now > min(due, last) else None


async def _course(gateway: Gateway, found: Open, requested: Commit, limits: Limits) -> Course:
    build = await gateway.store.load(Subject(found.organization, "build", found.id))
    head = await gateway.store.head(Subject(found.organization, "rollout", found.service))
    last = head.events[-1] if head else None
    state = last.state if isinstance(last, RolloutEvent) else RolloutState()
    rolled_at = head.meta.at if head else None
    return Course(found.id, requested.meta.at, limits, build, state, rolled_at)


async def _said(gateway: Gateway, found: Open, course: Course) -> tuple[Commit, Ending] | None:
    """The outcome that the log has of it, with the commit that holds it."""
    rollout = Subject(found.organization, "rollout", found.service)
    for commit in (*course.build, *await gateway.store.load(rollout, found.sequence)):
        for event in commit.events:
            said = ending_of(commit, event)
            if said is not None and said.deployment == found.id:
                return commit, said
    return None


async def watch_deadlines(gateway: Gateway) -> None:
    """For ever."""
    newer: set[str] = set()
    while True:
        await gateway.clock.sleep(5.0)
        for found in await _all_open(gateway):
            try:
                await _judge(gateway, found, newer)
            except Exception:  # the next one's time is over all the same
                logger().exception("a deadline could not be judged", deployment=found.id)


async def _all_open(gateway: Gateway) -> list[Open]:
    try:
        return await gateway.memory(OpenDeployments).everywhere()
    except Exception:
        logger().exception("deadlines could not be judged; trying again")
        return []


async def _judge(gateway: Gateway, found: Open, newer: set[str]) -> None:
    """`newer` has those whose request only a newer release understands: they are told once."""
    commits = await gateway.store.load(Subject(found.organization, "deployment", found.id))
    requested = commits[0].events[0]
    if not isinstance(requested, DeploymentRequested):
        if found.id not in newer:
            newer.add(found.id)
            logger().error("a newer release made this deployment", deployment=found.id)
        return
    now = gateway.clock.now()
    course = await _course(gateway, found, commits[0], requested.limits)
    if (holder := overdue(course, now)) is None:
        return
    if (said := await _said(gateway, found, course)) is not None:
        if now - said[0].meta.at > _ABOUT_TO_END:
            await end(gateway, *said)
        return
    ctx = RequestContext(
        id=ids.derived("deadline", found.id),
        actor=Actor("service", _SELF),
        at=now,
        organization=found.organization,
    )
    asked = next(
        (c.meta.at for c in commits if isinstance(c.events[0], DeploymentStopRequested)), None
    )
    if asked is None:
        await _handle(gateway, ctx, ctx.organization, found.id, RequestStop("expired"), "expire")
    elif now - asked > _SILENT:
        failure = Failure(
            reason="expired",
            detail=f"the {holder} did not answer in the time the deployment was given",
            hint=f"look whether {holder} runs and what its log says, then deploy again",
        )
        await _handle(gateway, ctx, ctx.organization, found.id, Stopped(failure, "expired"), "end")
