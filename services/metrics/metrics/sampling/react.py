"""At each interval: what every container of a service uses."""

import asyncio
from collections.abc import Mapping
from typing import Any, Protocol

from slipway.kernel.clock import Clock
from slipway.runtime.clock import iso
from slipway.runtime.engine import EngineAway, EngineRefused
from slipway.runtime.logging import logger

from metrics.container import Container
from metrics.sampling.render import Reading, message, reading, sample, subject

_PARALLEL = 4


class Stats(Protocol):
    async def containers(self) -> list[Container]: ...
    async def stats(self, id_: str) -> Mapping[str, Any] | None: ...


class Samples(Protocol):
    async def publish(self, subject: str, data: bytes) -> None: ...


class Sampling:
    def __init__(self, engine: Stats, samples: Samples, clock: Clock, seconds: float) -> None:
        self._engine, self._samples, self._clock = engine, samples, clock
        self._seconds = seconds
        self._before: dict[str, Reading] = {}
        self._slots = asyncio.Semaphore(_PARALLEL)
        self._log = logger()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            try:
                await self.once()
            except (EngineAway, EngineRefused):
                self._before.clear()  # told by whoever follows the engine's events
            except Exception:
                self._log.exception("sampling failed")
            due = max(due + self._seconds, loop.time())
            await self._clock.sleep(due - loop.time())

    async def once(self) -> None:
        """One sample of everything that runs. Raises EngineAway."""
        containers = await self._engine.containers()
        readings = await asyncio.gather(*(self._reading(item.id) for item in containers))
        now: dict[str, Reading] = {}
        services: dict[str, list[dict[str, Any]]] = {}
        for container, read in zip(containers, readings, strict=True):
            if read is not None:
                now[container.id] = read
                name = subject(container.organization, container.service)
                row = sample(container.step, self._before.get(container.id), read)
                services.setdefault(name, []).append(row)
        self._before = now
        at = iso(self._clock.now())
        for name, rows in services.items():
            await self._samples.publish(name, message(at, self._seconds, rows))

    async def _reading(self, id_: str) -> Reading | None:
        """None also where one container's numbers can't be read: the others' can."""
        try:
            async with self._slots:
                stats = await self._engine.stats(id_)
            return reading(stats) if stats else None
        except (EngineAway, EngineRefused):
            raise
        except Exception:
            self._log.exception("sampling a container failed", container=id_[:12])
            return None
