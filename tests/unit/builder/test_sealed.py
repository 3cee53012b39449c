"""What is to run lies sealed beside the log, which says only what anybody may see of it."""

import asyncio
from typing import Any

import orjson
import pytest
from builder.build.job import Job
from builder.build.react import Made
from slipway.contracts.build import BuildFailed, BuildSucceeded
from slipway.contracts.deployment import Limits
from slipway.contracts.event import encode
from slipway.contracts.service import ServiceDeleted
from slipway.contracts.values import BuiltImage
from slipway.contracts.workload import LARGEST, Workload, Workloads, from_json, to_json
from slipway.eventstore.memory import MemoryObjects
from slipway.sealing import CannotOpen

from tests.simulation.platform import KEY, fact
from tests.simulation.world import Life, virtual
from tests.unit.builder.yard import IMAGE, Yard, made, running

SECRET = {"KEY": "hunter2"}
DATABASE = Workload(name="db", image=BuiltImage(reference="postgres@sha256:2"), port=5432)
BOTH = Workloads(items=(*made(environment=SECRET, port=80).items, DATABASE), hidden=())


def plays(yard: Yard, workloads: Workloads) -> None:
    async def play(_: Job) -> Made:
        return workloads

    yard.play = play


async def built(yard: Yard, deployment: str = "d1") -> BuildSucceeded:
    async with running(yard):
        await yard.request(deployment)
        outcome = await yard.outcome(deployment)
    assert isinstance(outcome, BuildSucceeded)
    return outcome


@virtual
async def test_what_is_sealed_opens_to_what_was_made(yard: Yard):
    plays(yard, BOTH)
    outcome = await built(yard)
    assert await yard.opened(outcome) == BOTH
    data = await yard.world.workloads.get(outcome.sealed.name)
    assert data is not None
    assert b"hunter2" not in data
    with pytest.raises(CannotOpen):
        KEY.open_object(data, "a1.d2.1")


@virtual
async def test_of_each_workload_is_told_what_anybody_may_see(yard: Yard):
    plays(yard, BOTH)
    outcome = await built(yard)
    assert [(each.name, each.image, each.port) for each in outcome.workloads] == [
        ("main", IMAGE, 80),
        ("db", DATABASE.image, 5432),
    ]
    secret = KEY.secret_for("workload digest")
    assert [each.digest for each in outcome.workloads] == [
        each.digest(secret) for each in BOTH.items
    ]
    assert b"hunter2" not in orjson.dumps(encode(outcome))


@virtual
async def test_the_same_workloads_of_two_deployments_have_the_same_digests(yard: Yard):
    plays(yard, BOTH)
    one, other = await built(yard), await built(yard, "d2")
    assert one.workloads == other.workloads
    assert one.sealed != other.sealed


@virtual
async def test_another_attempt_writes_another_object(yard: Yard):
    """The first builder was only paused: what it writes late takes nothing from the second."""
    gates = [asyncio.Event(), asyncio.Event()]
    each = [made(environment={"ATTEMPT": number}) for number in "12"]

    async def play(_: Job) -> Made:
        number = len(yard.works) - 1
        await gates[number].wait()
        return each[number]

    yard.play = play
    commit = await yard.request("d1")
    both = []
    for _ in gates:
        both.append(asyncio.create_task(yard.builds(Life()).react(commit)))
        await asyncio.sleep(1)
    for gate in reversed(gates):
        gate.set()
        await asyncio.sleep(1)
    await asyncio.gather(*both)
    outcome = await yard.outcome()
    assert outcome.sealed.name == "a1.d1.2"
    assert await yard.opened(outcome) == each[1]
    first = await yard.world.workloads.get("a1.d1.1")
    assert first is not None
    assert from_json(KEY.open_object(first, "a1.d1.1")) == each[0]


@pytest.mark.parametrize("over", [0, 1])
@virtual
async def test_workloads_that_are_too_large(yard: Yard, over: int):
    filled = LARGEST - len(to_json(made(environment={"A": ""}))) + over
    plays(yard, made(environment={"A": "x" * filled}))
    async with running(yard):
        await yard.request("d1")
        outcome = await yard.outcome()
    assert yard.outcomes() == ["failed" if over else "succeeded"]
    if over:
        assert isinstance(outcome, BuildFailed)
        assert outcome.failure.reason == "workloads-too-large"
        assert str(LARGEST + 1) in outcome.failure.detail
        assert await yard.world.workloads.get("a1.d1.1") is None


@virtual
async def test_what_a_deleted_service_ran_goes_with_it(yard: Yard):
    """Also what is stored while it is deleted, and what no event tells of."""
    async with running(yard):
        for deployment, service in (("d1", "a1"), ("d2", "a1"), ("d3", "a10")):
            await yard.request(deployment, service=service)
            await yard.outcome(deployment)
        await yard.world.workloads.put("a1.d0.1", b"of an attempt that died")
        await yard.request("d4")
        await fact(yard.world, "service", "a1", ServiceDeleted(project="p", environment="e"))
        await yard.outcome("d4")
        await asyncio.sleep(1)
        assert list(yard.world.workloads._objects) == ["a10.d3.1"]


class Away(MemoryObjects):
    """So many times nothing can be stored."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.left = times

    async def put(self, name: str, data: bytes) -> None:
        if self.left:
            self.left -= 1
            raise ConnectionError("no answer")
        await super().put(name, data)


@virtual
async def test_what_was_built_is_not_given_up_for_a_moment_without_an_answer(yard: Yard):
    yard.world.workloads = Away(3)
    outcome = await built(yard)
    assert yard.told() == ["started 1", "succeeded"]
    assert await yard.opened(outcome) == made()


@virtual
async def test_what_can_never_be_stored_ends_with_a_reason(yard: Yard):
    yard.world.workloads = Away(1000)
    async with running(yard):
        await yard.request("d1")
        outcome = await yard.outcome(seconds=120)
    assert isinstance(outcome, BuildFailed)
    assert outcome.failure.reason == "internal-error"
    assert "ConnectionError" in outcome.failure.detail


class Silent(MemoryObjects):
    async def put(self, name: str, data: bytes) -> Any:
        await asyncio.sleep(1e6)


@virtual
async def test_it_is_stopped_while_it_is_stored(yard: Yard):
    yard.world.workloads = Silent()
    async with running(yard):
        await yard.request("d1")
        await asyncio.sleep(yard.seconds + 1)
        await yard.stop("d1")
        await yard.outcome(seconds=2)
    assert yard.outcomes() == ["cancelled"]


@virtual
async def test_storing_it_takes_no_longer_than_the_build_may(yard: Yard):
    yard.world.workloads = Silent()
    async with running(yard):
        await yard.request("d1", limits=Limits(build=90))
        outcome = await yard.outcome(seconds=100)
    assert isinstance(outcome, BuildFailed)
    assert outcome.failure.reason == "build-timeout"
