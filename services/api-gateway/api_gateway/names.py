"""Unique names in a scope: an aggregate whose id is the value, claimed before its owner is made.

A claim whose owner never came to be, or has another name by now, may be taken over after a minute.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from slipway.contracts.event import Event, Value
from slipway.contracts.project import NameClaimed, NameReleased
from slipway.kernel.decider import Decider
from slipway.kernel.errors import DomainError, Refused, Unavailable
from slipway.kernel.ids import value_id

from api_gateway.commands import Commands
from api_gateway.request_context import RequestContext

_ABANDONED = timedelta(seconds=60)
type _Named = Decider[Any, Any, Any]


class NameState(Value):
    scope: str = ""
    name: str = ""
    owner: str | None = None


class NameTaken(Refused):
    slug = "name-taken"


@dataclass(frozen=True, slots=True)
class Claim:
    scope: str
    name: str
    owner: str
    over: str | None = None
    """The former owner, which never came to be."""


@dataclass(frozen=True, slots=True)
class Free:
    owner: str


def decide(command: Claim | Free, state: NameState) -> tuple[Event, ...]:
    match command:
        case Claim(scope, name, owner, over):
            if state.owner == owner:
                return ()
            if state.owner is not None and state.owner != over:
                raise NameTaken(f"the name {name!r} is taken here", pointer="/name")
            return (NameClaimed(scope=scope, name=name, owner=owner),)
        case Free(owner):
            return (NameReleased(owner=owner),) if state.owner == owner else ()


def evolve(state: NameState, event: Event) -> NameState:
    match event:
        case NameClaimed():
            return NameState(scope=event.scope, name=event.name, owner=event.owner)
        case NameReleased():
            return state.model_copy(update={"owner": None})
        case _:
            return state


NAME = Decider("name", NameState(), decide, evolve)


def name_id(scope: str, name: str) -> str:
    return value_id("name", scope, name.lower())


async def claim(
    commands: Commands, ctx: RequestContext, scope: str, name: str, decider: _Named, owner: str
) -> None:
    """Raises NameTaken. `decider` and `owner` say what will have the name."""
    id_ = name_id(scope, name)
    command = Claim(scope, name, owner)
    try:
        await commands.handle(ctx, NAME, id_, command, step="claim", new=True)
    except NameTaken:
        changed_at = await commands.changed_at(NAME, ctx.organization, id_)
        former = (await commands.state(NAME, ctx.organization, id_)).owner
        if changed_at is None or former is None or ctx.at - changed_at < _ABANDONED:
            raise
        holder = await commands.state(decider, ctx.organization, former)
        if holder.phase in ("active", "deleting") and name_id(scope, holder.name) == id_:
            raise
        over = Claim(scope, name, owner, over=former)
        await commands.handle(ctx, NAME, id_, over, step="claim-over")


@asynccontextmanager
async def moved(
    commands: Commands, ctx: RequestContext,
    scope: str, former: str, name: str, decider: _Named, owner: str,
) -> AsyncIterator[None]:  # fmt: skip
    """The new name is claimed before its owner is renamed, the former one released afterwards;
    when the renaming is refused, the new one is released. Raises NameTaken."""
    old, new = name_id(scope, former), name_id(scope, name)
    if old == new:
        yield
        return
    await claim(commands, ctx, scope, name, decider, owner)
    try:
        yield
    except Unavailable:
        raise  # it may have been renamed
    except DomainError:
        await commands.handle(ctx, NAME, new, Free(owner), step="release")
        raise
    await commands.handle(ctx, NAME, old, Free(owner), step="release")
