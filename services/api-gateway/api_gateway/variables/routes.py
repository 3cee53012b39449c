"""Variables of the four levels over HTTP."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import orjson
from fastapi.responses import Response
from pydantic import Field, StringConstraints
from slipway import sealing
from slipway.contracts.values import Scope, ScopedVariables, Variable
from slipway.contracts.variables import REFERENCE, UnknownReference, resolve
from slipway.kernel.envelope import Head
from slipway.kernel.errors import Invalid, NotFound

from api_gateway.http.answers import Id, answer, checked_id
from api_gateway.http.context import Ctx, Gate
from api_gateway.http.patterns import VARIABLE
from api_gateway.http.routing import router as feature
from api_gateway.http.schema import Body, Shown, Text
from api_gateway.organizations.domain import ORGANIZATION
from api_gateway.organizations.domain import SetVariables as OfOrganization
from api_gateway.projects.domain import SetVariables as OfParent
from api_gateway.request_context import RequestContext
from api_gateway.services.domain import SetVariables as OfService
from api_gateway.variables.scopes import LEVELS, reachable

router = feature("variables")
LARGEST = 55 * 1024
"""Of one level as JSON, sealed: four of them fit into a deployment's specification."""


class Item(Body):
    name: Annotated[str, StringConstraints(max_length=200, pattern=VARIABLE)]
    value: Annotated[Text | None, Field(max_length=LARGEST)] = None
    secret: bool = False


class Items(Body):
    items: Annotated[list[Item], Field(max_length=500)]


class ShownItem(Shown):
    """A secret's value is never shown."""

    name: str
    value: str | None
    secret: bool


class ShownItems(Shown):
    items: list[ShownItem]
    next: None


def _answer(items: tuple[Variable, ...]) -> dict[str, Any]:
    return {
        "items": [
            {"name": item.name, "value": item.value, "secret": item.secret} for item in items
        ],
        "next": None,
    }


def _checked_id(ctx: RequestContext, scope: Scope, id_: str) -> str:
    if scope == "organization" and id_ != ctx.organization:
        raise NotFound("there is no such organization")
    return checked_id(id_, scope)


def _present(scope: Scope, state: Any, head: Head) -> None:
    if not head.version or getattr(state, "phase", "active") == "deleted":
        raise NotFound(f"there is no such {scope}")


def _get(scope: Scope) -> Callable[..., Awaitable[Response]]:
    async def variables(id_: Id, gateway: Gate, ctx: Ctx) -> Response:
        state, head = await gateway.commands.load(
            LEVELS[scope], ctx.organization, _checked_id(ctx, scope, id_)
        )
        _present(scope, state, head)
        return answer(ctx, _answer(state.variables), version=head.version)

    return variables


def _set(scope: Scope) -> Callable[..., Awaitable[Response]]:
    async def set_variables(id_: Id, body: Items, gateway: Gate, ctx: Ctx) -> Response:
        """All of this level. A secret that comes without a value keeps the one it has. One of
        under 6 characters is not masked in logs."""
        state, head = await gateway.commands.begin(ctx, LEVELS[scope], _checked_id(ctx, scope, id_))
        _present(scope, state, head)
        organization = await gateway.commands.state(
            ORGANIZATION, ctx.organization, ctx.organization
        )
        before = {item.name: item for item in state.variables}
        items: dict[str, Variable] = {}
        for index, given in enumerate(body.items):
            if given.name in items:
                raise Invalid(f"{given.name} is listed twice", pointer=f"/items/{index}/name")
            items[given.name] = _variable(ctx, scope, organization.key, given, before, index)
        wanted = tuple(items.values())
        _not_too_large(wanted)
        farther = await reachable(gateway.commands, ctx.organization, scope, state)
        _references(scope, body.items, farther)
        kinds = {"organization": OfOrganization, "service": OfService}
        command = kinds.get(scope, OfParent)(wanted)
        outcome = await gateway.commands.handle(ctx, LEVELS[scope], id_, command)
        return answer(ctx, _answer(outcome.state.variables), version=outcome.head.version)

    return set_variables


for _scope in LEVELS:
    _path = f"/v1/{_scope}s/{{id}}/variables"
    router.add_api_route(
        _path, _get(_scope), name=f"get_{_scope}_variables", response_model=ShownItems
    )
    router.add_api_route(
        _path, _set(_scope), name=f"set_{_scope}_variables", response_model=ShownItems,
        methods=["PUT"],
    )  # fmt: skip


def _variable(
    ctx: RequestContext, scope: Scope, key: str, given: Item,
    before: dict[str, Variable], index: int,
) -> Variable:  # fmt: skip
    old = before.get(given.name)
    if given.value is None:
        if given.secret and old is not None and old.secret:
            return old
        detail = "this secret has no value yet to keep" if given.secret else "a value is missing"
        raise Invalid(detail, pointer=f"/items/{index}/value")
    if not given.secret:
        return Variable(name=given.name, value=given.value)
    place = sealing.place(ctx.organization, scope, given.name)
    return Variable(name=given.name, sealed=sealing.seal(key, ctx.organization, given.value, place))


def _not_too_large(items: tuple[Variable, ...]) -> None:
    if (size := len(orjson.dumps([item.model_dump() for item in items]))) > LARGEST:
        raise Invalid(
            f"the variables of one level may have {LARGEST} bytes together; these have {size}",
            pointer="/items",
            hint="put large values in a file of the image",
        )


def _references(scope: Scope, items: list[Item], farther: tuple[ScopedVariables, ...]) -> None:
    """Every reference of this level has to name a variable that can be seen from it. Raises
    Invalid. What farther levels refer to is theirs: it is not held against this one."""
    own = ScopedVariables(
        scope=scope, items=tuple(Variable(name=i.name, value=i.value or "") for i in items)
    )
    plain = tuple(
        ScopedVariables(scope=s.scope, items=tuple(_without_references(i) for i in s.items))
        for s in farther
    )
    places = {item.name: index for index, item in enumerate(items)}
    for seen in (farther, plain):
        try:
            resolve([*seen, own], lambda *_: "")
        except UnknownReference as error:
            if error.name in places:
                raise Invalid(
                    str(error),
                    pointer=f"/items/{places[error.name]}/value",
                    hint="${{NAME}}, or ${{project.NAME}} for one level",
                ) from error


def _without_references(item: Variable) -> Variable:
    return item.model_copy(update={"value": REFERENCE.sub("", item.value)}) if item.value else item
