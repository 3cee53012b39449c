"""Which images of a service stay, and which go, from the registry's files and from the engine."""

import asyncio
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from builder.images import react
from builder.images.plan import FEW, Course, Ended
from builder.settings import BuilderSettings
from pydantic import ValidationError
from slipway.contracts.build import BuildFailed, BuildStarted
from slipway.contracts.deployment import (
    DeploymentExpired,
    DeploymentFailed,
    DeploymentSucceeded,
)
from slipway.contracts.rollout import Pending, RolloutState, RolloutSucceeded
from slipway.contracts.service import ServiceDeleted, ServiceStarted
from slipway.contracts.values import (
    BuiltImage,
    Failure,
)
from slipway.eventstore.store import OutcomeUnknown
from slipway.kernel.ids import derived
from slipway.testing.releases import release
from structlog.testing import capture_logs

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


@virtual
async def test_an_image_that_was_run_again_stays_a_while_too(site: Site):
    """Though that of the deployment by whose name it is tagged left long ago."""
    await site.begin()
    site.kept = 1
    await site.deploy("0")
    await site.deploy("again", repeats="0")
    async with site.sweeping() as sweep:
        await asyncio.sleep(GRACE * 3)
        assert await site.said() == [derived("deployment", "0")]
        await site.deploy("1")
        sweep.wake(await site.last())
        await asyncio.sleep(5)
        assert derived("deployment", "again") in await site.said()
        assert "0" in site.there() & site.on_engine()
        asked = await site.ask("back", repeats="again")  # decided before that was said
        await asyncio.sleep(GRACE * 2)
        assert "0" in site.there() & site.on_engine()
        failed = DeploymentFailed(**ABOUT, failure=Failure(reason="r", detail="d", hint="h"))
        await site.fact("deployment", asked, failed)
        sweep.wake(await site.last())
        await asyncio.sleep(GRACE * 2)
        assert site.there() == site.on_engine() == some(1)


@virtual
async def test_what_is_pushed_while_is_looked_stays(site: Site):
    await site.begin()
    await site.deploy("0")
    going = await site.ask("going")
    site.engine.meanwhile = lambda: site.push(going, "sha256:going")
    async with site.sweeping():
        await asyncio.sleep(1)
        assert site.there() == site.on_engine() == {"0", "going"}


@virtual
async def test_the_same_image_that_is_built_again_while_is_looked_stays(site: Site):
    """Its digest is that of one that goes."""
    await site.begin()
    site.kept = 1
    await site.deploy("0")
    await site.deploy("1")
    async with site.sweeping():
        await asyncio.sleep(GRACE - 5)
        going = await site.ask("going")
        site.world.meanwhile = lambda: site.push(going, "sha256:0")
        await asyncio.sleep(10)
        assert site.there() >= some(0, 1)
        assert site.on_engine() >= some(0, 1)


@virtual
async def test_nothing_goes_by_a_log_that_was_read_too_early(site: Site):
    await site.begin()
    for number in range(11):
        await site.deploy(f"{number}")
    async with site.sweeping() as sweep:
        await asyncio.sleep(GRACE - 10)
        assert await site.said() == [derived("deployment", "0")]
        sweep.wake(await site.last())
        site.world.slow = 30.0
        await asyncio.sleep(5)
        await site.ask("back", repeats="0")  # it was decided before, and comes as late as it may
        await asyncio.sleep(GRACE)
        assert "0" in site.there() & site.on_engine()


@virtual
async def test_a_clock_that_is_set_removes_nothing_at_once(site: Site):
    await site.begin()
    for number in range(11):
        await site.deploy(f"{number}")
    async with site.sweeping() as sweep:
        await asyncio.sleep(5)
        site.clock.ahead = timedelta(days=1)
        sweep.wake(await site.last())
        await asyncio.sleep(GRACE - 15)
        assert site.there() == site.on_engine() == some(*range(11))
        await asyncio.sleep(30)
        assert site.there() == site.on_engine() == some(*range(1, 11))
        await site.deploy("11")
        sweep.wake(await site.last())
        await asyncio.sleep(10)
    site.clock.ahead = timedelta(days=-1)
    async with site.sweeping():
        await asyncio.sleep(10)
        assert site.there() == site.on_engine() == some(*range(1, 12))
        await asyncio.sleep(GRACE + 10)
    assert site.there() == site.on_engine() == some(*range(2, 12))


@virtual
async def test_what_a_build_does_not_say_goes_at_once_and_is_not_looked_at_again(site: Site):
    await site.begin()
    kept = await site.deploy("0")
    site.push(f"{kept}-0123456789ab", "sha256:pushed")
    async with site.sweeping():
        await asyncio.sleep(10)
        assert site.there() == site.on_engine() == some(0)
        looked = site.world.read_calls["heads"]
        await asyncio.sleep(3600)
        assert site.world.read_calls["heads"] == looked


