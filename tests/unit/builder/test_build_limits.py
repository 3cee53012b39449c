"""What an organization's builds may take reaches all that keeps it, and is told when it is met."""

import asyncio
from contextlib import contextmanager
from typing import Any

import pytest
from builder.build import failures
from builder.build.deadline import Deadline
from builder.build.job import Job
from builder.build.react import Made
from builder.buildkit import render
from slipway.contracts.deployment import Limits
from slipway.contracts.limits import BuildLimits, BuildLimitsSet, OwnLimits
from slipway.contracts.values import Failure
from slipway.runtime.engine import EngineRefused

from tests.simulation.platform import fact
from tests.simulation.world import VirtualClock, virtual
from tests.unit.builder.site import CLONE, KIT, LIMITS, Site
from tests.unit.builder.yard import Yard, made, running

GIB = 1 << 30


def test_buildkit_is_made_with_them():
    limits = BuildLimits(memory=GIB, processes=100, disk=4 * GIB)
    host = render.container("slipway", "org", "image", limits, 0.5)["HostConfig"]
    assert (host["Memory"], host["MemorySwap"], host["PidsLimit"]) == (GIB, GIB, 100)
    assert host["NanoCpus"] == 500_000_000
    assert f"maxUsedSpace = {2 * GIB}\n" in render.configuration("registry:5000", limits)


async def allow(yard: Yard, **limits: float) -> None:
    own = OwnLimits.model_validate(limits)
    await fact(yard.world, "limits", "builds", BuildLimitsSet(limits=own))


@virtual
async def test_a_build_has_those_that_hold_when_it_begins(yard: Yard):
    await allow(yard, memory=GIB, output=1 << 16)
    async with running(yard):
        await yard.request("d1")
        await yard.outcome("d1")
        await allow(yard)
        await yard.request("d2")
        await yard.outcome("d2")
    assert [job.limits.memory for job in yard.works] == [GIB, 3 * GIB]
    assert [job.limits.output for job in yard.works] == [1 << 16, 16 << 20]


@pytest.mark.parametrize(("slots", "at_once"), [(1, 1), (2, 2), (7, 2)])
@virtual
async def test_an_organization_has_so_many_slots_but_never_all(
    yard: Yard, slots: int, at_once: int
):
    await allow(yard, slots=slots)
    async with running(yard):
        for name in ("d1", "d2", "d3"):
            await yard.request(name, service=f"of-{name}")
        await asyncio.sleep(4)
        assert len(yard.works) == at_once
        for name in ("d1", "d2", "d3"):
            await yard.outcome(name)


FOUND = Failure(reason="build-step-failed", detail="line 2", hint="h", lines=("fork failed",))
MET = {
    "build-memory-limit": (failures.out_of_memory(FOUND, GIB), "1024 MiB"),
    "build-process-limit": (failures.with_process_limit(FOUND, 77), "77"),
    "build-disk-limit": (failures.disk_limit(3 * GIB, 2 * GIB), "2048 MiB"),
    "build-timeout": (failures.timed_out(90), "90 s"),
}


@pytest.mark.parametrize("reason", MET)
def test_what_is_met_is_told_by_name_and_who_may_give_more(reason: str):
    failure, words = MET[reason]
    assert failure.reason == reason
    assert words in failure.detail
    assert "/limits" in failure.hint


# -- what BuildKits have --------------------------------------------------------------------------


def host(site: Site, name: str = KIT) -> Any:
    return site.engine.bodies[name]["HostConfig"]


@pytest.mark.parametrize(("node", "some"), [(1, 1), (2, 1), (8, 4)])
@virtual
async def test_builds_and_clones_have_half_of_the_nodes_processors(
    site: Site, node: int, some: float
):
    site.engine.node = node
    async with site.running(), site.taken(), site.cloning():
        for name in (KIT, CLONE):
            assert host(site, name)["NanoCpus"] == some * 10**9
            assert 0 < host(site, name)["CpuShares"] < 1024, "less than all others"


@virtual
async def test_or_those_that_are_said(site: Site):
    limits = BuildLimits(cpus=3.5)
    async with site.running(), site.taken(limits=limits), site.cloning(limits):
        assert {host(site, name)["NanoCpus"] for name in (KIT, CLONE)} == {3_500_000_000}


LESS = BuildLimits(memory=GIB, cpus=1, processes=100, disk=GIB)


