"""Seeded days of one service: deployments that go well and badly, builds that end out of
order, wishes to stop, scaling, hands that remove what serves, a deployer that dies again and again
and hears old messages once more. Whatever the seed, what the log promises holds."""

import asyncio

import pytest
from slipway.contracts.deployment import Limits

from tests.simulation.days import Day
from tests.simulation.world import Behaviour, virtual

BEHAVIOURS = (
    *(Behaviour(),) * 4,
    Behaviour(boot=4.0),
    Behaviour(ends_after=0.3),
    Behaviour(boot=None),
    Behaviour(boot=None, answers="/ answered 500"),
    Behaviour(missing="No such image"),
)


class DayOfOne(Day):
    async def deploy(self, name: str) -> None:
        self.names.append(name)
        await self.site.request(name, limits=Limits(rollout=20, route=30))
        stops = self.chance.random() < 0.3
        await asyncio.sleep(self.chance.expovariate(0.3))
        await self.site.built(name, self.chance.choice(BEHAVIOURS))
        if stops:
            await asyncio.sleep(self.chance.expovariate(0.5))
            if not self.site.ends(name):
                await self.site.stop(name)

    async def meddle(self) -> None:
        for _ in range(4):
            await asyncio.sleep(self.chance.uniform(5, 30))
            await self.site.scale(self.chance.randint(1, 3))
            services = list(self.swarm.by_name())
            if services and self.chance.random() < 0.5:
                self.swarm.delete_service(self.chance.choice(services))


@pytest.mark.parametrize("seed", range(8))
@virtual
async def test_a_day(seed: int):
    await DayOfOne(seed).run(routed=False)


@pytest.mark.parametrize("seed", range(8))
@virtual
async def test_a_day_with_a_proxy_that_dies_as_well(seed: int):
    await DayOfOne(seed).run(routed=True)
