"""What is said of one program must fit together. Pure."""

from collections.abc import Iterator, Mapping, Sequence

from slipway.contracts.values import (
    FileMount,
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
    fits(runtime)


def fits(program: Runtime | RawProgram, at: str = "", *, replicas: int = 1) -> None:
    """`at`: the pointer to it. Raises Invalid."""
    _places(program.mounts, f"{at}/mounts")
    _once_each(program.ports, f"{at}/ports")
    if any(name.startswith(RESERVED) for name in program.labels):
        raise Invalid(
            f"labels that begin with {RESERVED} are the platform's", pointer=f"{at}/labels"
        )
    for name in ("cpu", "memory"):
        limit, kept = getattr(program, f"{name}_limit"), getattr(program, f"{name}_reservation")
        if limit is not None and kept is not None and kept > limit:
            raise Invalid(
                f"more is reserved than {name}_limit allows", pointer=f"{at}/{name}_reservation"
            )
    if program.strategy == "start_first" and (had := next(iter(held(program)), None)):
        raise Invalid(
            f"two releases at once can't have {had}, so a new one can't start beside the former",
            pointer=f"{at}/strategy",
            hint="leave strategy away, or set it to stop_first",
        )
    _runs_once(program, replicas, f"{at}/replicas")


def inside(path: str, other: str) -> bool:
    """Or at it."""
    return path == other or path.startswith(f"{other}/")


def _places(mounts: Sequence[Mount], at: str) -> None:
    """Raises Invalid."""
    files = [mount.path for mount in mounts if isinstance(mount, FileMount)]
    seen: set[str] = set()
    for index, mount in enumerate(mounts):
        pointer = f"{at}/{index}/path"
        if mount.path in seen:
            raise Invalid("another mount is at this path", pointer=pointer)
        for file in files:
            if file != mount.path and inside(mount.path, file):
                raise Invalid(f"{file} is a file, so nothing can be in it", pointer=pointer)
        seen.add(mount.path)


def _once_each(ports: Sequence[PublishedPort], at: str) -> None:
    """Raises Invalid."""
    seen: set[str] = set()
    for index, port in enumerate(ports):
        if port.on_host in seen:
            raise Invalid("it is published twice", pointer=f"{at}/{index}/published")
        seen.add(port.on_host)


def programs(settings: Settings) -> Iterator[tuple[str, str, Runtime | RawProgram]]:
    """Of each its name, the pointer to it, and what is said of it."""
    if not isinstance(settings, RawSettings):
        yield MAIN, "", settings.runtime
        return
    for index, workload in enumerate(settings.workloads):
        yield workload.name, f"/workloads/{index}", workload


def published(settings: Settings) -> list[tuple[str, PublishedPort]]:
    """The ports of the host, each with the pointer to it."""
    return [
        (f"{at}/ports/{index}/published", port)
        for _, at, program in programs(settings)
        for index, port in enumerate(program.ports)
    ]


def held(program: Runtime | RawProgram) -> dict[str, str]:
    """What two of it can't have at once, in words, and where it is said in it."""
    found: dict[str, str] = {}
    for index, mount in enumerate(program.mounts):
        if isinstance(mount, VolumeMount):
            found.setdefault(f"the volume {mount.name}", f"/mounts/{index}/name")
    for index, port in enumerate(program.ports):
        found[f"the port {port.on_host} of the host"] = f"/ports/{index}/published"
    return found


def once(settings: Settings, replicas: Mapping[str, int], *, scaled: bool) -> None:
    """What holds something that two can't have runs once at most. `scaled`: the replicas are what
    was said. Raises Invalid."""
    for name, at, program in programs(settings):
        pointer = f"{at}/ports" if program.ports else f"{at}/mounts"
        _runs_once(program, replicas.get(name, 1), "/replicas" if scaled else pointer)


def _runs_once(program: Runtime | RawProgram, replicas: int, pointer: str) -> None:
    if replicas > 1 and (had := next(iter(held(program)), None)):
        raise Invalid(
            f"two of it can't have {had} at once, so it runs once",
            pointer=pointer,
            hint="set replicas to 1",
        )
