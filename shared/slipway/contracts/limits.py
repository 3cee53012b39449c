"""Category limits; the aggregate's id is `builds`. Written by the gateway, for the operator."""

from slipway.contracts.event import Event, Value

BUILDS = "builds"
"""The aggregate's id."""


class BuildLimits(Value):
    """Of an organization's builds together: bytes of memory, processors, processes, bytes of disk
    with their cache, and how many are built at once (None: all slots but one). Of each of them:
    bytes that are kept of its output, and seconds."""

    memory: int = 3 << 30
    cpus: float = 2.0
    processes: int = 2048
    disk: int = 20 << 30
    slots: int | None = None
    output: int = 16 << 20
    seconds: float = 1800.0


class BuildCeilings(BuildLimits):
    """What an installation gives nobody more of."""

    memory: int = 64 << 30
    cpus: float = 64.0
    processes: int = 32768
    disk: int = 1 << 40
    output: int = 64 << 20
    seconds: float = 6 * 3600.0


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
    """Never above the ceilings, which may have been others when the organization's were set."""
    said = {name: value for name, value in own if value is not None}
    wanted = {**dict(installation), **said}
    most = {name: value for name, value in ceilings if value is not None}
    bounded = {
        name: value if name not in most or value is None else min(value, most[name])
        for name, value in wanted.items()
    }
    return BuildLimits.model_validate(bounded)


def above(own: OwnLimits, ceilings: BuildCeilings) -> dict[str, float]:
    """Those of the organization's that are above the installation's ceilings, with these."""
    most = {name: value for name, value in ceilings if value is not None}
    return {
        name: most[name]
        for name, value in own
        if value is not None and name in most and value > most[name]
    }
