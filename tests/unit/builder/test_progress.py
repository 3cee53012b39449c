"""BuildKit's progress as it was recorded, and what the builder makes of it."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from builder.build import failures
from builder.build.progress import Progress

from tests.golden.cases import cases, check

NOW = "2026-01-01T00:00:00.000Z"


def told(recorded: str) -> dict[str, Any]:
    progress = Progress()
    lines = [
        f"{line.stream} {line.step} | {line.text}"
        for row in recorded.splitlines()
        for line in progress.feed(row, NOW)
    ]
    steps = [f"{step.name}{' (cached)' if step.cached else ''}" for step in progress.steps()]
    bad = "ERROR" in recorded
    failure = failures.build(progress.failed(), progress.text) if bad else None
    return {"lines": lines, "steps": steps, "failure": failure and failure.model_dump()}


@pytest.mark.parametrize("file", cases("buildkit"), ids=lambda file: file.stem)
def test_a_recorded_build(file: Path):
    check(file, told, str)


@pytest.mark.parametrize("file", cases("buildkit"), ids=lambda file: file.stem)
def test_a_step_never_ends_before_it_started(file: Path):
    progress = Progress()
    for row in file.read_text().splitlines():
        progress.feed(row, NOW)
    for step in progress.steps():
        assert step.ended is None or step.started <= step.ended, step


def vertex(**more: Any) -> str:
    return json.dumps({"vertexes": [{"digest": "v", "name": "[2/3] RUN make", **more}]})


def log(text: str, stream: int = 1) -> str:
    data = base64.b64encode(text.encode()).decode()
    at = "2026-01-01T10:00:00.123456789Z"
    return json.dumps({"logs": [{"vertex": "v", "stream": stream, "data": data, "timestamp": at}]})


def texts(*rows: str) -> list[str]:
    progress = Progress()
    return [
        line.text for row in rows for line in progress.feed(row, NOW) if line.stream != "system"
    ]


STARTED = vertex(started="2026-01-01T10:00:00Z")
DONE = vertex(started="2026-01-01T10:00:00Z", completed="2026-01-01T10:00:09.5Z")


@pytest.mark.parametrize(
    ("rows", "lines"),
    [
        ([log("one\ntwo\n")], ["one", "two"]),
        ([log("on"), log("e\ntw"), log("o\n")], ["one", "two"]),
        ([log("no end"), DONE], ["no end"]),
        ([log("a\r\nb\r\n")], ["a", "b"]),
        ([log("\n\n")], ["", ""]),
        ([log("größe\n")], ["größe"]),
        ([DONE, DONE], []),
    ],
)
def test_lines_are_whole_however_they_arrive(rows: list[str], lines: list[str]):
    assert texts(STARTED, *rows) == lines


def test_a_letter_that_arrives_in_two_halves_is_one():
    whole = "é\n".encode()
    rows = []
    for part in (whole[:1], whole[1:]):
        entry = json.loads(log(""))
        entry["logs"][0]["data"] = base64.b64encode(part).decode()
        rows.append(json.dumps(entry))
    assert texts(STARTED, *rows) == ["é"]


def test_a_line_knows_its_time_its_step_and_its_stream():
    progress = Progress()
    progress.feed(STARTED, NOW)
    (line,) = progress.feed(log("oops\n", stream=2), NOW)
    assert line.at == "2026-01-01T10:00:00.123Z"
    assert (line.step, line.stream) == ("[2/3] RUN make", "stderr")


def test_a_step_is_announced_once_and_has_its_times():
    progress = Progress()
    said = [
        line.text for row in (vertex(), STARTED, STARTED, DONE) for line in progress.feed(row, NOW)
    ]
    assert said == ["[2/3] RUN make"]
    (step,) = progress.steps()
    assert (step.started, step.ended) == ("2026-01-01T10:00:00.000Z", "2026-01-01T10:00:09.500Z")


def test_what_the_program_does_for_itself_is_no_step():
    progress = Progress()
    row = vertex(started="2026-01-01T10:00:00Z").replace("[2/3] RUN make", "[internal] load")
    assert progress.feed(row, NOW) == []
    assert progress.steps() == ()


def test_the_step_that_failed_and_not_those_it_took_along():
    progress = Progress()
    cancelled = vertex(error="context canceled").replace('"v"', '"w"')
    failed = vertex(error='process "/bin/sh -c make" did not complete: exit code: 2')
    for row in (cancelled, STARTED, log("working\nbad"), failed):
        progress.feed(row, NOW)
    assert progress.failed() == (
        "[2/3] RUN make",
        'process "/bin/sh -c make" did not complete: exit code: 2',
        ["working", "bad"],
    )


@pytest.mark.parametrize("row", ["ERROR: no builder", "[1, 2]", "12", '"text"', "", "{broken"])
def test_what_is_no_status_is_the_programs_own_word(row: str):
    progress = Progress()
    assert progress.feed(row, NOW) == []
    assert progress.text == [row]
    assert progress.failed() is None


# -- what is too much -----------------------------------------------------------------------------


def test_a_line_that_never_ends_is_cut():
    progress = Progress()
    progress.feed(STARTED, NOW)
    for _ in range(2000):
        assert progress.feed(log("x" * 1000), NOW) == []
    (line,) = progress.feed(log("\n"), NOW)
    assert len(line.text) == 16_000
    progress.feed(vertex(error="exit code: 1"), NOW)
    failed = progress.failed()
    assert failed is not None
    assert failed[2] == [line.text]


def test_a_step_of_any_length_is_one():
    row = STARTED.replace("RUN make", f"RUN echo {'x' * 540_000}")
    progress = Progress()
    (line,) = progress.feed(row, NOW)
    assert len(line.step) <= 500
    (step,) = progress.steps()
    assert len(step.name) <= 500
    error = f"process {'x' * 540_000} did not complete successfully: exit code: 3"
    progress.feed(row.replace('"name"', f'"error": "{error}", "name"'), NOW)
    failure = failures.build(progress.failed(), [])
    assert failure.detail.endswith("ended with exit code 3")


def test_of_the_programs_own_words_the_last_are_kept():
    progress = Progress()
    for number in range(5000):
        progress.feed(f"{number} {'x' * 100_000}", NOW)
    assert [word.split()[0] for word in progress.text] == [str(n) for n in range(4900, 5000)]
    assert sum(map(len, progress.text)) < 2_000_000


def test_of_steps_that_are_over_no_lines_are_kept():
    progress = Progress()
    for number in range(100):
        rows = (STARTED, log("x" * 900 + "\n"), DONE)
        for row in rows:
            progress.feed(row.replace('"v"', f'"{number}"'), NOW)
    assert not any(vertex.lines for vertex in progress.vertices.values())


def test_what_is_kept_of_steps_has_an_end():
    progress = Progress()
    at = "2026-01-01T10:00:00Z"
    for number in range(3000):
        made = {"digest": f"v{number}", "name": f"step {number}", "started": at, "completed": at}
        progress.feed(json.dumps({"vertexes": [made]}), NOW)
        said = {"vertex": f"v{number}", "stream": 1, "data": "eA==", "timestamp": at}
        progress.feed(json.dumps({"logs": [said]}), NOW)
    assert len(progress.vertices) == 1000
    assert len(progress.steps()) == 1000


def test_what_is_kept_of_all_lines_has_an_end():
    progress = Progress()
    at = "2026-01-01T10:00:00Z"
    line = base64.b64encode(b"x" * 15_000 + b"\n").decode()
    for number in range(900):
        fails = {"digest": f"v{number}", "name": f"step {number}", "started": at, "error": "no"}
        said = [{"vertex": f"v{number}", "stream": 1, "data": line, "timestamp": at}] * 2
        progress.feed(json.dumps({"vertexes": [fails], "logs": said}), NOW)
    held = sum(len(line) for each in progress.vertices.values() for line in each.lines)
    assert held < 5 << 20
    assert len(progress.vertices["v899"].lines) == 2, "those of the step that speaks are there"
