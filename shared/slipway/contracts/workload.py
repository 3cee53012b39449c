"""What runs of a service: its workloads, each what one Swarm service needs, whatever the service's
kind. The builder makes them of a deployment's specification; deployer and proxy-sync know nothing
else.

What was resolved from secrets is in them, so no event has them: those of a deployment are one
object, sealed to the organization's key. Events have what anybody may see of them (`Built`)."""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Annotated, Any

import orjson

from slipway.contracts.canonical import canonical
from slipway.contracts.clipping import Clipped, at_most
from slipway.contracts.event import Value
from slipway.contracts.values import BuiltImage, Program, VolumeMount

MAIN = "main"
"""The workload of an application, for ever."""
MOST = 50
LARGEST = 4 << 20
"""Bytes of the workloads of one deployment, as JSON."""
SCOPE = "deployment"


def place(name: str) -> str:
    """A workload's own: what is to stop first holds it, and every former one has it."""
    return f"workload:{name}"


class Workload(Program):
    """A program with the image that it runs."""

    image: BuiltImage

    @property
    def holds(self) -> tuple[str, ...]:
        """What two cannot have at once: the volumes that it writes, the ports of the host; what is
        to stop first, its own place; a job, that of the service's jobs: those of a release that was
        given up may still be ending when the next one's would begin."""
        volumes = [f"volume:{m.name}" for m in self.mounts if isinstance(m, VolumeMount)]
        alone = [place(self.name)] if self.strategy == "stop_first" else []
        alone += ["jobs"] if self.job else []
        return (*volumes, *(f"port:{port.on_host}" for port in self.ports), *alone)

    @property
    def drains(self) -> bool:
        """Its tasks end `drain_seconds` after they are withdrawn, so that callers can go elsewhere:
        nobody calls a job, or what listens on nothing, and what has to end before the next begins
        is given no such time."""
        return self.port is not None and not self.job and not self.holds

    def digest(self, key: bytes) -> str:
        """What tells whether it is the same as one that runs: a MAC (32 characters, hex) of all
        that its tasks would notice, so that nobody without the organization's key can try values.
        Where it runs and how it comes and goes are no part of it, but for how long its tasks drain:
        that stands in what they run. A field that comes later and has its default changes no
        digest."""
        body = canonical(self.model_copy(update={"image": _anywhere(self.image)}))
        for field in _UNNOTICED:
            body.pop(field, None)
        if not self.model_copy(update={"strategy": None}).drains:
            body.pop("drain_seconds", None)
        text = orjson.dumps(body, option=orjson.OPT_SORT_KEYS)
        return hmac.new(key, text, hashlib.sha256).hexdigest()[:32]


_UNNOTICED = ("after", "strategy", "replicas", "settle_seconds")


def _anywhere(image: BuiltImage) -> BuiltImage:
    return BuiltImage(reference=image.reference)


class Workloads(Value):
    """All of a deployment, in the order in which they are shown. `hidden`: its secret values, which
    nothing that they print is shown with; None where that is not known."""

    items: tuple[Workload, ...]
    hidden: tuple[str, ...] | None = None

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
