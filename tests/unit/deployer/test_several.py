"""Releases of several workloads over the log and a Swarm in memory: what is carried over, who is
stopped before another begins, jobs, and what is undone. In virtual time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from deployer.adapters.engine import Engine
from deployer.rollout.domain import View
from deployer.rollout.steps import Steps
from slipway.contracts.event import Event
from slipway.contracts.rollout import RolloutCancelled, RolloutFailed, RolloutWaiting
from slipway.contracts.values import After, FileMount, HealthCheck, VolumeMount
from slipway.contracts.workload import Workload
from slipway.kernel.envelope import Subject

from tests.simulation.platform import (
    Site,
    SwarmTransport,
    deployer,
    edge,
    end,
    platform,
    swarm_service,
)
from tests.simulation.world import REGISTRY_PORT, Behaviour, Life, Swarm, World, virtual

DATA = (VolumeMount(name="data", path="/data"),)
SLOW = Behaviour(stop=6.0)
DONE = Behaviour(ends_after=0.5, exit_code=0)
HUNG = Behaviour(boot=None)


def web(site: Site, version: str, how: Behaviour = Behaviour()) -> Workload:
    after = (After(workload="migrate", condition="completed"),)
    image = site.image(f"web-{version}", how)
    return Workload(name="web", aliases=("web",), port=8080, image=image, after=after)


def db(site: Site, version: str, how: Behaviour = SLOW) -> Workload:
    image = site.image(f"db-{version}", how)
    return Workload(name="db", aliases=("db",), mounts=DATA, image=image)


def migrate(site: Site, version: str, how: Behaviour = DONE) -> Workload:
    after = (After(workload="db", condition="healthy"),)
    image = site.image(f"migrate-{version}", how)
    return Workload(name="migrate", job=True, image=image, after=after)


async def ask(site: Site, deployment: str, *workloads: Workload) -> None:
    await site.request(deployment)
    await site.made(deployment, *workloads)


async def first(site: Site) -> None:
    await ask(site, "d1", web(site, "1"), db(site, "1"), migrate(site, "1"))
    assert await site.ended("d1") == "rollout.succeeded"


@asynccontextmanager
async def serving() -> AsyncIterator[Site]:
    async with platform() as site:
        await first(site)
        yield site
        assert site.swarm.met == []
        assert all(runs == 1 for runs in site.swarm.job_runs.values() if runs)


def tasks(site: Site, workload: str, deployment: str = "d1") -> list[str]:
    return [task["ID"] for task in site.swarm.of(swarm_service(deployment, workload))]


def replicas(site: Site, workload: str, deployment: str) -> int | None:
    return site.swarm.by_name().get(swarm_service(deployment, workload))


def former(site: Site) -> str:
    event = site.last()
    assert isinstance(event, RolloutFailed | RolloutCancelled)
    return event.former


@virtual
async def test_each_begins_when_what_it_waits_for_has_come_so_far():
    async with platform() as site:
        await ask(site, "d1", web(site, "1"), db(site, "1"), migrate(site, "1"))
        seen: dict[str, str] = {}
        while not site.ends("d1"):
            for name in site.swarm.by_name():
                seen.setdefault(name.split("-")[1], site.rollout()[-1])
            await asyncio.sleep(0.01)
        assert list(seen) == ["db", "migrate", "web"]
        assert list(seen.values()) == ["started d1", "job_started d1", "job_ended d1"]
        names = {swarm_service("d1", "db"), swarm_service("d1", "web")}
        assert site.swarm.by_name().keys() == names, "a job goes when its end is known"
        told = [what for what in site.rollout() if what.endswith("d1")]
        assert told == [
            "queued d1", "started d1", "job_started d1", "job_ended d1", "ready d1",
            "succeeded d1",
        ]  # fmt: skip


@virtual
async def test_a_change_of_one_leaves_the_tasks_of_the_others():
    async with serving() as site:
        before = tasks(site, "db")
        await ask(site, "d2", web(site, "2"), db(site, "1"), migrate(site, "2"))
        assert await site.ended("d2") == "rollout.succeeded"
        assert tasks(site, "db") == before
        names = {swarm_service("d2", "web"), swarm_service("d1", "db")}
        await site.world.until(lambda: site.swarm.by_name().keys() == names)


@virtual
async def test_what_ends_again_and_again_has_no_tasks_left_when_it_is_removed():
    """Engines have died of it."""
    async with platform() as site:
        left: dict[str, int] = {}

        def note(name: str) -> None:
            left[name] = len(site.swarm.of(name))

        def loops(version: str) -> Workload:
            image = site.image(f"loops-{version}", Behaviour(ends_after=6.0, stop=3.0))
            return Workload(name="loops", image=image)

        await ask(site, "d1", web(site, "1"), loops("1"))
        assert await site.ended("d1") == "rollout.succeeded"
        site.swarm.on_remove = note
        await asyncio.sleep(8)
        await ask(site, "d2", web(site, "2"), loops("2"))
        assert await site.ended("d2") == "rollout.succeeded"
        await site.world.until(lambda: len(site.swarm.by_name()) == 2)
        former = [swarm_service("d1", name) for name in ("loops", "web")]
        assert left == dict(zip(former, (0, 1), strict=True)), "what never ended goes at once"


@virtual
async def test_what_takes_long_to_end_before_it_is_said_to_be_waited_for():
    async with platform() as site:
        await ask(site, "d1", db(site, "1", Behaviour(stop=25.0)))
        assert await site.ended("d1") == "rollout.succeeded"
        await ask(site, "d2", db(site, "2"))
        await site.world.until(lambda: replicas(site, "db", "d1") == 0)
        await asyncio.sleep(9)
        assert words(site) == []
        await asyncio.sleep(3)
        (said,) = words(site)
        assert said.startswith("the end of the former release, which takes long")
        assert await site.ended("d2") == "rollout.succeeded"
        assert words(site) == [said, ""]


@virtual
async def test_so_is_a_job_of_a_deployment_that_was_given_up():
    async with platform() as site:
        await ask(
            site, "d1", web(site, "1"), migrate(site, "1", Behaviour(ends_after=600, stop=8.0))
        )
        await site.world.until(lambda: "job_started d1" in site.rollout())
        await asyncio.sleep(2)
        await site.stop("d1")
        assert await site.ended("d1") == "rollout.cancelled"
        await ask(site, "d2", web(site, "2"), migrate(site, "2"))
        assert await site.ended("d2") == "rollout.succeeded"
        assert words(site) == ["the end of a job of an earlier deployment, which was given up", ""]


def words(site: Site) -> list[str]:
    """What was said to be waited for."""
    found = site.world.events("rollout", site.id)
    return [event.words for event in found if isinstance(event, RolloutWaiting)]


@virtual
async def test_a_restart_carries_nothing_and_runs_no_job():
    async with serving() as site:
        await site.request("d2", trigger="restart")
        await site.made("d2", web(site, "1"), db(site, "1"), migrate(site, "1"))
        assert await site.ended("d2") == "rollout.succeeded"
        names = {swarm_service("d2", "web"), swarm_service("d2", "db")}
        await site.world.until(lambda: site.swarm.by_name().keys() == names)
        assert swarm_service("d2", "migrate") not in +site.swarm.job_runs


@virtual
async def test_the_health_check_of_a_job_is_not_asked():
    async with serving() as site:
        job = migrate(site, "2").model_copy(update={"health_check": HealthCheck(path="/up")})
        await ask(site, "d2", db(site, "1"), job)
        assert await site.ended("d2") == "rollout.succeeded"


@virtual
async def test_a_start_that_builds_is_a_deploy():
    async with serving() as site:
        await site.request("d2", trigger="start")
        await site.made("d2", web(site, "1"), db(site, "1"), migrate(site, "2"))
        assert await site.ended("d2") == "rollout.succeeded"
        assert site.swarm.job_runs[swarm_service("d2", "migrate")] == 1


@virtual
async def test_who_writes_a_volume_has_ended_before_another_begins():
    async with serving() as site:
        await ask(site, "d2", web(site, "1"), db(site, "2"))
        made = False
        while replicas(site, "db", "d1") == 1:
            made = replicas(site, "db", "d2") == 0
            await asyncio.sleep(0.0005)
        assert made, "the new one is made before the old one stops"
        stopped = site.world.clock.monotonic()
        await site.world.until(lambda: replicas(site, "db", "d2") == 1)
        assert 6.0 <= site.world.clock.monotonic() - stopped < 7.0
        assert await site.ended("d2") == "rollout.succeeded"
        await site.world.until(lambda: replicas(site, "db", "d1") is None)


@pytest.mark.parametrize(
    "how", [HUNG, Behaviour(boot=None, ends_after=0.3), Behaviour(missing="No such image")]
)
@virtual
async def test_a_database_that_fails_gives_way_to_the_former(how: Behaviour):
    async with serving() as site:
        await ask(site, "d2", web(site, "2"), db(site, "2", how))
        assert await site.ended("d2", 700) == "rollout.failed"
        assert former(site) == "running"
        assert len(site.swarm.addresses(swarm_service("d1", "db"))) == 1
        names = {swarm_service("d1", "web"), swarm_service("d1", "db")}
        await site.world.until(lambda: site.swarm.by_name().keys() == names)


@virtual
async def test_a_former_that_does_not_come_back_is_said_and_comes_back_later():
    async with serving() as site:
        image = db(site, "1").image.reference
        await ask(site, "d2", db(site, "2", Behaviour(missing="No such image")))
        await site.world.until(lambda: replicas(site, "db", "d1") == 0)
        site.swarm.behaves(image, HUNG)
        began = site.world.clock.monotonic()
        assert await site.ended("d2", 200) == "rollout.failed"
        assert former(site) == "not_running"
        assert site.world.clock.monotonic() - began < 170
        site.swarm.behaves(image, SLOW)
        await site.world.until(lambda: site.swarm.addresses(swarm_service("d1", "db")))
        await site.world.until(lambda: replicas(site, "db", "d2") is None)


@virtual
async def test_a_cancel_is_said_within_two_seconds_and_over_when_the_former_runs():
    async with serving() as site:
        await ask(site, "d2", db(site, "2", HUNG))
        await site.world.until(lambda: replicas(site, "db", "d2") == 1)
        await site.stop("d2")
        await site.world.until(lambda: "reverting d2" in site.rollout(), 2)
        assert await site.ended("d2") == "rollout.cancelled"
        assert former(site) == "running"
        assert len(site.swarm.addresses(swarm_service("d1", "db"))) == 1


@virtual
async def test_a_cancel_while_the_former_still_ends_starts_it_after_that():
    async with serving() as site:
        await ask(site, "d2", db(site, "2"))
        await site.world.until(lambda: replicas(site, "db", "d1") == 0)
        await site.stop("d2")
        assert await site.ended("d2") == "rollout.cancelled"
        assert former(site) == "running"
        assert len(site.swarm.addresses(swarm_service("d1", "db"))) == 1


@virtual
async def test_one_that_was_scaled_to_none_and_at_once_to_one_is_not_started_beside_itself():
    async with serving() as site:
        await site.scale(0, "db")
        await site.world.until(lambda: replicas(site, "db", "d1") == 0)
        await site.scale(1, "db")
        await site.world.until(lambda: site.swarm.addresses(swarm_service("d1", "db")))


@virtual
async def test_containers_of_what_hands_have_removed_are_waited_for():
    async with serving() as site:
        site.swarm.delete_service(swarm_service("d1", "db"))
        await site.world.until(lambda: site.swarm.addresses(swarm_service("d1", "db")))


@virtual
async def test_what_holds_something_goes_also_when_nothing_comes_after():
    """It has to be seen to end, though nothing is being rolled out any more."""
    async with serving() as site:
        await ask(site, "d2", web(site, "2", Behaviour(boot=600)), db(site, "1", SLOW))
        await ask(site, "d3", web(site, "3"))
        await site.stop("d2")
        assert await site.ended("d3") == "rollout.succeeded"
        names = {swarm_service("d3", "web")}
        await site.world.until(lambda: site.swarm.by_name().keys() == names, 30)
        asked = site.swarm.asked["GET tasks"]
        await asyncio.sleep(60)
        assert site.swarm.asked["GET tasks"] == asked, "then nobody looks any more"


@virtual
async def test_a_job_that_somebody_removed_is_not_run_again():
    async with serving() as site:
        job = swarm_service("d2", "migrate")
        await ask(site, "d2", db(site, "1"), migrate(site, "2", Behaviour(ends_after=60)))
        await site.world.until(lambda: site.swarm.job_runs[job] == 1)
        site.swarm.delete_service(job)
        assert await site.ended("d2") == "rollout.failed"
        event = site.last()
        assert isinstance(event, RolloutFailed)
        assert event.failure.reason == "job-lost"
        await asyncio.sleep(60)
        assert site.swarm.job_runs[job] == 1


@virtual
async def test_of_two_one_is_scaled_while_another_is_rolled_out():
    async with serving() as site:
        await ask(site, "d2", web(site, "2", Behaviour(boot=20)), db(site, "1"))
        await site.world.until(lambda: replicas(site, "web", "d2") == 1)
        await site.scale(3, "web")
        await site.world.until(lambda: replicas(site, "web", "d2") == 3, 5)
        await site.world.until(lambda: replicas(site, "web", "d1") == 3, 5)
        assert await site.ended("d2") == "rollout.succeeded"
        assert site.last().state.replicas == {"web": 3, "db": 1}


@virtual
async def test_a_former_that_hands_remove_while_it_stands_still_is_made_again():
    async with serving() as site:
        await ask(site, "d2", db(site, "2", HUNG))
        await site.world.until(lambda: replicas(site, "db", "d2") == 1)
        site.swarm.delete_service(swarm_service("d1", "db"))
        await site.stop("d2")
        assert await site.ended("d2") == "rollout.cancelled"
        assert former(site) == "running"
        assert len(site.swarm.addresses(swarm_service("d1", "db"))) == 1


@virtual
async def test_the_next_begins_as_soon_as_the_former_has_ended():
    """Swarm would say that a second later, and would have told it a second later to end."""
    async with serving() as site:
        await ask(site, "d2", db(site, "2", Behaviour()))
        await site.world.until(lambda: replicas(site, "db", "d1") == 0)
        began = site.world.clock.monotonic()
        await site.world.until(lambda: replicas(site, "db", "d2") == 1)
        assert site.world.clock.monotonic() - began < SLOW.stop + 0.5
        assert await site.ended("d2") == "rollout.succeeded"


# -- death ----------------------------------------------------------------------------------------

STORIES = {
    "succeeds": (SLOW, DONE),
    "a database that fails": (Behaviour(boot=None, ends_after=0.1), DONE),
    "a job that fails": (SLOW, Behaviour(ends_after=0.5, exit_code=3)),
    "is stopped": (SLOW, DONE),
}


async def story(how: str, dies_at: int | None) -> tuple[Life, Site]:
    """d1 serves; then d2 comes, with another database, and the deployer dies once on the way."""
    world, swarm, life = World(), Swarm(), Life(dies_at)
    site = Site(world, swarm)
    await site.create()
    proxy = asyncio.create_task(edge(world))
    living = asyncio.create_task(deployer(world, swarm, Life()))
    await first(site)
    await end(living)
    dying = asyncio.create_task(life.run(deployer(world, swarm, life)))

    async def again() -> None:
        await life.died.wait()
        await dying
        await asyncio.sleep(3)
        await deployer(world, swarm, Life())

    second = asyncio.create_task(again())
    of_db, of_job = STORIES[how]
    await ask(site, "d2", web(site, "2"), db(site, "2", of_db), migrate(site, "2", of_job))
    if how == "is stopped":
        await world.until(lambda: replicas(site, "db", "d1") == 0)
        await site.stop("d2")
    await site.ended("d2", 300)
    await asyncio.sleep(30)
    await end(dying, second, proxy)
    return life, site


@virtual
async def count(how: str, found: list[str]) -> None:
    life, _ = await story(how, None)
    found += life.points


@pytest.mark.parametrize("how", STORIES)
def test_whatever_point_it_dies_at_one_release_serves_and_each_ends_once(how: str):
    names: list[str] = []
    count(how, names)
    assert len(names) >= 16

    @virtual
    async def die(number: int) -> None:
        _, site = await story(how, number)
        told = f"died {names[number - 1]}: {site.rollout()}"
        assert len(site.ends("d2")) == 1, told
        state = site.last().state
        assert (state.wanted, state.reverting, state.queue) == (None, None, ()), told
        serves = "d2" if site.ends("d2") == ["rollout.succeeded"] else "d1"
        assert state.serving is not None, told
        assert state.serving.deployment == serves, told
        programs = {swarm_service(serves, each): 1 for each in ("web", "db")}
        assert site.swarm.by_name() == programs, told
        assert all(len(site.swarm.addresses(each)) == 1 for each in programs), told
        assert len(site.swarm.containers) == 2, told
        assert site.swarm.met == [], told
        assert max(site.swarm.job_runs.values()) == 1, told

    for number in range(1, len(names) + 1):
        die(number)


@virtual
async def test_a_job_is_not_made_when_something_came_before_it_was_said(
    monkeypatch: pytest.MonkeyPatch,
):
    """The rollout has gone on since the step was planned, so that nothing is appended of it."""
    append, made = Steps._append, list[bool]()

    async def stale(self: Steps, subject: Subject, view: View, event: Event, step: str) -> bool:
        if not step.startswith("job-started") or made:
            return await append(self, subject, view, event, step)  # pyright: ignore[reportArgumentType]
        behind = replace(view, sequence=view.sequence - 1)
        said = await append(self, subject, behind, event, step)  # pyright: ignore[reportArgumentType]
        made.append(said)
        return said

    monkeypatch.setattr(Steps, "_append", stale)
    async with platform() as site:
        create, said_before, job = site.swarm._create, list[bool](), swarm_service("d1", "migrate")

        def noting(spec: dict[str, Any]) -> None:
            if spec["Name"] == job:
                said_before.append("job_started d1" in site.rollout())
            create(spec)

        monkeypatch.setattr(site.swarm, "_create", noting)
        await first(site)
        assert made == [False]
        assert said_before == [True]


# -- files, and what is to stop first -------------------------------------------------------------


def with_file(site: Site, version: str, how: Behaviour = Behaviour()) -> Workload:
    mounts = (FileMount(path="/etc/app.conf", content=version), FileMount(path="/k", content="k"))
    image = site.image(f"main-{version}", how)
    return Workload(name="main", aliases=("web",), port=8080, image=image, mounts=mounts)


def kept(site: Site) -> set[str]:
    """The releases that have files on the engine."""
    return {each["Spec"]["Labels"]["slipway.release"] for each in site.swarm.secrets.values()}


def running(site: Site) -> set[str]:
    """The releases of which a container is there."""
    return {each["Labels"]["slipway.release"] for each in site.swarm.containers.values()}


@virtual
async def test_a_release_has_its_files_and_takes_them_along():
    async with platform() as site:
        await ask(site, "d1", with_file(site, "1"))
        assert await site.ended("d1") == "rollout.succeeded"
        assert kept(site) == {swarm_service("d1")}
        assert len(site.swarm.secrets) == 2
        await ask(site, "d2", with_file(site, "2"))
        assert await site.ended("d2") == "rollout.succeeded"
        await site.world.until(lambda: kept(site) == {swarm_service("d2")})
        await ask(site, "d3", with_file(site, "3", Behaviour(boot=None, ends_after=0.2)))
        assert await site.ended("d3") == "rollout.failed"
        await site.world.until(lambda: kept(site) == {swarm_service("d2")})
        await site.delete()
        await site.world.until(lambda: site.swarm.secrets == {})


@virtual
async def test_files_of_a_release_that_was_never_made_go_with_the_service():
    async with platform() as site:
        await ask(site, "d1", with_file(site, "1", Behaviour(refused="invalid reference")))
        assert await site.ended("d1") == "rollout.failed"
        assert kept(site) == {swarm_service("d1")}
        await site.delete()
        await site.world.until(lambda: site.swarm.secrets == {})


@virtual
async def test_a_file_that_is_there_is_taken_as_it_is():
    engine = Engine(SwarmTransport(Swarm(), Life()), "slipway", REGISTRY_PORT)
    body: dict[str, Any] = {"Name": "slipway-file-1", "Labels": {}, "Data": "eA=="}
    assert await engine.keep_file(body) == await engine.keep_file(body)


@virtual
async def test_what_is_to_stop_first_since_it_was_carried_over_stops_first():
    async with platform() as site:
        alone = Workload(name="main", aliases=("web",), port=8080, image=site.image("1", SLOW))
        await ask(site, "d1", alone)
        assert await site.ended("d1") == "rollout.succeeded"
        alone = alone.model_copy(update={"strategy": "stop_first"})
        await ask(site, "d2", alone)
        assert await site.ended("d2") == "rollout.succeeded"
        assert running(site) == {swarm_service("d1")}, "it was carried over"
        await ask(site, "d3", alone.model_copy(update={"image": site.image("2", Behaviour())}))
        await site.world.until(lambda: swarm_service("d3") in running(site))
        assert running(site) == {swarm_service("d3")}, "the former has ended"
        assert await site.ended("d3") == "rollout.succeeded"


@virtual
async def test_a_program_that_ends_after_its_jobs_is_not_waited_for():
    async with platform() as site:
        job = Workload(name="init-1", job=True, image=site.image("job", DONE))
        after = (After(workload="init-1", condition="completed"),)
        dying = site.image("dying", Behaviour(boot=None, ends_after=0.2))
        main = Workload(name="main", aliases=("web",), image=dying, after=after)
        seen: set[str] = set()

        def over() -> bool:
            seen.update(tasks(site, "main"))
            return bool(site.ends("d1"))

        await ask(site, "d1", job, main)
        await site.world.until(over)
        assert site.ends("d1") == ["rollout.failed"]
        assert len(seen) == 1


@virtual
async def test_what_writes_the_volume_of_a_job_is_not_carried_over_beside_it():
    """As an application with a volume has it, deployed again without a change."""
    async with platform() as site:
        init = site.image("init", DONE)
        job = Workload(name="init-1", job=True, mounts=DATA, image=init)
        after = (After(workload="init-1", condition="completed"),)
        main = db(site, "1").model_copy(update={"name": "main", "after": after})
        for deployment in ("d1", "d2"):
            await ask(site, deployment, job, main, web(site, "1").model_copy(update={"after": ()}))
            assert await site.ended(deployment) == "rollout.succeeded"
        assert site.swarm.met == []
        assert tasks(site, "web"), "it is carried over"
        assert not tasks(site, "main")
