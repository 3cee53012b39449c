"""Whatever happens to a build it ends: after few attempts, by its first deadline, with a reason."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from builder.build.job import Job
from builder.build.react import Made, key
from slipway.contracts.build import BuildFailed, BuildStarted
from slipway.contracts.deployment import Limits
from slipway.contracts.event import NewerRelease
from slipway.contracts.logs import LogLine
from slipway.contracts.values import Variable
from slipway.eventstore.memory import MemoryLogs, MemoryObjects
from slipway.runtime.reactor import NoFact

from tests.simulation.platform import end, fact, newer
from tests.simulation.world import Life, virtual
from tests.unit.builder.yard import Yard, made, running, service


def failure(outcome: Any) -> Any:
    assert isinstance(outcome, BuildFailed)
    return outcome.failure


async def broken(_: Job) -> Made:
    raise RuntimeError("the secret is hunter2")


@virtual
async def test_an_error_that_nobody_thought_of_ends_the_build(yard: Yard):
    yard.play = broken
    async with running(yard):
        await yard.request("d1")
        told = failure(await yard.outcome(seconds=30))
        await asyncio.sleep(3600)
    assert yard.told() == ["started 1", "started 2", "failed"]
    assert len(yard.works) == 2
    assert told.reason == "internal-error"
    assert "RuntimeError" in told.detail
    assert "d1" in told.hint
    assert "hunter2" not in told.model_dump_json()


@virtual
async def test_the_next_deployment_of_the_service_goes_on(yard: Yard):
    async def play(job: Job) -> Made:
        return await broken(job) if job.deployment == "d1" else made()

    yard.play = play
    async with running(yard):
        await yard.request("d1")
        await yard.request("d2")
        await yard.outcome("d2", seconds=30)
    assert (yard.outcomes("d1"), yard.outcomes("d2")) == (["failed"], ["succeeded"])


@virtual
async def test_a_time_out_of_its_own_is_not_the_builds_deadline(yard: Yard):
    async def play(_: Job) -> Made:
        raise TimeoutError

    yard.play = play
    async with running(yard):
        await yard.request("d1")
        assert failure(await yard.outcome()).reason == "internal-error"


@virtual
async def test_what_was_there_at_two_deaths_is_given_up(yard: Yard):
    yard.seconds = 600
    for seconds in (0, 10):
        life = asyncio.create_task(service(yard, Life()))
        if not seconds:
            await yard.request("d1")
        await asyncio.sleep(5 + seconds)
        await end(life)
    assert yard.told() == ["started 1", "started 2"]
    async with running(yard):
        told = failure(await yard.outcome(seconds=2))
    assert told.reason == "builder-interrupted"
    assert "2 times" in told.detail
    assert len(yard.works) == 2
    assert f"failed: {told.detail}" in await yard.said()


@virtual
async def test_one_that_is_stopped_after_two_deaths_is_cancelled(yard: Yard):
    for _ in range(2):
        life = asyncio.create_task(service(yard, Life()))
        if not yard.told():
            await yard.request("d1")
        await asyncio.sleep(2)
        await end(life)
    await yard.stop("d1")
    async with running(yard):
        await yard.outcome(seconds=2)
    assert yard.outcomes() == ["cancelled"]


@pytest.mark.parametrize("away", [1.0, 500.0])
@virtual
async def test_a_restart_does_not_renew_the_deadline(yard: Yard, away: float):
    yard.seconds = 1e6
    began = yard.world.clock.now()
    first = asyncio.create_task(service(yard, Life()))
    await yard.request("d1", limits=Limits(build=90))
    await asyncio.sleep(60)
    await end(first)
    await asyncio.sleep(away)
    async with running(yard):
        told = failure(await yard.outcome())
    assert told.reason == "build-timeout"
    after = (yard.world.clock.now() - began).total_seconds()
    assert after == pytest.approx(max(90, 60 + away), abs=2)
    started = [e for e in yard.world.events("build", "d1") if isinstance(e, BuildStarted)]
    assert len({event.deadline for event in started}) == 1


@virtual
async def test_a_request_that_cannot_be_handled_is_failed(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
):
    async def broken(*_: Any) -> Any:
        raise RuntimeError("no key store")

    monkeypatch.setattr("slipway.sealing.Opener.for_organization", broken)
    async with running(yard):
        await yard.request("d1")
        told = failure(await yard.outcome(seconds=300))
    assert yard.told() == ["failed"]
    assert (told.reason, "RuntimeError" in told.detail) == ("internal-error", True)


@virtual
async def test_giving_up_twice_is_giving_up_once_and_never_behind_an_outcome(yard: Yard):
    builds, error = yard.builds(Life()), RuntimeError("x")
    first, second = await yard.request("d1"), await yard.request("d2")
    for _ in range(2):
        await builds.dead(first, error)
    await builds.react(second)
    await builds.dead(second, error)
    assert (yard.told("d1"), yard.outcomes("d2")) == (["failed"], ["succeeded"])
    with pytest.raises(NoFact):
        await builds.dead(await yard.stop("d1"), error)


@pytest.mark.parametrize("letter", ["x", "é"])
@virtual
async def test_a_variable_that_no_program_can_be_given(yard: Yard, letter: str):
    value = letter * (140_000 // len(letter.encode()))
    async with running(yard):
        await yard.request("d1", variables=(Variable(name="HUGE", value=value),))
        told = failure(await yard.outcome())
    assert told.reason == "variable-too-large"
    assert "HUGE" in told.detail
    assert yard.works == []


class Away(MemoryLogs):
    """Nothing can be stored."""

    async def write(self, subject: str, lines: Sequence[LogLine]) -> None:
        raise ConnectionError("no answer")


class NoArchive(MemoryObjects):
    async def put(self, name: str, data: bytes) -> None:
        raise ConnectionError("no answer")


@virtual
async def test_a_log_that_cannot_be_stored_fails_no_build(yard: Yard):
    yard.logs, yard.archive = Away(), NoArchive()
    async with running(yard):
        await yard.request("d1")
        await yard.outcome(seconds=40)
    assert yard.told() == ["started 1", "succeeded"]


@virtual
async def test_a_request_of_a_newer_release_is_not_passed_over(yard: Yard):
    request = await yard.request("d1")
    commit = await fact(yard.world, "deployment", "d2", newer(request.events[0]))
    builds = yard.builds(Life())
    assert key(commit) is not None
    with pytest.raises(NewerRelease) as caught:
        await builds.react(commit)
    with pytest.raises(NoFact):  # so it becomes a dead letter
        await builds.dead(commit, caught.value)
    assert yard.works == []
