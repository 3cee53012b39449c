"""Rollouts over the log and a Swarm in memory, in virtual time."""

import asyncio
from datetime import datetime, timedelta

import pytest
from deployer.rollout.bringing import MOST_SAID
from slipway.contracts import labels
from slipway.contracts.build import BuildSucceeded, BuildSwept
from slipway.contracts.deployment import Limits
from slipway.contracts.rollout import DriftRepaired, RolloutFailed, RolloutRemoving, RolloutWaiting
from slipway.contracts.service import (
    ServiceScaled,
    ServiceStarted,
    ServiceStopped,
)
from slipway.contracts.values import HealthCheck, Runtime, VolumeMount
from slipway.sealing import generate

from tests.simulation.platform import (
    MASTER,
    Site,
    activate,
    deployer,
    edge,
    end,
    fact,
    platform,
    route_event,
    seal,
    swarm_service,
)
from tests.simulation.world import Behaviour, Life, Swarm, VirtualClock, World, virtual


def failure(site: Site) -> str:
    event = site.world.events("rollout", site.id)[-1]
    assert isinstance(event, RolloutFailed), event
    return event.failure.reason


def words(site: Site) -> list[str]:
    """What was said of tasks that no node takes."""
    found = site.world.events("rollout", site.id)
    return [event.words for event in found if isinstance(event, RolloutWaiting)]


@virtual
async def test_a_release_serves_once_the_proxy_says_so():
    async with platform(routed=False) as site:
        await site.deploy("d1")
        await site.world.until(lambda: "ready d1" in site.rollout())
        assert [task.address for task in site.last().state.tasks] == ["10.0.0.5"]
        await asyncio.sleep(20)
        assert site.rollout() == ["queued d1", "started d1", "ready d1"]
        await activate(site.world, site.id, "d1")
        assert await site.ended("d1") == "rollout.succeeded"
        state = site.last().state
        assert (state.serving and state.serving.deployment, state.wanted) == ("d1", None)


@virtual
async def test_the_former_release_goes_when_no_route_names_it():
    async with platform(routed=False) as site:
        await site.deploy("d1")
        await site.world.until(lambda: "ready d1" in site.rollout())
        await activate(site.world, site.id, "d1")
        await site.ended("d1")
        await site.deploy("d2")
        await site.world.until(lambda: "ready d2" in site.rollout())
        await asyncio.sleep(20)
        assert set(site.swarm.releases()) == {"d1", "d2"}
        await activate(site.world, site.id, "d2")
        await site.world.until(lambda: set(site.swarm.releases()) == {"d2"})
        assert site.ends("d2") == ["rollout.succeeded"]


@virtual
async def test_a_second_waits_for_its_turn():
    async with platform() as site:
        await site.deploy("d1", Behaviour(boot=10))
        await site.world.until(lambda: "started d1" in site.rollout())
        await site.deploy("d2")
        await asyncio.sleep(2)
        assert set(site.swarm.releases()) == {"d1"}
        assert await site.ended("d2") == "rollout.succeeded"
        assert site.ends("d1") == ["rollout.succeeded"]


@virtual
async def test_what_waits_starts_though_its_images_are_not_kept_any_more():
    """They are not removed before it has ended."""
    async with platform() as site:
        await site.deploy("d1", Behaviour(boot=10))
        await site.world.until(lambda: "started d1" in site.rollout())
        await site.deploy("d2")
        swept = BuildSwept(kind="application", service=site.id, environment="e", kept=10)
        await fact(site.world, "build", "d2", swept)
        assert await site.ended("d2") == "rollout.succeeded"


@virtual
async def test_the_later_requested_never_gives_way_to_an_earlier_one():
    async with platform() as site:
        await site.request("d1")
        await site.deploy("d2")
        await site.ended("d2")
        await site.built("d1")
        assert await site.ended("d1") == "rollout.superseded"
        assert set(site.swarm.releases()) == {"d2"}


