"""What two cannot have at once is had by one, whoever comes: a job beside a program that goes on, a
service that was scaled before, a release that is the first to say so."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from deployer.rollout import undoing
from deployer.rollout.bringing import replicas_of
from deployer.rollout.domain import SwarmServiceView, TaskView, View
from deployer.rollout.plan import next_step
from deployer.rollout.step import Create, End, Scale
from slipway.contracts.rollout import Reverting, RolloutState
from slipway.contracts.values import After, BuiltImage, VolumeMount
from slipway.contracts.workload import MAIN, Workload
from slipway.testing.releases import release

from tests.simulation.platform import Site, platform, swarm_service
from tests.simulation.world import Behaviour, virtual
from tests.unit.deployer.test_several import DONE, SLOW, ask, running
from tests.unit.deployer.test_stacks import BOOT, deployed, workload
from tests.unit.deployer.test_stacks import release as stack

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DATA = (VolumeMount(name="data", path="/data"),)
HELD = ("volume:data",)


def migrated(site: Site, number: int) -> tuple[Workload, Workload]:
    """A program that is the same each time, behind a job that writes its volume."""
    after = (After(workload="init-1", condition="completed"),)
    job = Workload(name="init-1", job=True, mounts=DATA, image=site.image(f"job-{number}", DONE))
    main = Workload(
        name=MAIN, aliases=("web",), port=8080, mounts=DATA, image=site.image("same", SLOW),
        after=after,
    )  # fmt: skip
    return job, main


@virtual
async def test_a_job_does_not_write_beside_a_program_that_is_the_same():
    async with platform() as site:
        for number in (1, 2):
            await ask(site, f"d{number}", *migrated(site, number))
            assert await site.ended(f"d{number}") == "rollout.succeeded"
        assert site.swarm.met == []
        await site.world.until(lambda: running(site) == {swarm_service("d2")})


@virtual
async def test_who_is_to_stop_first_does_so_for_a_former_that_was_not():
    async with platform() as site:
        main = Workload(name=MAIN, aliases=("web",), port=8080, image=site.image("1", SLOW))
        await ask(site, "d1", main)
        assert await site.ended("d1") == "rollout.succeeded"
        new = {"strategy": "stop_first", "image": site.image("2", Behaviour())}
        await ask(site, "d2", main.model_copy(update=new))
        await site.world.until(lambda: swarm_service("d2") in running(site))
        assert running(site) == {swarm_service("d2")}, "the former has ended"
        assert await site.ended("d2") == "rollout.succeeded"


@virtual
async def test_a_former_comes_back_that_stopped_for_one_which_is_to_be_alone():
    async with platform() as site:
        main = Workload(name=MAIN, aliases=("web",), port=8080, image=site.image("1", SLOW))
        await ask(site, "d1", main)
        assert await site.ended("d1") == "rollout.succeeded"
        dying = site.image("2", Behaviour(boot=None, ends_after=0.2))
        await ask(site, "d2", main.model_copy(update={"strategy": "stop_first", "image": dying}))
        assert await site.ended("d2") == "rollout.failed"
        assert site.last().former == "running"  # type: ignore[union-attr]
        assert running(site) == {swarm_service("d1")}


@pytest.mark.parametrize(("grace", "former"), [(600.0, "running"), (None, "not_running")])
@virtual
async def test_undoing_lasts_as_long_as_a_program_may_take_to_end(grace: float | None, former: str):
    async with platform() as site:
        main = Workload(name=MAIN, mounts=DATA, image=site.image("1", SLOW))
        await ask(site, "d1", main)
        assert await site.ended("d1") == "rollout.succeeded"
        lasting = {"image": site.image("2", Behaviour(boot=None, stop=400.0))}
        await ask(site, "d2", main.model_copy(update={**lasting, "stop_grace_seconds": grace}))
        await site.world.until(lambda: swarm_service("d2") in running(site))
        await site.stop("d2")
        assert await site.ended("d2", 500) == "rollout.cancelled"
        assert site.last().former == former  # type: ignore[union-attr]
        assert site.swarm.met == []


def test_however_long_a_program_may_take_undoing_has_an_end():
    serving = release("d1", holds=HELD, stop_seconds=10_000.0)
    state = RolloutState(serving=serving, wanted=release("d2", 2, holds=HELD), highest=2)
    deadline = datetime.fromisoformat(undoing.begun(state, NOW, "cancelled").deadline)
    assert deadline - NOW == timedelta(seconds=720)


@pytest.mark.parametrize("held", ["volume:data", "port:80/tcp"])
def test_what_was_scaled_when_it_held_nothing_runs_once(held: str):
    bare = stack("d1", workload("d1", "db"))
    alone = stack("d2", workload("d2", "db", holds=(held,)))
    playing = deployed(bare, alone)
    playing.replicas = {"db": 3}
    playing.play(BOOT)
    assert playing.swarm.replicas == {"db-d1": 3}
    playing.queue(alone)
    playing.play(60)
    assert playing.ends[1:] == [("d2", "succeeded")]
    assert playing.swarm.replicas == {"db-d2": 1}


def test_what_is_only_to_stop_first_may_be_several():
    web = workload("d1", "web", holds=("workload:web",), replicas=2)
    assert replicas_of(View(NOW, RolloutState()), web) == 2


def test_a_former_that_was_scaled_to_nothing_does_not_run_again():
    old = stack("d1", workload("d1", "db", holds=HELD))
    new = stack("d2", workload("d2", "db", holds=HELD))
    playing = deployed(old, new)
    playing.replicas = {"db": 0}
    playing.play(2 * BOOT)
    playing.swarm.faults["db-d2"] = "end"
    playing.queue(new)
    playing.play(60)
    assert playing.ends[1:] == [("d2", "failed")]
    assert playing.formers == ["not_running"]


def undone(deadline: datetime, there: SwarmServiceView, *more: SwarmServiceView) -> View:
    serving, wanted = release("d1", holds=HELD), release("d2", 2, holds=HELD)
    reverting = Reverting(outcome="cancelled", paused=("s-d1",), deadline=deadline.isoformat())
    state = RolloutState(serving=serving, wanted=wanted, reverting=reverting, highest=2)
    return View(NOW, state, there={each.name: each for each in (there, *more)})


def on_engine(deployment: str, replicas: int, *tasks: TaskView) -> SwarmServiceView:
    return SwarmServiceView(
        f"id-{deployment}", f"s-{deployment}", MAIN, replicas, 1, tasks, frozenset(HELD), True
    )


@pytest.mark.parametrize("replicas", [0, 1])
def test_undoing_ends_also_when_the_engine_refuses_each_step(replicas: int):
    """To end what holds something, to remove it, to let the former run again."""
    there, former = on_engine("d2", replicas), on_engine("d1", 0)
    for seconds, ends in ((1.0, False), (undoing.LONGEST + 1.0, True)):
        late = NOW - timedelta(seconds=seconds)
        step = next_step(undone(late, there, former))
        assert isinstance(step, End) is ends, "it is tried for as long again"
        assert isinstance(next_step(undone(late, former)), End if ends else Scale)


def test_a_former_that_runs_is_said_to_however_late():
    """Nobody was there to say so."""
    late = NOW - timedelta(hours=1)
    runs = on_engine("d1", 1, TaskView("t", "running", "10.0.0.1"))
    step = next_step(undone(late, runs))
    assert isinstance(step, End)
    assert step.former == "running"


def test_what_holds_something_is_made_with_no_task():
    """To make it has no version, so a process that was paused may do it late."""
    image = BuiltImage(reference="sha256:1")
    values: dict[str, Any] = {"image": image, "port": None}
    for holds, replicas in (((), 1), (HELD, 0)):
        state = RolloutState(wanted=release("d1", holds=holds, **values), highest=1)
        step = next_step(View(NOW, state))
        assert isinstance(step, Create)
        assert step.replicas == replicas
