"""What runs of services, as it was seen last: no fact, and replaced by the next look."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from slipway.contracts.event import Value

FRESH = 30.0
"""Seconds for which what was seen tells how it is."""
MOST = 4000
"""Counts in one observation: with their names about 400 KiB."""


class Count(Value):
    """Tasks that are to run. `running`: they have a container; `healthy`: of these, those that are
    healthy, or have no health check and run."""

    running: int
    healthy: int


class Observation(Value):
    """By service's id, of each Swarm service that is there of it."""

    at: datetime
    services: dict[str, dict[str, Count]]


def observations(at: datetime, services: Mapping[str, dict[str, Count]]) -> Iterator[Observation]:
    """In parts that fit a message."""
    part: dict[str, dict[str, Count]] = {}
    size = 0
    for service, counts in services.items():
        if part and size + len(counts) > MOST:
            yield Observation(at=at, services=part)
            part, size = {}, 0
        part[service] = counts
        size += len(counts) + 1
    if part:
        yield Observation(at=at, services=part)
