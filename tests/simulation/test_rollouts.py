"""Seeded days of one service: deployments that go well and badly, builds that end out of
order, wishes to stop, scaling, hands that remove what serves, a deployer that dies again and again
and hears old messages once more. Whatever the seed, what the log promises holds."""

import asyncio
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any

import pytest
from slipway.contracts.deployment import Limits
from slipway.contracts.rollout import RolloutEvent
from slipway.contracts.service import ServiceScaled

from tests.simulation.platform import Site, deployer, edge, end, fact, routed, swarm_service
from tests.simulation.proxy import Traefik, add_domain, proxy_sync
from tests.simulation.world import Behaviour, Life, Swarm, World, made_for, virtual

HOST = "day.example.org"
BEHAVIOURS = (
    *(Behaviour(),) * 4,
    Behaviour(boot=4.0),
    Behaviour(ends_after=0.3),
    Behaviour(boot=None),
    Behaviour(boot=None, answers="/ answered 500"),
    Behaviour(missing="No such image"),
)


class Day:
    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)
        self.world, self.swarm = World(chance=self.chance), Swarm()
        self.traefik = Traefik(self.swarm)
        self.site = Site(self.world, self.swarm)
        self.swarm.on_remove = self._removed
        self.names: list[str] = []
        self.wrong: list[str] = []

    def _removed(self, deployment: str) -> None:
        """What was given up may meet the proxy's switch; what served never goes before it."""
        route = routed(self.world, self.site.id)
        served = self.site.ends(deployment) == ["rollout.succeeded"]
        if served and route is not None and swarm_service(deployment) in route.state.named:
            self.wrong.append(f"{deployment} was removed while it was routed to")

    async def deployers(self) -> None:
        """Life after life; each hears some of the old messages again."""
        await self._lives("deployer", lambda life: deployer(self.world, self.swarm, life))

    async def proxies(self) -> None:
        """The same of proxy-sync; Traefik lives on."""
        await self._lives(
            "proxy-sync", lambda life: proxy_sync(self.world, self.swarm, self.traefik, life)
        )

    async def _lives(self, durable: str, work: Callable[[Life], Coroutine[Any, Any, None]]) -> None:
        while True:
            life = Life(self.chance.choice((None, self.chance.randint(1, 30))))
            running = asyncio.create_task(life.run(work(life)))
            patience = asyncio.create_task(asyncio.sleep(self.chance.uniform(5, 60)))
            await asyncio.wait([running, patience], return_when=asyncio.FIRST_COMPLETED)
            await end(running, patience)
            await asyncio.sleep(self.chance.expovariate(0.5))
            heard = self.world._acknowledged.get(durable, set())
            for sequence in [s for s in heard if self.chance.random() < 0.2]:
                heard.discard(sequence)

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
            scaled = ServiceScaled(replicas=self.chance.randint(1, 3))
            await fact(self.world, "service", self.site.id, scaled)
            services = [service["Spec"]["Name"] for service in self.swarm.services.values()]
            if services and self.chance.random() < 0.5:
                self.swarm.delete_service(self.chance.choice(services))

    async def run(self, *, routed: bool) -> None:
        """`routed`: with proxy-sync itself, which dies as well; else with one that says what a
        proxy would."""
        await self.site.create()
        if routed:
            await add_domain(self.world, self.site.id, HOST)
            proxy = self.proxies()
        else:
            proxy = edge(self.world, self.chance.uniform(0, 5), self.chance.uniform(0, 5))
        others = [asyncio.create_task(self.deployers()), asyncio.create_task(proxy)]
        async with asyncio.TaskGroup() as group:
            group.create_task(self.meddle())
            for number in range(8):
                group.create_task(self.deploy(f"d{number}"))
                await asyncio.sleep(self.chance.expovariate(0.2))
        await asyncio.sleep(400)
        await end(others[0])
        last = [asyncio.create_task(deployer(self.world, self.swarm, Life()))]
        if routed:
            await end(others[1])
            living = proxy_sync(self.world, self.swarm, self.traefik, Life())
            last.append(asyncio.create_task(living))
        await asyncio.sleep(120)
        self.judge()
        if routed:
            self.judge_routes()
        await end(*last, others[1])

    def judge(self) -> None:
        events = [
            event
            for event in self.world.events("rollout", self.site.id)
            if isinstance(event, RolloutEvent)
        ]
        told = "\n".join(self.site.rollout())
        assert self.wrong == [], told
        for name in self.names:
            assert len(self.site.ends(name)) == 1, f"{name} ends {self.site.ends(name)}\n{told}"
        started = [e.state.highest for e in events if e.type == "rollout.started"]
        assert started == sorted(set(started)), told
        state = events[-1].state
        assert (state.wanted, state.queue) == (None, ()), told
        succeeded = [event.deployment for event in events if event.type == "rollout.succeeded"]
        serving = state.serving.deployment if state.serving else None
        assert serving == (succeeded[-1] if succeeded else None), told
        wanted = {serving: state.replicas} if serving else {}
        assert self.swarm.releases() == wanted, told
        assert state.replicas == self.replicas() or not serving, told

    def judge_routes(self) -> None:
        """Requests reach the tasks of what serves, all of them and no others."""
        events = self.world.events("rollout", self.site.id)
        state = events[-1].state if isinstance(events[-1], RolloutEvent) else None
        serving = state.serving.deployment if state and state.serving else None
        addresses = [
            entry["Addresses"][0].partition("/")[0]
            for task in self.swarm.tasks.values()
            if made_for(task["Spec"]) == serving
            and task["DesiredState"] == "running"
            and task["Status"]["State"] == "running"
            for entry in task["NetworksAttachments"]
        ]
        told = "\n".join(self.site.rollout())
        assert sorted(self.traefik.public_servers(HOST)) == sorted(addresses), told

    def replicas(self) -> int:
        scaled = [
            event.replicas
            for event in self.world.events("service", self.site.id)
            if isinstance(event, ServiceScaled)
        ]
        return scaled[-1]


@pytest.mark.parametrize("seed", range(40))
@virtual
async def test_a_day(seed: int):
    await Day(seed).run(routed=False)


@pytest.mark.parametrize("seed", range(40))
@virtual
async def test_a_day_with_a_proxy_that_dies_as_well(seed: int):
    await Day(seed).run(routed=True)
