"""Applications over HTTP."""

import secrets

from fastapi import APIRouter
from fastapi.responses import Response
from slipway import sealing
from slipway.contracts.values import GitSource, Runtime
from slipway.kernel import ids
from slipway.kernel.envelope import Subject
from slipway.kernel.errors import Invalid

from api_gateway import names
from api_gateway.applications import domain, read, schema
from api_gateway.gateway import Gateway, RequestContext
from api_gateway.http.answers import Cursor, Limit, answer, listed, owned, page
from api_gateway.http.context import Ctx, Gate, hashed
from api_gateway.projects.domain import ENVIRONMENT, alive
from api_gateway.roles import PERMISSIONS, require

router = APIRouter(tags=["applications"])


def _build_fits(source: object, build: object) -> None:
    if build is not None and not isinstance(source, GitSource):
        raise Invalid("an image is not built; leave build away", pointer="/build")


async def show(gateway: Gateway, ctx: RequestContext, id_: str, status: int = 200) -> Response:
    document = await owned(gateway, ctx, "application", id_, "application")
    hook = ctx.role is not None and "write" in PERMISSIONS[ctx.role]
    shown = await read.application(gateway, document, hook=hook)
    return answer(ctx, shown, status, version=document["version"])


@router.post("/v1/environments/{id_}/applications", status_code=201)
async def create(id_: str, body: schema.NewApplication, gateway: Gate, ctx: Ctx) -> Response:
    require(ctx.role, "write")
    environment = await owned(gateway, ctx, "environment", id_, "environment")
    application = ids.derived(ctx.id, "application")
    if await gateway.replayed(ctx, Subject(ctx.organization, "application", application)):
        return await show(gateway, ctx, application, 201)
    parent = await gateway.state(ENVIRONMENT, ctx.organization, id_)
    alive("environment", parent.phase)
    source, build = schema.source_of(body.source), schema.build_of(body.build)
    _build_fits(source, build)
    token = secrets.token_urlsafe(24)
    public = sealing.public_of(gateway.settings.gateway_key.get_secret_value())
    command = domain.Create(
        project=environment["state"]["project"],
        environment=id_,
        name=body.name,
        source=source,
        build=build,
        runtime=schema.runtime_of(body, Runtime()),
        webhook_token=sealing.seal(public, "gateway", token, f"application/{application}/webhook"),
        webhook_hash=hashed(token),
    )
    await names.claim(gateway, ctx, id_, body.name, "application", application)
    await gateway.handle(ctx, domain.APPLICATION, application, command)
    return await show(gateway, ctx, application, 201)


@router.get("/v1/environments/{id_}/applications")
async def applications(
    id_: str, gateway: Gate, ctx: Ctx, limit: Limit = 50, cursor: Cursor = None
) -> Response:
    require(ctx.role, "read")
    await owned(gateway, ctx, "environment", id_, "environment")
    where = {"state.environment": id_, "state.phase": ["active", "deleting"]}
    found = await page(gateway, "application", where, cursor, limit)
    hook = ctx.role is not None and "write" in PERMISSIONS[ctx.role]
    items = [await read.application(gateway, item, hook=hook) for item in found.items]
    return answer(ctx, listed(items, found.next))


@router.get("/v1/applications/{id_}")
async def application(id_: str, gateway: Gate, ctx: Ctx) -> Response:
    require(ctx.role, "read")
    return await show(gateway, ctx, id_)


@router.patch("/v1/applications/{id_}")
async def change(id_: str, body: schema.ChangedApplication, gateway: Gate, ctx: Ctx) -> Response:
    """`replicas` act at once, everything else with the next deployment."""
    require(ctx.role, "write")
    await owned(gateway, ctx, "application", id_, "application")
    state = await gateway.state(domain.APPLICATION, ctx.organization, id_)
    source = schema.source_of(body.source) if body.source else None
    build = schema.build_of(body.build)
    _build_fits(source or state.source, build)
    secret = None
    if body.webhook_secret is not None:
        public = sealing.public_of(gateway.settings.gateway_key.get_secret_value())
        place = f"application/{id_}/webhook-secret"
        secret = sealing.seal(public, "gateway", body.webhook_secret, place)
    command = domain.Configure(
        source=source,
        build=build,
        runtime=schema.runtime_of(body, state.runtime),
        replicas=body.replicas,
        webhook_secret=secret,
    )
    await gateway.handle(ctx, domain.APPLICATION, id_, command)
    return await show(gateway, ctx, id_)


@router.delete("/v1/applications/{id_}", status_code=202)
async def delete(id_: str, gateway: Gate, ctx: Ctx) -> Response:
    """Begins; it is shown as deleting until nothing of it is left."""
    require(ctx.role, "write")
    await owned(gateway, ctx, "application", id_, "application")
    await gateway.handle(ctx, domain.APPLICATION, id_, domain.RequestDeletion())
    return answer(ctx, {"id": id_, "status": "deleting"}, 202)
