"""What a service of each kind runs: here kinds end. Pure."""

from collections.abc import Mapping
from typing import assert_never

from slipway.contracts.values import ApplicationSettings, BuiltImage, RawSettings, Specification
from slipway.contracts.workload import Workloads

from builder.workloads import application, raw


def workloads_of(
    specification: Specification, images: Mapping[str, BuiltImage], variables: Mapping[str, str]
) -> Workloads:
    """`images` by workload; `variables` are resolved."""
    name, settings = specification.name, specification.settings
    match settings:
        case ApplicationSettings():
            return application.workloads(name, settings, images, variables)
        case RawSettings():
            return raw.workloads(name, settings, images, variables)
        case _:
            assert_never(settings)
