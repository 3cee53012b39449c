"""What is said of one program must fit together. Pure."""

from collections.abc import Mapping, Sequence

from slipway.contracts.values import (
    ApplicationSettings,
    Mount,
    PublishedPort,
    RawProgram,
    RawSettings,
    Runtime,
    Settings,
    VolumeMount,
)
from slipway.contracts.workload import MAIN
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
    alone(runtime)
    for name in ("cpu", "memory"):
        limit, kept = getattr(runtime, f"{name}_limit"), getattr(runtime, f"{name}_reservation")
        if limit is not None and kept is not None and kept > limit:
            raise Invalid(
                f"more is reserved than {name}_limit allows", pointer=f"/{name}_reservation"
            )


def alone(program: Runtime | RawProgram, at: str = "", *, replicas: int = 1) -> None:
    """What holds something that two can't have. `at`: the pointer to it. Raises Invalid."""
    if program.strategy == "start_first" and (held := _held(program)):
        raise Invalid(
            f"two releases at once can't have {held}, so a new one can't start beside the former",
            pointer=f"{at}/strategy",
            hint="leave strategy away, or set it to stop_first",
        )
    _runs_once(program, replicas, f"{at}/replicas")


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


def _held(program: Runtime | RawProgram) -> str | None:
    """What two of it can't have at once, in words."""
    volumes = [mount.name for mount in program.mounts if isinstance(mount, VolumeMount)]
    if volumes:
        return f"the volume {volumes[0]}"
    return f"the port {program.ports[0].on_host} of the host" if program.ports else None


def once(settings: Settings, replicas: Mapping[str, int], *, scaled: bool) -> None:
    """What holds something that two can't have runs once at most. `scaled`: the replicas are what
    was said. Raises Invalid."""
    several = settings.workloads if isinstance(settings, RawSettings) else ()
    programs: list[tuple[str, Runtime | RawProgram, str]]
    programs = [(each.name, each, "/workloads") for each in several]
    if isinstance(settings, ApplicationSettings):
        runtime = settings.runtime
        programs.append((MAIN, runtime, "/ports" if runtime.ports else "/mounts"))
    for name, program, pointer in programs:
        _runs_once(program, replicas.get(name, 1), "/replicas" if scaled else pointer)


def _runs_once(program: Runtime | RawProgram, replicas: int, pointer: str) -> None:
    if replicas > 1 and (held := _held(program)):
        raise Invalid(
            f"two of it can't have {held} at once, so it runs once",
            pointer=pointer,
            hint="set replicas to 1",
        )
