"""Workloads as they are said, with the images that they name: on test instances alone. Pure."""

from collections.abc import Mapping

from slipway.contracts.reached import workload_name
from slipway.contracts.values import BuiltImage, RawProgram, RawSettings
from slipway.contracts.workload import Workload, Workloads


def workloads(
    name: str,
    settings: RawSettings,
    images: Mapping[str, BuiltImage],
    variables: Mapping[str, str],
) -> Workloads:
    """The service's variables are those of each; its own win. One without aliases is reached by its
    name behind the service's."""

    def made(program: RawProgram) -> Workload:
        said = {field: value for field, value in program if field != "image"}
        said |= {
            "image": images[program.name],
            "environment": {**variables, **program.environment},
            "aliases": program.aliases or (workload_name(name, program.name),),
        }
        return Workload(**said)

    return Workloads(items=tuple(map(made, settings.workloads)))
