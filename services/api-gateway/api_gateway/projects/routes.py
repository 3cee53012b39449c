"""Projects and environments over HTTP."""

from typing import Annotated

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import Field
from slipway.kernel import ids
from slipway.kernel.envelope import Subject

from api_gateway import names
from api_gateway.gateway import Gateway, RequestContext
from api_gateway.http.answers import Body, Cursor, Limit, answer, listed, owned, page
from api_gateway.http.context import Ctx, Gate
from api_gateway.projects import domain, read
from api_gateway.roles import require

router = APIRouter(tags=["projects"])

Name = Annotated[str, Field(min_length=1, max_length=80, pattern=r"^[^\x00-\x1f\x7f]+$")]


class NewProject(Body):
    name: Name


class NewEnvironment(Body):
    name: Name


class Renamed(Body):
    name: Name


async def _environment(
    gateway: Gateway, ctx: RequestContext, project: str, id_: str, name: str
) -> None:
    await names.claim(gateway, ctx, project, name, "environment", id_)
    command = domain.CreateEnvironment(project, name)
    await gateway.handle(ctx, domain.ENVIRONMENT, id_, command, step="environment")


@router.get("/v1/projects")
async def projects(gateway: Gate, ctx: Ctx, limit: Limit = 50, cursor: Cursor = None) -> Response:
    require(ctx.role, "read")
    where = {"org": ctx.organization, "state.phase": ["active", "deleting"]}
    found = await page(gateway, "project", where, cursor, limit)
    return answer(ctx, listed([read.project(item) for item in found.items], found.next))


@router.post("/v1/projects", status_code=201)
async def create_project(body: NewProject, gateway: Gate, ctx: Ctx) -> Response:
    require(ctx.role, "write")
    id_, production = ids.derived(ctx.id, "project"), ids.derived(ctx.id, "environment")
    await gateway.replayed(ctx, Subject(ctx.organization, "project", id_))
    command = domain.CreateProject(body.name, production)
    await gateway.handle(ctx, domain.PROJECT, id_, command)
    await _environment(gateway, ctx, id_, production, "Production")
    return await _project(gateway, ctx, id_, 201)


async def _project(gateway: Gateway, ctx: RequestContext, id_: str, status: int = 200) -> Response:
    document = await owned(gateway, ctx, "project", id_, "project")
    tree = await read.environments_of(gateway, ctx.organization, [id_])
    shown = {**read.project(document), "environments": tree[id_]}
    return answer(ctx, shown, status, version=document["version"])


@router.get("/v1/projects/{id_}")
async def project(id_: str, gateway: Gate, ctx: Ctx) -> Response:
    require(ctx.role, "read")
    return await _project(gateway, ctx, id_)


@router.patch("/v1/projects/{id_}")
async def rename_project(id_: str, body: Renamed, gateway: Gate, ctx: Ctx) -> Response:
    require(ctx.role, "write")
    await owned(gateway, ctx, "project", id_, "project")
    await gateway.handle(ctx, domain.PROJECT, id_, domain.Rename(body.name))
    return await _project(gateway, ctx, id_)


@router.delete("/v1/projects/{id_}", status_code=202)
async def delete_project(id_: str, gateway: Gate, ctx: Ctx) -> Response:
    """Begins; routes, services and networks go first, and it is shown as deleting until then."""
    require(ctx.role, "write")
    await owned(gateway, ctx, "project", id_, "project")
    await gateway.handle(ctx, domain.PROJECT, id_, domain.RequestDeletion())
    return answer(ctx, {"id": id_, "status": "deleting"}, 202)


@router.post("/v1/projects/{id_}/environments", status_code=201)
async def create_environment(id_: str, body: NewEnvironment, gateway: Gate, ctx: Ctx) -> Response:
    require(ctx.role, "write")
    await owned(gateway, ctx, "project", id_, "project")
    environment = ids.derived(ctx.id, "environment")
    if not await gateway.replayed(ctx, Subject(ctx.organization, "environment", environment)):
        parent = await gateway.state(domain.PROJECT, ctx.organization, id_)
        domain.alive("project", parent.phase)
        await _environment(gateway, ctx, id_, environment, body.name)
    return await _one(gateway, ctx, environment, 201)


async def _one(gateway: Gateway, ctx: RequestContext, id_: str, status: int = 200) -> Response:
    document = await owned(gateway, ctx, "environment", id_, "environment")
    project = document["state"]["project"]
    tree = await read.environments_of(gateway, ctx.organization, [project])
    shown = next(item for item in tree[project] if item["id"] == id_)
    return answer(ctx, shown, status, version=document["version"])


@router.get("/v1/environments/{id_}")
async def environment(id_: str, gateway: Gate, ctx: Ctx) -> Response:
    require(ctx.role, "read")
    return await _one(gateway, ctx, id_)


@router.patch("/v1/environments/{id_}")
async def rename_environment(id_: str, body: Renamed, gateway: Gate, ctx: Ctx) -> Response:
    require(ctx.role, "write")
    document = await owned(gateway, ctx, "environment", id_, "environment")
    state = document["state"]
    if body.name != state["name"]:
        if body.name.lower() != state["name"].lower():
            await names.claim(gateway, ctx, state["project"], body.name, "environment", id_)
        await gateway.handle(ctx, domain.ENVIRONMENT, id_, domain.Rename(body.name))
        if body.name.lower() != state["name"].lower():
            former = names.name_id(state["project"], state["name"])
            await gateway.handle(ctx, names.NAME, former, names.Release(id_), step="release")
    return await _one(gateway, ctx, id_)


@router.delete("/v1/environments/{id_}", status_code=202)
async def delete_environment(id_: str, gateway: Gate, ctx: Ctx) -> Response:
    require(ctx.role, "write")
    await owned(gateway, ctx, "environment", id_, "environment")
    await gateway.handle(ctx, domain.ENVIRONMENT, id_, domain.RequestDeletion())
    return answer(ctx, {"id": id_, "status": "deleting"}, 202)
