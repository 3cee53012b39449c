"""Setup, sessions and tokens."""

import asyncio
import hmac
import secrets
from datetime import UTC, datetime, timedelta

from fastapi import Request
from fastapi.responses import Response
from slipway.kernel import ids
from slipway.kernel.envelope import INSTALLATION, Actor
from slipway.kernel.errors import Forbidden, Invalid, NotFound, Unauthenticated
from slipway.runtime.clock import iso

from api_gateway.gateway import Gateway
from api_gateway.http.answers import Cursor, Id, Limit, answer, checked_id, listed, page
from api_gateway.http.context import COOKIE, Ctx, Gate, address_of, hashed, identify
from api_gateway.http.routing import router as feature
from api_gateway.http.schema import Listed
from api_gateway.identity import domain, passwords, schema
from api_gateway.identity.throttle import Throttle
from api_gateway.organizations.creation import create_organization
from api_gateway.organizations.domain import MEMBER, Add
from api_gateway.request_context import RequestContext
from api_gateway.roles import at_most

router = feature("identity")
_throttle = Throttle()
_setting_up = asyncio.Lock()
_SESSION = timedelta(days=14)
_NOBODY = "$argon2id$v=19$m=65536,t=3,p=4$MTIzNDU2Nzg5MDEyMzQ1Ng$" + "A" * 43


async def _anonymous(gateway: Gateway, request: Request, actor: Actor) -> RequestContext:
    ctx = RequestContext(id="", actor=actor, at=gateway.clock.now())
    await identify(ctx, gateway, request)
    return ctx


@router.post("/v1/setup", status_code=201, response_model=schema.Done)
async def setup(body: schema.Setup, request: Request, gateway: Gate) -> Response:
    """The first owner, who is also the operator, and the default organization. Once."""
    await _throttle.attempt(request, "setup")
    wanted = gateway.settings.setup_token.get_secret_value()
    if not wanted or not hmac.compare_digest(body.token.encode(), wanted.encode()):
        raise Forbidden("this is not the setup token", hint="it was printed at the installation")
    await _throttle.succeeded("setup")
    ctx = await _anonymous(gateway, request, Actor("setup", "setup", address_of(request)))
    # Derived from the address alone, so that a setup which was cut off goes on where it was.
    email_id = ids.value_id("email", body.email.lower())
    user, organization = ids.derived("setup", email_id), ids.derived("setup", "organization")
    async with _setting_up:
        if not await gateway.commands.replayed(
            ctx, domain.INSTALLATION, "main", organization=INSTALLATION
        ):
            state = await gateway.commands.state(domain.INSTALLATION, INSTALLATION, "main")
            if state.user is not None:
                raise domain.SetupClosed("this installation has its first owner already")
            await _set_up(gateway, ctx, body, email_id, user, organization)
    return answer(
        ctx,
        {
            "user": {"id": user, "email": body.email},
            "organization": {"id": organization, "name": body.organization},
        },
        201,
    )


async def _set_up(
    gateway: Gateway, ctx: RequestContext, body: schema.Setup,
    email_id: str, user: str, organization: str,
) -> None:  # fmt: skip
    hashed_password = await passwords.hash_password(body.password)
    email = gateway.own_key.seal(body.email, f"user/{user}/email")
    ctx.actor = Actor("user", user, ctx.actor.address)
    claim = domain.ClaimEmail(user)
    await gateway.commands.handle(ctx, domain.EMAIL, email_id, claim, organization=INSTALLATION)
    register = domain.Register(email, email_id, hashed_password, operator=True)
    await gateway.commands.handle(ctx, domain.USER, user, register, organization=INSTALLATION)
    ctx.organization = organization
    keys, master = gateway.keys, gateway.settings.master_public
    await create_organization(gateway.commands, keys, master, ctx, organization, body.organization)
    await gateway.commands.handle(ctx, MEMBER, user, Add(user, "owner"))
    done = domain.CompleteSetup(user, organization)
    await gateway.commands.handle(ctx, domain.INSTALLATION, "main", done, organization=INSTALLATION)