@virtual
async def test_what_is_queued_while_a_step_is_being_planned_is_not_forgotten():
    """The build ends between the look at the log and the fact that is appended upon it."""
    async with platform(routed=False) as site:
        await site.deploy("d1")
        await site.world.until(lambda: "ready d1" in site.rollout())
        await site.request("d2")
        site.swarm.latency = 0.5
        await activate(site.world, site.id, "d1")
        await asyncio.sleep(0.3)
        await site.built("d2")
        assert await site.ended("d1") == "rollout.succeeded"
        await site.world.until(lambda: "ready d2" in site.rollout())
        await activate(site.world, site.id, "d2")
        assert await site.ended("d2") == "rollout.succeeded"


@virtual
async def test_a_release_is_ready_when_each_of_its_workloads_is():
    async with platform(routed=False) as site:
        await site.request("d1")
        await site.built("d1", db=Behaviour(boot=10))
        await site.world.until(lambda: site.swarm.releases() == {"d1": 1, "d1/db": 1}, 1)
        await asyncio.sleep(5)
        assert site.rollout() == ["queued d1", "started d1"]
        await site.world.until(lambda: "ready d1" in site.rollout())
        assert [task.workload for task in site.last().state.tasks] == ["main", "db"]
        await activate(site.world, site.id, "d1")
        assert await site.ended("d1") == "rollout.succeeded"
        serving = site.last().state.serving
        assert serving is not None
        assert [each.name for each in serving.workloads] == ["main", "db"]
        names = {spec["Spec"]["Name"] for spec in site.swarm.services.values()}
        assert names == serving.names == {swarm_service("d1"), swarm_service("d1", "db")}


@virtual
async def test_one_workload_that_fails_takes_all_new_ones_away():
    async with platform(settle=10) as site:
        await site.request("d1")
        await site.built("d1", db=Behaviour())
        await site.ended("d1")
        await site.request("d2")
        await site.built("d2", db=Behaviour(ends_after=0.2, exit_code=3))
        assert await site.ended("d2") == "rollout.failed"
        assert failure(site) == "exited"
        await site.world.until(lambda: site.swarm.releases() == {"d1": 1, "d1/db": 1})
        await asyncio.sleep(100)
        assert site.swarm.releases() == {"d1": 1, "d1/db": 1}


@virtual
async def test_all_workloads_of_the_former_release_go():
    async with platform() as site:
        await site.request("d1")
        await site.built("d1", db=Behaviour())
        await site.ended("d1")
        await site.deploy("d2")
        assert await site.ended("d2") == "rollout.succeeded"
        await site.world.until(lambda: site.swarm.releases() == {"d2": 1})


@virtual
async def test_a_workload_that_serves_and_is_missing_is_made_again():
    async with platform() as site:
        await site.request("d1")
        await site.built("d1", db=Behaviour())
        await site.ended("d1")
        site.swarm.delete_service(swarm_service("d1", "db"))
        await site.world.until(lambda: site.swarm.releases() == {"d1": 1, "d1/db": 1})
        (repaired,) = site.world.events("drift", site.id)
        assert isinstance(repaired, DriftRepaired)
        assert repaired.what == "db of d1 was missing and was made again"


@virtual
async def test_what_is_made_is_what_was_sealed():
    """The labels by which it is found, and the workload whole."""
    async with platform() as site:
        await site.deploy("d1")
        await site.ended("d1")
        (made,) = site.swarm.services.values()
        name = swarm_service("d1")
        assert (made["Spec"]["Name"], made["Spec"]["Labels"][labels.RELEASE]) == (name, name)
        container = made["Spec"]["TaskTemplate"]["ContainerSpec"]
        assert container["Labels"][labels.WORKLOAD] == "main"
        assert (container["Image"], container["Env"]) == ("sha256:d1", ["PORT=8080"])
        assert made["Spec"]["TaskTemplate"]["Networks"][0]["Aliases"] == ["web"]
        serving = site.last().state.serving
        assert serving is not None
        built = site.world.events("build", "d1")[-1]
        assert isinstance(built, BuildSucceeded)
        (main,) = serving.workloads
        assert (main.digest, main.port) == (built.workloads[0].digest, 8080)
        assert serving.sealed == built.sealed


