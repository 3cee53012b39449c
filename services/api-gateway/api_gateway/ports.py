"""Ports of the host: an aggregate whose id is the port, claimed before a service publishes it.

A claim counts while its service says the port, while something of it runs or is to run with it,
and for its first minute, unless it is released before. Then another service may take it over.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from slipway.contracts.event import Event, Value
from slipway.contracts.port import PortClaimed, PortReleased
from slipway.contracts.values import PublishedPort
from slipway.kernel.decider import Decider
from slipway.kernel.envelope import INSTALLATION
from slipway.kernel.errors import Refused
from slipway.kernel.ids import value_id

from api_gateway.commands import Commands
from api_gateway.request_context import RequestContext

_RESERVED = timedelta(seconds=60)
_OTHERWISE = "publish another port, or reach the service by a domain or by its name"


class PortState(Value):
    port: str = ""
    organization: str = ""
    service: str = ""
    claim: str = ""
    released: bool = False


class PortTaken(Refused):
    slug = "port-taken"


@dataclass(frozen=True, slots=True)
class Claim:
    port: str
    organization: str
    service: str
    claim: str
    over: PortState | None = None
    """The port as it was when it was seen that its last service has it no more: if it has changed
    since, that says nothing."""


@dataclass(frozen=True, slots=True)
class Release:
    """Only of the port as it was: since then it may have been claimed anew."""

    service: str
    was: PortState


@dataclass(frozen=True, slots=True)
class Holder:
    """The service that has a port, by its name."""

    organization: str
    name: str


type Holds = Callable[[str, str, str], Awaitable[Holder | None]]
"""(organization, service, port) → the service, where it says the port or runs with it."""


def decide(command: Claim | Release, state: PortState) -> tuple[Event, ...]:
    if isinstance(command, Release):
        own = state.service == command.service and not state.released
        return (PortReleased(service=command.service),) if own and state == command.was else ()
    own = state.service == command.service and not state.released
    if own and state.claim == command.claim:
        return ()
    if state.service not in ("", command.service) and state != command.over:
        raise PortTaken(f"the port {command.port} of the host is taken")
    return (
        PortClaimed(
            port=command.port,
            organization=command.organization,
            service=command.service,
            claim=command.claim,
        ),
    )


def evolve(state: PortState, event: Event) -> PortState:
    match event:
        case PortClaimed():
            return PortState(**dict(event))
        case PortReleased():
            return state.model_copy(update={"released": True})
        case _:
            return state


PORT = Decider("port", PortState(), decide, evolve)


async def free(
    commands: Commands, ctx: RequestContext, service: str,
    ports: Sequence[tuple[str | None, PublishedPort]], holds: Holds, own: Collection[str],
) -> list[Claim]:  # fmt: skip
    """What is to be claimed for these, each with its pointer, before the first one is: a request
    that is refused leaves none behind. `own`: the platform's. Raises PortTaken."""
    for pointer, port in ports:
        if port.on_host in own:
            raise PortTaken(
                f"the port {port.on_host} of this host is the platform's own",
                pointer=pointer,
                hint=_OTHERWISE,
            )
    return [
        await _free(commands, ctx, service, port.on_host, pointer, holds) for pointer, port in ports
    ]


async def _free(
    commands: Commands, ctx: RequestContext, service: str, port: str, pointer: str | None,
    holds: Holds,
) -> Claim:  # fmt: skip
    id_ = value_id("port", port)
    state = await commands.state(PORT, INSTALLATION, id_)
    if state.service not in ("", service):
        holder = await holds(state.organization, state.service, port)
        changed = await commands.changed_at(PORT, INSTALLATION, id_)
        young = changed is not None and ctx.at - changed < _RESERVED
        if holder or (young and not state.released):
            raise PortTaken(
                _words(port, holder, ctx.organization),
                pointer=pointer,
                hint=_hint(holder, ctx.organization),
            )
    return Claim(port, ctx.organization, service, ctx.id, over=state)


def _words(port: str, holder: Holder | None, organization: str) -> str:
    if holder is None or holder.organization != organization:
        return f"the port {port} of this host is taken"
    return f"the port {port} of this host is published by the service {holder.name}"


def _hint(holder: Holder | None, organization: str) -> str:
    if holder is None or holder.organization != organization:
        return _OTHERWISE
    return (
        f"{_OTHERWISE}; to have this one,"
        f" take it out of `ports` of {holder.name} and deploy that one: it is free when nothing"
        " runs with it any more"
    )


async def claim(commands: Commands, ctx: RequestContext, claims: Sequence[Claim]) -> None:
    """Raises PortTaken where another was quicker. In one order: of two that want the same ones at
    once, one gets them all."""
    for one in sorted(claims, key=lambda claim: claim.port):
        await _anew(commands, ctx, value_id("port", one.port), one, "claim")


async def _anew(
    commands: Commands, ctx: RequestContext, id_: str, command: Claim | Release, step: str
) -> None:
    """Of the port as it is by now: an earlier try of the same request may have done this, and
    another has had it since."""
    _, head = await commands.load(PORT, INSTALLATION, id_)
    at = f"{step}.{head.version}"
    await commands.handle(ctx, PORT, id_, command, step=at, organization=INSTALLATION)


@asynccontextmanager
async def left(
    commands: Commands, ctx: RequestContext, service: str, ports: Sequence[PublishedPort]
) -> AsyncIterator[None]:
    """They are released once the service says them no more."""
    ids = [value_id("port", port.on_host) for port in ports]
    before = [await commands.state(PORT, INSTALLATION, id_) for id_ in ids]
    yield
    for id_, was in zip(ids, before, strict=True):
        await _anew(commands, ctx, id_, Release(service, was), "release")
