"""What runs of a service: its workloads, each what one Swarm service needs, whatever the service's
kind. The builder makes them of a deployment's specification; deployer and proxy-sync know nothing
else.

What was resolved from secrets is in them, so no event has them: those of a deployment are one
object, sealed to the organization's key. Events have what anybody may see of them (`Built`)."""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import orjson
from pydantic import Field

from slipway.contracts.canonical import canonical
from slipway.contracts.clipping import Clipped, at_most
from slipway.contracts.event import Value
from slipway.contracts.values import BuiltImage, HealthCheck

MAIN = "main"
"""The workload of an application, for ever."""
MOST = 50
LARGEST = 4 << 20
"""Bytes of the workloads of one deployment, as JSON."""
SCOPE = "deployment"


class VolumeMount(Value):
    """A volume of the service, by its name, under `path`. It outlives deployments."""

    kind: Literal["volume"] = "volume"
    name: str
    path: str


class TmpfsMount(Value):
    """A folder in memory, of `size` bytes at most."""

    kind: Literal["tmpfs"] = "tmpfs"
    path: str
    size: int = 64 << 20


type Mount = Annotated[VolumeMount | TmpfsMount, Field(discriminator="kind")]


class PublishedPort(Value):
    """`port` of the workload is `published` on the host."""

    port: int
    published: int
    protocol: Literal["tcp", "udp"] = "tcp"


class After(Value):
    """Another workload of the release, and how far it has to have come before this one is made.
    `completed`: it is a job, and has ended with 0."""

    workload: str
    condition: Literal["started", "healthy", "completed"] = "started"


type Strategy = Literal["start_first", "stop_first"]


class Workload(Value):
    """`name` is unique in its deployment; `command` stands in place of the image's own; `aliases`
    are its names in the environment's network; `port` is where it listens, None where it has none.
    A `job` runs once, to its end. `replicas`: where nobody has scaled it. Times in seconds, CPU in
    cores, memory in bytes."""

    name: str
    image: BuiltImage
    command: tuple[str, ...] | None = None
    environment: dict[str, str] = Field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    port: int | None = None
    health_check: HealthCheck | None = None
    mounts: tuple[Mount, ...] = ()
    ports: tuple[PublishedPort, ...] = ()
    labels: dict[str, str] = Field(default_factory=dict)
    user: str | None = None
    stop_signal: str | None = None
    stop_grace_seconds: float | None = None
    cpu_limit: float | None = None
    memory_limit: int | None = None
    cpu_reservation: float | None = None
    memory_reservation: int | None = None
    job: bool = False
    after: tuple[After, ...] = ()
    replicas: int = 1
    strategy: Strategy | None = None
    settle_seconds: float = 5.0
    drain_seconds: float = 5.0

    @property
    def holds(self) -> tuple[str, ...]:
        """What two cannot have at once: the volumes that it writes, the ports of the host."""
        volumes = [f"volume:{m.name}" for m in self.mounts if isinstance(m, VolumeMount)]
        return (*volumes, *(f"port:{port.published}/{port.protocol}" for port in self.ports))

    def digest(self, key: bytes) -> str:
        """What tells whether it is the same as one that runs: a MAC (32 characters, hex) of all
        that its tasks would notice, so that nobody without the organization's key can try values.
        Where it runs and how it comes and goes are no part of it. A field that comes later and has
        its default changes no digest."""
        body = canonical(self.model_copy(update={"image": _anywhere(self.image)}))
        for field in _UNNOTICED:
            body.pop(field, None)
        text = orjson.dumps(body, option=orjson.OPT_SORT_KEYS)
        return hmac.new(key, text, hashlib.sha256).hexdigest()[:32]


_UNNOTICED = ("after", "replicas", "strategy", "settle_seconds", "drain_seconds")


def _anywhere(image: BuiltImage) -> BuiltImage:
    return BuiltImage(reference=image.reference)


class Workloads(Value):
    """All of a deployment, in the order in which they are shown."""

    items: tuple[Workload, ...]

    @property
    def by_name(self) -> Mapping[str, Workload]:
        return {workload.name: workload for workload in self.items}


class Built(Clipped):
    """What events say of a workload."""

    name: Annotated[str, at_most(100)]
    digest: Annotated[str, at_most(64)]
    image: BuiltImage
    port: int | None = None


def shown(workload: Workload, key: bytes) -> Built:
    return Built(
        name=workload.name, digest=workload.digest(key), image=workload.image, port=workload.port
    )


def to_json(workloads: Workloads) -> bytes:
    return orjson.dumps(workloads.model_dump(mode="json"))


def from_json(data: bytes) -> Workloads:
    """Raises ValueError."""
    body: Any = orjson.loads(data)
    return Workloads.from_stored(body)
