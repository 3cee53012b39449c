"""What the builder is told."""

from pathlib import Path

from pydantic import Field, SecretStr
from slipway.runtime.settings import LimitSettings


class BuilderSettings(LimitSettings):
    nats_user: str = "builder"
    master_private: SecretStr = SecretStr("")
    """The master key's private half, which opens organizations' keys."""
    control_image: str = ""
    """The control plane's own: repositories are cloned by it."""
    work: Path = Path("/var/lib/slipway/builder")
    """Where repositories are cloned to; nothing in it outlives its build."""
    builds_at_once: int = 3
    """Of all organizations together; later ones wait. One organization has all but one of them."""
    copies_at_once: int = 4
    """Deployments that only copy images, beside the builds; shared in the same way."""
    registry_port: int = 5000
    """Where the engine finds the registry, on loopback."""
    registry_image: str = "registry:3.1"
    """Of the registry itself."""
    door_image: str = "nginx:stable"
    """What stands before the registry."""
    buildkit_image: str = "moby/buildkit:v0.34.2"
    """Its `buildctl` is the builder's own too."""
    buildkit_idle_seconds: float = 600
    """After so long without a build an organization's BuildKit is stopped."""
    disk_free_percent: float = 10
    """Of the engine's disk. Where less is free, no build is begun and no image fetched."""
    disk_free_enough: int = 64 << 30
    """Bytes: where so much is free it is enough, however small a part of the disk that is."""
    images_kept: int = Field(default=10, ge=1)
    """Of a service, for rollbacks: the images of so many last deployments, and of so many that were
    live. What runs is kept always."""
    images_seconds: float = 120
    """Between the moment from which an image can't be rolled back to, and its removal."""
    collect_seconds: float = 3600
    """At least, between two collections of what removed images leave in the registry. It waits for
    a moment without builds; after a day all builds wait for it, for ten minutes at most, and those
    of organizations whose builds last longer for twenty more."""
    registry_store: Path = Path("/var/lib/slipway/registry")
    """Where the volume `<instance>_registry` is mounted here."""
