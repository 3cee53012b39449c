"""Organizations: people make them; everything else happens inside one."""

from typing import Annotated

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import Field
from slipway.kernel import ids
from slipway.kernel.errors import NotFound
from slipway.readmodel.model import Document

from api_gateway.gateway import Gateway
from api_gateway.http.answers import Body, answer, listed
from api_gateway.http.context import Authenticated, Ctx, Gate, Person
from api_gateway.organizations.creation import create_organization
from api_gateway.organizations.domain import MEMBER, Add

router = APIRouter(tags=["organizations"])


class NewOrganization(Body):
    name: Annotated[str, Field(min_length=1, max_length=80)]


def _shown(document: Document, role: str | None) -> dict:
    return {
        "id": document["_id"],
        "name": document["state"]["name"],
        "role": role,
        "created_at": document["created_at"],
    }


async def _of_person(gateway: Gateway, user: str) -> list[dict]:
    members = await gateway.documents.find("member", {"state.user": user}, limit=500)
    roles = {member["org"]: member["state"]["role"] for member in members.items}
    found = await gateway.documents.get_many("organization", list(roles))
    documents = sorted(found.values(), key=lambda document: document["created_at"])
    return [_shown(document, roles[document["_id"]]) for document in documents]


@router.get("/v1/organizations")
async def organizations(gateway: Gate, ctx: Authenticated) -> Response:
    """Of a person: all they belong to; of a token: its own."""
    if ctx.user is not None:
        return answer(ctx, listed(await _of_person(gateway, ctx.user), None))
    document = await gateway.documents.get("organization", ctx.organization)
    return answer(ctx, listed([_shown(document, ctx.role)] if document else [], None))


@router.post("/v1/organizations", status_code=201)
async def create(body: NewOrganization, gateway: Gate, ctx: Person) -> Response:
    id_ = ids.derived(ctx.id, "organization")
    ctx.organization = id_
    await create_organization(gateway, ctx, id_, body.name)
    await gateway.handle(ctx, MEMBER, str(ctx.user), Add(str(ctx.user), "owner"))
    document = await gateway.documents.get("organization", id_)
    if document is None:
        raise NotFound("there is no such organization")
    return answer(ctx, _shown(document, "owner"), 201, version=document["version"])


@router.get("/v1/organizations/{id_}")
async def organization(id_: str, gateway: Gate, ctx: Ctx) -> Response:
    if id_ != ctx.organization:
        raise NotFound("there is no such organization")
    document = await gateway.documents.get("organization", id_)
    if document is None:
        raise NotFound("there is no such organization")
    return answer(ctx, _shown(document, ctx.role), version=document["version"])
