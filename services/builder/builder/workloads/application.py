"""An application is one workload, its program, reached by the name of the service; before it runs
what it begins with, one job after another. Pure."""

from collections.abc import Mapping, Sequence

from slipway.contracts.values import After, ApplicationSettings, BuiltImage
from slipway.contracts.workload import MAIN, Workload, Workloads


def workloads(
    name: str,
    settings: ApplicationSettings,
    images: Mapping[str, BuiltImage],
    variables: Mapping[str, str],
) -> Workloads:
    runtime, image = settings.runtime, images[MAIN]
    port = None if runtime.port == "none" else runtime.port
    if runtime.port is None and len(image.ports) == 1:
        port = image.ports[0]
    environment = dict(variables)
    if port is not None:
        environment.setdefault("PORT", str(port))
    same = Workload(
        name=MAIN,
        image=image,
        environment=environment,
        mounts=runtime.mounts,
        user=runtime.user,
        stop_signal=runtime.stop_signal,
        stop_grace_seconds=runtime.stop_grace_seconds,
        cpu_limit=runtime.cpu_limit,
        memory_limit=runtime.memory_limit,
        cpu_reservation=runtime.cpu_reservation,
        memory_reservation=runtime.memory_reservation,
    )
    jobs: list[Workload] = []
    for number, command in enumerate(runtime.init, 1):
        job = {"name": f"init-{number}", "command": command, "job": True, "after": _ended(jobs)}
        jobs.append(same.model_copy(update=job))
    own = {
        "command": runtime.command,
        "aliases": (name,),
        "port": port,
        "health_check": runtime.health_check,
        "ports": runtime.ports,
        "labels": runtime.labels,
        "strategy": runtime.strategy,
        "settle_seconds": runtime.settle_seconds,
        "drain_seconds": runtime.drain_seconds,
        "after": _ended(jobs),
    }
    return Workloads(items=(*jobs, same.model_copy(update=own)))


def _ended(jobs: Sequence[Workload]) -> tuple[After, ...]:
    """The last of them has."""
    return tuple(After(workload=job.name, condition="completed") for job in jobs[-1:])
