"""Deployments over HTTP."""

from typing import Annotated

from fastapi import Body as Given
from fastapi.responses import Response
from slipway.contracts.deployment import Trigger
from slipway.contracts.values import Specification
from slipway.readmodel.model import Document

from api_gateway.applications.domain import APPLICATION, Start, Stop, present
from api_gateway.applications.read import Application
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
from api_gateway.http.answers import Cursor, Id, Limit, answer, listed, ours, owned, page
from api_gateway.http.context import Ctx, Gate
from api_gateway.http.routing import router as feature
from api_gateway.http.schema import Body, Listed

router = feature("deployments")


class NewDeployment(Body):
    build: bool = True
    """False: the newest image again, as the application is configured now."""


async def _accepted(gateway: Gateway, ctx: RequestContext, document: Document) -> Response:
    found = (await read.shown(gateway, [document]))[0]
    return answer(ctx, found, 202, version=document["version"])


@router.post(
    "/v1/applications/{id}/deployments", status_code=202, response_model=read.Deployment
)
async def deploy(
    id_: Id, gateway: Gate, ctx: Ctx, body: Annotated[NewDeployment | None, Given()] = None
) -> Response:
    """Of the application as it is configured now. One that was stopped is started by it."""
    state = await living(gateway, ctx, id_)
    wanted = await specification(gateway, ctx.organization, id_, state)
    image, commit = (None, None)
    if body is not None and not body.build:
        image, commit = await newest_image(gateway, id_)
    made = await request(
        gateway, ctx, id_, state, wanted, Trigger(kind="manual"), image=image, commit=commit
    )
    await gateway.handle(ctx, APPLICATION, id_, Start(), step="start")
    return await _accepted(gateway, ctx, made.document)


@router.get("/v1/applications/{id}/deployments", response_model=Listed[read.Deployment])
async def list_deployments(
    id_: Id, gateway: Gate, ctx: Ctx, limit: Limit = 50, cursor: Cursor = None
) -> Response:
    """Newest first."""
    await owned(gateway, ctx, "application", id_, "application")
    found = await page(
        gateway, "deployment", {"state.application": id_}, cursor, limit,
        sort="first", descending=True,
    )  # fmt: skip
    return answer(ctx, listed(await read.shown(gateway, found.items), found.next))


@router.get("/v1/deployments/{id}", response_model=read.Deployment)
async def get_deployment(id_: Id, gateway: Gate, ctx: Ctx) -> Response:
    document = await owned(gateway, ctx, "deployment", id_, "deployment")
    found = (await read.shown(gateway, [document]))[0]
    return answer(ctx, found, version=document["version"])


@router.post("/v1/deployments/{id}/cancel", status_code=202, response_model=read.Deployment)
async def cancel_deployment(id_: Id, gateway: Gate, ctx: Ctx) -> Response:
    """One that still waits ends at once; otherwise whoever does the work stops it."""
    stop = domain.RequestStop("cancelled", strict=True)
    outcome = await gateway.handle(ctx, domain.DEPLOYMENT, ours(id_, "deployment"), stop)
    return await _accepted(gateway, ctx, outcome.document)


@router.post("/v1/deployments/{id}/rollback", status_code=202, response_model=read.Deployment)
async def roll_back(id_: Id, gateway: Gate, ctx: Ctx) -> Response:
    """That whole specification again (variables, limits, image), without a build."""
    state, head = await gateway.load(
        domain.DEPLOYMENT, ctx.organization, ours(id_, "deployment")
    )
    gateway.precondition(ctx, head)
    document = await owned(gateway, ctx, "deployment", id_, "deployment")
    if state.image is not None: ...
