"""Builds over the log in memory, in virtual time: each has one outcome, whatever dies."""

import asyncio

import pytest
from builder.build.failures import BuildError
from builder.build.job import Job
from builder.build.react import Made
from slipway.contracts.build import BuildFailed, BuildSucceeded
from slipway.contracts.deployment import DeploymentFailed, Limits
from slipway.contracts.values import BuiltImage, Sealed, Variable
from slipway.eventstore.memory import MemoryObjects
from slipway.sealing import place, seal

from tests.simulation.platform import ORGANIZATION, PAIR, end, fact
from tests.simulation.world import Life, virtual
from tests.unit.builder.yard import (
    COMMIT,
    FAILURE,
    IMAGE,
    PULLED,
    STEPS,
    Yard,
    made,
    running,
    service,
)


@virtual
async def test_a_request_is_built_once_and_told_whole(yard: Yard):
    async with running(yard):
        await yard.request("d1")
        outcome = await yard.outcome()
        await asyncio.sleep(60)
    assert yard.told() == ["started 1", "succeeded"]
    assert isinstance(outcome, BuildSucceeded)
    assert [(built.name, built.image) for built in outcome.workloads] == [("main", IMAGE)]
    assert (outcome.commit, outcome.steps, outcome.built) == (COMMIT, STEPS, True)
    assert await yard.said() == ["working"]
    assert b"working" in (await yard.archive.get("d1") or b"")


@virtual
async def test_the_log_is_archived_before_the_outcome_is_told(yard: Yard):
    told_by_then: list[str] = []

    class Archive(MemoryObjects):
        async def put(self, name: str, data: bytes) -> None:
            await asyncio.sleep(1)
            told_by_then.extend(yard.told())
            await super().put(name, data)

    yard.archive = Archive()
    async with running(yard):
        await yard.request("d1")
        await yard.outcome()
    assert told_by_then == ["started 1"]
    assert await yard.archive.get("d1")


@virtual
async def test_a_message_that_comes_again_does_nothing(yard: Yard):
    commit = await yard.request("d1")
    await yard.builds(Life()).react(commit)
    await asyncio.sleep(300)
    for _ in range(3):
        await yard.builds(Life()).react(commit)
    assert yard.told() == ["started 1", "succeeded"]
    assert len(yard.works) == 1


@virtual
async def test_one_that_was_stopped_before_is_not_begun(yard: Yard):
    commit = await yard.request("d1")
    await yard.stop("d1")
    await yard.builds(Life()).react(commit)
    assert yard.told() == []
    assert yard.works == []


@pytest.mark.parametrize("after", [0.002, 0.004, 0.006, 0.008, 0.1, 2.0])
@virtual
async def test_one_that_is_stopped_ends_within_two_seconds(yard: Yard, after: float):
    async with running(yard):
        await yard.request("d1")
        await asyncio.sleep(after)
        await yard.stop("d1")
        if yard.told():
            await yard.outcome(seconds=2)
        await asyncio.sleep(60)
    assert yard.told() in ([], ["started 1", "cancelled"])
    assert len(yard.works) == len(yard.ended)


@virtual
async def test_one_whose_deployment_has_ended_is_stopped(yard: Yard):
    """Nobody asked: the gateway gave it up."""
    async with running(yard):
        await yard.request("d1")
        await asyncio.sleep(0.1)
        ended = DeploymentFailed(kind="application", service="a1", failure=FAILURE)
        await fact(yard.world, "deployment", "d1", ended)
        await yard.outcome(seconds=2)
    assert yard.told() == ["started 1", "cancelled"]


@virtual
async def test_a_stop_that_comes_too_late_changes_nothing(yard: Yard):
    async with running(yard):
        await yard.request("d1")
        await yard.outcome()
        await yard.stop("d1")
        await asyncio.sleep(60)
    assert yard.told() == ["started 1", "succeeded"]


@virtual
async def test_a_failure_is_told_with_what_was_reached(yard: Yard):
    async def play(work: Job) -> Made:
        work.commit, work.done = COMMIT, STEPS
        raise BuildError(FAILURE)

    yard.play = play
    async with running(yard):
        await yard.request("d1")
        outcome = await yard.outcome()
    assert isinstance(outcome, BuildFailed)
    assert (outcome.failure, outcome.commit, outcome.steps) == (FAILURE, COMMIT, STEPS)
    said = await yard.said()
    assert said == ["working", "failed: it broke", "what to do: mend it"]


@virtual
async def test_one_that_takes_too_long_is_ended(yard: Yard):
    yard.seconds = 1e6
    async with running(yard):
        await yard.request("d1", limits=Limits(build=90))
        outcome = await yard.outcome(seconds=100)
    assert isinstance(outcome, BuildFailed)
    assert outcome.failure.reason == "build-timeout"
    assert yard.ended == ["d1"]


@virtual
async def test_it_never_goes_out_with_a_secret_that_cant_be_opened(yard: Yard):
    sealed = Sealed(key=ORGANIZATION, text="AAAA")
    async with running(yard):
        await yard.request("d1", variables=(Variable(name="KEY", sealed=sealed),))
        outcome = await yard.outcome()
    assert isinstance(outcome, BuildFailed)
    assert outcome.failure.reason == "secrets-unreadable"
    assert yard.works == []


