"""The proxy's container is kept, whatever becomes of it, in the networks of what it routes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from proxy_sync.edge.react import Edge
from slipway.eventstore.memory import MemoryLease
from slipway.runtime.engine import EngineAway, EngineMissing

from tests.simulation.platform import end
from tests.simulation.proxy import SETTINGS, Container, Traefik
from tests.simulation.world import Swarm, World, virtual


class Fragile(Container):
    """One that hands may take away: what is made anew is in no network."""

    def __init__(self, swarm: Swarm) -> None:
        super().__init__(swarm)
        self.there = False
        self.made = 0
        self.trouble: Exception | None = None

    async def ensure_traefik(self, body: Any, mark: str, address: str) -> bool:
        if self.trouble is not None:
            raise self.trouble
        if self.there:
            return False
        self.there, self.made = True, self.made + 1
        self.networks.clear()
        return True


class Slow(Traefik):
    """It answers some seconds after it was asked first."""

    asked = 0
    wait = 0

    async def up(self) -> bool:
        self.asked += 1
        return self.asked > self.wait


@asynccontextmanager
async def kept(container: Fragile, traefik: Slow) -> AsyncIterator[Edge]:
    world = World()
    edge = Edge(world, container, traefik, world.clock, MemoryLease(), SETTINGS)
    running = asyncio.create_task(edge.run())
    try:
        yield edge
        assert not running.done()
    finally:
        await end(running)


@virtual
async def test_one_that_is_made_anew_joins_the_networks_again():
    swarm = Swarm()
    swarm.networks |= {"net-a": {}, "net-b": {}}
    container = Fragile(swarm)
    async with kept(container, Slow(swarm)) as edge:
        await edge.up.wait()
        for network in ("net-a", "net-b"):
            await edge.join(network)
        container.there = False
        edge.look()
        await asyncio.sleep(1)
        assert (container.made, container.networks) == (2, {"net-a", "net-b"})
        container.there = False  # and nothing tells
        await asyncio.sleep(11)
        assert (container.made, container.networks) == (3, {"net-a", "net-b"})


@virtual
async def test_a_network_that_has_gone_keeps_none_of_the_others_away():
    swarm = Swarm()
    names = [f"net-{number}" for number in range(9)]
    swarm.networks |= {name: {} for name in names}
    container = Fragile(swarm)
    async with kept(container, Slow(swarm)) as edge:
        await edge.up.wait()
        for name in names:
            await edge.join(name)
        del swarm.networks[names[4]]
        container.there = False
        await asyncio.sleep(25)
        assert container.networks == {*names} - {names[4]}


@pytest.mark.parametrize("trouble", [EngineAway("away"), KeyError("Subnet")])
@virtual
async def test_it_is_kept_on_after_whatever_went_wrong(trouble: Exception):
    swarm = Swarm()
    container, traefik = Fragile(swarm), Slow(swarm)
    container.trouble = trouble
    async with kept(container, traefik) as edge:
        await asyncio.sleep(600)
        assert not edge.up.is_set()
        container.trouble = None
        await asyncio.sleep(6)
        assert (container.made, edge.up.is_set()) == (1, True)
        assert "platform" in traefik.documents


@virtual
async def test_it_is_not_up_before_it_answers():
    swarm = Swarm()
    container, traefik = Fragile(swarm), Slow(swarm)
    traefik.wait = 300
    async with kept(container, traefik) as edge:
        await asyncio.sleep(14)
        assert not edge.up.is_set()
        await asyncio.sleep(14)
        assert (container.made, edge.up.is_set()) == (1, True)


@virtual
async def test_a_network_that_is_not_there_is_not_joined():
    swarm = Swarm()
    async with kept(Fragile(swarm), Slow(swarm)) as edge:
        await edge.up.wait()
        with pytest.raises(EngineMissing):
            await edge.join("net-a")
        swarm.networks["net-a"] = {}
        await edge.join("net-a")
