"""How long a build may work. While it waits for what is not its own, that stands still."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

_MOST = 1800.0
"""Seconds that it stands still in all: beyond them, the gateway takes the builder for silent."""


class Deadline:
    """Of one build, whose steps come one after another."""

    def __init__(self) -> None:
        self._limit: asyncio.Timeout | None = None
        self._still, self._most = False, _MOST
        self._stopped: tuple[float, float] | None = None
        """When it did, and when it would have been over."""
        self.waited_too_long = False
        """Some of the time went on while the build waited."""

    @contextmanager
    def kept_by(self, limit: asyncio.Timeout) -> Iterator[None]:
        """`limit` was entered."""
        self._limit = limit
        if self._still:
            self._stop()
        try:
            yield
        finally:
            self._limit = None

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        self._still = True
        self._stop()
        try:
            yield
        finally:
            self._still = False
            self._go_on()

    def _stop(self) -> None:
        limit = self._limit
        if limit is not None and not limit.expired() and (over := limit.when()) is not None:
            self._stopped = _now(), over
            limit.reschedule(over + self._most)

    def _go_on(self) -> None:
        stopped, self._stopped = self._stopped, None
        if stopped is not None and _now() - stopped[0] > self._most:
            self.waited_too_long = True
        if self._limit is not None and stopped is not None and not self._limit.expired():
            waited = min(self._most, _now() - stopped[0])
            self._most -= waited
            self._limit.reschedule(stopped[1] + waited)


def _now() -> float:
    return asyncio.get_running_loop().time()