@pytest.mark.parametrize("in_another_life", [False, True])
@virtual
async def test_an_outcome_that_comes_late_is_said_by_itself(site: Site, in_another_life: bool):
    """When those that ended later have been said long ago."""
    await site.begin()
    site.kept = 1
    late = await site.ask("late")
    await site.fact("build", late, BuildStarted(**ABOUT, environment="e", attempt=1, deadline="x"))
    failure = Failure(reason="r", detail="d", hint="h")
    await site.fact("deployment", late, DeploymentExpired(**ABOUT, failure=failure))
    for number in range(3):
        await site.deploy(f"{number}")
    async with site.sweeping() as sweep:
        await asyncio.sleep(GRACE * 2)
        assert len(await site.said()) == 2
        await site.built(late, "sha256:late")
        await site.deploy("3")
        if not in_another_life:
            sweep.wake(await site.last())
            await asyncio.sleep(GRACE)
    if in_another_life:
        async with site.sweeping():
            await asyncio.sleep(10)
    assert late in await site.said()


@virtual
async def test_of_what_serves_or_waits_nothing_is_said(site: Site):
    """Its deployment may have ended otherwise."""
    await site.begin()
    site.kept = 1
    names = ("serving", "wanted", "queued")
    ids = {name: await site.deploy(name, live=False) for name in names}
    state = RolloutState(
        serving=release(ids["serving"]), wanted=release(ids["wanted"]),
        queue=(Pending(deployment=ids["queued"], sequence=1),),
    )  # fmt: skip
    rollout = RolloutSucceeded(**ABOUT, deployment=ids["serving"], state=state)
    await site.fact("rollout", SERVICE, rollout)
    for number in range(2):
        await site.deploy(f"{number}")
    async with site.sweeping() as sweep:
        await asyncio.sleep(GRACE * 2)
        assert await site.said() == [derived("deployment", "0")]
        assert site.there() == site.on_engine() == {*names, "1"}
        state = RolloutState(serving=release(derived("deployment", "1")))
        rollout = RolloutSucceeded(**ABOUT, deployment=ids["serving"], state=state)
        await site.fact("rollout", SERVICE, rollout)
        sweep.wake(await site.last())
        await asyncio.sleep(GRACE * 2)
        assert site.there() == site.on_engine() == some(1)


def test_what_serves_can_not_be_kept_by_keeping_none():
    with pytest.raises(ValidationError):
        BuilderSettings(images_kept=0)


# -- what steps push ------------------------------------------------------------------------------


@virtual
async def test_names_and_tags_of_steps_cost_neither_the_log_nor_the_engine(site: Site):
    await site.begin()
    await site.deploy("0")

    async def asked() -> int:
        before = site.world.read_calls.total()
        async with site.sweeping():
            await asyncio.sleep(10)
        assert set(site.engine.asked) == {SERVICE}
        assert site.there() == site.on_engine() == some(0)
        assert [each.name for each in site.repository.parent.iterdir()] == [SERVICE]
        return site.world.read_calls.total() - before

    usual = await asked()
    for number in range(50):
        name = derived("pushed", number)
        (site.repository.with_name(name) / "_manifests/tags/x").mkdir(parents=True)
        (site.repository.with_name(f"x{number}") / "y/_manifests").mkdir(parents=True)
        for tag in (name, f"{name}-0123456789ab", f"x{number}", f"{derived('deployment', '0')}-x"):
            (site.repository / "_manifests/tags" / tag / "current").mkdir(
                parents=True, exist_ok=True
            )
            (site.repository / "_manifests/tags" / tag / "current/link").write_text("sha256:x")
    assert await asked() == usual


