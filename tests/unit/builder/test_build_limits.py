"""What an organization's builds may take reaches all that keeps it, and is told when it is met."""

import asyncio

import pytest
from builder.build import failures
from builder.buildkit import render
from slipway.contracts.limits import BuildLimits, BuildLimitsSet, OwnLimits
from slipway.contracts.values import Failure

from tests.simulation.platform import fact
from tests.simulation.world import virtual
from tests.unit.builder.yard import Yard, running

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
