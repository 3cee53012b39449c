"""What is known of a container that belongs to a service of a user."""

from collections.abc import Mapping
from dataclasses import dataclass

from slipway.contracts import labels

TASK = "com.docker.swarm.task.id"


@dataclass(frozen=True, slots=True)
class Container:
    """`step` marks its lines and samples: the id of its Swarm task, of which it is the only
    container, or the short id of a container that Swarm did not make."""

    id: str
    organization: str
    service: str
    step: str
    running: bool


def container(id_: str, marks: Mapping[str, str], running: bool) -> Container | None:
    """None for one without the labels of a service: the control plane's own."""
    organization, service = marks.get(labels.ORGANIZATION), marks.get(labels.SERVICE)
    if not organization or not service:
        return None
    return Container(id_, organization, service, marks.get(TASK) or id_[:12], running)
