"""Domains over HTTP."""

import re
from typing import Annotated

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import Field, field_validator
from slipway.kernel import ids
from slipway.kernel.envelope import INSTALLATION
from slipway.kernel.errors import Invalid, NotFound

from api_gateway.applications.domain import APPLICATION
from api_gateway.applications.read import domain as shown
from api_gateway.applications.read import domains_of
from api_gateway.domains import domain
from api_gateway.http.answers import Body, answer, listed, owned
from api_gateway.http.context import Ctx, Gate
from api_gateway.projects.domain import alive
from api_gateway.roles import require

router = APIRouter(tags=["domains"])
_LABEL = r"(?!-)[a-z0-9-]{1,63}(?<!-)"
_HOST = re.compile(rf"(?=.{{1,253}}$){_LABEL}(\.{_LABEL})*")


class CertificatesNotAvailable(Invalid):
    slug = "certificates-not-available"


class NewDomain(Body):
    host: Annotated[str, Field(min_length=1, max_length=253)]
    path: Annotated[str, Field(max_length=400, pattern=r"^/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*$")] = "/"
    port: Annotated[int | None, Field(ge=1, le=65535)] = None
    https: bool = False

    @field_validator("host")
    @classmethod
    def name(cls, value: str) -> str:
        value = value.lower().rstrip(".")
        if not _HOST.fullmatch(value):
            raise ValueError("is no host name, such as app.example.org")
        return value


@router.post("/v1/applications/{id_}/domains", status_code=201)
async def add(id_: str, body: NewDomain, gateway: Gate, ctx: Ctx) -> Response:
    require(ctx.role, "write")
    application = await owned(gateway, ctx, "application", id_, "application")
    if body.https:
        raise CertificatesNotAvailable(
            "this release can't get certificates yet; add the domain without https",
            pointer="/https",
        )
    state = await gateway.state(APPLICATION, ctx.organization, id_)
    alive("application", state.phase)
    id_of_domain = ids.derived(ctx.id, "domain")
    path = body.path if body.path == "/" else body.path.rstrip("/")
    command = domain.AddRoute(
        domain=id_of_domain,
        host=body.host,
        path=path,
        organization=ctx.organization,
        application=id_,
        environment=application["state"]["environment"],
        port=body.port,
        at=ctx.at,
    )
    host = ids.value_id("host", body.host)
    ctx.if_match = None  # the host has no version that a client could know
    outcome = await gateway.handle(ctx, domain.HOST, host, command, organization=INSTALLATION)
    route = next(item for item in outcome.state.routes if item.domain == id_of_domain)
    found = {"state": {"host": body.host}}
    return answer(ctx, shown(found, route.model_dump()), 201)


@router.get("/v1/applications/{id_}/domains")
async def domains(id_: str, gateway: Gate, ctx: Ctx) -> Response:
    require(ctx.role, "read")
    await owned(gateway, ctx, "application", id_, "application")
    return answer(ctx, listed(await domains_of(gateway, id_), None))


@router.delete("/v1/domains/{id_}", status_code=204)
async def remove(id_: str, gateway: Gate, ctx: Ctx) -> Response:
    require(ctx.role, "write")
    where = {"state.routes.domain": id_, "state.organization": ctx.organization}
    found = await gateway.documents.find("host", where, limit=1)
    if not found.items:
        raise NotFound("there is no such domain")
    command = domain.RemoveRoute(id_, ctx.at)
    await gateway.handle(
        ctx, domain.HOST, found.items[0]["_id"], command, organization=INSTALLATION
    )
    return answer(ctx, None)
