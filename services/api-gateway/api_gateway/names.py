"""Unique names in a scope: an aggregate whose id is the value, claimed before its owner is made.

A claim whose owner never came to be, or has another name by now, may be taken over after a minute;
one that was released, as soon as its last owner no longer carries the name outside of the log.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
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
type Carried = Callable[[str], Awaitable[None]]
"""Raises NameTaken while this former owner still carries the name."""


def _own(holder: Any) -> Collection[str]:
    return (holder.name,)


@dataclass(frozen=True, slots=True)
class Reach:
    """Of which names the state of an owner speaks, and who is asked whether a former owner still
    carries one."""

    names: Callable[[Any], Collection[str]] = _own
    carried: Callable[[str], Carried] | None = None


ALONE = Reach()


class NameState(Value):
    scope: str = ""
    name: str = ""
    owner: str | None = None
    former: str | None = None
    """Who had it last, where nobody has it."""


class NameTaken(Refused):
    slug = "name-taken"


@dataclass(frozen=True, slots=True)
class Claim:
    scope: str
    name: str
    owner: str
    over: NameState | None = None
    """The name as it was when it was seen that its last owner never came to be, or does not carry
    it any more: if it has changed since, that says nothing."""


@dataclass(frozen=True, slots=True)
class Free:
    owner: str


def decide(command: Claim | Free, state: NameState) -> tuple[Event, ...]:
    match command:
        case Claim(scope, name, owner, over):
            if state.owner == owner:
                return ()
            last = state.owner or state.former
            if last not in (None, owner) and state != over:
                raise NameTaken(f"the name {name!r} is taken here", pointer="/name")
            return (NameClaimed(scope=scope, name=name, owner=owner),)
        case Free(owner):
            return (NameReleased(owner=owner),) if state.owner == owner else ()


def evolve(state: NameState, event: Event) -> NameState:
    match event:
        case NameClaimed():
            return NameState(scope=event.scope, name=event.name, owner=event.owner)
        case NameReleased():
            return state.model_copy(update={"owner": None, "former": event.owner})
        case _:
            return state


NAME = Decider("name", NameState(), decide, evolve)


def name_id(scope: str, name: str) -> str:
    return value_id("name", scope, name.lower())


async def claim(
    commands: Commands, ctx: RequestContext, scope: str, name: str, decider: _Named, owner: str,
    reach: Reach = ALONE,
) -> None:  # fmt: skip
    """Raises NameTaken. `decider` and `owner` say what will have the name."""
    id_ = name_id(scope, name)
    command = Claim(scope, name, owner)
    try:
        found = await commands.handle(ctx, NAME, id_, command, step="claim", new=True)
        if found.state.owner != owner:
            await _anew(commands, ctx, id_, command, "claim")
    except NameTaken:
        state = await commands.state(NAME, ctx.organization, id_)
        if state.owner and not await _abandoned(commands, ctx, id_, state, decider, reach):
            raise
        former = state.owner or state.former
        if reach.carried is not None and former is not None:
            await reach.carried(name)(former)
        over = Claim(scope, name, owner, over=state)
        await _anew(commands, ctx, id_, over, "claim-over")


async def _anew(
    commands: Commands, ctx: RequestContext, id_: str, command: Claim | Free, step: str
) -> None:
    """Of the name as it is by now: a try of the same request that was refused has done this before,
    and undone it."""
    _, head = await commands.load(NAME, ctx.organization, id_)
    await commands.handle(ctx, NAME, id_, command, step=f"{step}.{head.version}")


async def _abandoned(
    commands: Commands, ctx: RequestContext, id_: str, state: NameState, decider: _Named,
    reach: Reach,
) -> bool:  # fmt: skip
    changed_at = await commands.changed_at(NAME, ctx.organization, id_)
    if state.owner is None or changed_at is None or ctx.at - changed_at < _ABANDONED:
        return False
    holder = await commands.state(decider, ctx.organization, state.owner)
    there = holder.phase in ("active", "deleting")
    return not there or id_ not in {name_id(state.scope, name) for name in reach.names(holder)}


async def claim_all(
    commands: Commands, ctx: RequestContext, scope: str, names: Sequence[str], decider: _Named,
    owner: str, reach: Reach, *, kept: Collection[str] = (),
) -> list[str]:  # fmt: skip
    """All or none, but for those that it keeps; its own comes first. The ids of those that it was
    to get. Raises NameTaken."""
    had, new = {name_id(scope, name) for name in kept}, list[str]()
    for name in names:
        if (id_ := name_id(scope, name)) in had:
            continue
        try:
            await claim(commands, ctx, scope, name, decider, owner, reach)
        except NameTaken as taken:
            await release(commands, ctx, new, owner)
            if name == names[0]:
                raise
            raise NameTaken(taken.detail, hint=taken.hint or _BESIDE) from None
        new.append(id_)
    return new


async def release(
    commands: Commands, ctx: RequestContext, names: Collection[str], owner: str
) -> None:
    """By their ids."""
    for id_ in names:
        await _anew(commands, ctx, id_, Free(owner), "release")


_BESIDE = "a workload is reached by it, `<service>-<workload>`: give one of the two another name"


@asynccontextmanager
async def moved(
    commands: Commands, ctx: RequestContext,
    scope: str, former: Collection[str], names: Sequence[str], decider: _Named, owner: str,
    reach: Reach = ALONE,
) -> AsyncIterator[None]:  # fmt: skip
    """The new names are claimed before their owner is changed, the former ones released afterwards;
    when the change is refused, the new ones are released. A repeat of a request that has changed it
    moves nothing: the owner may have other names since. Raises NameTaken."""
    if ctx.keyed and await commands.repeated(ctx, decider, owner):
        yield
        return
    new = await claim_all(commands, ctx, scope, names, decider, owner, reach, kept=former)
    try:
        yield
    except Unavailable:
        raise  # it may have been renamed
    except DomainError:
        await release(commands, ctx, new, owner)
        raise
    old = {name_id(scope, name) for name in former} - {name_id(scope, name) for name in names}
    await release(commands, ctx, sorted(old), owner)
