"""Setup, sessions and tokens."""

import hmac
import secrets
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Request
from fastapi.responses import Response
from limits import parse
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter
from pydantic import Field
from slipway import sealing
from slipway.contracts.organization import Role
from slipway.kernel import ids
from slipway.kernel.envelope import INSTALLATION, Actor
from slipway.kernel.errors import Forbidden, Invalid, TooMany, Unauthenticated
from slipway.runtime.clock import iso

from api_gateway.gateway import Gateway, RequestContext, digest
from api_gateway.http.answers import Body, Cursor, Limit, answer, listed, owned, page
from api_gateway.http.context import COOKIE, Ctx, Gate, Person, address_of, hashed
from api_gateway.identity import domain, passwords
from api_gateway.organizations.creation import create_organization
from api_gateway.organizations.domain import MEMBER, Add
from api_gateway.roles import at_most, require

router = APIRouter(tags=["identity"])
_limiter = MovingWindowRateLimiter(MemoryStorage())
_SIGN_IN = parse("10/minute")
_SESSION = timedelta(days=14)
_NOBODY = "$argon2id$v=19$m=65536,t=3,p=4$MTIzNDU2Nzg5MDEyMzQ1Ng$" + "A" * 43

Email = Annotated[str, Field(min_length=3, max_length=254, pattern=r"^[^@\s]+@[^@\s]+$")]
Password = Annotated[str, Field(min_length=8, max_length=200)]
Name = Annotated[str, Field(min_length=1, max_length=80)]


class Setup(Body):
    token: Annotated[str, Field(max_length=200)]
    email: Email
    password: Password
    organization: Name = "Default"


class SignIn(Body):
    email: Annotated[str, Field(max_length=254)]
    password: Annotated[str, Field(max_length=200)]


class NewToken(Body):
    name: Name
    role: Role = "developer"
    expires_at: Annotated[str | None, Field(max_length=40)] = None


def _anonymous(gateway: Gateway, request: Request, body: bytes) -> RequestContext:
    return RequestContext(
        id=ids.derived("anonymous", secrets.token_hex(16)),
        actor=Actor("setup", "setup", address_of(request)),
        at=gateway.clock.now(),
        digest=digest(body),
    )


async def _throttle(request: Request, *names: str) -> None:
    for name in (address_of(request) or "", *names):
        if not await _limiter.hit(_SIGN_IN, request.url.path, name):
            raise TooMany("too many attempts", hint="wait a minute")


@router.post("/v1/setup", status_code=201)
async def setup(body: Setup, request: Request, gateway: Gate) -> Response:
    """The first owner, who is also the operator, and the default organization. Once."""
    await _throttle(request)
    wanted = gateway.settings.setup_token.get_secret_value()
    if not wanted or not hmac.compare_digest(body.token.encode(), wanted.encode()):
        raise Forbidden("this is not the setup token", hint="it was printed at the installation")
    state = await gateway.state(domain.INSTALLATION, INSTALLATION, "main")
    if state.user is not None:
        raise domain.SetupClosed("this installation has its first owner already")
    ctx = _anonymous(gateway, request, await request.body())
    # Derived from the address alone, so that a setup which was cut off goes on where it was.
    email_id = ids.value_id("email", body.email.lower())
    user, organization = ids.derived("setup", email_id), ids.derived("setup", "organization")
    hashed_password = await passwords.hash_password(body.password)
    public = sealing.public_of(gateway.settings.gateway_key.get_secret_value())
    email = sealing.seal(public, "gateway", body.email, f"user/{user}/email")
    ctx.actor = Actor("user", user, address_of(request))
    claim = domain.ClaimEmail(user)
    await gateway.handle(ctx, domain.EMAIL, email_id, claim, organization=INSTALLATION)
    register = domain.Register(email, email_id, hashed_password, operator=True)
    await gateway.handle(ctx, domain.USER, user, register, organization=INSTALLATION)
    ctx.organization = organization
    await create_organization(gateway, ctx, organization, body.organization)
    await gateway.handle(ctx, MEMBER, user, Add(user, "owner"))
    done = domain.CompleteSetup(user, organization)
    await gateway.handle(ctx, domain.INSTALLATION, "main", done, organization=INSTALLATION)
    return answer(
        ctx,
        {
            "user": {"id": user, "email": body.email},
            "organization": {"id": organization, "name": body.organization},
        },
        201,
    )


