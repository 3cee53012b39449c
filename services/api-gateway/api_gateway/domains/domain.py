"""Hosts: one belongs to one organization and holds its paths."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from slipway.contracts.event import Event, Value
from slipway.contracts.host import HostClaimed, HostReleased, HostRouteAdded, HostRouteRemoved
from slipway.kernel.decider import Decider
from slipway.kernel.errors import NotFound, Refused

REST = timedelta(hours=24)
"""How long a freed host rests before another organization may claim it: names in caches and
bookmarks of the former owner must not lead to a stranger."""


MOST = 100
"""Domains of one service. All of them are in each event of its route, which has to fit a commit."""


class HostTaken(Refused):
    slug = "host-taken"


class TooManyDomains(Refused):
    slug = "too-many-domains"


def room(domains: int) -> None:
    """For one more beside so many. Raises TooManyDomains."""
    if domains >= MOST:
        raise TooManyDomains(
            f"the service has {domains} domains already, {MOST} at most",
            hint="remove one that is not needed, or let another service answer for some of them",
        )


class Route(Value):
    domain: str
    path: str
    service: str
    environment: str
    port: int | None = None
    workload: str | None = None


class HostState(Value):
    host: str = ""
    organization: str | None = None
    rests_until: str | None = None
    routes: tuple[Route, ...] = ()


@dataclass(frozen=True, slots=True)
class AddRoute:
    domain: str
    host: str
    path: str
    organization: str
    service: str
    environment: str
    port: int | None
    workload: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class RemoveRoute:
    domain: str
    at: datetime


def decide(command: AddRoute | RemoveRoute, state: HostState) -> tuple[Event, ...]:
    match command:
        case AddRoute():
            return _add(command, state)
        case RemoveRoute(domain, at):
            found = next((route for route in state.routes if route.domain == domain), None)
            if found is None:
                raise NotFound("there is no such domain")
            removed = HostRouteRemoved(domain=domain, service=found.service)
            if len(state.routes) > 1:
                return (removed,)
            return (removed, HostReleased(until=(at + REST).isoformat()))


def _add(command: AddRoute, state: HostState) -> tuple[Event, ...]:
    if any(route.domain == command.domain for route in state.routes):
        return ()
    resting = (
        state.rests_until is not None and datetime.fromisoformat(state.rests_until) > command.at
    )
    if state.organization != command.organization and (state.routes or resting):
        raise HostTaken(
            f"{command.host} is not available",
            pointer="/host",
            hint="use another host; if it is yours, ask whoever runs this installation",
        )
    if any(route.path == command.path for route in state.routes):
        raise HostTaken(f"{command.host}{command.path} is routed already", pointer="/path")
    facts: list[Event] = []
    if state.organization != command.organization or not state.routes:
        facts.append(HostClaimed(host=command.host, organization=command.organization))
    facts.append(
        HostRouteAdded(
            domain=command.domain,
            host=command.host,
            path=command.path,
            organization=command.organization,
            service=command.service,
            environment=command.environment,
            port=command.port,
            workload=command.workload,
        )
    )
    return tuple(facts)


def evolve(state: HostState, event: Event) -> HostState:
    match event:
        case HostClaimed():
            return HostState(host=event.host, organization=event.organization)
        case HostRouteAdded():
            route = Route(
                domain=event.domain,
                path=event.path,
                service=event.service,
                environment=event.environment,
                port=event.port,
                workload=event.workload,
            )
            return state.model_copy(update={"routes": (*state.routes, route)})
        case HostRouteRemoved():
            left = tuple(route for route in state.routes if route.domain != event.domain)
            return state.model_copy(update={"routes": left})
        case HostReleased():
            return state.model_copy(update={"rests_until": event.until})
        case _:
            return state


HOST = Decider("host", HostState(), decide, evolve)
