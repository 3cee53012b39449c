"""Projects and environments over HTTP."""

import asyncio
from typing import Literal

from fastapi.responses import Response
from slipway.kernel import ids
from slipway.kernel.errors import NotFound
from slipway.readmodel.model import Document

from api_gateway import names
from api_gateway.gateway import Gateway
from api_gateway.http.answers import Cursor, Id, Limit, answer, checked_id, decoded
from api_gateway.http.context import Ctx, Gate
from api_gateway.http.routing import router as feature
from api_gateway.http.schema import Deleting, Listed
from api_gateway.projects import domain, schema
from api_gateway.projects.tree import Tree, Trees
from api_gateway.request_context import RequestContext

router = feature("projects")


@router.get("/v1/projects", response_model=Listed[schema.Project])
async def list_projects(
    gateway: Gate, ctx: Ctx, limit: Limit = 50, cursor: Cursor = None
) -> Response:
    """With their environments and services, oldest first."""
    after = decoded(cursor)
    tree = await gateway.memory(Trees).of(ctx.organization)
    items, next_ = tree.page(after, limit)
    cursor_of_next = b"null" if next_ is None else b'"%s"' % next_.encode()
    return answer(ctx, b'{"items":[%s],"next":%s}' % (b",".join(items), cursor_of_next))


@router.post("/v1/projects", status_code=201, response_model=schema.Project)
async def create_project(body: schema.NewProject, gateway: Gate, ctx: Ctx) -> Response:
    """With its first environment, Production."""
    id_, production = ids.derived(ctx.id, "project"), ids.derived(ctx.id, "environment")
    renamed = False
    if not await gateway.commands.replayed(ctx, domain.PROJECT, id_):
        ctx.precondition(0)
    else:
        made = await gateway.commands.state(domain.ENVIRONMENT, ctx.organization, production)
        renamed = made.name not in ("", "Production")
    # Side by side: what is cut off here is finished by the reaction to the project's making.
    claim = (gateway.commands, ctx, id_, "Production", domain.ENVIRONMENT, production)
    _, environment, outcome = await asyncio.gather(
        asyncio.sleep(0) if renamed else names.claim(*claim),
        _environment(gateway, ctx, id_, production, "Production"),
        gateway.commands.handle(
            ctx, domain.PROJECT, id_, domain.CreateProject(body.name, production),
            step="create", new=True,
        ),
    )  # fmt: skip
    tree = Tree(None)
    tree.put("project", outcome.document)
    tree.put("environment", environment)
    return answer(ctx, tree.project(id_), 201, version=outcome.head.version)


async def _environment(
    gateway: Gateway, ctx: RequestContext, project: str, id_: str, name: str
) -> Document:
    command = domain.CreateEnvironment(project, name)
    outcome = await gateway.commands.handle(
        ctx, domain.ENVIRONMENT, id_, command, step="environment", new=True
    )
    return outcome.document


async def _one(
    gateway: Gateway,
    ctx: RequestContext,
    kind: Literal["project", "environment"],
    id_: str,
    version: int | None = None,
) -> Response:
    """As it is in the tree. Raises NotFound."""
    tree = await gateway.memory(Trees).of(ctx.organization)
    shown = tree.project(id_) if kind == "project" else tree.environment(id_)
    if shown is None:
        raise NotFound(f"there is no such {kind}")
    return answer(ctx, shown, version=version or tree.version(kind, id_))


@router.get("/v1/projects/{id}", response_model=schema.Project)
async def get_project(id_: Id, gateway: Gate, ctx: Ctx) -> Response:
    return await _one(gateway, ctx, "project", id_)


@router.patch("/v1/projects/{id}", response_model=schema.Project)
async def change_project(id_: Id, body: schema.ChangedProject, gateway: Gate, ctx: Ctx) -> Response:
    checked_id(id_, "project")
    outcome = await gateway.commands.handle(ctx, domain.PROJECT, id_, domain.Rename(body.name))
    return await _one(gateway, ctx, "project", id_, version=outcome.head.version)


@router.delete("/v1/projects/{id}", status_code=202, response_model=Deleting)
async def delete_project(id_: Id, gateway: Gate, ctx: Ctx) -> Response:
    """Begins; routes, services and networks go first, and it is shown as deleting until then."""
    checked_id(id_, "project")
    await gateway.commands.handle(ctx, domain.PROJECT, id_, domain.RequestDeletion())
    return answer(ctx, {"id": id_, "status": "deleting"}, 202)


@router.post("/v1/projects/{id}/environments", status_code=201, response_model=schema.Environment)
async def create_environment(
    id_: Id, body: schema.NewEnvironment, gateway: Gate, ctx: Ctx
) -> Response:
    environment = ids.derived(ctx.id, "environment")
    state, head = await gateway.commands.last_seen(
        domain.PROJECT, ctx.organization, checked_id(id_, "project")
    )
    if not await gateway.commands.replayed(ctx, domain.ENVIRONMENT, environment):
        domain.alive("project", state.phase)
        ctx.precondition(head.version)
        await names.claim(gateway.commands, ctx, id_, body.name, domain.ENVIRONMENT, environment)
    document = await _environment(gateway, ctx, id_, environment, body.name)
    made = Tree(None)
    made.put("environment", document)
    return answer(ctx, made.environment(environment), 201, version=document["version"])


@router.get("/v1/environments/{id}", response_model=schema.Environment)
async def get_environment(id_: Id, gateway: Gate, ctx: Ctx) -> Response:
    return await _one(gateway, ctx, "environment", id_)


@router.patch("/v1/environments/{id}", response_model=schema.Environment)
async def change_environment(
    id_: Id, body: schema.ChangedEnvironment, gateway: Gate, ctx: Ctx
) -> Response:
    environment = domain.ENVIRONMENT
    state, _ = await gateway.commands.begin(ctx, environment, checked_id(id_, "environment"))
    domain.alive("environment", state.phase)
    async with names.moved(
        gateway.commands, ctx, state.project, (state.name,), (body.name,), environment, id_
    ):
        outcome = await gateway.commands.handle(
            ctx, domain.ENVIRONMENT, id_, domain.Rename(body.name)
        )
    return await _one(gateway, ctx, "environment", id_, version=outcome.head.version)


@router.delete("/v1/environments/{id}", status_code=202, response_model=Deleting)
async def delete_environment(id_: Id, gateway: Gate, ctx: Ctx) -> Response:
    checked_id(id_, "environment")
    await gateway.commands.handle(ctx, domain.ENVIRONMENT, id_, domain.RequestDeletion())
    return answer(ctx, {"id": id_, "status": "deleting"}, 202)
