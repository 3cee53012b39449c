"""Volumes over the log and a Swarm in memory: a fact before the first task, one node, and an end a
while after their service's. In virtual time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from slipway.contracts import labels
from slipway.contracts.event import Event
from slipway.contracts.rollout import RolloutFailed
from slipway.contracts.service import ServiceDeleted
from slipway.contracts.values import BuiltImage, VolumeMount
from slipway.contracts.volume import VolumeCreated, VolumeRemoved, volume_id
from slipway.contracts.workload import Workload

from tests.simulation.platform import (
    ENVIRONMENT,
    KEEP,
    PROJECT,
    Site,
    deployer,
    edge,
    end,
    fact,
    platform,
    swarm_service,
)
from tests.simulation.world import INSTANCE, NODE, Behaviour, Life, Swarm, World, virtual

DATA = labels.volume(INSTANCE, "service-1", "data")
OTHER = {"Labels": {labels.INSTANCE: INSTANCE, labels.SERVICE: "service-2"}}
BAR = {"Labels": None}


def db(site: Site, version: str, *volumes: str, node: str | None = None) -> Workload:
    made = site.image(f"db-{version}", Behaviour())
    image = BuiltImage(reference=made.reference, node=node)
    mounts = tuple(VolumeMount(name=name, path=f"/{name}") for name in volumes or ("data",))
    return Workload(name="db", aliases=("db",), image=image, mounts=mounts)


async def deploy(site: Site, deployment: str, *workloads: Workload) -> str:
    await site.request(deployment)
    await site.made(deployment, *workloads)
    return await site.ended(deployment)


def said(site: Site, name: str = "data") -> list[Event]:
    return site.world.events("volume", volume_id(site.id, name))


def placed(site: Site, deployment: str) -> list[str]:
    (found,) = [
        service["Spec"]
        for service in site.swarm.services.values()
        if service["Spec"]["Name"] == swarm_service(deployment, "db")
    ]
    return found["TaskTemplate"]["Placement"]["Constraints"]


async def delete(site: Site) -> None:
    await site.delete()
    await site.world.until(lambda: site.rollout()[-1] == "removed")
    gone = ServiceDeleted(project=PROJECT, environment=ENVIRONMENT)
    await fact(site.world, "service", site.id, gone)


@asynccontextmanager
async def deleted(**swarm: Any) -> AsyncIterator[Site]:
    """A service that had a volume."""
    async with platform(**swarm) as site:
        assert await deploy(site, "d1", db(site, "1")) == "rollout.succeeded"
        await delete(site)
        yield site


@virtual
async def test_it_is_a_fact_before_its_first_task_and_pins_it():
    async with platform() as site:
        before: list[list[Event]] = []
        start = site.swarm._start

        def noting(service: dict[str, Any]) -> None:
            before.append(said(site))
            start(service)

        site.swarm._start = noting
        assert await deploy(site, "d1", db(site, "1")) == "rollout.succeeded"
        created = VolumeCreated(service=site.id, name="data", node=NODE)
        assert before == [[created]]
        assert placed(site, "d1") == [f"node.id=={NODE}"]
        assert await deploy(site, "d2", db(site, "2")) == "rollout.succeeded"
        assert said(site) == [created], "it outlives deployments"
        assert placed(site, "d2") == [f"node.id=={NODE}"]


@virtual
async def test_a_second_volume_is_where_the_first_one_is():
    async with platform() as site:
        there = VolumeCreated(service=site.id, name="data", node="node7")
        await fact(site.world, "volume", volume_id(site.id, "data"), there)
        assert await deploy(site, "d1", db(site, "1", "data", "more")) == "rollout.succeeded"
        assert said(site, "more") == [VolumeCreated(service=site.id, name="more", node="node7")]
        assert placed(site, "d1") == ["node.id==node7"]


@virtual
async def test_what_is_apart_fails_and_makes_nothing():
    async with platform() as site:
        there = VolumeCreated(service=site.id, name="data", node="node7")
        await fact(site.world, "volume", volume_id(site.id, "data"), there)
        work = db(site, "1", "data", "more", node=NODE)
        assert await deploy(site, "d1", work) == "rollout.failed"
        event = site.last()
        assert isinstance(event, RolloutFailed)
        assert event.failure.reason == "volumes-apart"
        assert "node1, node7" in event.failure.detail
        assert said(site, "more") == []
        assert site.swarm.by_name() == {}


@virtual
async def test_it_goes_a_while_after_its_service():
    async with deleted() as site:
        at = site.world.clock.now()
        site.swarm.volumes |= {"theirs": OTHER, "nobodys": BAR}
        await asyncio.sleep(KEEP - 1)
        assert site.swarm.volumes.keys() == {DATA, "theirs", "nobodys"}
        await site.world.until(lambda: len(said(site)) == 2, KEEP)
        assert said(site)[-1] == VolumeRemoved(service=site.id, name="data", node=NODE)
        assert site.swarm.volumes.keys() == {"theirs", "nobodys"}
        assert site.world.clock.now() - at < timedelta(seconds=KEEP + 1)
        await asyncio.sleep(KEEP)
        assert len(said(site)) == 2


@virtual
async def test_it_stays_while_its_service_is_there_or_on_its_way_out():
    async with platform() as site:
        assert await deploy(site, "d1", db(site, "1")) == "rollout.succeeded"
        await asyncio.sleep(2 * KEEP)
        await site.delete()
        await asyncio.sleep(2 * KEEP)
        assert DATA in site.swarm.volumes
        assert len(said(site)) == 1


@virtual
async def test_what_bears_its_name_and_is_another_ones_is_never_touched():
    async with deleted() as site:
        for marks in (OTHER, BAR):
            site.swarm.volumes[DATA] = marks
            await asyncio.sleep(2 * KEEP)
            assert site.swarm.volumes[DATA] is marks
        assert len(said(site)) == 1
        del site.swarm.volumes[DATA]
        await site.world.until(lambda: len(said(site)) == 2, KEEP)


@virtual
async def test_one_of_another_node_is_left_and_keeps_none_else():
    async with deleted() as site:
        far = VolumeCreated(service=site.id, name="far", node="node7")
        name = labels.volume(INSTANCE, site.id, "far")
        site.swarm.volumes[name] = {"Labels": {labels.INSTANCE: INSTANCE, labels.SERVICE: site.id}}
        await fact(site.world, "volume", volume_id(site.id, "far"), far)
        await site.world.until(lambda: len(said(site)) == 2, 2 * KEEP)
        assert site.swarm.volumes.keys() == {name}, "here a volume of that name is another one"
        assert len(said(site, "far")) == 1


async def story(dies_at: int | None) -> tuple[Life, Site]:
    """The deployer dies once on the way of a volume from its first deployment to its end."""
    world, swarm, life = World(), Swarm(), Life(dies_at)
    site = Site(world, swarm)
    await site.create()
    proxy = asyncio.create_task(edge(world))
    dying = asyncio.create_task(life.run(deployer(world, swarm, life)))

    async def again() -> None:
        await life.died.wait()
        await dying
        await asyncio.sleep(3)
        await deployer(world, swarm, Life())

    second = asyncio.create_task(again())
    assert await deploy(site, "d1", db(site, "1")) == "rollout.succeeded"
    await delete(site)
    await asyncio.sleep(KEEP + 60)
    await end(dying, second, proxy)
    return life, site


def test_whatever_point_it_dies_at_it_is_said_once_and_goes_once():
    names: list[str] = []

    @virtual
    async def count() -> None:
        life, _ = await story(None)
        names.extend(life.points)

    count()
    assert {"before volume.created", f"after DELETE volumes/{DATA}", "after volume.removed"} <= {
        *names
    }

    @virtual
    async def die(number: int) -> None:
        _, site = await story(number)
        told = f"died {names[number - 1]}"
        assert [event.type for event in said(site)] == ["volume.created", "volume.removed"], told
        assert site.swarm.volumes == {}, told

    for number in range(1, len(names) + 1):
        die(number)
