"""Another way out takes the place of one that the engine has lost: gone on with from any step, and
done once. In virtual time."""

import asyncio
from collections.abc import Collection
from typing import Any

import pytest
from deployer.rollout.render import placed
from deployer.way_out.react import WayOut
from slipway.eventstore.memory import MemoryLease
from slipway.runtime.engine import EngineAway

from tests.simulation.world import World, virtual

STEPS = ("there", "lost", "make", "move", "remove")


class Ways:
    """Of an engine that lost the first; `dies` is the step after which it is away, once."""

    def __init__(self, dies: str = "") -> None:
        self.networks = {0: "first"}
        self.services = {"web": "first", "api": "first"}
        self.dies = dies
        self.made: list[int] = []

    async def _done(self, step: str) -> None:
        if step == self.dies:
            self.dies = ""
            raise EngineAway

    async def there(self) -> dict[int, str]:
        await self._done("there")
        return dict(self.networks)

    async def lost(self, network: str) -> bool:
        await self._done("lost")
        return network == "first"

    async def make(self, number: int) -> None:
        if number not in self.networks:
            self.networks[number] = f"number {number}"
            self.made.append(number)
        await self._done("make")

    async def move(self, former: Collection[str], network: str) -> list[str]:
        moved = [name for name, on in self.services.items() if on in former]
        for name in moved[:1] if self.dies == "move" else moved:
            self.services[name] = network
        await self._done("move")
        return moved

    async def remove(self, number: int) -> None:
        if self.networks[number] not in self.services.values():
            del self.networks[number]
        await self._done("remove")


@pytest.mark.parametrize("dies", ["", *STEPS])
@virtual
async def test_everything_is_on_one_other_in_the_end(dies: str):
    ways = Ways(dies)
    running = asyncio.create_task(WayOut(ways, World().clock, MemoryLease()).run())
    await asyncio.sleep(200)
    running.cancel()
    assert set(ways.services.values()) == {"number 1"}
    assert ways.networks == {1: "number 1"}
    assert ways.made == [1]


def test_a_service_gets_the_one_in_use():
    attached = [{"Target": "env", "Aliases": ["web"]}, {"Target": "slipway_egress"}]
    body: dict[str, Any] = {
        "Name": "web",
        "TaskTemplate": {"ContainerSpec": {"Image": "org/web@sha256:0"}, "Networks": attached},
    }
    template = placed(body, "slipway", 5000, "slipway_egress_2")["TaskTemplate"]
    assert template["Networks"] == [attached[0], {"Target": "slipway_egress_2"}]
    assert template["ContainerSpec"]["Image"] == "127.0.0.1:5000/org/web@sha256:0"
    assert attached[1] == {"Target": "slipway_egress"}
