"""Where git servers announce pushes."""

import orjson
from fastapi import APIRouter, Request
from fastapi.responses import Response
from slipway import sealing
from slipway.contracts.deployment import Trigger
from slipway.contracts.values import GitSource, Sealed
from slipway.kernel import ids
from slipway.kernel.envelope import Actor, Subject
from slipway.kernel.errors import Forbidden, Invalid, NotFound

from api_gateway.deployments.request import living, request, specification
from api_gateway.gateway import RequestContext, digest
from api_gateway.http.answers import answer
from api_gateway.http.context import Gate, address_of, hashed
from api_gateway.webhooks.push import kind, parse, signed

router = APIRouter(tags=["webhooks"])
_UNFAILED = {"open", "succeeded"}


@router.post("/v1/webhooks/git/{token}", status_code=202)
async def push(token: str, incoming: Request, gateway: Gate) -> Response:
    """A push on the application's branch requests a deployment, once for each delivery and
    each commit."""
    found = await gateway.documents.find(
        "application", {"state.webhook_hash": hashed(token), "state.phase": "active"}, limit=1
    )
    if not found.items:
        raise NotFound("there is nothing at this address")
    document = found.items[0]
    id_, state = document["_id"], document["state"]
    body = await incoming.body()
    if state["webhook_secret"]:
        sealed = Sealed.model_validate(state["webhook_secret"])
        private = gateway.settings.gateway_key.get_secret_value()
        secret = sealing.open_sealed(private, sealed, f"application/{id_}/webhook-secret")
        if not signed(incoming.headers, body, secret):
            raise Forbidden("the signature does not fit", hint="set the same secret on both sides")
    event = kind(incoming.headers)
    try:
        payload = orjson.loads(body)
    except ValueError:
        raise Invalid("the body is not valid JSON") from None
    delivered = parse(incoming.headers, payload)
    ctx = RequestContext(
        id="",
        actor=Actor("webhook", id_, address_of(incoming)),
        at=gateway.clock.now(),
        organization=document["org"],
        digest=digest(body),
    )
    if delivered is None:
        return answer(ctx, {"status": "ignored", "reason": f"a {event} event starts nothing"})
    application = await living(gateway, document["org"], id_)
    source = application.source
    if not isinstance(source, GitSource) or delivered.branch != source.branch:
        reason = f"the application follows another branch than {delivered.branch}"
        return answer(ctx, {"status": "ignored", "reason": reason})
    ctx.id = ids.derived("webhook", id_, delivered.delivery)
    made = ids.derived(ctx.id, "deployment")
    if await gateway.store.head(Subject(ctx.organization, "deployment", made)) is not None:
        return answer(ctx, {"status": "ignored", "reason": "seen before", "deployment": made})
    newest = await gateway.documents.find(
        "deployment", {"state.application": id_}, sort="first", descending=True, limit=1
    )
    for last in newest.items:
        known = last["state"]["trigger"]["commit"] or (last["state"]["commit"] or {}).get("hash")
        if known is None:
            timeline = await gateway.documents.get("timeline", last["_id"]) or {}
            known = (timeline.get("commit") or {}).get("hash")
        if known == delivered.commit and last["state"]["phase"] in _UNFAILED:
            reason = "the newest deployment has this commit"
            return answer(ctx, {"status": "ignored", "reason": reason, "deployment": last["_id"]})
    wanted = await specification(gateway, ctx.organization, id_, application)
    trigger = Trigger(kind="webhook", delivery=delivered.delivery, commit=delivered.commit)
    deployment, _ = await request(gateway, ctx, id_, application, wanted, trigger)
    return answer(ctx, {"status": "accepted", "deployment": deployment}, 202)
