"""After going back: what a newer release has written can't be read, and what runs goes on."""

import asyncio
from typing import Any

import pytest
from deployer.app import giving_up, key, reaction
from slipway.contracts.build import BuildSucceeded
from slipway.contracts.event import NewerRelease, Unknown
from slipway.runtime.reactor import NoFact
from slipway.testing.releases import BUILT, SEALED

from tests.simulation.platform import Site, deployer, end, fact, newer, platform, route_event
from tests.simulation.world import Life, Swarm, World, virtual


async def unread(site: Site) -> int:
    """It is asked for a deployment, of a process that was there and of one that begins. How much
    had been told before."""
    told = len(site.rollout())
    await site.deploy("d9")
    running = asyncio.create_task(deployer(site.world, site.swarm, Life()))
    await asyncio.sleep(200)
    assert not running.done(), "it lives"
    await end(running)
    return told


@virtual
async def test_a_rollout_that_cant_be_read_is_left_as_it_is():
    async with platform() as site:
        await site.deploy("d1")
        await site.ended("d1")
        await fact(site.world, "rollout", site.id, newer(site.last()))
        assert isinstance(site.world.events("rollout", site.id)[-1], Unknown)
        await site.delete()
        told = await unread(site)
        assert site.swarm.releases() == {"d1": 1}
        assert len(site.rollout()) == told
        other = Site(site.world, site.swarm, "service-2", "other")
        await other.create()
        await other.deploy("d2")
        assert await other.ended("d2") == "rollout.succeeded"


@virtual
async def test_of_a_route_that_cant_be_read_nothing_is_taken_away():
    async with platform(routed=False) as site:
        for deployment, former in (("d1", ()), ("d2", ("d1",))):
            await site.deploy(deployment)
            await site.world.until(lambda d=deployment: f"ready {d}" in site.rollout())
            event = route_event("route.activated", deployment, *former)
            await fact(site.world, "route", site.id, event)
            await site.ended(deployment)
        assert site.swarm.releases() == {"d1": 1, "d2": 1}
        await fact(site.world, "route", site.id, newer(event))
        await site.scale(3)
        await unread(site)
        assert site.swarm.releases() == {"d1": 1, "d2": 1}


@virtual
async def test_a_build_that_cant_be_read_is_not_passed_over():
    site = Site(World(), Swarm())
    built = BuildSucceeded(
        kind="application", service=site.id, environment="environment-1", workloads=BUILT,
        sealed=SEALED,
    )  # fmt: skip
    commit = await fact(site.world, "build", "d1", newer(built))
    unused: Any = None
    assert key(commit) == "d1"
    with pytest.raises(NewerRelease) as caught:
        await reaction(unused, unused, unused, unused)(commit)
    with pytest.raises(NoFact):  # so it becomes a dead letter
        await giving_up(unused)(commit, caught.value)
