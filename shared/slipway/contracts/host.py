"""Category host: `evt._.host.<value_id("host", host)>`. A host belongs to one organization and
holds its paths. Written by the gateway.

Which of them lead to which service is a fold of all. Pure."""

from dataclasses import dataclass, field

from slipway.contracts.event import Event

ALL = "evt._.host.*"


class HostClaimed(Event):
    type = "host.claimed"
    host: str
    organization: str


class HostRouteAdded(Event):
    """`port` None means the service's own port."""

    type = "host.route_added"
    domain: str
    host: str
    path: str
    organization: str
    service: str
    environment: str
    port: int | None = None
    workload: str | None = None
    """None: the only one of the service."""


class HostRouteRemoved(Event):
    type = "host.route_removed"
    domain: str
    service: str


class HostReleased(Event):
    """No path is left; the host rests until `until` (ISO 8601) before another may claim it."""

    type = "host.released"
    until: str


@dataclass(frozen=True, slots=True)
class Bound:
    """A domain as it was added; `port` None means the workload's own, `workload` None the only
    one."""

    domain: str
    host: str
    path: str
    port: int | None
    workload: str | None = None


@dataclass(slots=True)
class Hosts:
    """service → its domains, by id. Folded in the order of the log."""

    _bound: dict[str, dict[str, Bound]] = field(default_factory=dict)

    def of(self, service: str) -> tuple[Bound, ...]:
        found = self._bound.get(service, {}).values()
        return tuple(sorted(found, key=lambda bound: (bound.host, bound.path)))

    def evolve(self, event: Event) -> str | None:
        """The service whose domains the event changed, None when it changed none."""
        match event:
            case HostRouteAdded():
                bound = Bound(event.domain, event.host, event.path, event.port, event.workload)
                self._bound.setdefault(event.service, {})[event.domain] = bound
                return event.service
            case HostRouteRemoved():
                domains = self._bound.get(event.service, {})
                domains.pop(event.domain, None)
                if not domains:
                    self._bound.pop(event.service, None)
                return event.service
            case _:
                return None
