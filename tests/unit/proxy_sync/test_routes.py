"""Routing by its own actors, over the log, a Swarm and a Traefik in memory, in virtual time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from proxy_sync.adapters.traefik import Answer
from proxy_sync.routing.react import AT_ONCE
from slipway.contracts.deployment import Limits
from slipway.contracts.project import EnvironmentDeletionRequested
from slipway.contracts.rollout import RolloutFailed, RolloutScaled, RolloutState
from slipway.contracts.route import RouteState, RouteWithdrawn
from slipway.contracts.values import After, Attachment, Runtime
from slipway.contracts.workload import MAIN, Workload
from slipway.testing.releases import release

from tests.simulation.platform import (
    ENVIRONMENT,
    PROJECT,
    Site,
    deployer,
    end,
    fact,
    newer,
    swarm_service,
)
from tests.simulation.proxy import Traefik, add_domain, proxy_sync
from tests.simulation.world import Behaviour, Life, Swarm, World, made_for, virtual

HOST = "app.example.org"


@dataclass
class Routed:
    site: Site
    traefik: Traefik
    running: dict[str, asyncio.Task[None]]

    @property
    def world(self) -> World:
        return self.site.world

    def start(self, name: str) -> None:
        swarm = self.site.swarm
        work = (
            deployer(self.world, swarm, Life())
            if name == "deployer"
            else proxy_sync(self.world, swarm, self.traefik, Life())
        )
        self.running[name] = asyncio.create_task(work)

    async def stop(self, name: str) -> None:
        await end(self.running.pop(name))

    async def change(self, traefik: Traefik) -> None:
        """Another proxy from now on."""
        await self.stop("proxy-sync")
        self.traefik = traefik
        self.start("proxy-sync")

    def serves(self) -> set[str]:
        """The deployments to which requests go."""
        servers = self.traefik.public_servers(HOST)
        return {
            made_for(task["Spec"])
            for task in self.site.swarm.tasks.values()
            for entry in task["NetworksAttachments"]
            if entry["Addresses"][0].partition("/")[0] in servers
        }

    def types(self, category: str, id_: str) -> list[str]:
        return [event.type for event in self.world.events(category, id_)]

    def failure(self, site: Site | None = None) -> Any:
        event = (site or self.site).last()
        assert isinstance(event, RolloutFailed), self.site.rollout()
        return event.failure


@asynccontextmanager
async def routed(domain: bool = True) -> AsyncIterator[Routed]:
    world, swarm = World(), Swarm()
    site = Site(world, swarm, runtime=Runtime(port=8080, settle_seconds=1.0))
    await site.create()
    if domain:
        await add_domain(world, site.id, HOST)
    platform = Routed(site, Traefik(swarm), {})
    platform.start("deployer")
    platform.start("proxy-sync")
    try:
        yield platform
    finally:
        await end(*platform.running.values())


@virtual
async def test_a_release_serves_and_the_next_takes_its_place():
    async with routed() as platform:
        for deployment in ("d1", "d2"):
            await platform.site.deploy(deployment)
            assert await platform.site.ended(deployment, 30) == "rollout.succeeded"
            assert platform.serves() == {deployment}
        await platform.world.until(lambda: platform.site.swarm.releases() == {"d2": 1})
        assert platform.types("route", platform.site.id).count("route.activated") == 2


@virtual
async def test_with_no_domain_it_is_activated_all_the_same():
    async with routed(domain=False) as platform:
        await platform.site.deploy("d1")
        assert await platform.site.ended("d1", 10) == "rollout.succeeded"
        assert platform.serves() == set()


@virtual
async def test_what_never_answers_leaves_the_former_serving():
    async with routed() as platform:
        await platform.site.deploy("d1")
        await platform.site.ended("d1")
        platform.traefik.broken.add("d2")
        await platform.site.deploy("d2")
        assert await platform.site.ended("d2", 110) == "rollout.failed"
        assert platform.failure().reason == "no-answer"
        assert "answered 502" in platform.failure().detail
        await asyncio.sleep(60)
        assert platform.serves() == {"d1"}


@virtual
async def test_a_restart_does_not_give_it_more_time_to_answer():
    async with routed() as platform:
        platform.traefik.broken.add("d1")
        began = platform.world.clock.now()
        await platform.site.deploy("d1", limits=Limits(route=600))
        while not platform.site.ends("d1"):
            await asyncio.sleep(25)
            await platform.stop("proxy-sync")
            platform.start("proxy-sync")
            assert (platform.world.clock.now() - began).total_seconds() < 120
        assert platform.failure().reason == "no-answer"


@virtual
async def test_it_is_asked_before_it_fails_however_long_nobody_was_there():
    async with routed() as platform:
        await platform.stop("proxy-sync")
        await platform.site.deploy("d1", limits=Limits(route=600))
        await platform.world.until(lambda: "ready d1" in platform.site.rollout())
        await asyncio.sleep(200)
        platform.start("proxy-sync")
        assert await platform.site.ended("d1", 20) == "rollout.succeeded"


@virtual
async def test_a_proxy_that_takes_nothing_fails_it_and_says_so():
    async with routed() as platform:
        await platform.site.deploy("d1")
        await platform.site.ended("d1")
        platform.traefik.silent = True
        await platform.site.deploy("d2")
        assert await platform.site.ended("d2", 170) == "rollout.failed"
        assert platform.failure().reason == "proxy-silent"


class Unforeseen(Traefik):
    """Nobody thought of what happens with this service's document."""

    def write(self, name: str, document: dict[str, Any]) -> None:
        if name == "service-2" and document:
            raise TypeError("not of this world")
        super().write(name, document)


