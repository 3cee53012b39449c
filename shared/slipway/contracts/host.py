"""Category host: `evt._.host.<value_id("host", host)>`. A host belongs to one organization and
holds its paths. Written by the gateway."""

from slipway.contracts.event import Event


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