ENDINGS = {
    "exits at once": (Behaviour(ends_after=0.2, exit_code=3), "exited"),
    "is killed": (Behaviour(ends_after=0.2, exit_code=137), "killed"),
    "has no image": (Behaviour(missing="No such image: sha256:d2"), "image-missing"),
    "can't be started": (Behaviour(missing="starting container failed: oops"), "not-started"),
    "is refused": (Behaviour(refused="invalid memory value"), "engine-refused"),
    "never runs": (Behaviour(boot=None), "rollout-timeout"),
    "answers badly": (
        Behaviour(boot=None, answers="GET /health answered 500", unhealthy_after=15), "unhealthy",
    ),
    "listens elsewhere": (
        Behaviour(boot=None, answers="nothing listens on port 80", unhealthy_after=15),
        "not-listening",
    ),
    "answers badly until its time is over": (
        Behaviour(boot=None, answers="GET /health answered 500"), "unhealthy",
    ),
}  # fmt: skip


@pytest.mark.parametrize("how", ENDINGS)
@virtual
async def test_one_that_fails_leaves_the_former_serving(how: str):
    behaviour, reason = ENDINGS[how]
    async with platform() as site:
        await site.deploy("d1")
        await site.ended("d1")
        await site.deploy("d2", behaviour, Limits(rollout=30))
        assert await site.ended("d2") == "rollout.failed"
        assert failure(site) == reason
        assert site.rollout()[-2:] == ["reverting d2", "failed d2"]
        await site.world.until(lambda: site.swarm.releases() == {"d1": 1})
        await asyncio.sleep(100)
        assert site.ends("d2") == ["rollout.failed"]
        assert site.swarm.releases() == {"d1": 1}


@virtual
async def test_bad_answers_are_waited_for_as_long_as_the_health_check_allows():
    async with platform() as site:
        slow = Behaviour(boot=100, answers="GET /health answered 503", unhealthy_after=110)
        await site.deploy("d1", slow)
        assert await site.ended("d1", 130) == "rollout.succeeded"


@virtual
async def test_a_task_that_ends_while_the_proxy_probes_fails_it():
    async with platform(settle=10) as site:
        await site.deploy("d1", Behaviour(ends_after=2))
        assert await site.ended("d1") == "rollout.failed"
        assert "ready d1" in site.rollout()
        event = site.world.events("rollout", site.id)[-1]
        assert isinstance(event, RolloutFailed)
        assert event.failure.lines == ("the last words",)
        assert "after it had been healthy" in event.failure.detail


@virtual
async def test_what_the_proxy_refuses_fails_with_its_words():
    async with platform(routed=False) as site:
        await site.deploy("d1")
        await site.world.until(lambda: "ready d1" in site.rollout())
        await fact(site.world, "route", site.id, route_event("route.failed", "d1"))
        assert await site.ended("d1") == "rollout.failed"
        assert failure(site) == "probe-failed"


@virtual
async def test_a_proxy_that_is_away_is_waited_for_so_long_and_no_longer():
    async with platform(routed=False) as site:
        await site.deploy("d1", limits=Limits(route=60))
        assert await site.ended("d1") == "rollout.failed"
        assert failure(site) == "route-timeout"
        ready, reverting, failed = site.world._log[-3:]
        assert site.rollout()[-3:] == ["ready d1", "reverting d1", "failed d1"]
        assert 60 <= (reverting.meta.at - ready.meta.at).total_seconds() < 62
        assert (failed.meta.at - reverting.meta.at).total_seconds() < 1


@pytest.mark.parametrize("what", ["gone", "another", "sealed to another key"])
@virtual
async def test_workloads_that_cant_be_read_fail_it_and_nothing_is_made(what: str):
    master = generate().private if what == "sealed to another key" else MASTER.private
    async with platform(master=master) as site:
        await site.deploy("d1")
        if what == "gone":
            site.world.workloads._objects.clear()
        elif what == "another":
            await seal(site.world, "d1.1", b"{}")
        assert await site.ended("d1", 5) == "rollout.failed"
        assert failure(site) == "workloads-unreadable"
        await asyncio.sleep(60)
        assert "POST services/create" not in site.swarm.asked
        assert site.swarm.releases() == {}
        assert len(site.ends("d1")) == 1


