"""Deployments over HTTP."""

from typing import Annotated

from fastapi import APIRouter
from fastapi import Body as Given
from fastapi.responses import Response
from slipway.contracts.deployment import Trigger
from slipway.contracts.values import Specification

from api_gateway.applications.domain import APPLICATION, Start, Stop
from api_gateway.applications.routes import show as show_application
from api_gateway.deployments import domain, read
from api_gateway.deployments.request import (
    NothingToRunAgain,
    image_of,
    last_live,
    living,
    newest_image,
    request,
    specification,
)
from api_gateway.gateway import Gateway, RequestContext
from api_gateway.http.answers import Body, Cursor, Limit, answer, listed, owned, page
from api_gateway.http.context import Ctx, Gate
from api_gateway.roles import require

router = APIRouter(tags=["deployments"])


class NewDeployment(Body):
    build: bool = True


async def _accepted(gateway: Gateway, ctx: RequestContext, id_: str) -> Response:
    document = await owned(gateway, ctx, "deployment", id_, "deployment")
    found = (await read.shown(gateway, [document]))[0]
    return answer(ctx, found, 202, version=document["version"])


@router.post("/v1/applications/{id_}/deployments", status_code=202)
async def deploy(
    id_: str, gateway: Gate, ctx: Ctx, body: Annotated[NewDeployment | None, Given()] = None
) -> Response:
    require(ctx.role, "write")
    await owned(gateway, ctx, "application", id_, "application")
    state = await living(gateway, ctx.organization, id_)
    wanted = await specification(gateway, ctx.organization, id_, state)
    image, commit = (None, None)
    if body is not None and not body.build:
        image, commit = await newest_image(gateway, id_)
    deployment, _ = await request(
        gateway, ctx, id_, state, wanted, Trigger(kind="manual"), image=image, commit=commit
    )
    return await _accepted(gateway, ctx, deployment)


@router.get("/v1/applications/{id_}/deployments")
async def deployments(
    id_: str, gateway: Gate, ctx: Ctx, limit: Limit = 50, cursor: Cursor = None
) -> Response:
    require(ctx.role, "read")
    await owned(gateway, ctx, "application", id_, "application")
    found = await page(
        gateway, "deployment", {"state.application": id_}, cursor, limit,
        sort="first", descending=True,
    )  # fmt: skip
    return answer(ctx, listed(await read.shown(gateway, found.items), found.next))


@router.get("/v1/deployments/{id_}")
async def deployment(id_: str, gateway: Gate, ctx: Ctx) -> Response:
    require(ctx.role, "read")
    document = await owned(gateway, ctx, "deployment", id_, "deployment")
    found = (await read.shown(gateway, [document]))[0]
    return answer(ctx, found, version=document["version"])


@router.post("/v1/deployments/{id_}/cancel", status_code=202)
async def cancel(id_: str, gateway: Gate, ctx: Ctx) -> Response:
    """One that still waits ends at once; otherwise whoever does the work stops it."""
    require(ctx.role, "write")
    await owned(gateway, ctx, "deployment", id_, "deployment")
    stop = domain.RequestStop("cancelled", strict=True)
    await gateway.handle(ctx, domain.DEPLOYMENT, id_, stop)
    return await _accepted(gateway, ctx, id_)


@router.post("/v1/deployments/{id_}/rollback", status_code=202)
async def rollback(id_: str, gateway: Gate, ctx: Ctx) -> Response:
    """That whole specification again (variables, limits, image), without a build."""
    require(ctx.role, "write")
    document = await owned(gateway, ctx, "deployment", id_, "deployment")
    image, commit = await image_of(gateway, document)
    if image is None:
        raise NothingToRunAgain(
            f"this deployment never had an image: it {document['state']['phase']}",
            hint="roll back to one that was live",
        )
    application = document["state"]["application"]
    state = await living(gateway, ctx.organization, application)
    wanted = Specification.model_validate(document["state"]["specification"])
    made, _ = await request(
        gateway, ctx, application, state, wanted, Trigger(kind="rollback", of=id_),
        image=image, commit=commit,
    )  # fmt: skip
    await gateway.handle(ctx, APPLICATION, application, Start(), step="start")
    return await _accepted(gateway, ctx, made)


async def _again(gateway: Gateway, ctx: RequestContext, id_: str, trigger: Trigger) -> Response:
    state = await living(gateway, ctx.organization, id_)
    document = await last_live(gateway, id_)
    image, commit = await image_of(gateway, document)
    wanted = Specification.model_validate(document["state"]["specification"])
    made, _ = await request(gateway, ctx, id_, state, wanted, trigger, image=image, commit=commit)
    await gateway.handle(ctx, APPLICATION, id_, Start(), step="start")
    return await _accepted(gateway, ctx, made)


@router.post("/v1/applications/{id_}/restart", status_code=202)
async def restart(id_: str, gateway: Gate, ctx: Ctx) -> Response:
    """The live specification and image in new containers, without a gap."""
    require(ctx.role, "write")
    await owned(gateway, ctx, "application", id_, "application")
    return await _again(gateway, ctx, id_, Trigger(kind="restart"))


@router.post("/v1/applications/{id_}/start", status_code=202)
async def start(id_: str, gateway: Gate, ctx: Ctx) -> Response:
    require(ctx.role, "write")
    await owned(gateway, ctx, "application", id_, "application")
    return await _again(gateway, ctx, id_, Trigger(kind="start"))


@router.post("/v1/applications/{id_}/stop")
async def stop(id_: str, gateway: Gate, ctx: Ctx) -> Response:
    require(ctx.role, "write")
    await owned(gateway, ctx, "application", id_, "application")
    await gateway.handle(ctx, APPLICATION, id_, Stop())
    return await show_application(gateway, ctx, id_)
