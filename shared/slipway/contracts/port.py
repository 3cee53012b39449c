"""Category port: `evt._.port.<value_id("port", "5432/tcp")>`. A port of the host belongs to the
service that published it last, for as long as it says so or something of it runs with it. Written
by the gateway."""

from slipway.contracts.event import Event


class PortClaimed(Event):
    """`claim`: the request, so that no two claims are alike."""

    type = "port.claimed"
    port: str
    """Such as 5432/tcp."""
    organization: str
    service: str
    claim: str


class PortReleased(Event):
    """Its service says it no more. Another may have it once nothing runs with it."""

    type = "port.released"
    service: str
