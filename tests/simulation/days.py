"""A seeded day of one service: a deployer that dies again and again and hears old messages once
more, a proxy that may die as well, and whatever a kind of day does beside it."""

import asyncio
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any

from slipway.contracts.rollout import Release, RolloutEvent, RolloutState
from slipway.contracts.service import ServiceScaled

from tests.simulation.platform import Site, deployer, edge, end, routed
from tests.simulation.proxy import Traefik, add_domain, proxy_sync
from tests.simulation.world import Life, Swarm, World

HOST = "day.example.org"


class Day:
    """`routed`, of `run`: with proxy-sync itself, which dies as well; else with one that says what
    a proxy would."""

    deployments = 8
    hurry = 0.2
    """How many of them a second are asked for."""
    patience = 400.0
    domain: str | None = None
    """The workload to which the domain leads; None is the only one."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)
        self.world, self.swarm = World(chance=self.chance), Swarm()
        self.traefik = Traefik(self.swarm)
        self.site = Site(self.world, self.swarm)
        self.swarm.on_remove = self._removed
        self.names: list[str] = []
        self.wrong: list[str] = []

    # - what happens

    async def deploy(self, name: str) -> None:
        raise NotImplementedError

    async def meddle(self) -> None:
        """Beside the deployments."""
        raise NotImplementedError

    async def end_of_all(self) -> None:
        """Until each has ended, and a while more; at the latest in `patience` seconds."""
        until = self.world.clock.monotonic() + self.patience
        while self.world.clock.monotonic() < until:
            if all(self.site.ends(name) for name in self.names):
                break
            await asyncio.sleep(5)
        await asyncio.sleep(60)

    def calm(self) -> None:
        """From now on nothing more goes wrong."""

    async def _lives(self, durable: str, work: Callable[[Life], Coroutine[Any, Any, None]]) -> None:
        """Life after life; each hears some of the old messages again."""
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

    def deploying(self, life: Life) -> Coroutine[Any, Any, None]:
        return deployer(self.world, self.swarm, life)

    def routing(self, life: Life) -> Coroutine[Any, Any, None]:
        return proxy_sync(self.world, self.swarm, self.traefik, life)

    async def run(self, *, routed: bool) -> None:
        await self.site.create()
        if routed:
            await add_domain(self.world, self.site.id, HOST, self.domain)
            proxy = self._lives("proxy-sync", self.routing)
        else:
            proxy = edge(self.world, self.chance.uniform(0, 5), self.chance.uniform(0, 5))
        dying = asyncio.create_task(self._lives("deployer", self.deploying))
        beside = asyncio.create_task(proxy)
        async with asyncio.TaskGroup() as group:
            group.create_task(self.meddle())
            for number in range(self.deployments):
                group.create_task(self.deploy(f"d{number}"))
                await asyncio.sleep(self.chance.expovariate(self.hurry))
        await self.end_of_all()
        self.calm()
        await end(dying)
        last = [asyncio.create_task(self.deploying(Life()))]
        if routed:
            await end(beside)
            last.append(asyncio.create_task(self.routing(Life())))
        await asyncio.sleep(120)
        self.judge()
        if routed:
            self.judge_routes()
        await end(*last, beside)

    def _removed(self, name: str) -> None:
        """What was given up may meet the proxy's switch; what served never goes before it."""
        route = routed(self.world, self.site.id)
        if route is not None and name in route.state.named and name in self._succeeded():
            self.wrong.append(f"{name} was removed while it was routed to")

    # - what is true of it

    def events(self) -> list[RolloutEvent]:
        events = self.world.events("rollout", self.site.id)
        return [event for event in events if isinstance(event, RolloutEvent)]

    @property
    def state(self) -> RolloutState:
        return self.events()[-1].state

    def _succeeded(self) -> set[str]:
        """The Swarm services of all releases that came to serve."""
        return {
            name
            for event in self.events()
            if event.type == "rollout.succeeded" and event.state.serving
            for name in event.state.serving.names
        }

    def told(self) -> str:
        return "\n".join(self.site.rollout())

    def scaled(self) -> dict[str, int]:
        return {
            event.workload: event.replicas
            for event in self.world.events("service", self.site.id)
            if isinstance(event, ServiceScaled)
        }

    def wanted(self, serving: Release) -> dict[str, int]:
        """Replicas, by workload, of the release that serves."""
        scaled = self.scaled()
        return {each.name: scaled.get(each.name, each.replicas) for each in serving.programs}

    def judge(self) -> None:
        told, state = self.told(), self.state
        assert self.wrong == [], told
        for name in self.names:
            assert len(self.site.ends(name)) == 1, f"{name} ends {self.site.ends(name)}\n{told}"
        started = [e.state.highest for e in self.events() if e.type == "rollout.started"]
        assert started == sorted(set(started)), told
        assert (state.wanted, state.queue, state.reverting) == (None, (), None), told
        succeeded = [e.deployment for e in self.events() if e.type == "rollout.succeeded"]
        serving = state.serving
        assert (serving and serving.deployment) == (succeeded[-1] if succeeded else None), told
        wanted = self.wanted(serving) if serving else {}
        programs = {each.swarm_service: wanted[each.name] for each in serving.programs} if (
            serving
        ) else {}  # fmt: skip
        assert self.swarm.by_name() == programs, told
        assert state.replicas == wanted or not serving, told

    def judge_routes(self) -> None:
        """Requests reach the tasks of what serves, all of them and no others."""
        serving = self.state.serving
        program = serving.program(self.domain) if serving else None
        addresses = self.swarm.addresses(program.swarm_service) if program else []
        assert sorted(self.traefik.public_servers(HOST)) == sorted(addresses), self.told()
