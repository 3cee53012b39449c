"""When the registry's garbage is collected, and what builds notice of it."""

import asyncio
import hashlib
import itertools
import json
import os
import time
from contextlib import suppress
from pathlib import Path

import pytest
from builder.adapters.repositories import Repositories
from builder.registry import render
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


@virtual
async def test_after_a_restart_builds_need_not_begin_the_day_anew(site: Site):
    """When it was collected last is in the volume."""
    async with site.sweeping():
        await asyncio.sleep(700)
    assert site.collections == ["begun", "ended"]
    os.utime(site.root / "collected", (0, time.time() - 86500))
    async with site.sweeping():
        going = asyncio.create_task(_builds(site, 100))
        await asyncio.sleep(700 + 100)
        assert len(site.collections) == 4
        going.cancel()


@virtual
async def test_builds_that_never_end_hold_up_the_others_ever_more_rarely(site: Site):
    """Each is of another organization, and lasts for longer than others wait."""
    closed = list[float]()

    async def passes() -> None:
        while True:
            began = site.clock.monotonic()
            async with site.gate.passed("passes"):
                closed.append(site.clock.monotonic() - began)
            await asyncio.sleep(10)

    async with site.sweeping():
        going = [asyncio.create_task(_builds(site, 5000)), asyncio.create_task(passes())]
        await asyncio.sleep(3 * 86400)
        for each in going:
            each.cancel()
        assert site.collections == []
        assert max(closed) <= 600
        assert 3 * 600 < sum(closed) < 2 * 86400 / 10
        await asyncio.sleep(62)
        assert site.collections == ["begun", "ended"], "the first quiet moment is used"


@virtual
async def test_a_deployment_that_ends_may_leave_something(site: Site):
    """What its build pushed is removed within the hour, though no image left."""
    await site.begin()
    async with site.sweeping() as sweep:
        await asyncio.sleep(700)
        await site.deploy("0")
        sweep.wake(await site.last())
        await asyncio.sleep(700)
    assert site.collections == ["begun", "ended"] * 2


@pytest.mark.parametrize("raised", [None, OSError("no such program")])
@virtual
async def test_nobody_pushes_before_one_that_failed_has_ended(site: Site, raised: Exception | None):
    """Whatever the engine says to that."""
    site.code, site.raised, site.refuses = 1, raised, 3
    async with site.sweeping():
        await asyncio.sleep(600.5)
        async with site.gate.passed("one"):
            assert site.anew == 4
            assert not (site.root / "collecting").exists()


@pytest.mark.parametrize("what", ["drop_untagged", "end_collecting"])
@virtual
async def test_what_fails_beside_the_collector_leaves_no_mark(
    site: Site, monkeypatch: pytest.MonkeyPatch, what: str
):
    """Nothing runs in the registry that had to be ended, and `make up` waits for a mark."""
    done = getattr(Repositories, what)

    async def full(repositories: Repositories, *some: float, well: bool = True) -> None:
        if well:
            raise OSError("no space left on device")
        await done(repositories, *some, well=well)

    with monkeypatch.context() as patched:
        patched.setattr(Repositories, what, full)
        async with site.sweeping():
            await asyncio.sleep(610)
            assert not (site.root / "collecting").exists()
            patched.undo()
            await asyncio.sleep(1300)
            assert site.collections[-2:] == ["begun", "ended"]
            assert (site.root / "collected").exists()
    assert site.anew == 0


@virtual
async def test_what_is_moved_away_before_is_part_of_its_time(
    site: Site, monkeypatch: pytest.MonkeyPatch
):
    """Whoever fills the library takes a mark that is older for one that a death has left."""

    async def slow(*_: object) -> None:
        await asyncio.sleep(200)

    monkeypatch.setattr(Repositories, "drop_untagged", slow)
    site.seconds = 1e5
    async with site.sweeping():
        await asyncio.sleep(601)
        async with site.gate.passed("one"):
            assert site.clock.monotonic() == 600 + 900


@virtual
async def test_what_a_death_has_left_half_removed_is_removed_in_the_next_life(site: Site):
    (site.root / "swept/x").mkdir(parents=True)
    async with site.sweeping():
        await asyncio.sleep(1)
        assert not list((site.root / "swept").iterdir())


