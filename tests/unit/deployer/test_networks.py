"""Networks of services' own, with deployer and proxy over a Swarm in memory: made before the first
task, joined by the proxy where a domain leads to them, gone with the last release that has them. In
virtual time."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from deployer.adapters.engine import Engine
from deployer.networks.react import Networks
from slipway.contracts import labels
from slipway.contracts.values import Attachment
from slipway.contracts.workload import Workload
from slipway.eventstore.memory import MemoryLease

from tests.simulation.platform import ENVIRONMENT, Site, SwarmTransport, deployer, end
from tests.simulation.proxy import Traefik, add_domain, proxy_sync
from tests.simulation.world import INSTANCE, REGISTRY_PORT, Behaviour, Life, Swarm, World, virtual

HOST = "shop.example.org"
ENV = labels.network(INSTANCE, ENVIRONMENT)


def own(name: str, service: str = "service-1") -> str:
    return labels.service_network(INSTANCE, service, name)


def workload(site: Site, name: str, version: str, *networks: str, **more: Any) -> Workload:
    attached = tuple(Attachment(name=each, aliases=(name,)) for each in networks)
    image = site.image(f"{name}-{version}", more.pop("how", Behaviour()))
    return Workload(
        name=name, aliases=(f"shop-{name}",), networks=attached, image=image,
        settle_seconds=1.0, **more,
    )  # fmt: skip


def stack(site: Site, version: str, back: str = "back") -> list[Workload]:
    return [
        workload(site, "web", version, "default", back, port=8080),
        workload(site, "db", version, back),
    ]


async def deploy(site: Site, deployment: str, workloads: Sequence[Workload]) -> str:
    await site.request(deployment)
    await site.made(deployment, *workloads)
    return await site.ended(deployment)


@asynccontextmanager
async def platform(domain: str | None = "web") -> AsyncIterator[Site]:
    world, swarm = World(), Swarm()
    site = Site(world, swarm)
    await site.create()
    if domain:
        await add_domain(world, site.id, HOST, domain)
    running = [
        asyncio.create_task(deployer(world, swarm, Life())),
        asyncio.create_task(proxy_sync(world, swarm, Traefik(swarm), Life())),
    ]
    try:
        yield site
    finally:
        await end(*running)


def attached(site: Site) -> dict[str, list[tuple[str, list[str]]]]:
    """Workload → (network, its names there), but for the way out."""
    found: dict[str, list[tuple[str, list[str]]]] = {}
    for service in site.swarm.services.values():
        networks = service["Spec"]["TaskTemplate"]["Networks"][:-1]
        name = service["Spec"]["Labels"][labels.WORKLOAD]
        found[name] = [(each["Target"], each["Aliases"]) for each in networks]
    return found


@virtual
async def test_members_of_default_meet_the_environment_and_others_only_each_other():
    async with platform() as site:
        assert await deploy(site, "d1", stack(site, "1")) == "rollout.succeeded"
        assert attached(site) == {
            "web": [(ENV, ["shop-web"]), (own("default"), ["web"]), (own("back"), ["web"])],
            "db": [(own("back"), ["db"])],
        }
        marks = site.swarm.networks[own("back")]["Labels"]
        assert (marks[labels.INSTANCE], marks[labels.SERVICE]) == (INSTANCE, site.id)
        assert site.swarm.joined == {ENV}, "where the domain leads"


@virtual
async def test_the_proxy_joins_what_a_domain_leads_to():
    async with platform("db") as site:
        db = workload(site, "db", "1", "back", port=8080)
        assert await deploy(site, "d1", [db]) == "rollout.succeeded"
        assert site.swarm.joined == {ENV, own("back")}


@virtual
async def test_they_go_with_the_last_release_that_has_them_and_no_sooner():
    async with platform("db") as site:
        slow = Behaviour(stop=40.0)
        first = [workload(site, "db", "1", "back", port=8080, how=slow)]
        assert await deploy(site, "d1", first) == "rollout.succeeded"
        assert await deploy(site, "d2", [workload(site, "db", "2", "new", port=8080)])
        assert site.ends("d2") == ["rollout.succeeded"]
        await site.world.until(lambda: len(site.swarm.services) == 1)
        await asyncio.sleep(20)
        assert {own("back"), own("new")} <= site.swarm.networks.keys(), "a task is on it still"
        assert own("back") in site.swarm.joined
        await site.world.until(lambda: own("back") not in site.swarm.networks)
        assert site.swarm.joined == {ENV, own("new")}
        await asyncio.sleep(60)
        assert own("new") in site.swarm.networks
        await site.delete()
        await site.world.until(lambda: site.swarm.networks.keys() == {ENV})


@virtual
async def test_what_was_given_up_leaves_none():
    async with platform() as site:
        assert await deploy(site, "d1", stack(site, "1")) == "rollout.succeeded"
        broken = Behaviour(boot=None, ends_after=0.1)
        other = workload(site, "db", "2", "other", how=broken)
        web = workload(site, "web", "2", "default", "other", port=8080)
        assert await deploy(site, "d2", [web, other]) == "rollout.failed"
        await site.world.until(lambda: own("other") not in site.swarm.networks)
        assert {own("default"), own("back")} <= site.swarm.networks.keys()


@virtual
async def test_networks_of_nobody_and_of_other_services_stay():
    async with platform() as site:
        assert await deploy(site, "d1", stack(site, "1")) == "rollout.succeeded"
        theirs = {labels.INSTANCE: "other", labels.SERVICE: site.id}
        for name, marks in (("theirs", theirs), ("nobodys", {})):
            site.swarm.networks[name] = {"Id": name, "Name": name, "Labels": marks}
        await site.delete()
        await site.world.until(lambda: own("back") not in site.swarm.networks)
        await asyncio.sleep(30)
        assert {"theirs", "nobodys"} <= site.swarm.networks.keys()


@virtual
async def test_one_that_is_needed_again_while_it_goes_is_there():
    """It is asked whether the node has let go of it; meanwhile a release with it begins."""
    async with platform() as site:
        assert await deploy(site, "d1", stack(site, "1", "one")) == "rollout.succeeded"
        for number, back in enumerate(("two", "one", "two", "one"), 2):
            await asyncio.sleep(number * 1.7)
            done = await deploy(site, f"d{number}", stack(site, str(number), back))
            assert done == "rollout.succeeded"
            assert own(back) in site.swarm.networks


async def story(dies_at: int | None) -> tuple[Life, Site]:
    """The deployer dies once on the way from one network to another and to the end."""
    world, swarm, life = World(), Swarm(), Life(dies_at)
    site = Site(world, swarm)
    await site.create()
    proxy = asyncio.create_task(proxy_sync(world, swarm, Traefik(swarm), Life()))
    dying = asyncio.create_task(life.run(deployer(world, swarm, life)))

    async def again() -> None:
        await life.died.wait()
        await dying
        await asyncio.sleep(3)
        await deployer(world, swarm, Life())

    second = asyncio.create_task(again())
    assert await deploy(site, "d1", stack(site, "1", "one")) == "rollout.succeeded"
    assert await deploy(site, "d2", stack(site, "2", "two")) == "rollout.succeeded"
    await asyncio.sleep(80)
    own_now = {name for name in swarm.networks if labels.is_service_network(INSTANCE, name)}
    assert own_now == {own("default"), own("two")}
    await site.delete()
    await asyncio.sleep(100)
    await end(dying, second, proxy)
    return life, site


def test_whatever_point_it_dies_at_none_is_missing_and_none_left():
    names: list[str] = []

    @virtual
    async def count() -> None:
        life, _ = await story(None)
        names.extend(life.points)

    count()
    assert f"after DELETE networks/{own('one')}" in names

    @virtual
    async def die(number: int) -> None:
        _, site = await story(number)
        assert site.swarm.networks.keys() == {ENV}, f"died {names[number - 1]}"

    for number in range(1, len(names) + 1):
        die(number)


@virtual
async def test_what_a_release_makes_while_it_is_being_removed_is_there_afterwards():
    world, swarm = World(), Swarm(latency=0.5)
    engine = Engine(SwarmTransport(swarm, Life()), INSTANCE, REGISTRY_PORT)
    networks = Networks(world, engine, world.clock, MemoryLease(), INSTANCE)
    await networks.made_own("org", "service-1", ["back"])
    sweeping = asyncio.create_task(networks.run())
    while not swarm.asked[f"DELETE networks/{own('back')}"]:
        await asyncio.sleep(0.01)
    await networks.made_own("org", "service-1", ["back"])
    assert own("back") in swarm.networks
    await end(sweeping)
