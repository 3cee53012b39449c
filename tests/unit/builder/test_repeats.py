"""What ran before runs again, whole or by its images alone: nothing is built."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from builder.build.job import Job
from builder.build.react import Made
from builder.build.work import work
from slipway.contracts.build import BuildFailed, BuildStarted, BuildSucceeded, WorkloadsObject
from slipway.contracts.deployment import Repeats
from slipway.contracts.event import Event
from slipway.contracts.values import BuiltImage, GitCommit, GitSource, Runtime
from slipway.contracts.workload import MAIN, Built, Workloads
from slipway.runtime.engine import EngineAway, EngineRefused

from tests.simulation.platform import fact
from tests.simulation.world import virtual
from tests.unit.builder.parts import Played, why
from tests.unit.builder.yard import FAILURE, Yard, made, running

SOURCE = GitSource(url="http://140.82.121.4/shop/app.git")
COPIED = BuiltImage(reference="org/a1@sha256:1", node="node1", source="nginx:1")
MADE = BuiltImage(reference="org/a1@sha256:2", node="node1")
COMMIT = GitCommit(hash="2" * 40, message="Two", author="Ada")
OF: dict[str, Any] = {"kind": "application", "service": "a1", "environment": "e"}
modes = pytest.mark.parametrize("whole", [True, False], ids=["whole", "images"])


def outcome(*images: BuiltImage) -> BuildSucceeded:
    """Of a former deployment `d0`."""
    names = (MAIN, "db")[: len(images)]
    return BuildSucceeded(
        **OF,
        workloads=tuple(
            Built(name=name, digest=name, image=image)
            for name, image in zip(names, images, strict=True)
        ),
        sealed=WorkloadsObject(name="a1.d0.1", hash="0" * 64),
        commit=COMMIT,
    )


@pytest.fixture
def played(tmp_path: Path) -> Played:
    return Played(tmp_path)


@modes
@pytest.mark.parametrize("image", [COPIED, MADE])
async def test_nothing_is_built(played: Played, whole: bool, image: BuiltImage):
    played.engine.here[image.reference] = image
    job = played.job(SOURCE, former=(outcome(image), whole))
    await work(job)
    assert (job.commit, job.built, job.steps) == (COMMIT, False, ())
    assert (played.programs.ran, played.engine.pulled) == ([], [])
    assert played.left() == []


@modes
async def test_what_ran_before_is_pulled_again_by_its_digest(played: Played, whole: bool):
    played.engine.registry[COPIED.reference] = COPIED
    await work(played.job(SOURCE, former=(outcome(COPIED), whole)))
    assert played.engine.pulled == [COPIED.reference]
    assert played.programs.ran == []


@modes
@pytest.mark.parametrize("image", [COPIED, MADE])
async def test_what_ran_before_and_is_gone(played: Played, whole: bool, image: BuiltImage):
    def job() -> Job:
        return played.job(SOURCE, former=(outcome(image), whole))

    assert (await why(job())).reason == "image-missing"
    played.engine.refuses = EngineRefused("denied")
    assert (await why(job())).reason == "image-missing"
    played.engine.trouble = EngineAway("no answer")
    assert (await why(job())).reason == "engine-away"


async def test_repeated_whole_it_is_the_former_outcome(played: Played):
    played.engine.here |= {image.reference: image for image in (COPIED, MADE)}
    former = outcome(COPIED, MADE)
    assert await work(played.job(SOURCE, former=(former, True))) == former


async def test_repeated_whole_it_needs_the_image_of_each_workload(played: Played):
    played.engine.here[COPIED.reference] = COPIED
    failure = await why(played.job(SOURCE, former=(outcome(COPIED, MADE), True)))
    assert failure.reason == "image-missing"
    assert MADE.reference in failure.detail


async def test_of_its_images_alone_new_workloads_are_made(played: Played):
    played.engine.here[MADE.reference] = MADE
    runtime = Runtime(port=3000, command=("serve",))
    job = played.job(
        SOURCE, runtime=runtime, former=(outcome(MADE), False), variables={"MODE": "new"}
    )
    found = await work(job)
    assert isinstance(found, Workloads)
    (program,) = found.items
    assert (program.image, program.port, program.command) == (MADE, 3000, ("serve",))
    assert dict(program.environment) == {
        "MODE": "new",
        "PORT": "3000",
        "SLIPWAY_GIT_COMMIT": "2" * 40,
        "SLIPWAY_GIT_MESSAGE": "Two",
        "SLIPWAY_GIT_AUTHOR": "Ada",
    }


# -- by the log -----------------------------------------------------------------------------------


async def again(job: Job) -> Made:
    assert job.former is not None
    return job.former[0]


@virtual
async def test_the_outcome_says_what_the_former_said(yard: Yard):
    async with running(yard):
        await yard.request("d0")
        former = await yard.outcome("d0")
        yard.play = again
        await yard.request("d1", repeats=Repeats(deployment="d0"))
        told = await yard.outcome("d1")
        assert (told.workloads, told.sealed) == (former.workloads, former.sealed)
        assert told.built is False
        assert await yard.world.workloads.get("a1.d1.1") is None, "there is one object of both"
        await yard.request("d2", repeats=Repeats(deployment="d1"))
        last = await yard.outcome("d2")
    assert await yard.opened(last) == made()


@modes
@virtual
async def test_the_work_is_given_the_former_outcome(yard: Yard, whole: bool):
    former = outcome(COPIED)
    await fact(yard.world, "build", "d0", former)
    async with running(yard):
        await yard.request("d1", repeats=Repeats(deployment="d0", whole=whole))
        await yard.outcome()
    assert [job.former for job in yard.works] == [(former, whole)]


STARTED = BuildStarted(**OF, attempt=1, deadline="2027-01-01T00:00:00Z")


@modes
@pytest.mark.parametrize(
    "there", [(), (STARTED,), (STARTED, BuildFailed(**OF, failure=FAILURE))], ids=len
)
@virtual
async def test_where_the_former_has_no_outcome_it_says_so(
    yard: Yard, whole: bool, there: tuple[Event, ...]
):
    if there:
        await fact(yard.world, "build", "d0", *there)
    async with running(yard):
        await yard.request("d1", repeats=Repeats(deployment="d0", whole=whole))
        told = await yard.outcome()
    assert yard.told() == ["started 1", "failed"]
    assert told.failure.reason == "nothing-to-repeat"
    assert "d0" in told.failure.detail
    assert told.failure.hint
    assert yard.works == []


@virtual
async def test_a_repeat_waits_for_no_build(yard: Yard):
    await fact(yard.world, "build", "d0", outcome(COPIED))
    yard.seconds = 600
    async with running(yard):
        for number in (1, 2, 3):
            await yard.request(f"d{number}", service=f"a{number}")
        await yard.request("d4", service="a4", repeats=Repeats(deployment="d0"))
        await asyncio.sleep(1)
        assert sorted(job.deployment for job in yard.works) == ["d1", "d2", "d4"]
