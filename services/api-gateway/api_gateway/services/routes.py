"""Services over HTTP."""

import secrets
from typing import Annotated

from fastapi import Depends, Query
from fastapi.responses import Response
from slipway import sealing
from slipway.contracts.reached import names as reached_names
from slipway.contracts.values import NamedKind, PublishedPort, Sealed, Settings, file_place
from slipway.kernel import ids
from slipway.kernel.errors import NotFound
from slipway.readmodel.model import Document

from api_gateway import names, ports
from api_gateway.commands import still_there
from api_gateway.deployments import carried
from api_gateway.gateway import Gateway
from api_gateway.http.answers import Cursor, Id, Limit, answer, checked_id, decoded, listed, owned
from api_gateway.http.context import Ctx, Gate, hashed
from api_gateway.http.routing import router as feature
from api_gateway.http.schema import Deleting, Listed, given
from api_gateway.organizations.domain import ORGANIZATION
from api_gateway.projects.domain import ENVIRONMENT, alive
from api_gateway.projects.tree import ServiceStatus, Trees, Wanted
from api_gateway.request_context import RequestContext
from api_gateway.roles import may
from api_gateway.services import consistent, domain, kinds, read, schema
from api_gateway.services.domain import SERVICE
from api_gateway.services.resources import Seal

router = feature("services")
Filter = Annotated[str | None, Query(max_length=100)]


async def show(
    gateway: Gateway, ctx: RequestContext, document: Document, status: int = 200
) -> Response:
    hook = may(ctx.role, "write")
    shown = (await read.services(gateway, [document], hook=hook))[0]
    return answer(ctx, shown, status, version=document["version"])


_only_named = [Depends(kinds.only_named)]


@router.post(
    "/v1/environments/{id}/services",
    status_code=201, response_model=read.Service, dependencies=_only_named,
)  # fmt: skip
async def create_service(id_: Id, body: kinds.NewService, gateway: Gate, ctx: Ctx) -> Response:
    service = ids.derived(ctx.id, "service")
    parent, head = await gateway.commands.last_seen(
        ENVIRONMENT, ctx.organization, checked_id(id_, "environment")
    )
    if await gateway.commands.replayed(ctx, SERVICE, service):
        return await show(gateway, ctx, await _document(gateway, ctx, service), 201)
    alive("environment", parent.phase)
    ctx.precondition(head.version)
    settings = kinds.settings_of(body, seal=await _seal(gateway, ctx))
    domain.agree(settings)
    schema.not_too_large(settings)
    claims = await _free_ports(gateway, ctx, service, settings)
    token = secrets.token_urlsafe(24)
    command = domain.Create(
        project=parent.project,
        environment=id_,
        name=body.name,
        settings=settings,
        webhook_token=gateway.own_key.seal(token, f"service/{service}/webhook"),
        webhook_hash=hashed(token),
    )
    reached, reach = domain.reached(body.name, settings), carried.reach(gateway, ctx.organization)
    await names.claim_all(gateway.commands, ctx, id_, reached, SERVICE, service, reach)
    await ports.claim(gateway.commands, ctx, claims)
    outcome = await gateway.commands.handle(ctx, SERVICE, service, command, step="create", new=True)
    shown = read.service(gateway, outcome.document, hook=True)
    return answer(ctx, shown, 201, version=outcome.head.version)


async def _seal(gateway: Gateway, ctx: RequestContext) -> Seal:
    organization, _ = await gateway.commands.last_seen(
        ORGANIZATION, ctx.organization, ctx.organization
    )

    def seal(path: str, content: str) -> Sealed:
        place = sealing.place(ctx.organization, "service", file_place(path))
        return sealing.seal(organization.key, ctx.organization, content, place)

    return seal


def _dropped(former: Settings | None, settings: Settings | None) -> list[PublishedPort]:
    """The ports of the host that the former settings have, and these have not."""
    kept = {port.on_host for port in settings.published} if settings else set[str]()
    return [port for port in (former.published if former else ()) if port.on_host not in kept]


async def _free_ports(
    gateway: Gateway, ctx: RequestContext, service: str, settings: Settings | None
) -> list[ports.Claim]:
    """Also of those that it has: another request may be giving them back. Raises PortTaken."""
    named = consistent.published(settings) if settings else []
    holds, own = carried.port_holders(gateway), gateway.settings.own_ports
    return await ports.free(gateway.commands, ctx, service, named, holds, own)


async def _document(gateway: Gateway, ctx: RequestContext, id_: str) -> Document:
    document = await owned(gateway.documents, ctx, "service", id_, "service")
    if document["state"]["settings"] is None:
        raise NotFound("a newer release made this service, and this one can't show it")
    return document


