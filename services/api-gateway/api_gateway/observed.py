"""What was seen of each service last, in memory: a list of many asks nobody."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from slipway.contracts.observation import FRESH, Count, Observation
from slipway.eventstore.observations import Observations

FORGOTTEN = timedelta(minutes=10)
MOST = 50_000
"""Services. Those of which something was heard last are kept."""


class Seen(NamedTuple):
    """`counts` by Swarm service, of all that are there; None where it is not known how it is now,
    though it may be known how it was."""

    at: datetime | None = None
    counts: Mapping[str, Count] | None = None


class Observed:
    def __init__(self) -> None:
        self._last: dict[str, Seen] = {}
        """By service; the one that was heard last comes last."""

    def __len__(self) -> int:
        return len(self._last)

    def put(self, observation: Observation) -> None:
        for service, counts in observation.services.items():
            self._last.pop(service, None)
            self._last[service] = Seen(observation.at, counts)
        while self._last and (len(self._last) > MOST or self._is_old(observation.at)):
            del self._last[next(iter(self._last))]

    def _is_old(self, now: datetime) -> bool:
        at = next(iter(self._last.values())).at
        return at is not None and at < now - FORGOTTEN

    def of(self, service: str, now: datetime) -> Seen:
        seen = self._last.get(service, Seen())
        fresh = seen.at is not None and abs(now - seen.at) <= timedelta(seconds=FRESH)
        return seen if fresh else seen._replace(counts=None)

    async def follow(self, observations: Observations) -> None:
        """For ever."""
        async for observation in observations.follow():
            self.put(observation)
