"""Nothing is tried for ever, and one service's trouble is nobody else's."""

import asyncio
from datetime import datetime
from typing import Any

import pytest
from deployer.rollout import undoing
from slipway.contracts import labels
from slipway.contracts.deployment import Limits
from slipway.contracts.rollout import RolloutCancelled, RolloutFailed, RolloutState
from slipway.contracts.values import Failure, Runtime, VolumeMount
from slipway.contracts.workload import Workload
from slipway.eventstore.codec import to_bytes
from slipway.kernel.envelope import NOTHING, Actor, Meta
from slipway.testing.releases import release

from tests.simulation.platform import Site, deployer, edge, end, platform, swarm_service
from tests.simulation.world import Behaviour, Life, Refuses, Swarm, World, virtual


def failure(site: Site, deployment: str) -> Failure:
    found = [
        event.failure
        for event in site.world.events("rollout", site.id)
        if isinstance(event, RolloutFailed) and event.deployment == deployment
    ]
    assert len(found) == 1, site.rollout()
    return found[0]


def former(site: Site) -> str:
    event = site.last()
    assert isinstance(event, RolloutFailed | RolloutCancelled)
    return event.former


class Faulty(Swarm):
    """An engine at which the deployer itself fails: what it asks for ends in an error that nobody
    foresaw."""

    def __init__(self, *asked: str, error: Exception | None = None) -> None:
        super().__init__()
        self.faulty, self.error = asked, error or TypeError("'NoneType' is not subscriptable")

    async def query(self, path: str, method: str, params: Any, data: Any) -> Any:
        what = f"{method} {path} {data and data.get('Name')}"
        if any(faulty in what for faulty in self.faulty):
            raise self.error
        return await super().query(path, method, params, data)


@virtual
async def test_what_nobody_foresaw_ends_the_deployment_and_no_other():
    swarm = Faulty(f"services/create {swarm_service('d1', service='service-2')}")
    async with platform(swarm=swarm) as site:
        bad = Site(site.world, swarm, "service-2", "bad")
        await bad.create()
        await bad.deploy("d1")
        await site.deploy("d2")
        assert await site.ended("d2", 30) == "rollout.succeeded"
        assert await bad.ended("d1", 30) == "rollout.failed"
        said = failure(bad, "d1")
        assert said.reason == "internal-error"
        assert "d1" in said.detail
        assert "TypeError" in said.detail
        assert "NoneType" not in said.detail, "the error's own words may hold secrets"
        assert "deployer" in said.hint
        swarm.faulty = ()
        await bad.deploy("d3")
        assert await bad.ended("d3") == "rollout.succeeded"


@virtual
async def test_what_was_begun_and_given_up_is_undone_and_the_former_is_looked_at():
    swarm = Faulty(f"services/create {swarm_service('d2')}")
    async with platform(swarm=swarm) as site:
        await site.deploy("d1")
        await site.ended("d1")
        await site.deploy("d2")
        assert await site.ended("d2", 30) == "rollout.failed"
        assert site.rollout()[-2:] == ["reverting d2", "failed d2"]
        assert failure(site, "d2").reason == "internal-error"
        assert former(site) == "running"


@virtual
async def test_an_undoing_that_fails_again_and_again_ends_and_says_that_the_former_stands_still():
    async def database(deployment: str, how: Behaviour) -> None:
        await site.request(deployment)
        image = site.image(deployment, how)
        data = VolumeMount(name="data", path="/data")
        await site.made(deployment, Workload(name="db", mounts=(data,), image=image))

    swarm = Faulty()
    async with platform(swarm=swarm) as site:
        await database("d1", Behaviour())
        await site.ended("d1")
        await database("d2", Behaviour(boot=None))
        name = swarm_service("d2", "db")
        await site.world.until(lambda: swarm.by_name().get(name) == 1)
        swarm.faulty = ("update",)
        await site.stop("d2")
        assert await site.ended("d2", 60) == "rollout.cancelled"
        assert former(site) == "not_running"
        swarm.faulty = ()
        await site.world.until(lambda: len(swarm.addresses(swarm_service("d1", "db"))) == 1)
        assert swarm.by_name().keys() == {swarm_service("d1", "db")}


@virtual
async def test_a_first_that_is_given_up_has_no_former():
    async with platform(swarm=Faulty("services/create")) as site:
        await site.deploy("d1")
        assert await site.ended("d1", 30) == "rollout.failed"
        assert former(site) == "none"