@virtual
async def test_workloads_that_go_before_anything_is_made_of_them_fail_it():
    async with platform() as site:
        site.swarm.away = True
        await site.deploy("d1")
        await site.world.until(lambda: "started d1" in site.rollout())
        site.world.workloads._objects.clear()
        site.swarm.away = False
        assert await site.ended("d1", 5) == "rollout.failed"
        assert failure(site) == "workloads-unreadable"
        assert site.swarm.releases() == {}


@virtual
async def test_what_serves_and_can_t_be_read_is_made_again_when_it_can():
    async with platform() as site:
        await site.deploy("d1")
        await site.ended("d1")
        objects, site.world.workloads._objects = site.world.workloads._objects, {}
        site.swarm.delete_service(swarm_service("d1"))
        await asyncio.sleep(300)
        assert site.swarm.releases() == {}
        assert site.rollout()[-1] == "succeeded d1"
        site.world.workloads._objects = objects
        await site.world.until(lambda: site.swarm.releases() == {"d1": 1})


async def test_a_path_to_ask_at_no_known_port_fails_it_and_nothing_is_made():
    async with platform() as site:
        site.runtime = Runtime(port="none", health_check=HealthCheck(path="/up"))
        await site.deploy("d1")
        assert await site.ended("d1") == "rollout.failed"
        assert failure(site) == "port-unknown"
        assert site.swarm.releases() == {}


@pytest.mark.parametrize("reached", ["queued d2", "started d2", "ready d2"])
@virtual
async def test_what_is_asked_to_stop_is_gone_within_two_seconds(reached: str):
    async with platform(routed=False) as site:
        await site.deploy("d1")
        await site.world.until(lambda: "ready d1" in site.rollout())
        if reached != "queued d2":
            await activate(site.world, site.id, "d1")
            await site.ended("d1")
        await site.deploy("d2", Behaviour(boot=5))
        await site.world.until(lambda: reached in site.rollout())
        await site.stop("d2")
        if reached == "queued d2":
            await activate(site.world, site.id, "d1")
        assert await site.ended("d2", 2) == "rollout.cancelled"
        await site.world.until(lambda: set(site.swarm.releases()) == {"d1"}, 2)


@virtual
async def test_a_route_that_came_before_the_wish_to_stop_stands():
    async with platform(routed=False) as site:
        await site.deploy("d1")
        await site.world.until(lambda: "ready d1" in site.rollout())
        site.swarm.latency = 1.0
        await activate(site.world, site.id, "d1")
        await site.stop("d1")
        assert await site.ended("d1") == "rollout.succeeded"


@virtual
async def test_the_world_is_made_equal_to_the_log():
    async with platform() as site:
        await site.deploy("d1")
        await site.ended("d1")
        name = next(iter(site.swarm.services.values()))["Spec"]["Name"]
        site.swarm.delete_service(name)
        await site.world.until(lambda: site.swarm.releases() == {"d1": 1})
        assert [e.type for e in site.world.events("drift", site.id)] == ["drift.repaired"]
        await fact(site.world, "service", site.id, ServiceScaled(replicas=3))
        await site.world.until(lambda: site.swarm.releases() == {"d1": 3})
        await site.world.until(lambda: site.rollout()[-1] == "scaled")
        next(iter(site.swarm.services.values()))["Spec"]["Mode"]["Replicated"]["Replicas"] = 1
        await site.world.until(lambda: site.swarm.releases() == {"d1": 3})


@virtual
async def test_what_changed_under_its_hands_is_scaled_all_the_same():
    async with platform() as site:
        await site.deploy("d1")
        await site.ended("d1")
        next(iter(site.swarm.services.values()))["Version"]["Index"] += 1
        await site.scale(2)
        await site.world.until(lambda: site.swarm.releases() == {"d1": 2}, 5)


