"""The releases on the engine, looked at for all services together.

The tasks of all that is being rolled out are one question, asked often while something is: Swarm
has no events of tasks. All Swarm services of the instance are listed seldom; one service's after
each of our own effects, and when one of its containers did something."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import replace
from typing import Protocol

from slipway.contracts.rollout import Release
from slipway.kernel.clock import Clock
from slipway.runtime.engine import EngineAway, EngineMissing, EngineRefused
from slipway.runtime.logging import logger

from deployer.rollout.domain import SwarmServiceView, TaskView

type Owner = tuple[str, str]
"""(organization, service)."""
type Found = dict[Owner, dict[str, SwarmServiceView]]
"""By the name of the Swarm service."""

OPEN, QUIET, ALL = 0.1, 2.0, 30.0
_UNASKED = "it has not been asked yet"
_TROUBLE = (EngineAway, EngineRefused, EngineMissing)


class ReleaseLists(Protocol):
    """What the engine is asked for here."""

    async def releases(self, owner: Owner | None = None) -> Found:
        """All of the instance, or one service's, without their tasks."""
        ...

    async def tasks(self, releases: Collection[str]) -> dict[str, tuple[TaskView, ...]]:
        """Id of a release → its tasks, oldest first."""
        ...

    def events(self) -> AsyncIterator[Owner]:
        """Whose containers did something. Raises EngineAway when it ends."""
        ...


class Releases:
    """`changed` is told whose releases are others now. `away`: why the engine can't be asked, empty
    when it answers; until it does again everything stays as it was."""

    def __init__(
        self, engine: ReleaseLists, clock: Clock, changed: Callable[[Owner], None]
    ) -> None:
        self._engine, self._clock, self._changed = engine, clock, changed
        self._found: Found = {}
        self._open: set[Owner] = set()
        self._stirred: set[Owner] = set()
        self._touched: set[Owner] = set()
        self._poke = asyncio.Event()
        self.away = _UNASKED

    def of(self, owner: Owner) -> dict[str, SwarmServiceView]:
        return self._found.get(owner, {})

    def owners(self) -> set[Owner]:
        """All that something is there of."""
        return set(self._found)

    def take_touched(self) -> set[Owner]:
        """Of which something has changed, or may have, since this was asked last."""
        touched, self._touched = self._touched, set()
        return touched

    async def open(self, owner: Owner) -> None:
        """Something is being rolled out: its tasks are looked at closely from now on."""
        if owner not in self._open:
            self._open.add(owner)
            self._poke.set()
            await self.look(owner)

    def strange(self, owner: Owner, serving: Release | None) -> bool:
        """Of a service at rest: something else is there than its release with no task."""
        kept = serving.names if serving else ()
        return any(view.name not in kept or view.replicas != 0 for view in self.of(owner).values())

    def close(self, owner: Owner) -> None:
        self._open.discard(owner)
        without = {
            name: replace(view, tasks=(), looked=False) for name, view in self.of(owner).items()
        }
        self._put(owner, without)

    async def look(self, owner: Owner) -> None:
        """Its releases as they are now; the tasks as they were last seen."""
        found = (await self._engine.releases(owner)).get(owner, {})
        before = self.of(owner)
        self._put(
            owner,
            {name: _as_seen(view, before.get(name)) for name, view in found.items()},
        )

    def _put(self, owner: Owner, views: dict[str, SwarmServiceView]) -> bool:
        """Whether they are others than before."""
        before = self.of(owner)
        if views:
            self._found[owner] = views
        else:
            self._found.pop(owner, None)
        if views != before:
            self._touched.add(owner)
        return views != before

    async def list(self) -> set[Owner]:
        """All of them; whose are others than before."""
        found = await self._engine.releases()
        others = set()
        for owner in sorted(found.keys() | self._found.keys()):
            before = self.of(owner)
            views = {
                name: _as_seen(view, before.get(name))
                for name, view in found.get(owner, {}).items()
            }
            if self._put(owner, views):
                others.add(owner)
        return others

    async def begin(self) -> None:
        """The first list; without it where there is none. `watch` goes on asking."""
        try:
            await self.list()
            self.away = ""
        except Exception as error:
            self._failed(error)

    # -- for ever -----------------------------------------------------------------------------

    async def watch(self) -> None:
        """Never ends by itself, whatever the engine answers."""
        listed = closely = self._now()
        while True:
            try:
                await self._pause(until=listed + ALL)
                now = self._now()
                stirred, self._stirred = self._stirred, set()
                others = set()
                if now - listed >= ALL or self.away:
                    others = await self.list()
                    listed = closely = self._now()
                    self._answers()
                elif now - closely >= QUIET:
                    stirred |= self._open
                    closely = now
                for owner in sorted(stirred):
                    before = self.of(owner)
                    await self.look(owner)
                    if self.of(owner) != before:
                        others.add(owner)
                others |= await self._look_at_tasks()
                for owner in sorted(others):
                    self._changed(owner)
            except Exception as error:
                self._stirred |= self._open
                self._failed(error)
                await self._clock.sleep(1.0)

    def _failed(self, error: Exception) -> None:
        if not isinstance(error, _TROUBLE):
            logger().error("the releases can't be looked at; trying again", exc_info=error)
        elif not self.away or self.away == _UNASKED:
            logger().warning("the engine is away; trying again", error=str(error)[:300])
        self.away = str(error) or type(error).__name__

    def _answers(self) -> None:
        if self.away:
            self.away = ""
            for owner in sorted(self._open):
                self._changed(owner)

    async def _pause(self, until: float) -> None:
        seconds = OPEN if self._open else max(OPEN, until - self._now())
        try:
            async with asyncio.timeout(0.0 if self.away else seconds):
                await self._poke.wait()
            await self._clock.sleep(0.02)  # what comes together is looked at once
        except TimeoutError:
            pass
        self._poke.clear()

    async def _look_at_tasks(self) -> set[Owner]:
        ids = {view.id for owner in self._open for view in self.of(owner).values()}
        if not ids:
            return set()
        try:
            tasks = await self._engine.tasks(ids)
        except EngineMissing:  # one of the releases has been removed since it was listed
            self._stirred |= self._open
            return set()
        return {
            owner
            for owner in self._open
            if self._put(
                owner,
                {
                    name: replace(view, tasks=tasks.get(view.id, ()), looked=True)
                    for name, view in self.of(owner).items()
                },
            )
        }

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()

    async def follow_events(self) -> None:
        while True:
            try:
                async for owner in self._engine.events():
                    self._touched.add(owner)
                    if owner not in self._open:
                        self._stirred.add(owner)
                    self._poke.set()
            except EngineAway as error:
                logger().warning("the engine is away; trying again", error=str(error)[:300])
            except Exception:
                logger().exception("the engine's events can't be followed; trying again")
            await self._clock.sleep(1.0)


def _as_seen(view: SwarmServiceView, before: SwarmServiceView | None) -> SwarmServiceView:
    """With its tasks as they were last seen."""
    return replace(view, tasks=before.tasks, looked=before.looked) if before else view