@virtual
async def test_what_nobody_foresaw_fails_one_release_and_ends_no_process():
    async with routed() as platform:
        await platform.change(Unforeseen(platform.site.swarm))
        bad = Site(platform.world, platform.site.swarm, "service-2", "bad")
        await bad.create()
        await add_domain(platform.world, bad.id, "bad.example.org")
        await bad.deploy("d1")
        assert await bad.ended("d1", 30) == "rollout.failed"
        assert platform.failure(bad).reason == "internal-error"
        assert "d1" in platform.failure(bad).detail
        await platform.site.deploy("d2")
        assert await platform.site.ended("d2") == "rollout.succeeded"
        assert not platform.running["proxy-sync"].done()


class Unaskable(Traefik):
    async def probe(self, *_: Any, **__: Any) -> Any:
        raise ValueError("a header with a line feed")


@virtual
async def test_what_cannot_be_asked_is_a_bad_answer():
    async with routed() as platform:
        await platform.change(Unaskable(platform.site.swarm))
        await platform.site.deploy("d1")
        assert await platform.site.ended("d1", 110) == "rollout.failed"
        assert "could not be asked (ValueError)" in platform.failure().detail


@virtual
async def test_a_new_task_gets_requests_once_it_answers():
    async with routed() as platform:
        await platform.site.deploy("d1")
        await platform.site.ended("d1")
        await platform.site.scale(3)
        await platform.world.until(lambda: len(platform.traefik.public_servers(HOST)) == 3)
        before = set(platform.traefik.public_servers(HOST))
        platform.site.swarm.end_task(
            next(iter(platform.site.swarm.services.values()))["Spec"]["Name"]
        )
        await platform.world.until(
            lambda: len(now := set(platform.traefik.public_servers(HOST))) == 3 and now != before
        )


@virtual
async def test_a_network_that_is_not_made_yet_keeps_no_route_of_the_former():
    """What the next release's program starts after goes on for long."""
    async with routed() as platform:
        site, servers = platform.site, platform.traefik.public_servers
        await site.deploy("d1")
        await site.ended("d1")
        await platform.world.until(lambda: bool(servers(HOST)))
        before = servers(HOST)
        job = Workload(name="init-1", job=True, image=site.image("long", Behaviour(boot=None)))
        main = Workload(
            name=MAIN, networks=(Attachment(name="back"),), port=8080,
            image=site.image("2", Behaviour()),
            after=(After(workload="init-1", condition="completed"),),
        )  # fmt: skip
        await site.request("d2")
        await site.made("d2", job, main)
        await platform.world.until(
            lambda: "rollout.job_started" in platform.types("rollout", site.id)
        )
        site.swarm.end_task(swarm_service("d1"))
        await platform.world.until(lambda: bool(servers(HOST)) and servers(HOST) != before)
        assert site.ends("d2") == []


@virtual
async def test_a_stopped_service_is_withdrawn_and_forgotten():
    async with routed() as platform:
        await platform.site.deploy("d1")
        await platform.site.ended("d1")
        await platform.site.stop_service()
        await platform.world.until(lambda: platform.site.rollout()[-1] == "stopped")
        assert platform.types("route", platform.site.id)[-1] == "route.withdrawn"
        assert platform.traefik.names() == {"platform"}
        await asyncio.sleep(5)
        platform.world.read_calls.clear()
        await asyncio.sleep(600)
        assert platform.world.read_calls.total() == 0


@virtual
async def test_a_deleted_environment_is_left_when_its_last_service_has_gone():
    async with routed() as platform:
        await platform.site.deploy("d1")
        await platform.site.ended("d1")
        gone = EnvironmentDeletionRequested(project=PROJECT)
        await fact(platform.world, "environment", ENVIRONMENT, gone)
        await asyncio.sleep(5)
        platform.world.read_calls.clear()
        await asyncio.sleep(60)
        assert platform.world.read_calls["heads"] <= 7, "it waits to be told"
        assert platform.types("route", ENVIRONMENT) == []
        await platform.site.delete()
        await platform.world.until(
            lambda: "network.removed" in platform.types("network", ENVIRONMENT), 15
        )
        assert platform.types("route", ENVIRONMENT) == ["route.network_left"]
        assert platform.site.swarm.networks == {}


