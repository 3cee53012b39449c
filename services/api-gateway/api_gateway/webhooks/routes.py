"""Where git servers announce pushes."""

from typing import Annotated, Literal

from fastapi import Path, Request
from fastapi.responses import Response
from slipway.contracts.deployment import Trigger
from slipway.contracts.values import Sealed
from slipway.kernel import ids
from slipway.kernel.envelope import Actor, Subject
from slipway.kernel.errors import Forbidden, NotFound
from slipway.readmodel.model import Document

from api_gateway.deployments.history import newest_first
from api_gateway.deployments.request import living, request
from api_gateway.gateway import Gateway
from api_gateway.http.answers import answer
from api_gateway.http.context import Gate, address_of, hashed
from api_gateway.http.routing import router as feature
from api_gateway.http.schema import Shown
from api_gateway.locks import Locks
from api_gateway.own_key import OwnKey
from api_gateway.request_context import RequestContext
from api_gateway.services.domain import SERVICE, KeepPush, git_source
from api_gateway.webhooks.delivery import decoded, received
from api_gateway.webhooks.push import kind, parse, signed

router = feature("webhooks")
_NOT_FAILED = ("open", "succeeded", "cancelled")
_requesting = Locks()
"""By service: of two deliveries of one commit at once the second one finds the first."""


class Received(Shown):
    """`kept`: the service is stopped, and its start deploys what was pushed."""

    status: Literal["accepted", "ignored", "kept"]
    reason: str | None = None
    deployment: str | None = None


def _ignored(reason: str, deployment: str | None = None) -> Response:
    return answer(None, {"status": "ignored", "reason": reason, "deployment": deployment})


@router.post(
    "/v1/webhooks/git/{token}",
    status_code=202,
    response_model=Received,
    responses={200: {"model": Received, "description": "It starts nothing now"}},
)
async def receive_push(token: Annotated[str, Path()], incoming: Request, gateway: Gate) -> Response:
    """A push event of GitHub or Gitea. One on the service's branch requests a deployment, once
    for each delivery and each commit; one of a stopped service is kept for its start."""
    found = await gateway.documents.find(
        "service", {"state.webhook_hash": hashed(token), "state.phase": "active"}, limit=1
    )
    if not found.items:
        raise NotFound("there is nothing at this address")
    document = found.items[0]
    id_, organization = document["_id"], document["org"]
    async with received(incoming) as body:
        if document["state"]["webhook_secret"]:
            _check(gateway.own_key, document, incoming, body)
        event = kind(incoming.headers)
        push = parse(incoming.headers, decoded(body))
    if push is None:
        return _ignored(f"a {event[:50]} event of this kind starts nothing")
    service = await living(gateway.commands, organization, id_)
    source = git_source(service.specification.settings)
    if source is None:
        return _ignored("the service has no repository")
    if (why := push.ignored(source)) is not None:
        return _ignored(why)
    ctx = RequestContext(
        id=ids.derived("webhook", id_, push.delivery),
        actor=Actor("webhook", id_, address_of(incoming)),
        at=gateway.clock.now(),
        organization=organization,
    )
    made = ids.derived(ctx.id, "deployment")
    if await gateway.store.head(Subject(organization, "deployment", made)) is not None:
        return _ignored("seen before", made)
    async with _requesting.of(id_):
        if (same := await _newest_of(gateway, organization, id_, push.commit)) is not None:
            return _ignored("the newest deployment has this commit", same)
        if service.state.stopped:
            keep = KeepPush(push.commit)
            # Sent once more it is kept again: there may have been another stop since.
            step = f"keep.{service.head.sequence}"
            stopped = await gateway.commands.handle(ctx, SERVICE, id_, keep, step=step)
            if stopped.state.stopped:
                reason = f"the service is stopped; POST /v1/services/{id_}/start deploys its branch"
                return answer(ctx, {"status": "kept", "reason": reason, "deployment": None})
        trigger = Trigger(kind="webhook", delivery=push.delivery, commit=push.commit)
        await request(gateway, ctx, service, trigger)
    return answer(ctx, {"status": "accepted", "reason": None, "deployment": made}, 202)


def _check(own_key: OwnKey, document: Document, incoming: Request, body: bytearray) -> None:
    """Raises Forbidden."""
    sealed = Sealed.from_stored(document["state"]["webhook_secret"])
    place = f"service/{document['_id']}/webhook-secret"
    if not signed(incoming.headers, body, own_key.open(sealed, place)):
        raise Forbidden("the signature does not fit", hint="set the same secret on both sides")


async def _newest_of(gateway: Gateway, organization: str, service: str, commit: str) -> str | None:
    """The newest deployment that has not failed, if that commit was announced for it or built."""
    async for found in newest_first(gateway, organization, service):
        if found.state.phase in _NOT_FAILED:
            announced = found.state.trigger.commit if found.state.trigger else None
            built = found.commit.hash if found.commit else None
            return found.id if commit in (announced, built) else None
    return None