@virtual
async def test_limits_that_are_set_hold_for_the_next_build_beside_others(site: Site):
    async with site.running(), site.taken() as first, site.cloning():
        async with site.taken(limits=LESS) as buildkit, site.cloning(LESS):
            assert (first.memory, buildkit.memory) == (3 * GIB, GIB)
            assert (buildkit.processes, buildkit.disk) == (100, GIB)
        async with site.taken(limits=LESS) as buildkit:
            assert buildkit.processes == 100
        resources = {"Memory": GIB, "MemorySwap": GIB, "PidsLimit": 100, "NanoCpus": 10**9}
        assert [name for name, _ in site.engine.changed] == [KIT, CLONE], "once each"
        assert site.engine.changed[0][1].items() >= resources.items()
        async with site.taken() as buildkit:
            assert buildkit.memory == 3 * GIB
        assert len(site.engine.changed) == 3, "and back"


@virtual
async def test_what_the_engine_refuses_to_change_is_told_as_it_is(site: Site):
    """It has more memory than it may have, just now."""
    async with site.running():
        async with site.taken():
            site.engine.unchangeable = EngineRefused("device or resource busy")
            async with site.taken(limits=LESS) as buildkit:
                assert (buildkit.memory, buildkit.processes) == (3 * GIB, 2048)
            site.engine.unchangeable = None
            async with site.taken(limits=LESS) as buildkit:
                assert buildkit.memory == GIB, "it is asked again"
        async with site.taken(limits=LESS):
            assert host(site)["Memory"] == GIB, "it is made anew when it is free"
        assert site.engine.said.count(f"made {KIT}") == 2


# -- time -----------------------------------------------------------------------------------------


@virtual
async def test_what_waits_for_the_registry_is_told_and_has_its_time_still(yard: Yard):
    """Ten seconds of work, with ten minutes between."""

    async def play(job: Job) -> Made:
        await asyncio.sleep(5)
        with job.waiting():
            await asyncio.sleep(600)
        await asyncio.sleep(5)
        with job.waiting():
            pass
        return made()

    yard.play = play
    async with running(yard):
        await yard.request("d1", limits=Limits(build=11))
        await yard.outcome("d1", 700)
        assert yard.outcomes() == ["succeeded"]
        told = [line for line in await yard.said() if line.startswith("waiting")]
        assert len(told) == 1, "nothing is said of what is no wait"
        assert "time of this build stands still" in told[0]
        await yard.request("d2", limits=Limits(build=9))
        outcome = await yard.outcome("d2", 700)
        assert outcome.failure.reason == "build-timeout"
        assert "ran longer than 9 s" in outcome.failure.detail


@pytest.mark.parametrize("seconds", [1820.0, 1804.0])
@virtual
async def test_who_only_waited_is_not_told_to_have_run_for_long(yard: Yard, seconds: float):
    async def play(job: Job) -> Made:
        with job.waiting():
            await asyncio.sleep(seconds)
        await asyncio.sleep(5)
        return made()

    yard.play = play
    async with running(yard):
        await yard.request("d1", limits=Limits(build=9))
        outcome = await yard.outcome("d1", 2000)
        assert outcome.failure.reason == "build-timeout"
        assert "waited so long for the registry" in outcome.failure.detail
        assert "deploy again" in outcome.failure.hint


@virtual
async def test_a_wait_that_comes_before_the_deadline_is_known_is_none_of_it():
    deadline = Deadline()

    async def work(seconds: float) -> None:
        with deadline.standing_still():
            await asyncio.sleep(5)
        await asyncio.sleep(seconds)

    async def limited(seconds: float) -> None:
        task = asyncio.create_task(work(seconds))
        await asyncio.sleep(1)
        async with asyncio.timeout(1) as limit:
            with deadline.kept_by(limit):
                await task

    await limited(0.9)
    with pytest.raises(TimeoutError):
        await limited(1.1)


@virtual
async def test_it_stands_still_for_half_an_hour_in_all():
    """What never comes is not waited for without end."""
    deadline, began = Deadline(), VirtualClock().monotonic()

    async def work() -> None:
        with deadline.standing_still():
            await asyncio.sleep(1000)
        await asyncio.sleep(5)
        with deadline.standing_still():
            await asyncio.sleep(1e6)

    async def limited() -> None:
        async with asyncio.timeout(10) as limit:
            with deadline.kept_by(limit):
                await work()

    with pytest.raises(TimeoutError):
        await limited()
    assert VirtualClock().monotonic() - began == pytest.approx(1810)


@virtual
async def test_who_waits_at_the_gate_says_so_until_it_is_open(site: Site):
    said: list[str] = []

    @contextmanager
    def waiting():
        said.append("waits")
        yield
        said.append("goes on")

    async def build() -> None:
        async with site.buildkits.taken("org", LIMITS, waiting):
            said.append("builds")

    async with site.running():
        async with site.gate.closed(1):
            building = asyncio.create_task(build())
            await asyncio.sleep(100)
            assert said == ["waits"]
        await building
    assert said == ["waits", "goes on", "builds"]