@virtual
async def test_who_pushes_much_waits_his_turn(site: Site, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(react, "_MOST", 10)
    await site.begin()
    await site.deploy("0")
    for number in range(45):
        (site.repository / f"_manifests/tags/x{number}").mkdir(parents=True)
        (site.repository / f"longer{number}").mkdir()
        site.repository.with_name(f"x{number}").mkdir()
    tags = site.repository / "_manifests/tags"
    async with site.sweeping():
        await asyncio.sleep(1)
        left = [len(list(each.iterdir())) for each in (tags, site.repository.parent)]
        assert left == [1 + 35, 1 + 35]
        await asyncio.sleep(30)
        left = [len(list(each.iterdir())) for each in (tags, site.repository.parent)]
        assert left == [1, 1]
        assert [each.name for each in site.repository.iterdir()] == ["_manifests"]


@virtual
async def test_what_steps_push_goes_when_their_build_ends(site: Site):
    """Though neither its service's deployment nor one of the others ends for long."""
    await site.begin()
    await site.deploy("0")
    other = derived("service", "other")
    await site.fact("service", other, ServiceStarted())
    tags = [site.repository / "_manifests/tags", site.repository.with_name(other)]
    async with site.sweeping() as sweep:
        await asyncio.sleep(3000)
        going = await site.ask("going")
        site.push(going, "sha256:going")
        for folder in (*tags, tags[1] / "_manifests/tags"):
            (folder / "x/current").mkdir(parents=True)
            (folder / "x/current/link").write_text("sha256:x")
        sweep.built(await site.last())
        await asyncio.sleep(10)
        assert site.there() == {"0", "going"}
        await asyncio.sleep(610)
        assert [each.name for each in (tags[1] / "_manifests/tags").iterdir()] == []
        assert not (tags[1] / "x").exists()


@virtual
async def test_what_was_copied_stays_however_many_tags_are_pushed_by_its_name(site: Site):
    """By a step of another service, as it knows the organization's password."""
    await site.begin()
    kept, going = await site.deploy("0"), await site.ask("going")
    await site.built(going, "sha256:going")
    for of, digest in ((kept, "sha256:0"), (going, "sha256:going")):
        for number in range(FEW + 5):
            site.push(f"{of}-{number:012x}", "sha256:pushed")
        shutil.rmtree(site.repository / "_manifests/tags" / of, ignore_errors=True)
        site.push(f"{of}-{'f' * 12}", digest)
    async with site.sweeping():
        await asyncio.sleep(10)
        assert {"0", "going"} <= site.there() & site.on_engine()


def test_of_each_deployment_a_few_tags_are_the_builders():
    going, ended = derived("deployment", "1"), derived("deployment", "2")
    course = Course((Ended(ended, True),), frozenset({going}))
    copied = [f"{going}-{number:012x}" for number in range(1000)]
    others = ["x", ended[1:], f"{ended}-", f"{ended}-{'0' * 13}", derived("deployment", "3")]
    pushed = [f"{ended}-{number:012x}" for number in range(1000)]
    own, go = course.own([*copied, going, ended, *pushed, *others])
    assert (own.keys(), set(go)) == ({*copied, going, ended, *pushed}, {*others})
    digests = {**dict.fromkeys(copied, "x"), going: "y", ended: "z", **dict.fromkeys(pushed, "z")}
    stays, go = course.staying(own, digests, {"z"})
    assert (stays, set(go)) == ({"x", "y", "z"}, {*copied[FEW:], *pushed[FEW - 1 :]})
    stays, go = course.staying(own, digests, {"w"})
    assert (stays, set(go)) == ({"x", "y"}, {*copied[FEW:], *pushed, ended})


# -- what does not go well ------------------------------------------------------------------------


@virtual
async def test_what_lasts_is_tried_and_told_rarely(site: Site):
    await site.begin()
    site.kept = 1
    await site.deploy("0")
    await site.deploy("1")
    site.engine.used = {site.named("sha256:0")}
    with capture_logs() as said:
        async with site.sweeping():
            await asyncio.sleep(GRACE * 2)
            tried = site.world.read_calls["heads"]
            await asyncio.sleep(86000)
            assert site.world.read_calls["heads"] - tried < 2 * 40
            told = [each for each in said if each["event"] == "an image stays"]
            assert 1 < len(told) < 10
            site.world.away = True
            await asyncio.sleep(86400)
    told = [each for each in said if each["log_level"] == "warning"]
    assert 1 < len(told) < 10


@virtual
async def test_what_could_not_be_removed_is_not_said_to_be(
    site: Site, monkeypatch: pytest.MonkeyPatch
):
    def refused(path: Path, **_: object) -> None:
        raise OSError("the disk is read-only")

    await site.begin()
    site.push("x", "sha256:x")
    with capture_logs() as said:
        async with site.sweeping():
            with monkeypatch.context() as patched:
                patched.setattr(shutil, "rmtree", refused)
                await asyncio.sleep(10)
            assert "images removed" not in [each["event"] for each in said]
            assert list((site.root / "swept").iterdir())
            await asyncio.sleep(61)
            assert not list((site.root / "swept").iterdir())


@virtual
async def test_what_could_not_be_removed_leaves_something_to_collect(
    site: Site, monkeypatch: pytest.MonkeyPatch
):
    """It was moved away, so a later try meets nothing to remove."""

    def refused(path: Path, **_: object) -> None:
        if path.parent.name == "swept":
            raise OSError("the disk is read-only")

    await site.begin()
    async with site.sweeping():
        await asyncio.sleep(3000)
        assert site.collections == ["begun", "ended"]
        with monkeypatch.context() as patched:
            patched.setattr(shutil, "rmtree", refused)
            site.push("x", "sha256:x")
            await asyncio.sleep(86400)
        assert site.there() == set()
        await asyncio.sleep(700)
        assert site.collections == ["begun", "ended"] * 2


def test_what_was_live_leaves_for_itself():
    ended = tuple(Ended(str(n), n in (2, 5, 6, 7)) for n in range(9))
    course = Course(ended)
    assert course.kept(2) == {"0", "1", "2", "5"}
    assert course.left(2) == ["8", "7", "6", "4", "3"]