@router.post("/v1/sessions", status_code=201)
async def sign_in(body: SignIn, request: Request, gateway: Gate) -> Response:
    email_id = ids.value_id("email", body.email.strip().lower())
    await _throttle(request, email_id)
    found = await gateway.documents.find("user", {"state.email_id": email_id}, limit=1)
    user = found.items[0] if found.items else None
    # Without such a user a hash is checked as well: the time must not tell who has an account.
    stored = user["state"]["password_hash"] if user else _NOBODY
    try:
        right = await passwords.verify(body.password, stored)
    except Exception:  # a hash of a form that is not known is no match
        right = False
    if user is None or not right:
        raise Unauthenticated("the address or the password is wrong")
    ctx = _anonymous(gateway, request, b"")
    ctx.actor = Actor("user", user["_id"], address_of(request))
    secret = secrets.token_urlsafe(32)
    expires = ctx.at + _SESSION
    session = ids.derived(ctx.id, "session")
    opened = domain.Open(user["_id"], hashed(secret), expires.isoformat())
    await gateway.handle(ctx, domain.SESSION, session, opened, organization=INSTALLATION)
    response = answer(ctx, {"id": session, "user": user["_id"], "expires_at": iso(expires)}, 201)
    secure = request.headers.get("x-forwarded-proto") == "https"
    response.set_cookie(
        COOKIE, secret, max_age=int(_SESSION.total_seconds()),
        httponly=True, samesite="lax", secure=secure,
    )  # fmt: skip
    return response


@router.delete("/v1/sessions/current", status_code=204)
async def sign_out(request: Request, gateway: Gate, ctx: Person) -> Response:
    secret = request.cookies[COOKIE]
    found = await gateway.documents.find("session", {"state.token_hash": hashed(secret)}, limit=1)
    for session in found.items:
        await gateway.handle(
            ctx, domain.SESSION, session["_id"], domain.Close(), organization=INSTALLATION
        )
    response = answer(ctx, None)
    response.delete_cookie(COOKIE)
    return response


def _token(document: dict) -> dict:
    state = document["state"]
    return {
        "id": document["_id"],
        "name": state["name"],
        "role": state["role"],
        "expires_at": state["expires_at"],
        "created_at": document["created_at"],
        "created_by": state["created_by"],
    }


@router.get("/v1/tokens")
async def tokens(gateway: Gate, ctx: Ctx, limit: Limit = 50, cursor: Cursor = None) -> Response:
    require(ctx.role, "administer")
    where = {"org": ctx.organization, "state.revoked": False}
    found = await page(gateway, "token", where, cursor, limit)
    return answer(ctx, listed([_token(item) for item in found.items], found.next))


@router.post("/v1/tokens", status_code=201)
async def create_token(body: NewToken, gateway: Gate, ctx: Ctx) -> Response:
    """The token is in this answer only; a repeat of the request answers without it."""
    require(ctx.role, "administer")
    if ctx.role is None or not at_most(body.role, ctx.role):
        raise Forbidden("nobody gives a role above their own")
    expires = None
    if body.expires_at is not None:
        try:
            moment = datetime.fromisoformat(body.expires_at)
        except ValueError:
            raise Invalid("not a time in ISO 8601", pointer="/expires_at") from None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        if moment <= ctx.at:
            raise Invalid("this time is over", pointer="/expires_at")
        expires = iso(moment)
    creator = ctx.user
    if creator is None:
        own = await owned(gateway, ctx, "token", ctx.actor.id, "token")
        creator = own["state"]["created_by"]
    id_ = ids.derived(ctx.id, "token")
    secret = f"slp_{secrets.token_urlsafe(32)}"
    command = domain.CreateToken(body.name, body.role, hashed(secret), str(creator), expires)
    outcome = await gateway.handle(ctx, domain.TOKEN, id_, command)
    document = await owned(gateway, ctx, "token", id_, "token")
    shown = _token(document)
    if outcome.state.hash == hashed(secret):
        shown["token"] = secret
    return answer(ctx, shown, 201, version=outcome.head.version)


@router.delete("/v1/tokens/{id_}", status_code=204)
async def revoke_token(id_: str, gateway: Gate, ctx: Ctx) -> Response:
    require(ctx.role, "administer")
    await owned(gateway, ctx, "token", id_, "token")
    await gateway.handle(ctx, domain.TOKEN, id_, domain.Revoke())
    return answer(ctx, None)
