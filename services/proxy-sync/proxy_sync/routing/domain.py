"""Which public addresses lead to which service: the fold of all hosts."""

from dataclasses import dataclass, field

from slipway.contracts.event import Event
from slipway.contracts.host import HostReleased, HostRouteAdded, HostRouteRemoved


@dataclass(frozen=True, slots=True)
class Bound:
    """A domain as it was added; `port` None means the service's own."""

    domain: str
    host: str
    path: str
    port: int | None


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
                bound = Bound(event.domain, event.host, event.path, event.port)
                self._bound.setdefault(event.service, {})[event.domain] = bound
                return event.service
            case HostRouteRemoved():
                self._bound.get(event.service, {}).pop(event.domain, None)
                return event.service
            case HostReleased():
                return None
            case _:
                return None