@virtual
async def test_one_that_always_fails_is_tried_ever_more_rarely(site: Site):
    site.code = 1
    async with site.sweeping():
        await asyncio.sleep(86400)
    assert 5 < site.anew < 9


@virtual
async def test_who_fills_the_library_at_the_same_moment_is_seen(
    site: Site, monkeypatch: pytest.MonkeyPatch
):
    """Each sets its own mark first, and then looks for the other's."""
    mark = site.root / "library"
    begins = Repositories.begin_collecting

    async def at_once(repositories: Repositories) -> None:
        mark.write_text("pushing\n")
        await begins(repositories)

    with monkeypatch.context() as patched:
        patched.setattr(Repositories, "begin_collecting", at_once)
        async with site.sweeping():
            await asyncio.sleep(650)
            assert site.collections == []
            assert not (site.root / "collecting").exists()
            mark.write_text("done\n")
            patched.undo()
            await asyncio.sleep(61)
            assert site.collections == ["begun", "ended"]


# -- what the collector finds ---------------------------------------------------------------------


class Manifests:
    """Of the site's service: each is there by its digest."""

    def __init__(self, site: Site) -> None:
        self._blobs = site.root / "docker/registry/v2/blobs/sha256"
        self._of = site.repository / "_manifests"

    def push(self, text: str, tag: str | None = None) -> str:
        name = hashlib.sha256(text.encode()).hexdigest()
        blob, link = self._blobs / name[:2] / name / "data", self.revisions / name / "link"
        for file in (blob, link):
            file.parent.mkdir(parents=True)
        blob.write_text(text)
        link.write_text(f"sha256:{name}")
        if tag is not None:
            current = self._of / "tags" / tag / "current/link"
            current.parent.mkdir(parents=True, exist_ok=True)
            current.write_text(f"sha256:{name}")
        return f"sha256:{name}"

    def index(self, *parts: str, tag: str | None = None) -> str:
        listed = [{"digest": each} for each in parts]
        return self.push(json.dumps({"manifests": listed}), tag)

    @property
    def revisions(self) -> Path:
        return self._of / "revisions/sha256"

    def there(self) -> set[str]:
        return {f"sha256:{each.name}" for each in self.revisions.iterdir()}


@virtual
async def test_manifests_without_a_tag_are_gone_before_the_collector_looks(site: Site):
    """It would read all tags for each of them: whoever pushes many would keep it from ending."""
    await site.begin()
    going = await site.ask("going")
    of = Manifests(site)
    stay = {of.push("{}", going)}
    platforms = [of.push(json.dumps({"layers": number})) for number in range(3)]
    inner = of.index(*platforms[:2])
    stay |= {*platforms, inner, of.index(inner, platforms[2], tag=f"{going}-{'0' * 12}")}
    for number in range(500):
        of.push(json.dumps({"number": number}))
    of.index(of.push("["))
    async with site.sweeping():
        await asyncio.sleep(700)
    assert site.found == [stay]
    assert not list((site.root / "untagged").iterdir())
    assert "--delete-untagged" not in render.collect("slipway")


@virtual
async def test_nobody_s_manifest_keeps_the_collector_from_beginning(site: Site):
    await site.begin()
    going = await site.ask("going")
    of = Manifests(site)
    strange = ["[" * 100_000, '["manifests"]', '{"manifests": 1}', '{"manifests": [1]}', "\\"]
    strange += ['{"manifests": [{"digest": "../.."}]}', '{"manifests": [{"digest": null}]}']
    stay = {of.push(text, f"{going}-{n:012x}") for n, text in enumerate(strange)}
    (of.revisions.parents[1] / "tags/half").mkdir()
    async with site.sweeping():
        await asyncio.sleep(700)
    assert site.collections == ["begun", "ended"]
    assert site.found == [stay]


async def _builds(site: Site, seconds: float) -> None:
    """Two at once, one half behind the other, each of an organization of its own."""
    async with asyncio.TaskGroup() as group:
        for number in itertools.count():
            group.create_task(_through(site.gate, f"{number}", seconds))
            await asyncio.sleep(seconds / 2)


async def _through(gate: Gate, organization: str = "one", seconds: float = 0.0) -> None:
    async with gate.passed(organization):
        await asyncio.sleep(seconds)
