"""An application is one workload: its program, reached by the name of the service. Pure."""

from collections.abc import Mapping

from slipway.contracts.values import ApplicationSettings, BuiltImage
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
    program = Workload(
        name=MAIN,
        image=image,
        command=runtime.command,
        environment=environment,
        aliases=(name,),
        port=port,
        health_check=runtime.health_check,
        cpu_limit=runtime.cpu_limit,
        memory_limit=runtime.memory_limit,
        settle_seconds=runtime.settle_seconds,
        drain_seconds=runtime.drain_seconds,
    )
    return Workloads(items=(program,))
