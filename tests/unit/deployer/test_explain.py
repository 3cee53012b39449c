"""Why a release did not come to serve, in words and with figures."""

import pytest
from deployer.rollout import explain
from deployer.rollout.domain import TaskView


def ended(error: str = "", code: int | None = None) -> TaskView:
    return TaskView("t", "ended", exit_code=code, error=error)


@pytest.mark.parametrize(
    ("task", "reason", "words"),
    [
        (ended("task: non-zero exit (3)", 3), "exited", "exit code 3"),
        (ended("", 0), "exited", "exit code 0"),
        (ended("task: non-zero exit (137)", 137), "killed", "137"),
        (ended("task: non-zero exit (137): dockerexec: unhealthy container", 137),
         "unhealthy", "health check kept failing"),
        (ended("No such image: sha256:abc"), "image-missing", "sha256:abc"),
        (ended('starting container failed: exec: "x": not found', 127), "not-started", "exec"),
        (ended("invalid mount config"), "not-started", "invalid mount config"),
    ],
)  # fmt: skip
def test_a_task_that_ended(task: TaskView, reason: str, words: str):
    failure = explain.task(task, ready=False)
    assert failure.reason == reason
    assert words in failure.detail
    assert failure.hint


def test_when_it_ended_is_told():
    assert "at its start" in explain.task(ended(code=1), ready=False).detail
    assert "after it had been healthy" in explain.task(ended(code=1), ready=True).detail


@pytest.mark.parametrize(
    ("tasks", "words"),
    [
        ([], "no task was placed"),
        ([TaskView("t", "stopping")], "no task was placed"),
        ([TaskView("t", "starting")], "did not become ready in time"),
        ([TaskView("t", "starting", error="no suitable node"),
          TaskView("u", "starting", error="no suitable node")], "in time: no suitable node"),
    ],
)  # fmt: skip
def test_one_that_never_became_ready(tasks: list[TaskView], words: str):
    failure = explain.never_ready(tasks)
    assert failure.reason == "rollout-timeout"
    assert failure.detail.endswith(words) or words in failure.detail


def test_the_last_twenty_lines_are_kept():
    failure = explain.with_lines(explain.no_route(), [str(number) for number in range(50)])
    assert failure.lines == tuple(str(number) for number in range(30, 50))


def test_every_reason_is_stable_and_has_a_next_step():
    reasons = {
        failure.reason: failure.hint
        for failure in (
            explain.unhealthy("/ answered 500"),
            explain.no_route(),
            explain.secrets_unreadable("KEY"),
            explain.refused("no"),
            explain.no_command("nginx"),
            explain.never_ready([]),
        )
    }
    assert set(reasons) == {
        "unhealthy", "route-timeout", "secrets-unreadable", "engine-refused", "rollout-timeout",
        "no-command",
    }  # fmt: skip
    assert all(reasons.values())
