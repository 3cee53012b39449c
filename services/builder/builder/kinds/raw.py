"""Workloads as they are said, with the images that they name: on test instances alone."""

from collections.abc import Mapping
from dataclasses import dataclass

from slipway.contracts.values import BuiltImage, ImageSource, RawSettings
from slipway.contracts.workload import Workload, Workloads

from builder.build.job import Job
from builder.sources.image import Image


@dataclass(frozen=True, slots=True)
class Raw:
    name: str
    """The service's."""
    settings: RawSettings

    @property
    def is_built(self) -> bool:
        return False

    async def images(self, job: Job) -> Mapping[str, BuiltImage]:
        found: dict[str, BuiltImage] = {}
        for workload in self.settings.workloads:
            found[workload.name] = await Image(ImageSource(image=workload.image)).fetch(job)
        return found

    def workloads(
        self, images: Mapping[str, BuiltImage], variables: Mapping[str, str]
    ) -> Workloads:
        """The service's variables are those of each; its own win."""
        return Workloads(
            items=tuple(
                Workload(
                    **{
                        **{name: value for name, value in workload if name != "image"},
                        "image": images[workload.name],
                        "aliases": workload.aliases or (f"{self.name}-{workload.name}",),
                        "environment": {**variables, **workload.environment},
                    }
                )
                for workload in self.settings.workloads
            )
        )
