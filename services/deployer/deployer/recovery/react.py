"""Starts anew what a full disk has left standing, as soon as there is room again."""

import shutil

from slipway.kernel.clock import Clock
from slipway.runtime.logging import logger
from slipway.runtime.trouble import Trouble

from deployer.adapters.engine import Engine
from deployer.adapters.log_server import LogServer
from deployer.recovery.plan import broken, unmoved

_EVERY = 10.0
_ROOM = 256 * 2**20
"""Bytes that have to be free: what is started with less would fail the same way."""


class Recovery:
    """Needs neither the log nor the lease: it has to work when the log is what is broken, and
    starting a service anew twice does no harm."""

    def __init__(self, engine: Engine, log_server: LogServer, clock: Clock, instance: str) -> None:
        self._engine, self._log_server = engine, log_server
        self._clock, self._instance = clock, instance

    async def run(self) -> None:
        """For ever, whatever fails: there is no other way out of a full disk."""
        trouble = Trouble()
        while True:
            await self._clock.sleep(_EVERY)
            if shutil.disk_usage("/").free < _ROOM:
                continue
            try:
                await self._look()
                trouble.forget()
            except Exception as error:
                trouble.met("look")
                if trouble.worth_saying("look"):
                    why = repr(error)[:300]
                    logger().warning("what stands still could not be looked at", error=why)

    async def _look(self) -> None:
        waiting = unmoved(await self._engine.wanted_tasks(), self._clock.now())
        if broken(await self._log_server.health()):
            waiting.add(f"{self._instance}_nats")
        for service in waiting:
            name = await self._engine.restart(service)
            logger().warning("it stood still, as after a full disk: started anew", service=name)
