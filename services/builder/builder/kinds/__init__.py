"""What a service of each kind runs: here kinds end. Pure."""

from slipway.contracts.values import ApplicationSettings, BuiltImage, Specification
from slipway.contracts.workload import Workloads

from builder.kinds import application


def workloads_of(
    specification: Specification, image: BuiltImage, variables: dict[str, str]
) -> Workloads:
    """`image`: what its source was made into. `variables` are resolved."""
    match specification.settings:
        case ApplicationSettings() as settings:
            return application.workloads(specification.name, settings.runtime, image, variables)
