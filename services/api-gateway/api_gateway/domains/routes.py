"""Domains over HTTP."""

from bisect import bisect_right
from typing import Annotated

from fastapi.responses import Response
from pydantic import Field, StringConstraints
from slipway.kernel import ids
from slipway.kernel.envelope import INSTALLATION
from slipway.kernel.errors import Invalid, NotFound
from slipway.readmodel import cursor as cursors

from api_gateway import names
from api_gateway.domains import domain
from api_gateway.domains.read import Domain, domain_of, domains_of
from api_gateway.http.answers import Cursor, Id, Limit, answer, checked_id, decoded, listed, owned
from api_gateway.http.context import Ctx, Gate
from api_gateway.http.routing import router as feature
from api_gateway.http.schema import Body, HostName, Listed
from api_gateway.services.domain import SERVICE, listens, present

router = feature("domains")
_REQUESTS = "domains"
"""The scope of the names by which a repeated request is known."""


class CertificatesNotAvailable(Invalid):
    slug = "certificates-not-available"


class NewDomain(Body):
    host: HostName
    path: Annotated[
        str, StringConstraints(max_length=400, pattern=r"^/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*$")
    ] = "/"
    port: Annotated[int | None, Field(ge=1, le=65535)] = None
    https: bool = False


@router.post("/v1/services/{id}/domains", status_code=201, response_model=Domain)
async def add_domain(id_: Id, body: NewDomain, gateway: Gate, ctx: Ctx) -> Response:
    state, head = await gateway.commands.load(SERVICE, ctx.organization, checked_id(id_, "service"))
    present(state)
    if not listens(state.settings):
        raise Invalid(
            'the service listens on nothing (its port is "none"), so no domain can lead to it',
            hint="set its port first",
        )
    if body.https:
        raise CertificatesNotAvailable(
            "this release can't get certificates yet; add the domain without https",
            pointer="/https",
        )
    made, host = ids.derived(ctx.id, "domain"), ids.value_id("host", body.host)
    command = domain.AddRoute(
        domain=made,
        host=body.host,
        path=body.path.rstrip("/") or "/",
        organization=ctx.organization,
        service=id_,
        environment=state.environment,
        port=body.port,
        at=ctx.at,
    )
    ctx.precondition(head.version)
    if ctx.keyed:  # what another host was asked for by this key is not known beside this one
        claim = names.Claim(_REQUESTS, made, id_)
        of_key = names.name_id(_REQUESTS, made)
        await gateway.commands.handle(ctx, names.NAME, of_key, claim, step="key", new=True)
    outcome = await gateway.commands.handle(
        ctx, domain.HOST, host, command, step="add", organization=INSTALLATION
    )
    route = next((route for route in outcome.state.routes if route.domain == made), None)
    if route is None:
        raise NotFound("this domain was made by this request, and removed since")
    return answer(ctx, domain_of(body.host, route.model_dump()), 201)


@router.get("/v1/services/{id}/domains", response_model=Listed[Domain])
async def list_domains(
    id_: Id, gateway: Gate, ctx: Ctx, limit: Limit = 50, cursor: Cursor = None
) -> Response:
    """By host and path."""
    await owned(gateway.documents, ctx, "service", id_, "service")
    found = {
        (f"{item['host']}{item['path']}", item["id"]): item
        for item in (await domains_of(gateway.documents, [id_]))[id_]
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