@virtual
async def test_secrets_are_hidden_in_what_it_says(yard: Yard):
    at = place(ORGANIZATION, "service", "KEY")
    sealed = seal(PAIR.public, ORGANIZATION, "hunter2", at)

    async def play(work: Job) -> Made:
        work.log.say(f"KEY is {work.variables['KEY']}, URL is {work.variables['URL']}")
        assert work.secret_names == {"KEY"}
        return made()

    yard.play = play
    variables = (
        Variable(name="KEY", sealed=sealed),
        Variable(name="URL", value="x://${{KEY}}@db"),
    )
    async with running(yard):
        await yard.request("d1", variables=variables)
        outcome = await yard.outcome()
    assert (await yard.opened(outcome)).hidden == ("hunter2",)
    assert await yard.said() == ["working", "KEY is ***, URL is x://***@db"]


@virtual
async def test_so_many_builds_at_once_and_images_beside_them(yard: Yard):
    async with running(yard):
        for number in (1, 2, 3):
            await yard.request(f"d{number}", service=f"a{number}")
        await yard.request("d4", service="a4", source=PULLED)
        await asyncio.sleep(1)
        assert sorted(work.deployment for work in yard.works) == ["d1", "d2", "d4"]
        await yard.outcome("d3")


@virtual
async def test_so_many_copies_at_once_and_the_others_wait(yard: Yard):
    async with running(yard):
        for number in range(9):
            await yard.request(f"d{number}", service=f"a{number}", source=PULLED)
        await asyncio.sleep(1)
        assert len(yard.works) == 3
        await yard.outcome("d8")


@virtual
async def test_builds_of_one_service_are_one_after_another(yard: Yard):
    async with running(yard):
        await yard.request("d1")
        await yard.request("d2")
        await asyncio.sleep(1)
        assert [work.deployment for work in yard.works] == ["d1"]
        await yard.outcome("d2")
        assert yard.outcomes("d1") == ["succeeded"]


@virtual
async def test_an_unexpected_error_is_tried_again(yard: Yard):
    async def play(work: Job) -> Made:
        if len(yard.works) == 1:
            raise RuntimeError("nobody thought of that")
        return made()

    yard.play = play
    async with running(yard):
        await yard.request("d1")
        await yard.outcome()
    assert yard.told() == ["started 1", "started 2", "succeeded"]


@virtual
async def test_after_a_death_it_is_built_again(yard: Yard):
    first = asyncio.create_task(service(yard, Life()))
    await yard.request("d1")
    await asyncio.sleep(2)
    await end(first)
    assert yard.told() == ["started 1"]
    assert yard.ended == ["d1"]
    async with running(yard):
        await yard.outcome()
    assert yard.told() == ["started 1", "started 2", "succeeded"]
    assert "the build was interrupted; this is attempt 2" in await yard.said()


@virtual
async def test_a_stop_while_it_was_away_is_told_when_it_is_back(yard: Yard):
    first = asyncio.create_task(service(yard, Life()))
    await yard.request("d1")
    await asyncio.sleep(2)
    await end(first)
    await yard.stop("d1")
    async with running(yard):
        await yard.outcome()
    assert yard.told() == ["started 1", "started 2", "cancelled"]
    assert len(yard.works) == 1


@pytest.mark.parametrize("older_is_first", [True, False])
@virtual
async def test_an_older_attempt_can_say_nothing_more(yard: Yard, older_is_first: bool):
    """The first builder was only paused, and comes back while the second builds."""
    gates = [asyncio.Event(), asyncio.Event()]

    async def play(work: Job) -> Made:
        attempt = len(yard.works)
        await gates[attempt - 1].wait()
        return made(BuiltImage(reference=f"sha256:{attempt}"))

    yard.play = play
    commit = await yard.request("d1")
    both = []
    for _ in gates:
        both.append(asyncio.create_task(yard.builds(Life()).react(commit)))
        await asyncio.sleep(1)
    for gate in gates if older_is_first else reversed(gates):
        gate.set()
        await asyncio.sleep(1)
    await asyncio.gather(*both)
    assert yard.told() == ["started 1", "started 2", "succeeded"]
    outcome = yard.world.events("build", "d1")[-1]
    assert isinstance(outcome, BuildSucceeded)
    assert outcome.workloads[0].image.reference == "sha256:2"
    assert outcome.sealed.name == "a1.d1.2"


# -- death ----------------------------------------------------------------------------------------


async def story(yard: Yard, stopped: bool, dies_at: int | None) -> Life:
    life = Life(dies_at)
    first = asyncio.create_task(life.run(service(yard, life)))

    async def again() -> None:
        await life.died.wait()
        await first
        await asyncio.sleep(3)
        await service(yard, Life())

    second = asyncio.create_task(again())
    await yard.request("d1")
    if stopped:
        await asyncio.sleep(1)
        await yard.stop("d1")
    await asyncio.sleep(120)
    await end(first, second)
    return life


@pytest.mark.parametrize("stopped", [False, True])
@pytest.mark.parametrize("dies_at", [1, 2, 3, 4])
@virtual
async def test_whatever_point_it_dies_at_there_is_one_outcome(
    yard: Yard, stopped: bool, dies_at: int
):
    life = await story(yard, stopped, dies_at)
    assert life.died.is_set(), "a point that is never reached proves nothing"
    begun = bool(yard.told())  # else it is the gateway's to end
    assert len(yard.outcomes()) == begun
    assert begun or (stopped and dies_at == 1)
    assert len(yard.works) == len(yard.ended)


@virtual
async def test_there_are_no_other_points(yard: Yard):
    life = await story(yard, False, None)
    assert [name.split(" ", 1)[1] for name in life.points] == [
        "build.started", "build.started", "build.succeeded", "build.succeeded",
    ]  # fmt: skip