@router.post("/v1/sessions", status_code=201, response_model=schema.Session)
async def sign_in(body: schema.SignIn, request: Request, gateway: Gate) -> Response:
    email_id = ids.value_id("email", body.email.lower())
    await _throttle.attempt(request, email_id)
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
    await _throttle.succeeded(email_id)
    ctx = await _anonymous(gateway, request, Actor("user", user["_id"], address_of(request)))
    # It follows from the request's id: a repeat with the same Idempotency-Key is the same session.
    secret = gateway.own_key.secret_of(f"session/{ctx.id}".encode())
    session = ids.derived(ctx.id, "session")
    await gateway.commands.replayed(ctx, domain.SESSION, session, organization=INSTALLATION)
    expires = (ctx.at + _SESSION).isoformat()
    opened = domain.Open(user["_id"], hashed(secret), expires)
    outcome = await gateway.commands.handle(
        ctx, domain.SESSION, session, opened, organization=INSTALLATION
    )
    until = iso(datetime.fromisoformat(outcome.state.expires_at))
    response = answer(ctx, {"id": session, "user": user["_id"], "expires_at": until}, 201)
    response.set_cookie(
        COOKIE, secret, max_age=int(_SESSION.total_seconds()), httponly=True, samesite="lax",
        secure=request.headers.get("x-forwarded-proto") == "https",
    )  # fmt: skip
    return response


@router.delete("/v1/sessions/current", status_code=204)
async def sign_out(request: Request, gateway: Gate, ctx: Ctx) -> Response:
    session = await gateway.credentials.session(hashed(request.cookies[COOKIE]))
    if session is not None:
        await gateway.commands.handle(
            ctx, domain.SESSION, session["_id"], domain.Close(), organization=INSTALLATION
        )
    response = answer(ctx, None)
    response.delete_cookie(COOKIE)
    return response


@router.get("/v1/tokens", response_model=Listed[schema.Token])
async def list_tokens(
    gateway: Gate, ctx: Ctx, limit: Limit = 50, cursor: Cursor = None
) -> Response:
    where = {"org": ctx.organization, "state.revoked": False}
    found = await page(gateway.documents, "token", where, cursor, limit)
    return answer(ctx, listed([schema.token(item) for item in found.items], found.next))


@router.post("/v1/tokens", status_code=201, response_model=schema.MadeToken)
async def create_token(body: schema.NewToken, gateway: Gate, ctx: Ctx) -> Response:
    """The token is in this answer only; a repeat of the request answers without it."""
    if not at_most(body.role, ctx.role):
        raise Forbidden("nobody gives a role above their own")
    expires = _moment(body.expires_at, ctx.at) if body.expires_at is not None else None
    creator = ctx.user
    if creator is None:
        creator = (
            await gateway.commands.state(domain.TOKEN, ctx.organization, ctx.actor.id)
        ).created_by
    id_ = ids.derived(ctx.id, "token")
    if not await gateway.commands.replayed(ctx, domain.TOKEN, id_):
        ctx.precondition(0)
    secret = f"slp_{secrets.token_urlsafe(32)}"
    command = domain.CreateToken(body.name, body.role, hashed(secret), creator, expires)
    outcome = await gateway.commands.handle(ctx, domain.TOKEN, id_, command, step="create")
    shown = schema.token(outcome.document)
    if outcome.state.hash == hashed(secret):
        shown["token"] = secret
    return answer(ctx, shown, 201, version=outcome.head.version)


def _moment(text: str, now: datetime) -> str:
    try:
        moment = datetime.fromisoformat(text)
        moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise Invalid("not a time in ISO 8601", pointer="/expires_at") from None
    if moment <= now:
        raise Invalid("this time has passed", pointer="/expires_at")
    return iso(moment)


@router.delete("/v1/tokens/{id}", status_code=204)
async def revoke_token(id_: Id, gateway: Gate, ctx: Ctx) -> Response:
    outcome = await gateway.commands.handle(
        ctx, domain.TOKEN, checked_id(id_, "token"), domain.Revoke()
    )
    if not outcome.head.version:
        raise NotFound("there is no such token")
    return answer(ctx, None)
