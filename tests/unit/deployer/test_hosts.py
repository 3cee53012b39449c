"""Under which host a workload's path is asked. In virtual time."""

from slipway.contracts.host import HostRouteRemoved
from slipway.contracts.values import HealthCheck
from slipway.contracts.workload import Workload
from slipway.kernel.envelope import INSTALLATION, NOTHING, Actor, Meta, Subject
from slipway.kernel.ids import value_id

from tests.simulation.platform import Site, platform, swarm_service
from tests.simulation.proxy import add_domain
from tests.simulation.world import Behaviour, virtual

UP = HealthCheck(path="/up")


def program(site: Site, name: str, check: HealthCheck = UP) -> Workload:
    image = site.image(f"{name}-1", Behaviour())
    return Workload(name=name, port=8080, health_check=check, image=image)


async def deploy(site: Site, deployment: str, *workloads: Workload) -> None:
    await site.request(deployment)
    await site.made(deployment, *workloads)
    assert await site.ended(deployment) == "rollout.succeeded"


def asked(site: Site, deployment: str, workload: str) -> str:
    """The Host that its health check says, empty where it says none."""
    name = swarm_service(deployment, workload)
    found = next(each for each in site.swarm.services.values() if each["Spec"]["Name"] == name)
    test = found["Spec"]["TaskTemplate"]["ContainerSpec"]["Healthcheck"]["Test"]
    return test[test.index("--host") + 1] if "--host" in test else ""


@virtual
async def test_it_is_the_first_of_its_domains_as_they_are_listed():
    async with platform() as site:
        await add_domain(site.world, site.id, "b.example", workload="web")
        await add_domain(site.world, site.id, "a.example", workload="web")
        await add_domain(site.world, site.id, "0.example", workload="none")
        await add_domain(site.world, "service-2", "00.example")
        await deploy(site, "d1", program(site, "web"), program(site, "db"))
        assert (asked(site, "d1", "web"), asked(site, "d1", "db")) == ("a.example", "")


@virtual
async def test_one_that_names_no_workload_is_that_of_the_only_one():
    async with platform() as site:
        await add_domain(site.world, site.id, "a.example")
        await deploy(site, "d1", program(site, "web"))
        assert asked(site, "d1", "web") == "a.example"


@virtual
async def test_what_the_health_check_says_goes_before():
    async with platform() as site:
        await add_domain(site.world, site.id, "a.example")
        said = HealthCheck(path="/up", host="own.example")
        await deploy(site, "d1", program(site, "web", said))
        assert asked(site, "d1", "web") == "own.example"


@virtual
async def test_a_port_that_accepts_is_asked_under_no_host():
    async with platform() as site:
        await add_domain(site.world, site.id, "a.example")
        await deploy(site, "d1", program(site, "web", HealthCheck()))
        assert asked(site, "d1", "web") == ""


@virtual
async def test_a_domain_that_comes_later_changes_nothing_that_is_the_same():
    async with platform() as site:
        await deploy(site, "d1", program(site, "web"))
        before = [task["ID"] for task in site.swarm.of(swarm_service("d1", "web"))]
        await add_domain(site.world, site.id, "a.example")
        await deploy(site, "d2", program(site, "web"))
        assert [task["ID"] for task in site.swarm.of(swarm_service("d1", "web"))] == before
        await site.request("d3", trigger="restart")
        await site.made("d3", program(site, "web"))
        assert await site.ended("d3") == "rollout.succeeded"
        assert asked(site, "d3", "web") == "a.example"


@virtual
async def test_one_that_was_removed_is_asked_no_more():
    async with platform() as site:
        await add_domain(site.world, site.id, "a.example")
        await deploy(site, "d1", program(site, "web"))
        world, host = site.world, Subject(INSTALLATION, "host", value_id("host", "a.example"))
        head = await world.head(host)
        meta = Meta("removed", world.clock.now(), Actor("service", "test"), site.id)
        gone = HostRouteRemoved(domain="domain-a.example", service=site.id)
        await world.append(host, head.head if head else NOTHING, (gone,), meta)
        await site.request("d2", trigger="restart")
        await site.made("d2", program(site, "web"))
        assert await site.ended("d2") == "rollout.succeeded"
        assert asked(site, "d2", "web") == ""
