"""Which public addresses lead to which application: the fold of all hosts."""

from dataclasses import dataclass, field

from slipway.contracts.event import Event
from slipway.contracts.host import HostReleased, HostRouteAdded, HostRouteRemoved


@dataclass(frozen=True, slots=True)
class Bound:
    """A domain as it was added; `port` None means the application's own."""

    domain: str
    host: str
    path: str
    port: int | None


@dataclass(slots=True)
class Hosts:
    """application → its domains, by id. Folded in the order of the log."""

    _bound: dict[str, dict[str, Bound]] = field(default_factory=dict)

    def of(self, application: str) -> tuple[Bound, ...]:
        found = self._bound.get(application, {}).values()
        return tuple(sorted(found, key=lambda bound: (bound.host, bound.path)))

    def evolve(self, event: Event) -> str | None:
        """The application whose domains the event changed, None when it changed none."""
        match event:
            case HostRouteAdded():
                bound = Bound(event.domain, event.host, event.path, event.port)
                self._bound.setdefault(event.application, {})[event.domain] = bound
                return event.application
            case HostRouteRemoved():
                self._bound.get(event.application, {}).pop(event.domain, None)
                return event.application
            case HostReleased():
                return None
            case _:
                return None
