"""What the deployer asks of the log and of the engine does not grow with history, nor with what
stands still."""

import asyncio

import pytest
from slipway.contracts.rollout import RolloutScaled, RolloutState
from slipway.testing.releases import release

from tests.simulation.platform import ENVIRONMENT, Site, deployer, edge, end, fact
from tests.simulation.world import Behaviour, Life, Swarm, World, virtual


async def sites(world: World, swarm: Swarm, count: int) -> list[Site]:
    found = [Site(world, swarm, f"service-{n}", f"web-{n}") for n in range(count)]
    for site in found:
        await site.create()
    return found


@virtual
async def test_all_open_rollouts_are_seen_by_one_question():
    world, swarm = World(), Swarm()
    found = await sites(world, swarm, 20)
    running = asyncio.create_task(deployer(world, swarm, Life()))
    for number, site in enumerate(found):
        await site.deploy(f"d{number}", Behaviour(boot=None))
    await world.until(lambda: len(swarm.releases()) == 20)
    await asyncio.sleep(5)
    swarm.asked.clear()
    world.read_calls.clear()
    await asyncio.sleep(10)
    assert swarm.asked["GET tasks"] <= 101
    assert swarm.asked["GET services"] <= 20 * 10 / 2 + 20
    looks = 20 * 10 / 0.5
    assert sum(world.read_calls.values()) <= looks * 4 * 1.1, world.read_calls
    await end(running)


@virtual
async def test_a_look_reads_only_what_came_since():
    world, swarm = World(), Swarm()
    site = (await sites(world, swarm, 1))[0]
    for replicas in range(1, 200):
        await site.scale(replicas % 3 + 1)
    running = [
        asyncio.create_task(deployer(world, swarm, Life())), asyncio.create_task(edge(world))
    ]  # fmt: skip
    await site.deploy("d1")
    await site.ended("d1")
    world.messages_read.clear()
    await site.deploy("d2", Behaviour(boot=20))
    await site.ended("d2")
    assert world.messages_read["service"] == 0
    assert world.messages_read["deployment"] <= 6
    await end(*running)


async def stopped(world: World, swarm: Swarm, count: int) -> None:
    """So many services which are stopped, as the log and the engine have them."""
    for site in await sites(world, swarm, count):
        serving = release(f"d-{site.id}")
        state = RolloutState(environment=ENVIRONMENT, serving=serving, stopped=True, highest=1)
        await fact(world, "rollout", site.id, RolloutScaled(state=state, **site.told))


@pytest.mark.parametrize("count", [10, 400])
@virtual
async def test_what_is_stopped_costs_nothing_at_start_or_later(count: int):
    world, swarm = World(), Swarm()
    await stopped(world, swarm, count)
    world.read_calls.clear()
    running = asyncio.create_task(deployer(world, swarm, Life()))
    await asyncio.sleep(60)
    assert world.read_calls["heads"] == 4
    assert world.read_calls["load"] == 0
    assert world.read_calls["head"] == 0
    assert swarm.asked["GET services"] <= 4
    assert swarm.asked["GET tasks"] == 0
    await end(running)


@virtual
async def test_what_is_stopped_but_runs_on_the_engine_is_seen_at_start():
    world, swarm = World(), Swarm()
    site = (await sites(world, swarm, 1))[0]
    running = [
        asyncio.create_task(deployer(world, swarm, Life())), asyncio.create_task(edge(world))
    ]  # fmt: skip
    await site.deploy("d1")
    await site.ended("d1")
    await site.stop_service()
    await world.until(lambda: site.rollout()[-1] == "stopped")
    await end(running[0])
    next(iter(swarm.services.values()))["Spec"]["Mode"]["Replicated"]["Replicas"] = 2
    running[0] = asyncio.create_task(deployer(world, swarm, Life()))
    await world.until(lambda: swarm.releases() == {"d1": 0})
    next(iter(swarm.services.values()))["Spec"]["Mode"]["Replicated"]["Replicas"] = 2
    await world.until(lambda: swarm.releases() == {"d1": 0})
    await end(*running)


@virtual
async def test_networks_of_services_are_looked_at_seldom():
    world, swarm = World(), Swarm()
    site = (await sites(world, swarm, 1))[0]
    running = asyncio.create_task(deployer(world, swarm, Life()))
    await site.deploy("d1")
    await asyncio.sleep(600)
    assert swarm.asked["GET networks"] <= 20
    await end(running)