async def _page(
    gateway: Gateway, ctx: RequestContext, wanted: Wanted, limit: int, cursor: str | None
) -> Response:
    tree = await gateway.memory(Trees).of(ctx.organization)
    places, next_ = tree.services(wanted, decoded(cursor), limit)
    documents = await gateway.documents.get_many("service", places)
    found = [documents[id_] for id_ in places if id_ in documents]
    items = await read.services(gateway, found, hook=may(ctx.role, "write"))
    return answer(ctx, listed(items, next_))


@router.get("/v1/environments/{id}/services", response_model=Listed[read.Service])
async def list_environment_services(
    id_: Id, gateway: Gate, ctx: Ctx, limit: Limit = 50, cursor: Cursor = None
) -> Response:
    """Oldest first."""
    tree = await gateway.memory(Trees).of(ctx.organization)
    if tree.environment(id_) is None:
        raise NotFound("there is no such environment")
    return await _page(gateway, ctx, Wanted(environment=id_), limit, cursor)


@router.get("/v1/services", response_model=Listed[read.Service])
async def list_services(
    gateway: Gate,
    ctx: Ctx,
    project: Filter = None,
    environment: Filter = None,
    kind: NamedKind | None = None,
    name: Filter = None,
    status: ServiceStatus | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Of the whole organization, oldest first; those that fit each filter which is given."""
    wanted = Wanted(project, environment, kind, name, status)
    return await _page(gateway, ctx, wanted, limit, cursor)


@router.get("/v1/services/{id}", response_model=read.Service)
async def get_service(id_: Id, gateway: Gate, ctx: Ctx) -> Response:
    return await show(gateway, ctx, await _document(gateway, ctx, id_))


@router.patch("/v1/services/{id}", response_model=read.Service, dependencies=_only_named)
async def change_service(id_: Id, body: kinds.ChangedService, gateway: Gate, ctx: Ctx) -> Response:
    """`replicas` act at once (those of `workload`, where there are several), everything else with
    the next deployment. A former name is free for another service as soon as nothing runs under
    it."""
    state, _ = await gateway.commands.begin(ctx, SERVICE, checked_id(id_, "service"))
    if ctx.keyed and await gateway.commands.repeated(ctx, SERVICE, id_):
        # Others may have changed it since: what was said then is not judged anew.
        done = await gateway.commands.handle(ctx, SERVICE, id_, domain.Configure())
        still_there(SERVICE, done.state)
        return await show(gateway, ctx, done.document)
    command = _changes(gateway, id_, body, state.settings, await _seal(gateway, ctx))
    after = SERVICE.fold(SERVICE.decide(command, state), state)
    schema.not_too_large(after.settings)
    says = body.model_fields_set & {"ports", "workloads"}
    claims = await _free_ports(gateway, ctx, id_, after.settings) if says else []
    reach = carried.reach(gateway, ctx.organization)
    reached = domain.reached(after.name, after.settings)
    place = (state.environment, reached_names(state.name, state.settings), reached)
    async with (
        ports.left(gateway.commands, ctx, id_, _dropped(state.settings, after.settings)),
        names.moved(gateway.commands, ctx, *place, SERVICE, id_, reach),
    ):
        await ports.claim(gateway.commands, ctx, claims)
        outcome = await gateway.commands.handle(ctx, SERVICE, id_, command)
    return await show(gateway, ctx, outcome.document)


def _changes(
    gateway: Gateway,
    id_: str,
    body: kinds.ChangedService,
    settings: Settings | None,
    seal: Seal,
) -> domain.Configure:
    changes = given(body, "name", "replicas", "workload")
    if "webhook_secret" in body.model_fields_set:
        place, secret = f"service/{id_}/webhook-secret", body.webhook_secret
        changes["webhook_secret"] = gateway.own_key.seal(secret, place) if secret else None
    change = kinds.change_of(body, settings, seal=seal)
    return domain.Configure(**changes, settings=change)


@router.delete("/v1/services/{id}", status_code=202, response_model=Deleting)
async def delete_service(id_: Id, gateway: Gate, ctx: Ctx) -> Response:
    """Begins; it is shown as deleting until nothing of it is left."""
    checked_id(id_, "service")
    await gateway.commands.handle(ctx, SERVICE, id_, domain.RequestDeletion())
    return answer(ctx, {"id": id_, "status": "deleting"}, 202)


@router.post("/v1/services/{id}/stop", response_model=read.Service)
async def stop_service(id_: Id, gateway: Gate, ctx: Ctx) -> Response:
    """Takes its domains off it, then ends what runs, and what is being deployed; it stays so until
    it is started or deployed by hand. Pushes are kept for its start."""
    command = domain.Stop()
    outcome = await gateway.commands.handle(ctx, SERVICE, checked_id(id_, "service"), command)
    still_there(SERVICE, outcome.state)
    return await show(gateway, ctx, outcome.document)
