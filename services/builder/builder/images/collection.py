"""What removed images leave in the registry is collected by its own program, which reads all that
is kept and removes the rest. Nobody pushes meanwhile, or that is lost."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from slipway.contracts.registry import LONGEST_COLLECTION
from slipway.kernel.clock import Clock
from slipway.runtime.actor import insist
from slipway.runtime.logging import logger

from builder.registry import render
from builder.registry.gate import Busy, Gate
from builder.settings import BuilderSettings

_AGAIN, _DAY = 60.0, 86400.0
_DROPPING = 300.0
"""Of the seconds of a collection so many at most for what the builder removes before."""
_PATIENCE = 600.0
"""Seconds for which all builds wait for others to end, once a collection has waited for a day."""


class Repositories(Protocol):
    """See `adapters.repositories`."""

    @property
    def still(self) -> asyncio.Lock: ...
    async def collecting(self) -> bool: ...
    async def collected_ago(self) -> float: ...
    async def library_is_filled(self) -> bool: ...
    async def begin_collecting(self) -> None: ...
    async def clear_swept(self) -> None: ...
    async def drop_untagged(self, seconds: float) -> None: ...
    async def clear_untagged(self) -> None: ...
    async def end_collecting(self, *, well: bool) -> None: ...


class Registry(Protocol):
    async def begin_anew(self) -> None:
        """What runs in it ends. Raises EngineAway, EngineRefused."""
        ...


class Run(Protocol):
    """See `shell.run`."""

    async def __call__(self, argv: Sequence[str]) -> tuple[int, str]: ...


class Collection:
    def __init__(
        self,
        repositories: Repositories,
        registry: Registry,
        gate: Gate,
        run: Run,
        clock: Clock,
        settings: BuilderSettings,
    ) -> None:
        self._repositories, self._registry, self._gate = repositories, registry, gate
        self._run, self._clock, self._settings = run, clock, settings
        self._wake = asyncio.Event()
        self._at = self._now() + settings.collect_seconds
        self._since: float | None = self._now()
        """Since when there is garbage. What a former life left is not known."""
        self._failures = 0
        """Since one went well, of those for which builds had to wait."""
        self._patient_at = self._now()
        """Before, none have to wait again."""

    def may_be(self) -> None:
        """There may be garbage now."""
        if self._since is None:
            self._since = self._now()
            self._wake.set()

    async def run(self) -> None:
        """For ever, whatever the engine says: there is nothing to fail."""
        await insist(self._wake, self._begin, _not_well, longest=5.0)
        await insist(self._wake, self._round, _not_well, longest=_AGAIN)

    async def _begin(self) -> None:
        """One that somebody who died had begun goes on beside the registry: it ends before anybody
        pushes."""
        if await self._repositories.collecting():
            await self._give_up()
        self._since = self._now() - await self._repositories.collected_ago()
        self._gate.open()
        try:
            await self._repositories.clear_swept()
        except OSError as error:
            _not_well(repr(error))

    async def _round(self) -> float:
        if self._since is None:
            return _DAY
        if self._now() < self._at:
            return self._at - self._now()
        since, pause = self._since, self._settings.collect_seconds
        late = self._now() - since > _DAY and self._now() >= self._patient_at
        patience = _PATIENCE if late else 0.0
        try:
            await self._tried(patience)
            self._failures = 0
        except Busy:  # a moment in which nobody is inside may come soon
            self._since = since
            if patience:
                self._patient_at = self._now() + self._rarer()
            pause = min(_AGAIN, pause)
        except Exception:
            self._since, pause = since, self._rarer()
            raise
        finally:
            self._at = self._now() + pause
        return pause

    def _rarer(self) -> float:
        """Seconds before builds have to wait again."""
        self._failures += 1
        return min(_DAY, self._settings.collect_seconds * 2.0 ** min(self._failures - 1, 10))

    async def _tried(self, patience: float) -> None:
        """Raises Busy, and RuntimeError with the collector's words."""
        if await self._repositories.library_is_filled():
            raise Busy
        try:
            async with self._gate.closed(patience), self._repositories.still:
                self._since = None
                await self._collected()
        finally:
            await self._repositories.clear_untagged()

    async def _collected(self) -> None:
        """It never goes on once this is left."""
        end = self._now() + LONGEST_COLLECTION
        await self._repositories.begin_collecting()
        try:
            if await self._repositories.library_is_filled():  # somebody began a moment ago
                raise Busy
            await self._repositories.drop_untagged(_DROPPING)
        except Exception:  # the collector has not begun
            await self._repositories.end_collecting(well=False)
            raise
        why = await self._failed(end - self._now())
        if why is None:
            await self._ended_well()
            return
        await insist(asyncio.Event(), self._give_up, _not_well, longest=5.0)
        raise RuntimeError(why)

    async def _ended_well(self) -> None:
        try:
            await self._repositories.end_collecting(well=True)
        except OSError:  # the disk is full
            await self._repositories.end_collecting(well=False)
            raise

    async def _failed(self, seconds: float) -> str | None:
        """Why; whatever it was, the collector may go on."""
        try:
            async with asyncio.timeout(seconds):
                code, said = await self._run(render.collect(self._settings.instance))
        except TimeoutError:
            return f"the collection did not end in {LONGEST_COLLECTION:.0f} s"
        except Exception as error:
            return f"the collection could not be followed: {error!r}"
        return f"the registry's collection failed: {said[-300:]}" if code else None

    async def _give_up(self) -> None:
        await self._registry.begin_anew()
        await self._repositories.end_collecting(well=False)

    def _now(self) -> float:
        return self._clock.monotonic()


def _not_well(words: str) -> None:
    logger().warning("collecting did not go well; it is tried again", error=words[:300])
