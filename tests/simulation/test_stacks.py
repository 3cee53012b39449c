"""Seeded days of a stack: releases of one to four workloads, of which some write volumes or have a
port of the host, some wait for others, some are jobs; that fail, are asked to stop, are carried
over, scaled and removed by hands, while the deployer dies again and again. Whatever the seed:
nobody writes what another still writes, no job runs twice, a deployment ends once, what served
before serves again or is said not to, and nothing is left over."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from deployer.rollout import bringing, undoing
from deployer.rollout.domain import View
from deployer.rollout.step import Remove, RolloutStep, Scale, StartJob
from slipway.contracts.deployment import Limits
from slipway.contracts.rollout import (
    Release,
    Released,
    RolloutCancelled,
    RolloutEvent,
    RolloutFailed,
)
from slipway.contracts.workload import Workload

from tests.simulation.days import HOST, Day
from tests.simulation.platform import end
from tests.simulation.proxy import add_domain
from tests.simulation.stacks import PROGRAMS, Stacks
from tests.simulation.world import Behaviour, Life, virtual

HUNG = Behaviour(boot=None)
MEDDLED = 5.0
"""So many seconds after hands have been at work, what runs may be another than what was said."""


class DayOfStacks(Day):
    deployments = 20
    hurry = 0.08
    patience = 20 * 240.0
    domain = "web"

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.stacks = Stacks(self.chance, self.site.image)
        self.meddled = -MEDDLED
        self.formers: list[str] = []

    # - what is asked for

    async def deploy(self, name: str) -> None:
        self.names.append(name)
        again = bool(self.stacks.last) and self.chance.random() < 0.1
        trigger = "restart" if again else "manual"
        await self.site.request(name, limits=Limits(rollout=40, route=30), trigger=trigger)
        workloads = self.stacks.last if again else self.stacks.next(name)
        stops = self.chance.random() < 0.25
        await asyncio.sleep(self.chance.expovariate(0.3))
        await self.site.made(name, *workloads)
        if stops:
            await asyncio.sleep(self.chance.expovariate(0.15))
            if not self.site.ends(name):
                await self.site.stop(name)

    async def meddle(self) -> None:
        works = (self.watch(), self.hang(), self.lose_jobs())
        self.beside = [asyncio.create_task(work) for work in works]
        for _ in range(10):
            await asyncio.sleep(self.chance.uniform(5, 30))
            name = self.chance.choice(PROGRAMS)
            most = 3 if name in ("web", "worker") else 1
            await self.site.scale(self.chance.randint(most - 1, most), name)
            self.meddled = self.world.clock.monotonic()
            services = list(self.swarm.by_name())
            if services and self.chance.random() < 0.5:
                self.swarm.delete_service(self.chance.choice(services))

    async def lose_jobs(self) -> None:
        """Sometimes hands remove a job while it runs."""
        while True:
            await asyncio.sleep(self.chance.uniform(0.5, 3))
            jobs = [name for name in self.swarm.by_name() if "-migrate-" in name]
            if jobs and self.chance.random() < 0.1:
                self.swarm.delete_service(jobs[0])

    async def hang(self) -> None:
        """Sometimes what stands still for another's sake does not come up again for a while."""
        while True:
            await asyncio.sleep(1.0)
            serving = self.state.serving if self.events() else None
            still = [
                each.image.reference
                for each in (serving.programs if serving else ())
                if self.swarm.by_name().get(each.swarm_service) == 0
            ]
            if still and self.chance.random() < 0.1:
                image = self.chance.choice(still)
                before = self.swarm.behaviours[image]
                self.swarm.behaviours[image] = HUNG
                await asyncio.sleep(self.chance.uniform(60, 400))
                self.swarm.behaves(image, before)

    def calm(self) -> None:
        for each in self.beside:
            each.cancel()
        for image in self.swarm.behaviours:
            self.swarm.behaves(image, Behaviour())

    # - what is true of it

    def _removed(self, name: str) -> None:
        super()._removed(name)
        serving = self.state.serving
        if serving is not None and name in {each.swarm_service for each in serving.programs}:
            self.wrong.append(f"{name} was removed while it served")

    async def watch(self) -> None:
        """Where it is said that the former release runs, it does."""
        async for commit in self.world.follow(0, f"evt.*.rollout.{self.site.id}"):
            event = commit.events[-1]
            if not isinstance(event, RolloutFailed | RolloutCancelled):
                continue
            self.formers.append(event.former)
            of = [e for e in self.events() if e.type == "rollout.reverting"]
            reverting = next((e for e in reversed(of) if e.deployment == event.deployment), None)
            if reverting is None:
                continue  # it had not started
            if (event.former == "none") is not (event.state.serving is None):
                self.wrong.append(f"{event.deployment}: {event.former}, and something serves")
            quiet = self.world.clock.monotonic() - self.meddled > MEDDLED
            if event.former == "running" and quiet:
                self.judge_former(reverting)

    def judge_former(self, event: RolloutEvent) -> None:
        serving, reverting = event.state.serving, event.state.reverting
        assert serving is not None
        assert reverting is not None
        replicas = self.wanted(serving)
        for each in serving.programs:
            running = len(self.swarm.addresses(each.swarm_service))
            stood = each.swarm_service in reverting.paused
            if stood and running < replicas[each.name]:
                self.wrong.append(f"{each.name} does not run when {event.deployment} has ended")

    def judge(self) -> None:
        super().judge()
        told = self.told()
        assert self.swarm.met == [], told
        twice = {name: runs for name, runs in self.swarm.job_runs.items() if runs > 1}
        assert twice == {}, told
        serving = self.state.serving
        wanted = self.wanted(serving) if serving else {}
        running = {
            each.swarm_service: len(self.swarm.addresses(each.swarm_service))
            for each in (serving.programs if serving else ())
        }
        assert running == {
            each.swarm_service: wanted[each.name] for each in (serving.programs if serving else ())
        }, told
        assert len(self.swarm.containers) == sum(wanted.values()), told


