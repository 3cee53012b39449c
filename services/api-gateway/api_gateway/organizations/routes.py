"""Organizations: people make them; everything else happens inside one."""

from typing import Any

from fastapi.responses import Response
from slipway.contracts.organization import Role
from slipway.kernel import ids
from slipway.kernel.errors import NotFound
from slipway.readmodel.model import Document

from api_gateway.http.answers import Cursor, Id, Limit, answer, decoded, listed, page
from api_gateway.http.context import Ctx, Gate
from api_gateway.http.routing import router as feature
from api_gateway.http.schema import Body, Listed, Name, Shown
from api_gateway.organizations.creation import create_organization as create
from api_gateway.organizations.domain import MEMBER, ORGANIZATION, Add

router = feature("organizations")


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