@virtual
async def test_stop_waits_for_the_proxy_and_start_brings_a_release():
    async with platform(routed=False) as site:
        await site.deploy("d1")
        await site.world.until(lambda: "ready d1" in site.rollout())
        await activate(site.world, site.id, "d1")
        await site.ended("d1")
        await fact(site.world, "service", site.id, ServiceStopped())
        await asyncio.sleep(40)
        assert site.swarm.releases() == {"d1": 1}
        await fact(site.world, "route", site.id, route_event("route.withdrawn"))
        await site.world.until(lambda: site.rollout()[-1] == "stopped")
        assert site.swarm.releases() == {"d1": 0}
        await fact(site.world, "service", site.id, ServiceStarted())
        await site.deploy("d2")
        await site.world.until(lambda: "ready d2" in site.rollout())
        await activate(site.world, site.id, "d2")
        assert await site.ended("d2") == "rollout.succeeded"
        await site.world.until(lambda: site.swarm.releases() == {"d2": 1})


@pytest.mark.parametrize("reached", ["started d1", "ready d1", "succeeded d1"])
@virtual
async def test_a_deleted_service_leaves_nothing(reached: str):
    async with platform() as site:
        await site.deploy("d1", Behaviour(boot=3))
        await site.world.until(lambda: reached in site.rollout())
        await site.delete()
        await site.world.until(lambda: site.rollout()[-1] == "removed")
        assert site.swarm.releases() == {}
        assert site.swarm.containers == {}
        assert len(site.ends("d1")) == 1
        await site.deploy("d9")
        await asyncio.sleep(10)
        assert site.rollout()[-1] == "removed"


@virtual
async def test_what_a_deleted_service_left_has_a_minute_to_end():
    async with platform() as site:
        await site.deploy("d1", Behaviour(stop=10_000))
        await site.world.until(lambda: "succeeded d1" in site.rollout())
        await site.delete()
        await site.world.until(lambda: isinstance(site.last(), RolloutRemoving))
        said = site.last()
        assert isinstance(said, RolloutRemoving)
        left = datetime.fromisoformat(said.until) - VirtualClock().now()
        await asyncio.sleep(left.total_seconds() - 1)
        assert len(site.swarm.containers) == 1
        assert site.last() == said
        await site.world.until(lambda: site.rollout()[-1] == "removed", 5)
        assert left < timedelta(seconds=61)
        assert site.swarm.containers == {}


def _runs(site: Site, deployment: str) -> bool:
    of = swarm_service(deployment)
    return any(each["Labels"][labels.RELEASE] == of for each in site.swarm.containers.values())


@virtual
async def test_what_is_deleted_while_it_is_undone_is_not_waited_for():
    async with platform() as site:
        site.runtime = Runtime(port=8080, mounts=(VolumeMount(name="data", path="/data"),))
        await site.deploy("d1")
        await site.world.until(lambda: "succeeded d1" in site.rollout())
        await site.deploy("d2", Behaviour(boot=None, stop=10_000))
        await site.world.until(lambda: _runs(site, "d2"))
        await site.stop("d2")
        await site.world.until(lambda: site.rollout()[-1] == "reverting d2")
        await site.delete()
        assert await site.ended("d2", 5) == "rollout.cancelled"
        await site.world.until(lambda: site.rollout()[-1] == "removed", 90)
        assert site.swarm.met == []


@virtual
async def test_why_no_node_takes_it_is_said_when_that_is_another():
    first, second = "no suitable node (insufficient resources on 1 node)", "no suitable node"
    async with platform() as site:
        await site.deploy("d1", Behaviour(nowhere=first))
        await site.world.until(lambda: words(site))
        await asyncio.sleep(5)
        for word in (second, first):
            site.image("d1", Behaviour(nowhere=word))
            await asyncio.sleep(5)
        site.image("d1", Behaviour())
        await site.world.until(lambda: "succeeded d1" in site.rollout())
        assert [said.partition(";")[0] for said in words(site)] == [
            f"a node: {first}",
            f"a node: {second}",
            f"a node: {first}",
            "",
        ]
        assert "cpu_reservation" in words(site)[0], "and what to do"


