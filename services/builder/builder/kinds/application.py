"""An application is built, or has an image as it is."""

from collections.abc import Mapping
from dataclasses import dataclass

from slipway.contracts.values import ApplicationSettings, BuiltImage
from slipway.contracts.workload import MAIN

from builder.build.job import Job
from builder.builders import builder_of
from builder.sources import source_of


@dataclass(frozen=True, slots=True)
class Application:
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
