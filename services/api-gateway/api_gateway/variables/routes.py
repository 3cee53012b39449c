"""Variables of the four levels over HTTP."""

from enum import StrEnum
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import Field
from slipway import sealing
from slipway.contracts.values import Scope, ScopedVariables, Variable
from slipway.contracts.variables import UnknownReference, resolve
from slipway.kernel.errors import Invalid, NotFound

from api_gateway.applications.domain import SetVariables as OfApplication
from api_gateway.gateway import Gateway, RequestContext
from api_gateway.http.answers import Body, answer, owned
from api_gateway.http.context import Ctx, Gate
from api_gateway.organizations.domain import ORGANIZATION
from api_gateway.organizations.domain import SetVariables as OfOrganization
from api_gateway.projects.domain import SetVariables as OfParent
from api_gateway.roles import require
from api_gateway.variables.scopes import LEVELS, reachable

router = APIRouter(tags=["variables"])


class Level(StrEnum):
    organizations = "organizations"
    projects = "projects"
    environments = "environments"
    applications = "applications"


class Item(Body):
    name: Annotated[str, Field(max_length=200, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
    value: Annotated[str | None, Field(max_length=65536)] = None
    secret: bool = False


class Items(Body):
    items: Annotated[list[Item], Field(max_length=500)]


def _shown(items: tuple[Variable, ...]) -> dict[str, Any]:
    return {
        "items": [
            {"name": item.name, "value": item.value, "secret": item.secret} for item in items
        ],
        "next": None,
    }


async def _there(gateway: Gateway, ctx: RequestContext, level: Level, id_: str) -> None:
    scope = LEVELS[level.value][0]
    if scope == "organization":
        if id_ != ctx.organization:
            raise NotFound("there is no such organization")
        return
    await owned(gateway, ctx, scope, id_, scope)


@router.get("/v1/{level}/{id_}/variables")
async def variables(level: Level, id_: str, gateway: Gate, ctx: Ctx) -> Response:
    require(ctx.role, "read")
    await _there(gateway, ctx, level, id_)
    scope, decider = LEVELS[level.value]
    document = await gateway.documents.get(scope, id_)
    state = await gateway.state(decider, ctx.organization, id_)
    return answer(ctx, _shown(state.variables), version=document["version"] if document else None)


@router.put("/v1/{level}/{id_}/variables")
async def set_variables(level: Level, id_: str, body: Items, gateway: Gate, ctx: Ctx) -> Response:
    """All of this level. A secret that comes without a value keeps the one it has."""
    require(ctx.role, "write")
    await _there(gateway, ctx, level, id_)
    scope, decider = LEVELS[level.value]
    state = await gateway.state(decider, ctx.organization, id_)
    organization = await gateway.state(ORGANIZATION, ctx.organization, ctx.organization)
    before = {item.name: item for item in state.variables}
    items: list[Variable] = []
    seen: set[str] = set()
    for index, given in enumerate(body.items):
        if given.name in seen:
            raise Invalid(f"{given.name} stands here twice", pointer=f"/items/{index}/name")
        seen.add(given.name)
        items.append(_variable(ctx, scope, organization.key, given, before, index))
    await _references(gateway, ctx, scope, id_, tuple(items))
    command = {"organization": OfOrganization, "application": OfApplication}.get(scope, OfParent)
    outcome = await gateway.handle(ctx, decider, id_, command(tuple(items)))
    return answer(ctx, _shown(outcome.state.variables), version=outcome.head.version)


def _variable(
    ctx: RequestContext, scope: Scope, key: str, given: Item,
    before: dict[str, Variable], index: int,
) -> Variable:  # fmt: skip
    if not given.secret:
        if given.value is None:
            raise Invalid("a value is missing", pointer=f"/items/{index}/value")
        return Variable(name=given.name, value=given.value)
    if given.value is None:
        old = before.get(given.name)
        if old is None or not old.secret:
            raise Invalid("this secret has no value yet to keep", pointer=f"/items/{index}/value")
        return old
    place = sealing.place(ctx.organization, scope, given.name)
    sealed = sealing.seal(key, ctx.organization, given.value, place)
    return Variable(name=given.name, sealed=sealed)


async def _references(
    gateway: Gateway, ctx: RequestContext, scope: Scope, id_: str, items: tuple[Variable, ...]
) -> None:
    """Every reference of this level has to name a variable that can be seen from it."""
    seen = await reachable(gateway, ctx.organization, scope, id_)
    scopes = [s for s in seen if s.scope != scope] + [ScopedVariables(scope=scope, items=items)]
    try:
        resolve(scopes, lambda *_: "")
    except UnknownReference as error:
        index = next((n for n, item in enumerate(items) if item.name == error.name), None)
        where = f"/items/{index}/value" if index is not None else "/items"
        raise Invalid(
            str(error), pointer=where, hint="${{NAME}}, or ${{project.NAME}} for one level"
        ) from error
