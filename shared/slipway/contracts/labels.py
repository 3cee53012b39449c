"""Labels on everything made on the engine, and the names derived from the instance."""

import base64
import hashlib
from collections.abc import Mapping, Sequence

INSTANCE = "slipway.instance"
ORGANIZATION = "slipway.org"
PROJECT = "slipway.project"
ENVIRONMENT = "slipway.environment"
SERVICE = "slipway.service"
"""The service's id."""
WORKLOAD = "slipway.workload"
"""Its name."""
HOLDS = "slipway.holds"
"""What two cannot have at once, with commas between."""
NETWORK = "slipway.network"
"""The network on which tasks are reached from outside, where it is not the environment's."""
RELEASE = "slipway.release"
"""The Swarm service's own name: what belongs to a release is found by it."""


def network(instance: str, environment: str) -> str:
    """The environment's overlay network."""
    return f"{instance}_env_{environment}"


DEFAULT_NETWORK = "default"
"""The network of a service whose members are in the environment's too."""


def service_network(instance: str, service: str, name: str) -> str:
    """An overlay network of a service's own. `service`: its id."""
    tail = hashlib.sha256(f"{service}/{name}".encode()).hexdigest()[:16]
    return f"{_of_services(instance)}{name[:24]}_{tail}"


def is_service_network(instance: str, name: str) -> bool:
    return name.startswith(_of_services(instance))


def _of_services(instance: str) -> str:
    return f"{instance}_svc_"


def reached_on(instance: str, environment: str, service: str, networks: Sequence[str]) -> str:
    """The network on which the tasks of a workload are reached from outside. `networks`: the names
    of the service's own that it is in."""
    if not networks or DEFAULT_NETWORK in networks:
        return network(instance, environment)
    return service_network(instance, service, networks[0])


def reached_by_marks(instance: str, marks: Mapping[str, str]) -> str:
    """The same, from the labels of a task's container."""
    return marks.get(NETWORK) or network(instance, marks.get(ENVIRONMENT, ""))


def release(instance: str, service: str, workload: str, deployment: str) -> str:
    """The Swarm service which a deployment makes for a workload; at most 63 characters (a DNS
    label). `service`: its id."""
    whole = f"{service}/{workload}/{deployment}"
    tail = hashlib.sha256(whole.encode()).hexdigest()[:16]
    return f"{instance[:20]}-{workload[:24]}-{tail}"


def volume(instance: str, service: str, name: str) -> str:
    """A volume of a service, whose id `service` is: it belongs to it, not to a deployment."""
    tail = hashlib.sha256(f"{service}/{name}".encode()).hexdigest()[:16]
    return f"{instance[:20]}-{name[:24]}-{tail}"


def file(instance: str, release: str, path: str) -> str:
    """The Swarm secret with a file of a release; at most 64 characters. `release`: its name."""
    tail = hashlib.sha256(f"{release}{path}".encode()).hexdigest()[:16]
    return f"{instance[:20]}-file-{tail}"


def control_network(instance: str) -> str:
    return f"{instance}_control"


def guard_service(instance: str) -> str:
    """The Swarm service that keeps the rules of what leaves the machine."""
    return f"{instance}_guard"


def egress_network(instance: str, number: int = 0) -> str:
    """The way out of workloads: a bridge on each node, whose members don't reach one another.
    `number`: how often another one had to take its place."""
    return f"{instance}_egress{f'_{number}' if number else ''}"


def egress_number(instance: str, network: str) -> int | None:
    """Of a network of that name, None where it is another."""
    first, _, number = network.removeprefix(egress_network(instance)).partition("_")
    if first or not network.startswith(egress_network(instance)):
        return None
    return int(number) if number.isdecimal() else None if number else 0


def egress_configuration(instance: str, number: int = 0) -> str:
    """What a node has to know of that bridge before it can take work: a network of the engine's
    kind `config-only`."""
    return f"{instance}_egress_bridge{f'_{number}' if number else ''}"


def egress_bridges(instance: str) -> str:
    """What the names of the instance's bridges begin with that lead out: the guard's rules hold for
    all of them."""
    return f"sw{_short(instance)}-"


def builds_bridge(instance: str, organization: str) -> str:
    """The device's name, at most 15 characters."""
    return f"{egress_bridges(instance)}{_short(organization)}"


def workloads_bridges(instance: str) -> str:
    """What the names of those begin with whose members don't reach one another."""
    return f"{egress_bridges(instance)}w-"


def workloads_bridge(instance: str, mark: str) -> str:
    """`mark`: four characters that no bridge before had: an engine may keep one that it has lost
    otherwise, and takes no other of its name."""
    return f"{workloads_bridges(instance)}{mark}"


def _short(text: str) -> str:
    return base64.b32encode(hashlib.sha256(text.encode()).digest()).decode().lower()[:6]


def traefik_container(instance: str) -> str:
    return f"{instance}-traefik"


def build_network(instance: str, organization: str) -> str:
    """The network of an organization's BuildKit. Its container and its volume are named so too."""
    return f"{instance}-build-{organization}"


def cloning_container(instance: str, organization: str) -> str:
    """Where its repositories are cloned, in that network."""
    return f"{instance}-clone-{organization}"


SAMPLE = "sample-git"
"""The name of the sample's git server."""


def sample_service(instance: str) -> str:
    """The Swarm service of the sample's git server, where there is one."""
    return f"{instance}_{SAMPLE}"


def registry_network(instance: str) -> str:
    """Of the registry and its door. The engine publishes a container's ports by the first of its
    networks in the order of their names: before `build`."""
    return f"{instance}-blobs"


def registry_container(instance: str) -> str:
    return f"{instance}-registry"


def registry_door(instance: str) -> str:
    """What stands before the registry and says who may."""
    return f"{instance}-registry-door"


def registry_volume(instance: str) -> str:
    return f"{instance}_registry"