@pytest.mark.parametrize("count", [10, 400])
@virtual
async def test_what_is_stopped_costs_nothing_at_start(count: int):
    world, swarm = World(), Swarm()
    for number in range(count):
        site = Site(world, swarm, f"service-{number}", f"web-{number}")
        await site.create()
        serving = release(f"d{number}")
        state = RolloutState(environment=ENVIRONMENT, serving=serving, stopped=True, highest=1)
        await fact(world, "rollout", site.id, RolloutScaled(state=state, **site.told))
        withdrawn = RouteWithdrawn(state=RouteState(environment=ENVIRONMENT), **site.told)
        await fact(world, "route", site.id, withdrawn)
    traefik = Traefik(swarm)
    traefik.documents["service-1"] = {"http": {}}
    world._acknowledged["proxy-sync"] = {commit.sequence for commit in world._log}
    world.read_calls.clear()
    running = asyncio.create_task(proxy_sync(world, swarm, traefik, Life()))
    await asyncio.sleep(60)
    assert world.read_calls == {"heads": 4, "last_sequence": 1}
    assert traefik.loads == 0
    assert traefik.names() == {"platform"}, "what a former life left behind has gone"
    await end(running)


@virtual
async def test_the_log_is_read_when_it_has_gone_on_and_else_seldom():
    async with routed() as platform:
        await platform.site.deploy("d1")
        await platform.site.ended("d1")
        platform.traefik.broken.add("d2")
        await platform.site.deploy("d2")
        await platform.world.until(lambda: "ready d2" in platform.site.rollout())
        await platform.stop("deployer")
        platform.world.read_calls.clear()
        await asyncio.sleep(30)
        assert platform.world.read_calls.total() <= 31 * 3


class Mute(Traefik):
    """None of its tasks answers."""

    def __init__(self, swarm: Swarm) -> None:
        super().__init__(swarm)
        self.asked, self.waiting, self.most = set[str](), 0, 0

    async def probe(
        self, task: str, port: int, attempt: str, host: str, path: str, seconds: float = 5
    ) -> Answer:
        self.asked.add(task)
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        await asyncio.sleep(seconds)
        self.waiting -= 1
        return Answer(0, False, "no answer")


@virtual
async def test_of_many_tasks_that_do_not_answer_some_are_asked_at_once_and_all_in_turn():
    async with routed() as platform:
        mute = Mute(platform.site.swarm)
        await platform.change(mute)
        await platform.site.scale(50)
        await platform.site.deploy("d1")
        assert await platform.site.ended("d1", seconds=300) == "rollout.failed"
        assert mute.most == AT_ONCE
        assert len(mute.asked) == 50


@pytest.mark.parametrize("category", ["rollout", "route"])
@virtual
async def test_what_a_newer_release_wrote_is_left_as_it_is(category: str):
    """Answers to be stopped, by a process that was there and by one that begins."""
    async with routed() as platform:
        await platform.site.deploy("d1")
        await platform.site.ended("d1")
        await platform.stop("deployer")
        await asyncio.sleep(40)
        last = platform.world.events(category, platform.site.id)[-1]
        await fact(platform.world, category, platform.site.id, newer(last))
        said, document = platform.types("route", platform.site.id), platform.traefik.documents
        before = document[platform.site.id]
        await platform.site.stop_service()
        await platform.site.delete()
        for _ in range(2):
            await asyncio.sleep(60)
            assert platform.serves() == {"d1"}
            assert document[platform.site.id] == before
            assert not platform.running["proxy-sync"].done()
            await platform.stop("proxy-sync")
            platform.start("proxy-sync")
        assert platform.types("route", platform.site.id) == said


@virtual
async def test_the_network_of_what_a_newer_release_wrote_is_not_left():
    async with routed() as platform:
        await platform.site.deploy("d1")
        await platform.site.ended("d1")
        await platform.stop("deployer")
        await fact(platform.world, "rollout", platform.site.id, newer(platform.site.last()))
        gone = EnvironmentDeletionRequested(project=PROJECT)
        await fact(platform.world, "environment", ENVIRONMENT, gone)
        await asyncio.sleep(60)
        assert platform.types("route", ENVIRONMENT) == []


@virtual
async def test_the_part_of_a_route_that_cant_be_read_stays_at_start():
    world, swarm = World(), Swarm()
    site = Site(world, swarm)
    state = RouteState(environment=ENVIRONMENT)
    await fact(world, "route", site.id, newer(RouteWithdrawn(state=state, **site.told)))
    traefik = Traefik(swarm)
    traefik.documents[site.id] = traefik.documents["service-9"] = {"http": {}}
    running = asyncio.create_task(proxy_sync(world, swarm, traefik, Life()))
    await asyncio.sleep(10)
    assert traefik.names() == {"platform", site.id}
    await end(running)
