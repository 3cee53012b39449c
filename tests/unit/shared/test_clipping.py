"""What comes from outside is cut where a value is made of it: the largest event fits a commit."""

import time
from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from slipway.contracts.build import BuildCancelled, BuildFailed, BuildSucceeded, WorkloadsObject
from slipway.contracts.clipping import clipped, shown, stored_size
from slipway.contracts.deployment import (
    DeploymentExpired,
    DeploymentFailed,
    DeploymentSucceeded,
)
from slipway.contracts.event import Event
from slipway.contracts.logs import LogLine
from slipway.contracts.rollout import (
    Pending,
    Release,
    Released,
    RolloutFailed,
    RolloutState,
    RolloutWaiting,
    Task,
    Waiting,
)
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
    assert once == shown(text) or shown(text).startswith(once.removesuffix(" …"))


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("a\tb\nc é 😀 \\x07", "a\tb\nc é 😀 \\x07"),
        ("\x1b[1;31mred\x1b[0m \x1b[2K\x1b[10;4H", "red "),
        ("\x1b]0;title\x07\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b(B\x1b7\x1bc", ""),
        ("10%\r20%", "10% 20%"),
        ("\x00\x07\x0b\x7f", "\\x00\\x07\\x0b\\x7f"),
        ("\x85\x9b2J", "\\x85\\x9b2J"),
        ("\u202eevil\u202c \u2066\u2069", "\\u202eevil\\u202c \\u2066\\u2069"),
        ("\u061c\u200e\u200f\u2028", "\\u061c\\u200e\\u200f\\u2028"),
        ("\x1b", "\\x1b"),
        ("\x1b\x1b[m[31m", "\\x1b[31m"),
        ("\x1b[31", "31"),
    ],
)  # fmt: skip
def test_what_steers_a_terminal_is_left_out_or_written_out(text: str, plain: str):
    assert shown(text) == plain
    assert clipped(text, 1000) == plain
    assert LogLine(at=AT, step=text, text=text).model_dump() == {
        "at": AT, "stream": "stdout", "step": plain, "text": plain,
    }  # fmt: skip
    failure = Failure(reason="r", detail=text, hint=text, lines=(text,))
    assert (failure.detail, failure.hint, failure.lines) == (plain, plain, (plain,))
    assert Step(name=text, started=AT).name == plain


@given(st.text(alphabet="\x1b[]0;31mK\x07\x9d\\\r\u202ea"))
def test_nothing_that_steers_a_terminal_is_left(text: str):
    assert shown(shown(text)) == shown(text)
    assert not set(shown(text)) & set("\x1b\x07\x9d\r\u202e")


def test_a_long_text_is_looked_at_once():
    began = time.perf_counter()
    for piece in ("\x1b]", "\x1b[", "\x1b]0;", "\x9d", "\x1b[1"):
        shown(piece * 300_000)
    shown("\x1b]" + "a" * 1_000_000)
    assert time.perf_counter() - began < 20


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
SEALED = WorkloadsObject(name=f"{ID}.{ID}.1", hash="0" * 64)
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
    environment=ID, serving=RELEASE, wanted=RELEASE, deadline=AT, waiting=Waiting(words=LONG),
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
    RolloutWaiting(service=ID, kind=KIND, deployment=ID, state=STATE, words=LONG),
    DeploymentSucceeded(service=ID, kind=KIND, commit=COMMIT),
    DeploymentFailed(service=ID, kind=KIND, failure=FAILURE),
    DeploymentExpired(service=ID, kind=KIND, failure=FAILURE),
]


@pytest.mark.parametrize("event", LARGEST, ids=lambda event: event.type)
def test_the_largest_event_fits_a_commit_with_room(event: Event):
    size = len(codec.to_bytes(Head(1 << 50, 99, "0" * 64), [event], META))
    assert size < 0.75 * codec.LIMIT
