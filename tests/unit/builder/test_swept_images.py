"""Which images of a service stay, and which go, from the registry's files and from the engine."""

import asyncio
from pathlib import Path

import pytest
from builder.images.plan import Course, Ended
from slipway.contracts.build import BuildFailed
from slipway.contracts.deployment import (
    DeploymentFailed,
    DeploymentSucceeded,
)
from slipway.contracts.rollout import RolloutState, RolloutSucceeded
from slipway.contracts.service import ServiceDeleted
from slipway.contracts.values import (
    BuiltImage,
    Failure,
)
from slipway.eventstore.store import OutcomeUnknown
from slipway.kernel.ids import derived
from slipway.testing.releases import release

from tests.simulation.world import virtual
from tests.unit.builder.images import ABOUT, GRACE, ORGANIZATION, SERVICE, Site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def some(*names: int) -> set[str]:
    return {str(name) for name in names}


@virtual
async def test_after_fifty_deployments_the_last_ten_are_there(site: Site):
    await site.begin()
    async with site.sweeping() as sweep:
        for number in range(50):
            await site.deploy(f"{number}")
            sweep.wake(await site.last())
            await asyncio.sleep(5)
        await asyncio.sleep(GRACE + 10)
        assert site.there() == site.on_engine() == some(*range(40, 50))
        assert await site.said() == [derived("deployment", f"{number}") for number in range(40)]


@virtual
async def test_it_is_said_before_anything_goes(site: Site):
    await site.begin()
    for number in range(12):
        await site.deploy(f"{number}")
    async with site.sweeping():
        await asyncio.sleep(GRACE - 10)
        assert len(await site.said()) == 2
        assert site.there() == site.on_engine() == some(*range(12))
        await asyncio.sleep(20)
        assert site.there() == site.on_engine() == some(*range(2, 12))


@virtual
async def test_a_rollback_that_was_ordered_keeps_its_image(site: Site):
    await site.begin()
    for number in range(11):
        await site.deploy(f"{number}")
    async with site.sweeping() as sweep:
        await asyncio.sleep(5)
        assert await site.said() == [derived("deployment", "0")]
        asked = await site.ask("back", repeats="0")  # decided before that was said
        await asyncio.sleep(GRACE * 3)
        assert "0" in site.there() & site.on_engine()
        await site.built(asked, "sha256:0")
        await site.fact("deployment", asked, DeploymentSucceeded(**ABOUT))
        sweep.wake(await site.last())
        await asyncio.sleep(GRACE * 3)
        assert site.there() == site.on_engine() == some(0, *range(2, 11))


@virtual
async def test_failures_do_not_push_out_what_was_live(site: Site):
    await site.begin()
    site.kept = 3
    for number in range(4):
        await site.deploy(f"{number}")
    for number in range(4, 10):
        await site.deploy(f"{number}", live=False)
    async with site.sweeping():
        await asyncio.sleep(GRACE + 10)
    assert site.there() == site.on_engine() == some(1, 2, 3, 7, 8, 9)


@virtual
async def test_what_serves_and_what_is_pushed_stays(site: Site):
    """Whatever else is said: a failed build's image goes, that of one that still goes on stays."""
    await site.begin()
    serving = await site.deploy("0")
    image = BuiltImage(reference=site.named("sha256:0"))
    state = RolloutState(serving=release(serving, image=image))
    await site.fact("rollout", SERVICE, RolloutSucceeded(**ABOUT, deployment=serving, state=state))
    for number in range(1, 12):
        await site.deploy(f"{number}")
    going = await site.ask("going")
    site.push(going, "sha256:going")
    site.push(f"{going}-0123456789ab", "sha256:copied")
    failed = await site.ask("failed")
    site.push(failed, "sha256:failed")
    failure = Failure(reason="r", detail="d", hint="h")
    await site.fact("build", failed, BuildFailed(**ABOUT, environment="e", failure=failure))
    await site.fact("deployment", failed, DeploymentFailed(**ABOUT, failure=failure))
    async with site.sweeping():
        await asyncio.sleep(GRACE * 2)
    # The failed one is the last that ended; the oldest live ones but for it are still kept.
    assert site.there() == site.on_engine() == {"going", "copied", *some(0, *range(2, 12))}


@virtual
async def test_two_deployments_of_one_image_keep_it_until_both_have_left(site: Site):
    await site.begin()
    site.kept = 2
    await site.deploy("0")
    await site.deploy("1")
    await site.deploy("again", repeats="0")
    await site.deploy("2")
    async with site.sweeping() as sweep:
        await asyncio.sleep(GRACE * 2)
        assert site.there() == site.on_engine() == some(0, 2)
        await site.deploy("3")
        sweep.wake(await site.last())
        await asyncio.sleep(GRACE * 2)
        assert site.there() == site.on_engine() == some(2, 3)


@virtual
async def test_what_a_container_has_is_tried_again(site: Site):
    await site.begin()
    site.kept = 1
    await site.deploy("0")
    await site.deploy("1")
    site.engine.used = {site.named("sha256:0")}
    async with site.sweeping():
        await asyncio.sleep(GRACE * 2)
        assert (site.there(), site.on_engine()) == (some(1), some(0, 1))
        site.engine.used = set()
        await asyncio.sleep(GRACE)
        assert site.on_engine() == some(1)


@virtual
async def test_a_service_that_is_gone_leaves_nothing(site: Site):
    await site.begin()
    await site.deploy("0")
    others = site.repository.with_name("pushed-by-a-step")
    longer = site.repository / "longer"
    library = site.repository.parents[1] / "library/python/_manifests"
    for folder in (others, longer, library):
        folder.mkdir(parents=True)
    async with site.sweeping() as sweep:
        await asyncio.sleep(10)
        assert site.repository.exists()
        assert not others.exists()
        assert not longer.exists()
        await site.fact("service", SERVICE, ServiceDeleted(project="p", environment="e"))
        (gone,) = await site.world.heads(ORGANIZATION, "service")
        sweep.wake(gone)
        await asyncio.sleep(10)
    assert not site.repository.exists()
    assert site.on_engine() == set()
    assert library.exists()


@virtual
async def test_whoever_dies_in_between_goes_on_in_another_life(site: Site):
    await site.begin()
    for number in range(14):
        await site.deploy(f"{number}")
    for seconds in (*(step / 1000 for step in range(1, 60)), GRACE, GRACE):
        async with site.sweeping():
            await asyncio.sleep(seconds)
    async with site.sweeping():
        await asyncio.sleep(GRACE)
    assert site.there() == site.on_engine() == some(*range(4, 14))
    assert await site.said() == [derived("deployment", f"{number}") for number in range(4)]


@virtual
async def test_a_log_that_is_away_costs_no_image(site: Site):
    await site.begin()
    for number in range(12):
        await site.deploy(f"{number}")
    site.world.away = True
    async with site.sweeping():
        await asyncio.sleep(GRACE * 2)
        assert site.there() == site.on_engine() == some(*range(12))
        with pytest.raises(OutcomeUnknown):
            await site.world.heads(ORGANIZATION, "deployment")
        site.world.away = False
        await asyncio.sleep(GRACE * 3)
    assert site.there() == site.on_engine() == some(*range(2, 12))


def test_what_was_live_leaves_for_itself():
    ended = tuple(Ended(str(n), n in (2, 5, 6, 7)) for n in range(9))
    course = Course(ended)
    assert course.kept(2) == {"0", "1", "2", "5"}
    assert course.left(2) == ["8", "7", "6", "4", "3"]
