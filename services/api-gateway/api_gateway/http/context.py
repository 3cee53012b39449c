"""Who asks: sessions and tokens into a RequestContext."""

import hashlib
import re
from datetime import datetime
from typing import Annotated, Any
from uuid import uuid4

from fastapi import Depends, Header, Request
from slipway.kernel import ids
from slipway.kernel.envelope import Actor
from slipway.kernel.errors import Forbidden, Invalid, NotFound, Unauthenticated

from api_gateway.gateway import Gateway, RequestContext, digest

COOKIE = "slipway_session"
_SAFE = {"GET", "HEAD", "OPTIONS"}
_KEY = re.compile(r"[\x21-\x7e]{1,200}")


def gateway_of(request: Request) -> Gateway:
    return request.app.state.gateway


Gate = Annotated[Gateway, Depends(gateway_of)]


def hashed(secret: str) -> str:
    """Tokens are random, so a plain hash is enough to find and to keep them."""
    return hashlib.sha256(secret.encode()).hexdigest()


def address_of(request: Request) -> str | None:
    """The caller's address. Only Traefik reaches this service, and it names the caller last."""
    forwarded = request.headers.get("x-forwarded-for")
    if forwarded:
        return forwarded.rpartition(",")[2].strip()
    return request.client.host if request.client else None


async def _by_token(gateway: Gateway, request: Request, secret: str, at: datetime) -> Any:
    page = await gateway.documents.find("token", {"state.hash": hashed(secret)}, limit=1)
    token = page.items[0] if page.items else None
    if token is None or token["state"]["revoked"]:
        raise Unauthenticated("this token is not known, or was revoked")
    expires = token["state"]["expires_at"]
    if expires and datetime.fromisoformat(expires) <= at:
        raise Unauthenticated(f"this token expired at {expires}")
    user = await gateway.documents.get("user", token["state"]["created_by"])
    return RequestContext(
        id="",
        actor=Actor("token", token["_id"], address_of(request)),
        at=at,
        organization=token["org"],
        role=token["state"]["role"],
        operator=bool(user and user["state"]["operator"] and token["state"]["role"] == "owner"),
    )


async def _by_session(gateway: Gateway, request: Request, secret: str, at: datetime) -> Any:
    page = await gateway.documents.find("session", {"state.token_hash": hashed(secret)}, limit=1)
    session = page.items[0]["state"] if page.items else None
    if session is None or session["closed"] or datetime.fromisoformat(session["expires_at"]) <= at:
        raise Unauthenticated("this session has ended; sign in again")
    if request.method not in _SAFE:
        _same_site(request)
    user = await gateway.documents.get("user", session["user"])
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
    own = f"{request.url.scheme}://{request.headers.get('host', '')}"
    if (site and site not in ("same-origin", "none")) or (origin and origin != own):
        raise Forbidden("this request comes from another site")


async def authenticated(
    request: Request,
    gateway: Gate,
    authorization: Annotated[str | None, Header(include_in_schema=False)] = None,
    idempotency_key: Annotated[str | None, Header(max_length=200)] = None,
    if_match: Annotated[str | None, Header()] = None,
    slipway_sequence: Annotated[int | None, Header(ge=0)] = None,
) -> RequestContext:
    """A person or a token, not yet in an organization."""
    at = gateway.clock.now()
    if slipway_sequence:
        await gateway.projector.wait_for(slipway_sequence, 2.0)
    if authorization is not None:
        scheme, _, secret = authorization.partition(" ")
        if scheme.lower() != "bearer" or not secret:
            raise Unauthenticated("the Authorization header has to be: Bearer <token>")
        ctx = await _by_token(gateway, request, secret.strip(), at)
    elif cookie := request.cookies.get(COOKIE):
        ctx = await _by_session(gateway, request, cookie, at)
    else:
        raise Unauthenticated(
            "sign in, or send a token", hint="Authorization: Bearer <token>; POST /v1/sessions"
        )
    ctx.if_match = _version(if_match)
    await _identify(ctx, request, idempotency_key)
    request.state.context = ctx
    return ctx


async def _identify(ctx: RequestContext, request: Request, key: str | None) -> None:
    ctx.digest = digest(await request.body())
    if key is None:
        ctx.id = str(uuid4())
        return
    if not _KEY.fullmatch(key):
        raise Invalid("has to be 1 to 200 visible characters", pointer="Idempotency-Key")
    ctx.keyed = True
    ctx.id = ids.request_id(
        ctx.organization, f"{ctx.actor.kind}/{ctx.actor.id}", request.method, request.url.path, key
    )


def _version(if_match: str | None) -> int | None:
    if if_match is None or if_match == "*":
        return None
    text = if_match.strip().removeprefix("W/").strip('"')
    if not text.isdigit():
        raise Invalid("If-Match takes an ETag of this API", pointer="If-Match")
    return int(text)


async def in_organization(
    request: Request,
    gateway: Gate,
    ctx: Annotated[RequestContext, Depends(authenticated)],
    slipway_organization: Annotated[str | None, Header()] = None,
    organization: str | None = None,
) -> RequestContext:
    """A token is bound to its organization; a person chooses, or has only one."""
    wanted = slipway_organization or organization
    if ctx.user is None:
        if wanted is not None and wanted != ctx.organization:
            raise NotFound("there is no such organization")
        return ctx
    members = await gateway.documents.find("member", {"state.user": ctx.user}, limit=200)
    roles = {member["org"]: member["state"]["role"] for member in members.items}
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
    if ctx.keyed:
        await _identify(ctx, request, request.headers["idempotency-key"])
    return ctx


async def a_person(ctx: Annotated[RequestContext, Depends(authenticated)]) -> RequestContext:
    if ctx.user is None:
        raise Forbidden("people do this, tokens can't", hint="sign in: POST /v1/sessions")
    return ctx


Authenticated = Annotated[RequestContext, Depends(authenticated)]
Ctx = Annotated[RequestContext, Depends(in_organization)]
Person = Annotated[RequestContext, Depends(a_person)]
