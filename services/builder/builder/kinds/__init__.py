"""What a service of each kind is made of: the images that its workloads run."""

from collections.abc import Mapping
from typing import Protocol, assert_never

from slipway.contracts.values import ApplicationSettings, BuiltImage, RawSettings, Specification

from builder.build.job import Job
from builder.kinds.application import Application
from builder.kinds.raw import Raw


class ServiceKind(Protocol):
    @property
    def is_built(self) -> bool:
        """It takes a slot: something may be built."""
        ...

    async def images(self, job: Job) -> Mapping[str, BuiltImage]:
        """By workload. Raises BuildError, EngineAway, EngineRefused."""
        ...


def kind_of(specification: Specification) -> ServiceKind:
    settings = specification.settings
    match settings:
        case ApplicationSettings():
            return Application(settings)
        case RawSettings():
            return Raw(settings)
        case _:
            assert_never(settings)