@virtual
async def test_however_often_the_words_are_others_they_are_said_ten_times():
    async with platform() as site:
        await site.deploy("d1", Behaviour(nowhere="0 nodes"), Limits(rollout=60))
        for number in range(1, 20):
            site.image("d1", Behaviour(nowhere=f"{number} nodes"))
            await asyncio.sleep(2)
        assert len(words(site)) == MOST_SAID
        assert await site.ended("d1") == "rollout.failed"
        assert failure(site) == "rollout-timeout"


@virtual
async def test_an_engine_that_is_away_fails_nothing():
    async with platform() as site:
        site.swarm.away = True
        await site.deploy("d1", limits=Limits(rollout=600))
        await asyncio.sleep(60)
        assert site.ends("d1") == []
        site.swarm.away = False
        assert await site.ended("d1") == "rollout.succeeded"


@virtual
async def test_an_engine_that_stays_away_fails_it_when_its_time_is_over():
    async with platform() as site:
        await site.deploy("d1", Behaviour(boot=None), limits=Limits(rollout=60))
        await site.world.until(lambda: "d1" in site.swarm.releases())
        site.swarm.away = True
        assert await site.ended("d1", 90) == "rollout.failed"
        failed = site.world.events("rollout", site.id)[-1]
        assert isinstance(failed, RolloutFailed)
        assert failed.failure.reason == "engine-away"
        site.swarm.away = False
        await site.world.until(lambda: site.swarm.releases() == {})


@virtual
async def test_a_build_that_is_told_again_much_later_is_not_rolled_out_again():
    async with platform() as site:
        for deployment in ("d1", "d2"):
            await site.deploy(deployment)
            await site.ended(deployment)
            await site.over(deployment)
        await asyncio.sleep(300)
        told = site.rollout()
        running = asyncio.create_task(deployer(site.world, site.swarm, Life()))
        site.world._acknowledged.clear()  # everything is delivered once more
        await asyncio.sleep(60)
        await end(running)
        assert site.rollout() == told


# -- death ----------------------------------------------------------------------------------------

STORIES = {"succeeds": Behaviour(), "fails": Behaviour(ends_after=0.2), "is stopped": Behaviour()}


async def story(how: str, dies_at: int | None) -> tuple[Life, Site]:
    """d1 serves; then d2 comes, and the deployer dies once on the way."""
    world, swarm, life = World(), Swarm(), Life(dies_at)
    site = Site(world, swarm)
    await site.create()
    proxy = asyncio.create_task(edge(world))
    first = asyncio.create_task(life.run(deployer(world, swarm, life)))

    async def again() -> None:
        await life.died.wait()
        await first
        await asyncio.sleep(3)
        await deployer(world, swarm, Life())

    second = asyncio.create_task(again())
    await site.deploy("d1")
    await site.ended("d1")
    await site.deploy("d2", STORIES[how])
    if how == "is stopped":
        await world.until(lambda: "started d2" in site.rollout())
        await site.stop("d2")
    await site.ended("d2")
    await asyncio.sleep(30)
    await end(first, second, proxy)
    return life, site


@virtual
async def count(how: str, found: list[str]) -> None:
    life, _ = await story(how, None)
    found += life.points


def points(how: str) -> list[str]:
    found: list[str] = []
    count(how, found)
    return found


@pytest.mark.parametrize("how", STORIES)
def test_whatever_point_it_dies_at_one_release_serves_and_each_ends_once(how: str):
    names = points(how)
    assert len(names) >= 20

    @virtual
    async def die(number: int) -> None:
        _, site = await story(how, number)
        serves = "d2" if site.ends("d2") == ["rollout.succeeded"] else "d1"
        told = f"died {names[number - 1]}: {site.rollout()}"
        assert site.ends("d1") == ["rollout.succeeded"], told
        assert len(site.ends("d2")) == 1, told
        assert site.swarm.releases() == {serves: 1}, told
        serving = site.last().state.serving
        assert serving is not None, told
        assert serving.deployment == serves, told

    for number in range(1, len(names) + 1):
        die(number)
