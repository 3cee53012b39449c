"""What is said of one program must fit together. Pure."""

from collections.abc import Mapping, Sequence

from slipway.contracts.values import (
    ApplicationSettings,
    Mount,
    PublishedPort,
    Runtime,
    Settings,
    VolumeMount,
)
from slipway.kernel.errors import Invalid

RESERVED = "slipway."


def runs(runtime: Runtime) -> None:
    """Raises Invalid."""
    check = runtime.health_check
    if check is not None and check.path and runtime.port == "none":
        raise Invalid(
            'what listens on nothing (port: "none") has no path to ask',
            pointer="/health_check/path",
            hint="set a port, or a command as the health check",
        )
    _places(runtime.mounts)
    _published(runtime.ports)
    own_labels(runtime.labels, "/labels")
    if runtime.strategy == "start_first" and (held := _held(runtime)):
        raise Invalid(
            f"two releases at once can't have {held}, so a new one can't start beside the former",
            pointer="/strategy",
            hint="leave strategy away, or set it to stop_first",
        )
    for name in ("cpu", "memory"):
        limit, kept = getattr(runtime, f"{name}_limit"), getattr(runtime, f"{name}_reservation")
        if limit is not None and kept is not None and kept > limit:
            raise Invalid(
                f"more is reserved than {name}_limit allows", pointer=f"/{name}_reservation"
            )


def own_labels(labels: Mapping[str, str], pointer: str) -> None:
    """Raises Invalid."""
    if any(name.startswith(RESERVED) for name in labels):
        raise Invalid(f"labels that begin with {RESERVED} are the platform's", pointer=pointer)


def _places(mounts: Sequence[Mount]) -> None:
    seen: set[str] = set()
    for index, mount in enumerate(mounts):
        if mount.path in seen:
            raise Invalid("another mount is at this path", pointer=f"/mounts/{index}/path")
        seen.add(mount.path)


def _published(ports: Sequence[PublishedPort]) -> None:
    seen: set[str] = set()
    for index, port in enumerate(ports):
        if port.on_host in seen:
            raise Invalid("it is published twice", pointer=f"/ports/{index}/published")
        seen.add(port.on_host)


def _held(runtime: Runtime) -> str | None:
    """What two of it can't have at once, in words."""
    volumes = [mount.name for mount in runtime.mounts if isinstance(mount, VolumeMount)]
    if volumes:
        return f"the volume {volumes[0]}"
    return f"the port {runtime.ports[0].on_host} of the host" if runtime.ports else None


def once(settings: Settings, replicas: Mapping[str, int], *, scaled: bool) -> None:
    """What holds something that two can't have runs once at most. `scaled`: the replicas are what
    was said. Raises Invalid."""
    if not isinstance(settings, ApplicationSettings) or max(replicas.values()) <= 1:
        return
    if held := _held(settings.runtime):
        raise Invalid(
            f"two of it can't have {held} at once, so it runs once",
            pointer="/replicas" if scaled else "/ports" if settings.runtime.ports else "/mounts",
            hint="set replicas to 1",
        )
