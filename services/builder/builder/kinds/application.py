"""An application is one workload: its program, reached by the name of the service."""

from collections.abc import Mapping
from dataclasses import dataclass

from slipway.contracts.values import ApplicationSettings, BuiltImage
from slipway.contracts.workload import MAIN, Workload, Workloads

from builder.build.job import Job
from builder.builders import builder_of
from builder.sources import source_of


@dataclass(frozen=True, slots=True)
class Application:
    name: str
    settings: ApplicationSettings

    @property
    def is_built(self) -> bool:
        return source_of(self.settings.source).is_built

    async def images(self, job: Job) -> Mapping[str, BuiltImage]:
        found = await source_of(self.settings.source).fetch(job)
        if not isinstance(found, BuiltImage):
            job.built = True
            found = await builder_of(self.settings.build).build(job, found)
        return {MAIN: found}

    def workloads(
        self, images: Mapping[str, BuiltImage], variables: Mapping[str, str]
    ) -> Workloads:
        runtime, image = self.settings.runtime, images[MAIN]
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
            aliases=(self.name,),
            port=port,
            health_check=runtime.health_check,
            cpu_limit=runtime.cpu_limit,
            memory_limit=runtime.memory_limit,
            settle_seconds=runtime.settle_seconds,
            drain_seconds=runtime.drain_seconds,
        )
        return Workloads(items=(program,))
