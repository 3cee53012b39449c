"""Category route; the aggregate's id is the service's id (and, for what concerns an
environment's network, the environment's id). One edge so far. Written by proxy-sync.

Every event of a service's route carries the whole state."""

from collections.abc import Sequence

from slipway.contracts.event import Event, Value
from slipway.contracts.values import Failure, Kind

PORT_UNKNOWN = "port-unknown"
"""The reason of a release that has a domain, and no port to which that leads."""


def exposed(ports: Sequence[int]) -> str:
    """Of the TCP ports which an image exposes, for people: `exposes 80 and 443`."""
    named = [str(port) for port in ports[:9]]
    if len(ports) > len(named):
        named.append(f"{len(ports) - len(named)} more")
    *most, last = named or ["no port"]
    return f"exposes {', '.join(most)} and {last}" if most else f"exposes {last}"


class Binding(Value):
    """A public address: requests for `host` under `path` go to the `port` of the workload's tasks;
    where there is no such workload nobody answers."""

    domain: str
    host: str
    path: str
    workload: str
    port: int


class Served(Value):
    """A workload that the proxy may name, by its Swarm service."""

    workload: str
    swarm_service: str


class Refusal(Value):
    """A release that did not come to be routed, and why. It stays in the state until another one
    is activated: whoever reads the last event alone must not miss it."""

    deployment: str
    attempt: int
    failure: Failure


class RouteState(Value):
    """`deployment` is the one that serves, with its workloads `served`; `named` are all Swarm
    services whose tasks the proxy's configuration names, so any other may be removed. `addresses`
    are those of tasks that have answered; `bindings` empty when nothing is routed (no domain)."""

    environment: str = ""
    deployment: str | None = None
    attempt: int = 0
    served: tuple[Served, ...] = ()
    named: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    bindings: tuple[Binding, ...] = ()
    refused: Refusal | None = None


class RouteEvent(Event):
    public = frozenset({"service", "kind", "deployment"})
    service: str
    kind: Kind
    deployment: str | None = None
    state: RouteState


class RouteActivated(RouteEvent):
    """The release answered its probes, settled, was switched to, and answered once more."""

    type = "route.activated"


class RouteFailed(RouteEvent):
    type = "route.failed"
    public = frozenset({"service", "kind", "deployment", "failure"})
    failure: Failure


class RouteChanged(RouteEvent):
    """Same release; other addresses or bindings (scaled, a task replaced, a domain added)."""

    type = "route.changed"


class RouteWithdrawn(RouteEvent):
    """The proxy names nothing of this service any more (stopped or being deleted)."""

    type = "route.withdrawn"


class NetworkLeft(Event):
    """The edge has left the environment's network; `route` aggregate with the environment's id."""

    type = "route.network_left"
    environment: str
