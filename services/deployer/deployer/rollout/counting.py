"""Tells of each service how many tasks of its Swarm services run and are healthy: when that has
changed, at most once a second, and of all before what was told is old."""

from collections.abc import Collection, Iterable
from typing import Protocol

from slipway.contracts.observation import FRESH, Count, observations
from slipway.eventstore.lease import Lease
from slipway.eventstore.observations import Observations
from slipway.eventstore.stream import Silent
from slipway.kernel.clock import Clock
from slipway.runtime.engine import EngineAway, EngineMissing, EngineRefused
from slipway.runtime.logging import logger

from deployer.rollout.domain import TaskView
from deployer.rollout.releases import Owner, Releases

EACH = 1.0
WHOLE = FRESH / 2.5
"""Once it may fail, and nothing is too old yet."""
_SAID = (EngineAway, EngineRefused, EngineMissing, Silent)
"""By who meets them first."""


def count(tasks: Iterable[TaskView]) -> Count:
    """Of one Swarm service."""
    phases = [task.phase for task in tasks if task.container]
    healthy = phases.count("running")
    return Count(running=healthy + phases.count("starting"), healthy=healthy)


class TaskLists(Protocol):
    async def tasks(
        self, releases: Collection[str] | None = None
    ) -> dict[str, tuple[TaskView, ...]]:
        """Id of a Swarm service → its tasks; of all those that are to run, where none is named."""
        ...


class Counting:
    def __init__(
        self, engine: TaskLists, releases: Releases, told: Observations, clock: Clock, lease: Lease
    ) -> None:
        self._engine, self._releases, self._told = engine, releases, told
        self._clock, self._lease = clock, lease
        self._last: dict[str, dict[str, Count]] = {}
        """By service, what was told of it."""
        self._whole_at = float("-inf")

    async def run(self) -> None:
        """For ever. What fails is made good by a look at the whole."""
        while True:
            await self._clock.sleep(EACH)
            if self._releases.away or not self._lease.held:
                continue
            try:
                await self._look()
            except Exception as error:
                self._whole_at = float("-inf")
                if not isinstance(error, _SAID):
                    logger().error("the tasks can't be counted; trying again", exc_info=error)

    async def _look(self) -> None:
        at, began = self._clock.now(), self._clock.monotonic()
        whole = began - self._whole_at >= WHOLE
        owners = self._releases.take_touched()
        if whole:
            owners |= self._releases.owners()
        counts = await self._counts(owners, whole=whole)
        changed = {of: each for of, each in counts.items() if each != self._last.get(of)}
        for seen in observations(at, counts if whole else changed):
            await self._told.put(seen)
        self._last = counts if whole else self._last | changed
        if whole:
            self._whole_at = began

    async def _counts(
        self, owners: Collection[Owner], *, whole: bool
    ) -> dict[str, dict[str, Count]]:
        """By service. What is looked at closely is known."""
        there = {owner[1]: self._releases.of(owner).values() for owner in owners}
        asked = [view.id for views in there.values() for view in views if not view.looked]
        tasks = await self._engine.tasks(None if whole else asked) if asked else {}
        return {
            service: {
                view.name: count(view.tasks if view.looked else tasks.get(view.id, ()))
                for view in views
                if not view.job
            }
            for service, views in there.items()
        }
