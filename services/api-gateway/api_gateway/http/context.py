"""Who asks: sessions and tokens into a RequestContext, and whether they may."""

import hashlib
import re
from datetime import datetime
from typing import Annotated
from urllib.parse import urlsplit
from uuid import uuid4

from fastapi import Depends, Request
from slipway.kernel import ids
from slipway.kernel.envelope import Actor
from slipway.kernel.errors import Forbidden, Invalid, NotFound, Unauthenticated

from api_gateway.gateway import Gateway
from api_gateway.request_context import NOWHERE, RequestContext
from api_gateway.roles import require

COOKIE = "slipway_session"
_SAFE = {"GET", "HEAD", "OPTIONS"}
_KEY = re.compile(r"[\x21-\x7e]{1,200}")
_NUMBER = re.compile(r"[0-9]{1,18}")


async def gateway_of(request: Request) -> Gateway:
    return request.app.state.gateway


Gate = Annotated[Gateway, Depends(gateway_of)]


def hashed(secret: str) -> str:
    """Tokens are random, so a plain hash is enough to find and to keep them."""
    return hashlib.sha256(secret.encode()).hexdigest()


def address_of(request: Request) -> str | None:
    """The caller's address. Only Traefik reaches this service, and it names the caller last."""
    forwarded = request.headers.get("x-forwarded-for")
    if forwarded:
        return forwarded.rpartition(",")[2].strip()[:64]
    return request.client.host if request.client else None


def number(text: str, pointer: str, detail: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise Invalid(detail, pointer=pointer)
    return int(text)


async def _by_token(
    gateway: Gateway, request: Request, secret: str, at: datetime
) -> RequestContext:
    token = await gateway.credentials.token(hashed(secret))
    if token is None or token["state"]["revoked"]:
        raise Unauthenticated("this token is not known, or was revoked")
    state = token["state"]
    if state["expires_at"] and datetime.fromisoformat(state["expires_at"]) <= at:
        raise Unauthenticated(f"this token expired at {state['expires_at']}")
    user = await gateway.credentials.user(state["created_by"])
    return RequestContext(
        id="",
        actor=Actor("token", token["_id"], address_of(request)),
        at=at,
        organization=token["org"],
        role=state["role"],
        operator=bool(user and user["state"]["operator"] and state["role"] == "owner"),
    )


async def _by_session(
    gateway: Gateway, request: Request, secret: str, at: datetime
) -> RequestContext:
    found = await gateway.credentials.session(hashed(secret))
    session = found["state"] if found else None
    if session is None or session["closed"] or datetime.fromisoformat(session["expires_at"]) <= at:
        raise Unauthenticated("this session has ended; sign in again")
    if request.method not in _SAFE:
        _same_site(request)
    user = await gateway.credentials.user(session["user"])
    return RequestContext(
        id="",
        actor=Actor("user", session["user"], address_of(request)),
        at=at,
        user=session["user"],
        operator=bool(user and user["state"]["operator"]),
    )


def _same_site(request: Request) -> None:
    """A cookie is sent along by any page: what changes something must come from our own."""
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    foreign = origin is not None and urlsplit(origin).netloc != request.headers.get("host", "")
    if (site and site not in ("same-origin", "none")) or foreign:
        raise Forbidden("this request comes from another site")


async def _authenticated(gateway: Gateway, request: Request) -> RequestContext:
    at = gateway.clock.now()
    authorization = request.headers.get("authorization")
    if authorization is not None:
        scheme, _, secret = authorization.partition(" ")
        if scheme.lower() != "bearer" or not secret:
            raise Unauthenticated("the Authorization header has to be: Bearer <token>")
        return await _by_token(gateway, request, secret.strip(), at)
    if cookie := request.cookies.get(COOKIE):
        return await _by_session(gateway, request, cookie, at)
    raise Unauthenticated(
        "sign in, or send a token", hint="Authorization: Bearer <token>; POST /v1/sessions"
    )


async def _choose_organization(gateway: Gateway, request: Request, ctx: RequestContext) -> None:
    """A token is bound to its organization; a person chooses, or has only one."""
    wanted = request.headers.get("slipway-organization") or request.query_params.get("organization")
    if ctx.user is None:
        if wanted is not None and wanted != ctx.organization:
            raise NotFound("there is no such organization")
        return
    if wanted is None and request.scope["path"].startswith("/v1/organizations/"):
        wanted = request.path_params["id"]
    roles = await gateway.credentials.roles(ctx.user)
    if wanted is None and len(roles) == 1:
        wanted = next(iter(roles))
    if wanted is None:
        raise Invalid(
            "say which organization: you belong to several",
            pointer="Slipway-Organization",
            hint="GET /v1/organizations lists them",
        )
    if wanted not in roles:
        raise NotFound("there is no such organization")
    ctx.organization, ctx.role = wanted, roles[wanted]


async def identify(ctx: RequestContext, gateway: Gateway, request: Request) -> None:
    """The request's id: with an Idempotency-Key the same for each repeat of it."""
    key = request.headers.get("idempotency-key")
    if key is None:
        ctx.id, ctx.since = str(uuid4()), NOWHERE
        return
    if not _KEY.fullmatch(key):
        raise Invalid("has to be 1 to 200 visible characters", pointer="Idempotency-Key")
    ctx.keyed = True
    ctx.digest = gateway.own_key.digest(await request.body())
    actor = f"{ctx.actor.kind}/{ctx.actor.id}"
    ctx.id = ids.request_id(ctx.organization, actor, request.method, request.url.path, key)


def _version(if_match: str | None) -> int | None:
    if if_match is None or if_match.strip() == "*":
        return None
    text = if_match.strip().removeprefix("W/").strip('"')
    return number(text, "If-Match", "If-Match takes an ETag of this API")


async def context(request: Request, gateway: Gate) -> RequestContext:
    """Who asks, in their organization, with the right that the operation needs."""
    ctx = await _authenticated(gateway, request)
    need = request.app.state.needs[request.scope["route"].name]
    match need:
        case "nothing" | "sign-in":
            pass
        case "person":
            if ctx.user is None:
                raise Forbidden("people do this, tokens can't", hint="sign in: POST /v1/sessions")
        case "operator":
            if not ctx.operator:
                raise Forbidden("only the installation's operator does this")
        case permission:
            await _choose_organization(gateway, request, ctx)
            require(ctx.role, permission)
    if sequence := request.headers.get("slipway-sequence"):
        wanted = number(sequence, "Slipway-Sequence", "has to be a sequence of this API")
        await gateway.projector.wait_for(wanted, 2.0)
    ctx.if_match = _version(request.headers.get("if-match"))
    await identify(ctx, gateway, request)
    return ctx


Ctx = Annotated[RequestContext, Depends(context)]
