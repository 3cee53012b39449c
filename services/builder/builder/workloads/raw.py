"""Workloads as they are said, with the images that they name: on test instances alone. Pure."""

from collections.abc import Mapping

from slipway.contracts.labels import DEFAULT_NETWORK
from slipway.contracts.reached import workload_name
from slipway.contracts.values import Attachment, BuiltImage, RawProgram, RawSettings
from slipway.contracts.workload import Workload, Workloads


def workloads(
    name: str,
    settings: RawSettings,
    images: Mapping[str, BuiltImage],
    variables: Mapping[str, str],
) -> Workloads:
    """The service's variables are those of each; its own win. One without aliases is reached by its
    name behind the service's in the environment, and by its name alone in the service's own
    networks: in `default` where it names none."""

    def made(program: RawProgram) -> Workload:
        said = {field: value for field, value in program if field != "image"}
        said |= {
            "image": images[program.name],
            "environment": {**variables, **program.environment},
            "aliases": program.aliases or (workload_name(name, program.name),),
            "networks": _attached(program),
        }
        return Workload(**said)

    return Workloads(items=tuple(map(made, settings.workloads)))


def _attached(program: RawProgram) -> tuple[Attachment, ...]:
    said = program.networks or (Attachment(name=DEFAULT_NETWORK),)
    return tuple(
        Attachment(name=each.name, aliases=each.aliases or (program.name,)) for each in said
    )
