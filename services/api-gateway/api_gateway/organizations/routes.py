"""Organizations: people make them; everything else happens inside one."""

from typing import Annotated, Any

from fastapi.responses import Response
from pydantic import Field
from slipway.contracts.limits import (
    BUILDS,
    LEAST_CPUS,
    LEAST_OUTPUT,
    LEAST_PROCESSES,
    LEAST_SECONDS,
    LEAST_SIZE,
    LEAST_SLOTS,
    OwnLimits,
    above,
    of_builds,
)
from slipway.contracts.organization import Role
from slipway.kernel import ids
from slipway.kernel.errors import Invalid, NotFound
from slipway.readmodel.model import Document

from api_gateway.gateway import Gateway
from api_gateway.http.answers import Cursor, Id, Limit, answer, checked_id, decoded, listed, page
from api_gateway.http.context import Ctx, Gate
from api_gateway.http.routing import router as feature
from api_gateway.http.schema import Body, Listed, Name, Shown
from api_gateway.organizations.creation import create_organization as create
from api_gateway.organizations.domain import LIMITS, MEMBER, ORGANIZATION, Add, SetLimits
from api_gateway.services.resources import Words, memory

router = feature("organizations")
_MOST = 1 << 44


class NewOrganization(Body):
    name: Name


class Organization(Shown):
    id: str
    name: str
    role: Role
    created_at: str


def _organization(document: Document, role: Role | None) -> dict[str, Any]:
    return {
        "id": document["_id"],
        "name": document["state"]["name"],
        "role": role,
        "created_at": document["created_at"],
    }


@router.get("/v1/organizations", response_model=Listed[Organization])
async def list_organizations(
    gateway: Gate, ctx: Ctx, limit: Limit = 50, cursor: Cursor = None
) -> Response:
    """Of a person: all they belong to, in the order they joined; of a token: its own."""
    decoded(cursor)
    if ctx.user is None:
        document = await gateway.documents.get("organization", ctx.organization)
        return answer(ctx, listed([_organization(document, ctx.role)] if document else [], None))
    members = await page(gateway.documents, "member", {"state.user": ctx.user}, cursor, limit)
    roles = {member["org"]: member["state"]["role"] for member in members.items}
    found = await gateway.documents.get_many("organization", list(roles))
    items = [_organization(found[id_], role) for id_, role in roles.items() if id_ in found]
    return answer(ctx, listed(items, members.next))


@router.post("/v1/organizations", status_code=201, response_model=Organization)
async def create_organization(body: NewOrganization, gateway: Gate, ctx: Ctx) -> Response:
    """Whoever makes it is its owner."""
    id_, user = ids.derived(ctx.id, "organization"), str(ctx.user)
    if not await gateway.commands.replayed(ctx, ORGANIZATION, id_, organization=id_):
        ctx.precondition(0)
    ctx.organization = id_
    outcome = await create(
        gateway.commands, gateway.keys, gateway.settings.master_public, ctx, id_, body.name
    )
    await gateway.commands.handle(ctx, MEMBER, user, Add(user, "owner"), step="owner")
    return answer(ctx, _organization(outcome.document, "owner"), 201, version=outcome.head.version)


@router.get("/v1/organizations/{id}", response_model=Organization)
async def get_organization(id_: Id, gateway: Gate, ctx: Ctx) -> Response:
    document = await gateway.documents.get("organization", ctx.organization)
    if document is None or id_ != ctx.organization:
        raise NotFound("there is no such organization")
    return answer(ctx, _organization(document, ctx.role), version=document["version"])


class AskedLimits(Body):
    """What is not named is as the installation has it. Sizes are bytes, or such as 4g."""

    memory: Annotated[int, Field(ge=LEAST_SIZE, le=_MOST)] | Words | None = None
    cpus: Annotated[float, Field(ge=LEAST_CPUS, le=1024)] | None = None
    processes: Annotated[int, Field(ge=LEAST_PROCESSES, le=1 << 22)] | None = None
    disk: Annotated[int, Field(ge=LEAST_SIZE, le=_MOST)] | Words | None = None
    slots: Annotated[int, Field(ge=LEAST_SLOTS, le=1000)] | None = None
    output: Annotated[int, Field(ge=LEAST_OUTPUT, le=_MOST)] | Words | None = None
    seconds: Annotated[float, Field(ge=LEAST_SECONDS, le=86400)] | None = None


class SomeLimits(Shown):
    """Of its builds together: memory, disk with their cache (bytes), processors (null: half of the
    node's, one at least), processes, how many at once (null: all slots but one). Of each: output
    that is kept (bytes), seconds."""

    memory: int | None
    cpus: float | None
    processes: int | None
    disk: int | None
    slots: int | None
    output: int | None
    seconds: float | None


class OrganizationLimits(Shown):
    """`own`: what was set, null where nothing was; `builds`: what holds; `ceilings`: the most that
    the installation allows."""

    own: SomeLimits
    builds: SomeLimits
    ceilings: SomeLimits


@router.get("/v1/admin/organizations/{id}/limits", response_model=OrganizationLimits)
async def get_limits(id_: Id, gateway: Gate, ctx: Ctx) -> Response:
    """What builds of the organization may take."""
    await _known(gateway, checked_id(id_, "organization"))
    own, head = await gateway.commands.load(LIMITS, id_, BUILDS)
    return answer(ctx, _limits(gateway, own), version=head.version)


@router.put("/v1/admin/organizations/{id}/limits", response_model=OrganizationLimits)
async def set_limits(id_: Id, body: AskedLimits, gateway: Gate, ctx: Ctx) -> Response:
    """All of them, for builds that begin from now on; a BuildKit is made anew when it is free."""
    await _known(gateway, checked_id(id_, "organization"))
    own = OwnLimits(
        memory=_size(body, "memory", LEAST_SIZE), disk=_size(body, "disk", LEAST_SIZE),
        output=_size(body, "output", LEAST_OUTPUT), cpus=body.cpus, processes=body.processes,
        slots=body.slots, seconds=body.seconds,
    )  # fmt: skip
    for name, most in above(own, gateway.settings.build_ceilings).items():
        raise Invalid(
            f"is more than the installation allows, which is {most:.15g}",
            pointer=f"/{name}",
            hint="SLIPWAY_BUILD_CEILINGS of make up allows more",
        )
    _, head = await gateway.commands.load(LIMITS, id_, BUILDS)
    if not head.version:  # nothing was ever set, and there is an ETag of that
        ctx.precondition(0)
    outcome = await gateway.commands.handle(ctx, LIMITS, BUILDS, SetLimits(own), organization=id_)
    return answer(ctx, _limits(gateway, outcome.state), version=outcome.head.version)


async def _known(gateway: Gateway, organization: str) -> None:
    state, _ = await gateway.commands.load(ORGANIZATION, organization, organization)
    if not state.key:
        raise NotFound("there is no such organization")


def _size(body: AskedLimits, name: str, least: int) -> int | None:
    value: int | str | None = getattr(body, name)
    try:
        found = memory(value)
    except ValueError as error:
        raise Invalid(str(error), pointer=f"/{name}") from None
    if found is not None and found < least:
        raise Invalid(f"has to be {least} bytes at least", pointer=f"/{name}")
    return found


def _limits(gateway: Gateway, own: OwnLimits) -> dict[str, Any]:
    settings = gateway.settings
    builds = of_builds(settings.build_limits, own, settings.build_ceilings)
    shown = {"own": own, "builds": builds, "ceilings": settings.build_ceilings}
    return {name: each.model_dump(mode="json") for name, each in shown.items()}
