"""Category limits; the aggregate's id is `builds`. Written by the gateway, for the operator."""

from typing import Annotated

from pydantic import Field

from slipway.contracts.event import Event, Value

BUILDS = "builds"
"""The aggregate's id."""
LEAST_SIZE, LEAST_OUTPUT = 256 << 20, 64 << 10
"""Bytes; of memory and disk, and of what is kept of an output."""
LEAST_CPUS, LEAST_PROCESSES, LEAST_SLOTS, LEAST_SECONDS = 0.1, 64, 1, 10
"""With less nothing is built; what is 0 has no limit at all for the engine."""


class BuildLimits(Value):
    """Of an organization's builds together: bytes of memory, processors, processes, bytes of disk
    with their cache, and how many are built at once (None: all slots but one). Of each of them:
    bytes that are kept of its output, and seconds. Without a number of processors they are half of
    the node's, and one at least."""

    memory: Annotated[int, Field(ge=LEAST_SIZE)] = 3 << 30
    cpus: Annotated[float, Field(ge=LEAST_CPUS)] | None = None
    processes: Annotated[int, Field(ge=LEAST_PROCESSES)] = 2048
    disk: Annotated[int, Field(ge=LEAST_SIZE)] = 20 << 30
    slots: Annotated[int, Field(ge=LEAST_SLOTS)] | None = None
    output: Annotated[int, Field(ge=LEAST_OUTPUT)] = 16 << 20
    seconds: Annotated[float, Field(ge=LEAST_SECONDS)] = 1800.0


class BuildCeilings(BuildLimits):
    """What an installation gives nobody more of."""

    memory: Annotated[int, Field(ge=LEAST_SIZE)] = 64 << 30
    cpus: Annotated[float, Field(ge=LEAST_CPUS)] | None = 64.0
    processes: Annotated[int, Field(ge=LEAST_PROCESSES)] = 32768
    disk: Annotated[int, Field(ge=LEAST_SIZE)] = 1 << 40
    output: Annotated[int, Field(ge=LEAST_OUTPUT)] = 64 << 20
    seconds: Annotated[float, Field(ge=LEAST_SECONDS)] = 6 * 3600.0


class OwnLimits(Value):
    """What an organization has instead of the installation's; None: nothing else."""

    memory: int | None = None
    cpus: float | None = None
    processes: int | None = None
    disk: int | None = None
    slots: int | None = None
    output: int | None = None
    seconds: float | None = None


class BuildLimitsSet(Event):
    """`evt.<organization>.limits.builds`: all of them. They hold for builds that begin later."""

    type = "limits.builds_set"
    public = frozenset({"limits"})
    limits: OwnLimits


def of_builds(installation: BuildLimits, own: OwnLimits, ceilings: BuildCeilings) -> BuildLimits:
    """Never above the ceilings, which may have been others when the organization's were set. Where
    no number of processors is said there is none yet: see `processors`."""
    said = {name: value for name, value in own if value is not None}
    wanted = {**dict(installation), **said}
    most = {name: value for name, value in ceilings if value is not None}
    bounded = {
        name: (None if name == "cpus" else most.get(name))
        if value is None
        else min(value, most.get(name, value))
        for name, value in wanted.items()
    }
    return BuildLimits.model_validate(bounded)


def processors(limits: BuildLimits, ceilings: BuildCeilings, node: int) -> float:
    """Of a node that has so many: the engine refuses more than those."""
    wanted = max(1.0, node / 2) if limits.cpus is None else limits.cpus
    return min(wanted, ceilings.cpus or wanted, float(node))


def above(own: OwnLimits, ceilings: BuildCeilings) -> dict[str, float]:
    """Those of the organization's that are above the installation's ceilings, with these."""
    most = {name: value for name, value in ceilings if value is not None}
    return {
        name: most[name]
        for name, value in own
        if value is not None and name in most and value > most[name]
    }
