"""Workloads name their images themselves."""

from collections.abc import Mapping
from dataclasses import dataclass

from slipway.contracts.values import BuiltImage, ImageSource, RawSettings

from builder.build.job import Job
from builder.sources.image import Image


@dataclass(frozen=True, slots=True)
class Raw:
    settings: RawSettings

    @property
    def is_built(self) -> bool:
        return False

    async def images(self, job: Job) -> Mapping[str, BuiltImage]:
        copied: dict[str, BuiltImage] = {}
        for workload in self.settings.workloads:
            if workload.image not in copied:
                copied[workload.image] = await Image(ImageSource(image=workload.image)).fetch(job)
        return {workload.name: copied[workload.image] for workload in self.settings.workloads}