@virtual
async def test_one_that_has_had_no_turn_says_what_serves():
    async with platform() as site:
        await site.deploy("d1")
        await site.ended("d1")
        await site.request("d2")
        await site.stop("d2")
        await site.built("d2")
        assert await site.ended("d2", 10) == "rollout.cancelled"
        assert former(site) == "running"


@pytest.mark.parametrize(
    ("holds", "stopped", "said"),
    [((), False, "running"), (("volume:data",), False, "not_running"), ((), True, "not_running")],
)
def test_behind_one_for_which_it_stands_still_what_serves_does_not_run(
    holds: tuple[str, ...], stopped: bool, said: str
):
    serving, wanted = release("d1", holds=holds), release("d2", 2, holds=holds)
    state = RolloutState(serving=serving, wanted=wanted, stopped=stopped)
    assert undoing.said(state) == said


@virtual
async def test_what_goes_on_as_it_was_is_not_quoted():
    async with platform() as site:
        db = Workload(name="db", image=site.image("db", Behaviour()))
        web = Workload(name="web", image=site.image("web-1", Behaviour()))
        await site.request("d1")
        await site.made("d1", db, web)
        await site.ended("d1")
        for deployment, how, lines in (
            ("d2", Behaviour(missing="no such image"), ()),
            ("d3", Behaviour(boot=None, ends_after=0.1), ("the last words",)),
        ):
            image = site.image(deployment, how)
            await site.request(deployment)
            await site.made(deployment, db, web.model_copy(update={"image": image}))
            assert await site.ended(deployment) == "rollout.failed"
            assert failure(site, deployment).lines == lines


@virtual
async def test_a_removal_that_fails_for_hours_neither_ends_the_actor_nor_a_rollout():
    swarm = Faulty("DELETE services/")
    async with platform(swarm=swarm) as site:
        for deployment in ("d1", "d2", "d3"):
            await site.deploy(deployment)
            assert await site.ended(deployment) == "rollout.succeeded"
        before = swarm.asked.total()
        await asyncio.sleep(2 * 3600)
        assert swarm.asked.total() - before < 2 * 3600, "it is asked seldom"
        swarm.faulty = ()
        await site.world.until(lambda: site.swarm.releases() == {"d3": 1})


@virtual
async def test_an_engine_that_refuses_a_step_again_and_again_is_quoted():
    swarm = Faulty("update", error=Refuses("rpc error: no such luck"))
    async with platform(swarm=swarm, routed=False) as site:
        await site.deploy("d1", Behaviour(boot=600))
        await site.world.until(lambda: "d1" in swarm.releases())
        await site.scale(2)
        assert await site.ended("d1") == "rollout.failed"
        assert failure(site, "d1").reason == "engine-refused"
        assert "no such luck" in failure(site, "d1").detail


@virtual
async def test_last_lines_of_any_length_are_clipped():
    """Five bytes in the log for each of theirs: 20 lines of them are more than a commit holds."""
    async with platform() as site:
        site.swarm.printed = ["\x01" * 16000] * 20
        await site.deploy("d1", Behaviour(ends_after=0.2))
        assert await site.ended("d1", 10) == "rollout.failed"
        said = failure(site, "d1")
        assert said.reason == "exited"
        assert len(said.lines) == 20
        assert all(line.startswith("\\x01" * 100) and len(line) < 2000 for line in said.lines)
        meta = Meta("c", site.world.clock.now(), Actor("service", "deployer"), "d1")
        assert len(to_bytes(NOTHING, [site.last()], meta)) < 128 * 1024


@virtual
async def test_an_image_without_a_command_fails_before_anything_is_made_of_it():
    async with platform() as site:
        site.swarm.images["sha256:d1"] = {"Config": {"Labels": {}, "Cmd": None, "Entrypoint": []}}
        await site.deploy("d1")
        assert await site.ended("d1", 10) == "rollout.failed"
        said = failure(site, "d1")
        assert said.reason == "no-command"
        assert "sha256:d1" in said.detail
        assert "`command`" in said.hint
        assert not site.swarm.asked["POST services/create"]
        site.runtime = Runtime(port=8080, command=("/serve",))
        site.swarm.images["sha256:d2"] = site.swarm.images["sha256:d1"]
        await site.deploy("d2")
        assert await site.ended("d2", 30) == "rollout.succeeded"