@pytest.mark.parametrize("seed", range(8))
@virtual
async def test_a_day(seed: int):
    await DayOfStacks(seed).run(routed=False)


@pytest.mark.parametrize("seed", range(8))
@virtual
async def test_a_day_with_a_proxy_that_dies_as_well(seed: int):
    await DayOfStacks(seed).run(routed=True)


@virtual
async def test_a_release_without_the_workload_of_a_domain_answers_nothing_and_fails_nothing():
    day = DayOfStacks(0)
    await day.site.create()
    await add_domain(day.world, day.site.id, HOST, "web")
    running = [asyncio.create_task(day.deploying(Life())), asyncio.create_task(day.routing(Life()))]
    for deployment, names in (("d1", ("web", "worker")), ("d2", ("worker",)), ("d3", ("web",))):
        await day.site.request(deployment)
        image = day.site.image(deployment, Behaviour())
        stack = [Workload(name=name, image=image, port=8080) for name in names]
        await day.site.made(deployment, *stack)
        assert await day.site.ended(deployment) == "rollout.succeeded"
        found = await day.traefik.public(HOST, "/")
        assert found.status == (200 if "web" in names else 503)
    await end(*running)


# -- bugs that are put in on purpose: a few days are enough to find each -------------------------


def found(bug: Callable[[pytest.MonkeyPatch], None], what: Callable[[DayOfStacks], object]) -> bool:
    """Whether a day tells of it, and of nothing before."""
    for seed in range(12):
        day = DayOfStacks(seed)

        @virtual
        async def live(day: DayOfStacks = day) -> None:
            await day.run(routed=False)

        with pytest.MonkeyPatch.context() as patch:
            bug(patch)
            try:
                live()
            except AssertionError:
                return bool(what(day))
    return False


def test_a_writer_that_does_not_wait_for_the_former_is_found():
    def told_to_end(view: View, wanted: Release, workload: Released) -> RolloutStep | None:
        for there in bringing.holders(view, wanted, workload):
            if there.job or there.replicas > 0:
                return Remove(there) if there.job else Scale(there, 0)
        return None

    def bug(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(bringing, "freed", told_to_end)
        patch.setattr(undoing, "freed", told_to_end)

    assert found(bug, lambda day: day.swarm.met)


def test_a_job_that_is_run_again_is_found():
    job, failed = bringing._job, bringing._of_job

    def once_more(view: View, wanted: Release, workload: Released) -> RolloutStep | None:
        begun = bringing.job_of(view, workload.name)
        if begun and begun.exit is None and workload.swarm_service not in view.there:
            return StartJob(wanted, workload)
        return job(view, wanted, workload)

    def unless_lost(*args: Any) -> Any:
        failure = failed(*args)
        return None if failure and failure.reason == "job-lost" else failure

    def bug(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(bringing, "_job", once_more)
        patch.setattr(bringing, "_of_job", unless_lost)

    assert found(bug, lambda day: max(day.swarm.job_runs.values()) > 1)


def test_a_former_that_is_not_brought_back_is_found():
    def bug(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(undoing, "_again", lambda *_: None)

    assert found(bug, lambda day: any("does not run when" in each for each in day.wrong))
