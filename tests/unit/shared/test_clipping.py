"""What comes from outside is cut where a value is made of it: the largest event fits a commit."""

from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from slipway.contracts.build import BuildCancelled, BuildFailed, BuildSucceeded, WorkloadsObject
from slipway.contracts.clipping import clipped, stored_size
from slipway.contracts.deployment import (
    DeploymentExpired,
    DeploymentFailed,
    DeploymentSucceeded,
)
from slipway.contracts.event import Event
from slipway.contracts.logs import LogLine
from slipway.contracts.rollout import Pending, Release, Released, RolloutFailed, RolloutState, Task
from slipway.contracts.values import BuiltImage, Failure, GitCommit, Step
from slipway.contracts.workload import MOST, Built
from slipway.eventstore import codec
from slipway.kernel.envelope import Actor, Head, Meta

ID = "0" * 36
KIND = "application"
AT = "2026-01-01T10:00:00.000Z"
META = Meta(ID, datetime.now(UTC), Actor("service", "builder"), ID, cause=ID, request=ID)


@pytest.mark.parametrize("letter", ["a", "é", "\x01", '"', "\n", "😀", "\ud800"])
@pytest.mark.parametrize("length", [0, 1, 50, 99, 100, 101, 5000])
def test_bytes_are_counted_as_they_are_stored(letter: str, length: int):
    cut = clipped(letter * length, 100)
    assert len(orjson.dumps(cut)) - 2 <= 100
    if letter == "a" and length <= 100:
        assert cut == "a" * length
    if length > 100:
        assert cut.endswith("…")


@given(st.text(), st.integers(10, 60))
def test_clipping_twice_is_clipping_once(text: str, limit: int):
    once = clipped(text, limit)
    assert stored_size(once) == len(orjson.dumps(once)) - 2 <= limit
    assert clipped(once, limit) == once
    assert once == text or text.startswith(once.removesuffix(" …"))


def test_what_a_value_is_changed_to_is_cut_too():
    failure = Failure(reason="r", detail="d").model_copy(update={"lines": ("x" * 9000,) * 900})
    assert len(failure.lines) == 40
    assert {len(line.encode()) for line in failure.lines} == {2000}


def test_of_lines_and_steps_the_last_are_kept():
    failure = Failure(reason="r", detail="d", lines=tuple(map(str, range(900))))
    assert failure.lines == tuple(map(str, range(860, 900)))
    step = Step(name="RUN x", started=AT)
    steps = tuple(step.model_copy(update={"name": str(n)}) for n in range(900))
    cancelled = BuildCancelled(service=ID, kind=KIND, environment=ID, steps=steps)
    assert [s.name for s in cancelled.steps] == [str(n) for n in range(600, 900)]


def test_of_workloads_the_first_are_kept():
    image = BuiltImage(reference="r")
    workloads = tuple(Built(name=f"n{n}", digest="x", image=image) for n in range(MOST + 1))
    built = BuildSucceeded(
        service=ID, kind=KIND, environment=ID, workloads=workloads,
        sealed=WorkloadsObject(name="d.1", hash=""),
    )  # fmt: skip
    assert built.workloads == workloads[:MOST]


def test_the_step_of_a_log_line_is_cut():
    assert len(LogLine(at=AT, step="x" * 600_000, text="hello").step) < 600


# Each text and list is far longer than its bound.
LONG = "\x01" * 16_000
FAILURE = Failure(reason=LONG, detail=LONG, hint=LONG, lines=(LONG,) * 500)
COMMIT = GitCommit(hash=LONG, message=LONG, author=LONG)
IMAGE = BuiltImage(
    reference=f"{'i' * 400}@sha256:{'0' * 64}", node=ID, source="i" * 500,
    ports=tuple(range(1, 65536)),
)  # fmt: skip
STEPS = (Step(name=LONG, started=AT, ended=AT),) * 5000
SEALED = WorkloadsObject(name=f"{ID}.1", hash="0" * 64)
BUILT = tuple(Built(name=LONG, digest=LONG, image=IMAGE, port=65535) for _ in range(2 * MOST))
RELEASE = Release(
    deployment=ID, sequence=1 << 50, sealed=SEALED, commit=COMMIT,
    workloads=(
        Released(
            name="n" * 100, swarm_service="s" * 63, image=IMAGE, digest="0" * 32, port=65535,
            health_path="/" * 500,
        ),
    ) * MOST,
)  # fmt: skip
STATE = RolloutState(
    environment=ID, serving=RELEASE, wanted=RELEASE, deadline=AT,
    queue=(Pending(deployment=ID, sequence=1 << 50),) * 500,
    tasks=(
        Task(
            id="t" * 25, workload="n" * 100, address="fd00:1234:5678:9abc:def0:1234:5678:9abc"
        ),
    ) * 100,
)  # fmt: skip
LARGEST: list[Event] = [
    BuildSucceeded(
        service=ID,
        kind=KIND,
        environment=ID,
        workloads=BUILT,
        sealed=SEALED,
        commit=COMMIT,
        steps=STEPS,
    ),
    BuildFailed(service=ID, kind=KIND, environment=ID, failure=FAILURE, commit=COMMIT, steps=STEPS),
    BuildCancelled(service=ID, kind=KIND, environment=ID, steps=STEPS),
    RolloutFailed(service=ID, kind=KIND, deployment=ID, state=STATE, failure=FAILURE),
    DeploymentSucceeded(service=ID, kind=KIND, commit=COMMIT),
    DeploymentFailed(service=ID, kind=KIND, failure=FAILURE),
    DeploymentExpired(service=ID, kind=KIND, failure=FAILURE),
]


@pytest.mark.parametrize("event", LARGEST, ids=lambda event: event.type)
def test_the_largest_event_fits_a_commit_with_room(event: Event):
    size = len(codec.to_bytes(Head(1 << 50, 99, "0" * 64), [event], META))
    assert size < 0.75 * codec.LIMIT
