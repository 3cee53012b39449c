"""Category volume; the aggregate's id is `volume_id`. Written by the deployer.

A volume belongs to its service, not to a deployment, and to the node that has its data."""

from slipway.contracts.event import Event
from slipway.kernel.ids import derived


def volume_id(service: str, name: str) -> str:
    """Of the volume that a service's settings call so."""
    return derived("volume", service, name)


class VolumeEvent(Event):
    public = frozenset({"service", "name", "node"})
    service: str
    name: str
    """As the service's settings call it; on the engine it is `labels.volume`."""
    node: str
    """Swarm's id of the node that has it."""


class VolumeCreated(VolumeEvent):
    """Appended before the first task that mounts it: from then on what does runs on that node."""

    type = "volume.created"


class VolumeRemoved(VolumeEvent):
    """Its service was deleted a while ago; there is nothing left of it."""

    type = "volume.removed"