@virtual
async def test_an_image_that_is_gone_fails_before_anything_is_made_of_it():
    """Nobody knows how its program begins."""
    async with platform(swarm=Faulty("GET images/", error=KeyError("no such image"))) as site:
        await site.deploy("d1")
        assert await site.ended("d1", 10) == "rollout.failed"
        said = failure(site, "d1")
        assert said.reason == "image-missing"
        assert "sha256:d1" in said.detail
        assert said.hint == "deploy with a build"
        assert not site.swarm.asked["POST services/create"]


@virtual
async def test_a_death_does_not_renew_the_time():
    world, swarm = World(), Swarm()
    site = Site(world, swarm)
    await site.create()
    began = world.clock.now()
    await site.deploy("d1", Behaviour(boot=None), Limits(rollout=60))
    while not site.ends("d1"):
        life = asyncio.create_task(deployer(world, swarm, Life()))
        await asyncio.sleep(17)
        await end(life)
    ended = next(c.meta.at for c in world._log if c.events[0].type == "rollout.failed")
    assert 60 <= (ended - began).total_seconds() < 80
    assert failure(site, "d1").reason == "rollout-timeout"


@virtual
async def test_the_whole_deployment_has_one_deadline_from_its_request_on():
    async with platform() as site:
        limits = Limits(queue=10, build=20, rollout=60, route=30)
        began = site.world.clock.now()
        await site.request("d1", limits=limits)
        await asyncio.sleep(90)
        await site.built("d1", Behaviour(boot=None))
        await site.world.until(lambda: "started d1" in site.rollout())
        deadline = datetime.fromisoformat(site.last().state.deadline or "")
        assert (deadline - began).total_seconds() == pytest.approx(120, abs=0.1)
        assert await site.ended("d1", 31) == "rollout.failed"


@virtual
async def test_one_whose_time_is_over_is_never_made():
    async with platform() as site:
        await site.request("d1", limits=Limits(queue=1, build=1, rollout=1, route=1))
        await asyncio.sleep(10)
        await site.built("d1")
        assert await site.ended("d1", 5) == "rollout.failed"
        assert "before its release could be made" in failure(site, "d1").detail
        assert "POST services/create" not in site.swarm.asked


@virtual
async def test_a_log_that_is_away_for_long_fails_nothing():
    world, swarm = World(), Swarm()
    site = Site(world, swarm)
    await site.create()
    running = [
        asyncio.create_task(deployer(world, swarm, Life())), asyncio.create_task(edge(world))
    ]  # fmt: skip
    await site.deploy("d1", Behaviour(boot=5))
    await world.until(lambda: "started d1" in site.rollout())
    world.away = True
    await asyncio.sleep(120)
    world.away = False
    assert await site.ended("d1") == "rollout.succeeded"
    await end(*running)


GLOBAL = {"Global": {}}


@virtual
async def test_a_swarm_service_that_is_no_release_is_left_out():
    """One of ours on every node, and one that lacks our labels."""
    async with platform() as site:
        await site.deploy("d1")
        await site.ended("d1")
        (release,) = site.swarm.services.values()
        marks = release["Spec"]["Labels"]
        few = {name: marks[name] for name in (labels.INSTANCE, labels.SERVICE)}
        for name, spec in (("all", release["Spec"] | {"Mode": GLOBAL}), ("few", {"Labels": few})):
            odd = {"ID": name, "Version": {"Index": 1}, "Spec": spec | {"Name": name}}
            site.swarm.services[name] = odd
        another = asyncio.create_task(deployer(site.world, site.swarm, Life()))
        await asyncio.sleep(60)
        await site.deploy("d2")
        assert await site.ended("d2") == "rollout.succeeded"
        assert not another.done()
        await end(another)
        assert {"all", "few"} < site.swarm.services.keys()


@virtual
async def test_a_release_whose_labels_somebody_took_is_not_made_again_for_ever():
    async with platform() as site:
        await site.deploy("d1")
        await site.ended("d1")
        (release,) = site.swarm.services.values()
        release["Spec"]["Labels"] = dict(release["Spec"]["Labels"])
        taken = release["Spec"]["Labels"].pop(labels.RELEASE)
        await asyncio.sleep(300)
        assert site.world.events("drift", site.id) == []
        assert site.swarm.asked["POST services/create"] < 60
        release["Spec"]["Labels"][labels.RELEASE] = taken
        await site.deploy("d2")
        assert await site.ended("d2") == "rollout.succeeded"


@virtual
async def test_a_first_list_that_fails_ends_no_process():
    swarm = Faulty("GET services")
    async with platform(swarm=swarm) as site:
        await site.deploy("d1")
        await asyncio.sleep(10)
        swarm.faulty = ()
        assert await site.ended("d1") == "rollout.succeeded"
