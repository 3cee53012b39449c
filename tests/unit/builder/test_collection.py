"""When the registry's garbage is collected, and what builds notice of it."""

import asyncio
import os
import time
from contextlib import suppress
from pathlib import Path

import pytest
from builder.registry.gate import Gate

from tests.simulation.world import virtual
from tests.unit.builder.images import Site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@virtual
async def test_nothing_is_collected_while_somebody_pushes(site: Site):
    async with site.sweeping():
        await asyncio.sleep(1)
        async with site.gate.passed("one"):
            await asyncio.sleep(3600)
            assert site.collections == []
        await asyncio.sleep(61)
        assert site.collections == ["begun", "ended"]
        await asyncio.sleep(3600)
        assert site.collections == ["begun", "ended"], "there is nothing to collect"


@virtual
async def test_nothing_is_collected_while_the_library_is_filled(site: Site):
    """Which is done by a registry of its own on the same files."""
    mark = site.root / "library"
    mark.write_text("pushing\n")
    async with site.sweeping():
        await asyncio.sleep(1300)
        assert site.collections == []
        mark.write_text("done\n")
        await asyncio.sleep(61)
        assert site.collections == ["begun", "ended"]


@virtual
async def test_who_died_over_the_library_keeps_nobody(site: Site):
    mark = site.root / "library"
    mark.write_text("pushing\n")
    os.utime(mark, (0, time.time() - 601))
    async with site.sweeping():
        await asyncio.sleep(610)
        assert site.collections == ["begun", "ended"]


@virtual
async def test_nobody_pushes_while_is_collected(site: Site):
    site.seconds = 30
    async with site.sweeping():
        await asyncio.sleep(601)
        assert site.collections == ["begun"]
        async with site.gate.passed("one"):
            assert site.collections == ["begun", "ended"]


@virtual
async def test_after_a_day_builds_wait_for_it_but_not_for_ever(site: Site):
    async def builds() -> None:
        """There is always one that goes on."""
        async with asyncio.TaskGroup() as group:
            while True:
                group.create_task(build())
                await asyncio.sleep(50)

    longest = 0.0

    async def build() -> None:
        nonlocal longest
        asked = site.world.clock.monotonic()
        async with site.gate.passed("one"):
            longest = max(longest, site.world.clock.monotonic() - asked)
            await asyncio.sleep(100)

    async with site.sweeping():
        going = asyncio.create_task(builds())
        await asyncio.sleep(86000)
        assert (site.collections, longest) == ([], 0.0)
        await asyncio.sleep(4000)
        assert site.collections == ["begun", "ended"]
        assert 0 < longest < 200
        going.cancel()
        with suppress(asyncio.CancelledError):
            await going


@pytest.mark.parametrize("lasts", [30, 1e5])
@virtual
async def test_a_collection_that_fails_goes_on_beside_no_push(site: Site, lasts: float):
    """What was begun in the registry's container outlives its client: the container begins anew."""
    site.seconds, site.code = lasts, 1
    async with site.sweeping():
        await asyncio.sleep(601)
        async with site.gate.passed("one"):
            assert (site.anew, site.world.clock.monotonic()) == (1, 600 + min(lasts, 900))
        site.seconds, site.code = 1, 0
        await asyncio.sleep(1300)
    assert (site.anew, site.collections[-1]) == (1, "ended")


@virtual
async def test_a_collection_whose_builder_died_ends_before_anybody_pushes(site: Site):
    site.seconds = 30
    async with site.sweeping():
        await asyncio.sleep(610)
    assert (site.anew, site.collections) == (0, ["begun"])
    site.gate = Gate()
    passed = asyncio.create_task(_through(site.gate))
    await asyncio.sleep(60)
    assert not passed.done(), "it's closed until that is known"
    async with site.sweeping():
        await passed
    assert site.anew == 1


async def _through(gate: Gate) -> None:
    async with gate.passed("one"):
        pass
