"""Tasks are counted when something of their service has changed, and all of them in time."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from deployer.adapters.engine import Engine
from deployer.rollout.counting import WHOLE, Counting, count
from deployer.rollout.domain import Phase, TaskView
from deployer.rollout.releases import Releases
from slipway.contracts.observation import FRESH, MOST, Count, Observation, observations
from slipway.eventstore.memory import MemoryLease
from slipway.eventstore.stream import Silent

from tests.simulation.platform import Site, SwarmTransport, end, platform, swarm_service
from tests.simulation.world import EPOCH, INSTANCE, REGISTRY_PORT, Behaviour, Life, Swarm, virtual

MAIN = swarm_service("d1")
UP = {MAIN: Count(running=1, healthy=1)}


class Told:
    def __init__(self) -> None:
        self.all: list[Observation] = []
        self.away = False

    async def put(self, seen: Observation) -> None:
        if self.away:
            raise Silent("observed")
        self.all.append(seen)

    def follow(self) -> AsyncGenerator[Observation]:
        raise NotImplementedError

    def of(self, service: str = "service-1") -> list[dict[str, Count]]:
        """What was told of it, once where it stayed the same."""
        found = [seen.services[service] for seen in self.all if service in seen.services]
        return [each for number, each in enumerate(found) if found[number - 1 : number] != [each]]


@asynccontextmanager
async def counted(
    swarm: Swarm | None = None, lease: MemoryLease | None = None
) -> AsyncIterator[tuple[Site, Told]]:
    """d1 serves, and its tasks are counted by another process than rolls it out."""
    async with platform(swarm=swarm) as site:
        told, engine = Told(), Engine(SwarmTransport(site.swarm, Life()), INSTANCE, REGISTRY_PORT)
        releases = Releases(engine, site.world.clock, lambda _: None)
        counting = Counting(engine, releases, told, site.world.clock, lease or MemoryLease())
        await releases.begin()
        works = (releases.watch(), releases.follow_events(), counting.run())
        running = [asyncio.create_task(work) for work in works]
        await site.deploy("d1")
        await site.ended("d1")
        yield site, told
        await end(*running)


def tasks(*phases: Phase) -> Sequence[TaskView]:
    return [TaskView(str(number), phase, container="c") for number, phase in enumerate(phases)]


def test_what_has_a_container_runs_and_what_swarm_calls_running_is_healthy():
    assert count(tasks("starting", "running", "running")) == Count(running=3, healthy=2)
    assert count(tasks("ended", "stopping", "refused")) == Count(running=0, healthy=0)
    assert count([TaskView("waits", "starting")]) == Count(running=0, healthy=0)


@virtual
async def test_a_change_is_told_within_two_seconds():
    async with counted() as (site, told):
        await site.world.until(lambda: told.of()[-1:] == [UP], WHOLE + 2)
        site.swarm.end_task(MAIN)
        await site.world.until(lambda: told.of()[-1] == {MAIN: Count(running=0, healthy=0)}, 2)
        await site.world.until(lambda: told.of()[-1] == UP, 5)


@virtual
async def test_what_stays_the_same_is_told_before_it_is_old_and_seldom():
    async with counted() as (_, told):
        await asyncio.sleep(60)
        told.all.clear()
        await asyncio.sleep(600)
        ages = [b.at - a.at for a, b in zip(told.all, told.all[1:], strict=False)]
        assert max(ages) <= timedelta(seconds=FRESH / 2)
        assert 600 / FRESH < len(told.all) <= 600 / WHOLE + 1
        assert told.of() == [UP]


@virtual
async def test_of_what_is_gone_nothing_is_told():
    async with counted() as (site, told):
        await asyncio.sleep(20)
        await site.delete()
        await site.world.until(lambda: site.last().state.removed)
        await asyncio.sleep(40)
        assert told.of()[-1] == {}
        told.all.clear()
        await asyncio.sleep(40)
        assert told.all == []


@virtual
async def test_what_could_not_be_told_is_told_later():
    async with counted() as (site, told):
        await site.world.until(lambda: told.of()[-1:] == [UP], WHOLE + 2)
        told.away = True
        await site.scale(2)
        await asyncio.sleep(20)
        told.away = False
        both = {MAIN: Count(running=2, healthy=2)}
        await site.world.until(lambda: told.of()[-1] == both, 2)


@virtual
async def test_one_that_lost_its_lease_tells_nothing():
    lease = MemoryLease()
    async with counted(lease=lease) as (_, told):
        await asyncio.sleep(20)
        lease.held = False
        told.all.clear()
        await asyncio.sleep(60)
        assert told.all == []


@virtual
async def test_while_the_engine_is_away_nothing_is_told():
    async with counted() as (site, told):
        await asyncio.sleep(20)
        site.swarm.away = True
        await asyncio.sleep(40)
        told.all.clear()
        await asyncio.sleep(60)
        assert told.all == []
        site.swarm.away = False
        await site.world.until(lambda: told.of() == [UP], 10)


@virtual
async def test_a_task_that_is_not_healthy_yet_runs():
    async with counted() as (site, told):
        await site.deploy("d2", Behaviour(boot=5))
        starting = Count(running=1, healthy=0)
        await site.world.until(lambda: told.of()[-1].get(swarm_service("d2")) == starting, 4)


@pytest.mark.parametrize("services", [0, 1, 3])
def test_what_is_too_much_for_a_message_is_told_in_parts(services: int):
    large = {f"s{number}": Count(running=1, healthy=1) for number in range(MOST // 2)}
    given = {str(number): large for number in range(services)}
    parts = list(observations(EPOCH, given))
    assert [len(part.services) for part in parts] == [1] * services
    assert all(len(part.model_dump_json()) < 1_000_000 for part in parts)
