"""The process manager: whenever an outcome is appended, the deployment ends with it, once.

It alone writes ends. Builder, deployer and proxy-sync go on by themselves while it is away.
"""

import asyncio
from datetime import datetime, timedelta
from typing import Any

from slipway.contracts.build import BuildCancelled, BuildFailed
from slipway.contracts.deployment import DeploymentRequested, DeploymentStopRequested, Limits
from slipway.contracts.event import Event
from slipway.contracts.rollout import (
    RolloutCancelled,
    RolloutFailed,
    RolloutRemoved,
    RolloutSucceeded,
    RolloutSuperseded,
)
from slipway.contracts.values import Failure
from slipway.eventstore.store import Commit
from slipway.kernel import ids
from slipway.kernel.envelope import Actor, Subject
from slipway.readmodel.model import Away
from slipway.runtime import failpoints
from slipway.runtime.logging import logger

from api_gateway.deployments.domain import (
    DEPLOYMENT,
    Fail,
    RequestStop,
    Stopped,
    StopReason,
    Succeed,
)
from api_gateway.gateway import Gateway, RequestContext
from api_gateway.http.answers import everything

failpoints.register("api-gateway.deployment.before_end", "api-gateway.deployment.after_end")
_SILENT = timedelta(seconds=60)


async def _handle(
    gateway: Gateway, ctx: RequestContext, organization: str, id_: str, command: Any, step: str
) -> None:
    await gateway.handle(ctx, DEPLOYMENT, id_, command, step=step, organization=organization)


async def _end(gateway: Gateway, cause: Commit, id_: str, command: Any) -> None:
    await failpoints.hit("api-gateway.deployment.before_end")
    ctx = gateway.service_context(cause)
    await _handle(gateway, ctx, cause.subject.organization, id_, command, "end")
    await failpoints.hit("api-gateway.deployment.after_end")


async def react(gateway: Gateway, commit: Commit) -> None:
    for event in commit.events:
        await _react(gateway, commit, event)


async def _react(gateway: Gateway, commit: Commit, event: Event) -> None:
    id_ = commit.subject.id
    match event:
        case DeploymentRequested():
            await _supersede_earlier(gateway, commit, event)
        case DeploymentStopRequested():
            # What nobody has begun ends at once; its holder speaks for everything else.
            if not await _begun(gateway, commit.subject.organization, id_):
                await _end(gateway, commit, id_, Stopped())
        case BuildFailed():
            await _end(gateway, commit, id_, Fail(event.failure))
        case BuildCancelled():
            await _end(gateway, commit, id_, Stopped(otherwise="cancelled"))
        case RolloutSucceeded() if event.deployment and event.state.serving:
            release = event.state.serving
            # Who sees that it is live and asks for a restart means this one, not the former.
            await gateway.projector.wait_for(commit.sequence, 2.0)
            await _end(gateway, commit, event.deployment, Succeed(release.image, release.commit))
        case RolloutFailed() if event.deployment:
            await _end(gateway, commit, event.deployment, Fail(event.failure))
        case RolloutCancelled() | RolloutSuperseded() if event.deployment:
            await _end(gateway, commit, event.deployment, Stopped())
        case RolloutRemoved():
            await stop_all(gateway, commit, commit.subject.id)
        case _:
            pass


async def _begun(gateway: Gateway, organization: str, id_: str) -> bool:
    return await gateway.store.head(Subject(organization, "build", id_)) is not None


async def _open_of(gateway: Gateway, service: str) -> list[dict[str, Any]]:
    where = {"state.service": service, "state.phase": "open"}
    return await everything(gateway, "deployment", where)


async def _supersede_earlier(
    gateway: Gateway, commit: Commit, requested: DeploymentRequested
) -> None:
    """A push takes the place of those that wait; a rollback, start or restart of all earlier."""
    await gateway.views_hold(commit)
    ctx = gateway.service_context(commit)
    for document in await _open_of(gateway, requested.service):
        if document["first"] >= commit.sequence:
            continue
        begun = await _begun(gateway, document["org"], document["_id"])
        if begun and not requested.stops_earlier:
            continue
        stop = RequestStop("superseded")
        await _handle(gateway, ctx, document["org"], document["_id"], stop, "supersede")


async def stop_all(
    gateway: Gateway, cause: Commit, service: str, reason: StopReason = "cancelled"
) -> None:
    """Every open deployment of a service is asked to stop."""
    await gateway.views_hold(cause)
    ctx = gateway.service_context(cause, "stop")
    for document in await _open_of(gateway, service):
        organization, id_ = document["org"], document["_id"]
        await _handle(gateway, ctx, organization, id_, RequestStop(reason), "stop")


def overdue(document: dict[str, Any], timeline: dict[str, Any], now: datetime) -> str | None:
    """The service that a deployment has waited for too long, or None. The holders keep their own
    deadlines; this is for a holder that is silent."""
    marks = timeline["marks"]
    limits = Limits.model_validate(document["state"]["limits"])
    since = marks.get("deployment.requested", document["created_at"])
    allowed, service = limits.queue, "builder"
    if "build.started" in marks:
        since, allowed = marks["build.started"], limits.build + 30
    if "build.succeeded" in marks:
        since, service = marks["build.succeeded"], "deployer"
        allowed = limits.queue + limits.rollout + limits.route + 30
    if "rollout.started" in marks:
        since, allowed = marks["rollout.started"], limits.rollout + limits.route + 30
    if "rollout.ready" in marks:
        since, service = marks["rollout.ready"], "proxy-sync"
        allowed = limits.route + 60
    late = now - datetime.fromisoformat(since) > timedelta(seconds=allowed)
    return service if late else None


async def watch_deadlines(gateway: Gateway) -> None:
    """For ever: judged only once everything appended so far is folded."""
    while True:
        await gateway.clock.sleep(5.0)
        try:
            if await gateway.projector.wait_for(await gateway.store.last_sequence(), 2.0):
                await _judge(gateway)
        except Away:
            continue
        except Exception:
            logger().exception("deadlines could not be judged; trying again")
            await asyncio.sleep(5)


async def _judge(gateway: Gateway) -> None:
    now = gateway.clock.now()
    documents = await everything(gateway, "deployment", {"state.phase": "open"})
    timelines = await gateway.documents.get_many("timeline", [d["_id"] for d in documents])
    for document in documents:
        timeline = timelines.get(document["_id"])
        if timeline is None or (service := overdue(document, timeline, now)) is None:
            continue
        id_ = document["_id"]
        ctx = RequestContext(
            id=ids.derived("deadline", id_),
            actor=Actor("service", "api-gateway"),
            at=now,
            organization=document["org"],
        )
        asked = timeline["marks"].get("deployment.stop_requested")
        if asked is None:
            await _handle(gateway, ctx, ctx.organization, id_, RequestStop("expired"), "expire")
        elif now - datetime.fromisoformat(asked) > _SILENT:
            failure = Failure(
                reason="expired",
                detail=f"the {service} did not answer in the time the deployment was given",
                hint=f"look whether the service {service} runs and what its log says",
            )
            await _handle(gateway, ctx, ctx.organization, id_, Stopped(failure, "expired"), "end")
