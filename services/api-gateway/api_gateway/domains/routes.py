"""Domains over HTTP."""

import asyncio
from bisect import bisect_right
from typing import Annotated

from fastapi.responses import Response
from pydantic import Field, StringConstraints
from slipway.contracts.rollout import RolloutEvent
from slipway.kernel import ids
from slipway.kernel.envelope import INSTALLATION, Subject
from slipway.kernel.errors import Invalid, NotFound
from slipway.readmodel import cursor as cursors

from api_gateway import names
from api_gateway.commands import gone
from api_gateway.domains import domain
from api_gateway.domains.read import (
    Domain,
    Target,
    configured,
    domain_of,
    domains_of,
    hosts_of,
    problem,
    unled,
)
from api_gateway.gateway import Gateway
from api_gateway.http.answers import Cursor, Id, Limit, answer, checked_id, decoded, listed, owned
from api_gateway.http.context import Ctx, Gate
from api_gateway.http.patterns import LABEL, ROUTED_PATH
from api_gateway.http.routing import router as feature
from api_gateway.http.schema import Body, HostName, Listed
from api_gateway.locks import Locks
from api_gateway.request_context import RequestContext
from api_gateway.services.domain import SERVICE, ServiceState, present

router = feature("domains")
_adding = Locks()
"""By service: of two at once the second one counts the first."""
_REQUESTS = "domains"
"""The scope of the names by which a repeated request is known."""


class CertificatesNotAvailable(Invalid):
    slug = "certificates-not-available"


class NewDomain(Body):
    host: HostName
    path: Annotated[str, StringConstraints(max_length=400, pattern=ROUTED_PATH)] = "/"
    port: Annotated[int | None, Field(ge=1, le=65535)] = None
    workload: Annotated[str | None, StringConstraints(max_length=63, pattern=LABEL)] = None
    """Null: the only one of the service."""
    https: bool = False


@router.post("/v1/services/{id}/domains", status_code=201, response_model=Domain)
async def add_domain(id_: Id, body: NewDomain, gateway: Gate, ctx: Ctx) -> Response:
    state, head = await gateway.commands.load(SERVICE, ctx.organization, checked_id(id_, "service"))
    made, host = ids.derived(ctx.id, "domain"), ids.value_id("host", body.host)
    command = domain.AddRoute(
        domain=made,
        host=body.host,
        path=body.path.rstrip("/") or "/",
        organization=ctx.organization,
        service=id_,
        environment=state.environment,
        port=body.port,
        workload=body.workload,
        at=ctx.at,
    )
    repeated = ctx.keyed and await gateway.commands.repeated(
        ctx, domain.HOST, host, step="add", organization=INSTALLATION
    )
    target = await _target(gateway, ctx, id_, state)
    async with _adding.of(id_):
        if not repeated:
            present(state)
            ctx.precondition(head.version)
            if body.https:
                raise CertificatesNotAvailable(
                    "this release can't get certificates yet; add the domain without https",
                    pointer="/https",
                )
            _leads(body, target)
            hosts = await hosts_of(gateway.documents, [id_])
            domain.room(len(domains_of(hosts, {id_: target})[id_]))
        if ctx.keyed:  # what another host was asked for by this key is not known beside this one
            claim = names.Claim(_REQUESTS, made, id_)
            of_key = names.name_id(_REQUESTS, made)
            await gateway.commands.handle(ctx, names.NAME, of_key, claim, step="key", new=True)
        outcome = await gateway.commands.handle(
            ctx, domain.HOST, host, command, step="add", organization=INSTALLATION
        )
    route = next((route for route in outcome.state.routes if route.domain == made), None)
    if route is None:
        raise gone("domain")
    return answer(ctx, domain_of(body.host, route.model_dump(), target), 201)


async def _target(
    gateway: Gateway, ctx: RequestContext, service: str, state: ServiceState
) -> Target:
    """As the log has it."""
    head = await gateway.store.head(Subject(ctx.organization, "rollout", service))
    last = head.events[-1] if head else None
    ports = configured(state.settings.model_dump() if state.settings else None)
    return Target(ports, last.state.model_dump() if isinstance(last, RolloutEvent) else {})


def _leads(body: NewDomain, target: Target) -> None:
    """As far as the service says, whatever runs of it now: what is to come may be named before, and
    its first image may say the port. Raises Invalid."""
    if body.workload is None and (several := unled(None, target)):
        raise Invalid(several, pointer="/workload")
    port = target.port(body.workload)
    if port not in (None, "none") or unled(body.workload, target):
        return
    if port is None and target.release is None:
        return
    if unknown := problem(body.port, body.workload, target):
        raise Invalid(unknown, pointer="/port")


@router.get("/v1/services/{id}/domains", response_model=Listed[Domain])
async def list_domains(
    id_: Id, gateway: Gate, ctx: Ctx, limit: Limit = 50, cursor: Cursor = None
) -> Response:
    """By host and path."""
    service = await owned(gateway.documents, ctx, "service", id_, "service")
    rollout, route, hosts = await asyncio.gather(
        gateway.documents.get("rollout", id_),
        gateway.documents.get("route", id_),
        hosts_of(gateway.documents, [id_]),
    )
    target = Target.of(service, rollout, route)
    found = {
        (f"{item['host']}{item['path']}", item["id"]): item
        for item in domains_of(hosts, {id_: target})[id_]
    }
    places = sorted(found)
    after = decoded(cursor)
    start = bisect_right(places, after) if after is not None else 0
    part = places[start : start + limit]
    next_ = cursors.encode(*part[-1]) if len(places) > start + limit else None
    return answer(ctx, listed([found[at] for at in part], next_))


@router.delete("/v1/domains/{id}", status_code=204)
async def remove_domain(id_: Id, gateway: Gate, ctx: Ctx) -> Response:
    where = {
        "state.routes.domain": checked_id(id_, "domain"),
        "state.organization": ctx.organization,
    }
    found = await gateway.documents.find("host", where, limit=1)
    if not found.items:
        raise NotFound("there is no such domain")
    command = domain.RemoveRoute(id_, ctx.at)
    await gateway.commands.handle(
        ctx, domain.HOST, found.items[0]["_id"], command, organization=INSTALLATION
    )
    return answer(ctx, None)
