"""Why a release did not come to serve, in words and with figures."""

from datetime import UTC, datetime, timedelta

import pytest
from deployer.rollout import explain
from deployer.rollout.domain import Health, SwarmServiceView, TaskView
from deployer.rollout.render import LIFELINE
from slipway.testing.releases import release


def ended(error: str = "", code: int | None = None) -> TaskView:
    return TaskView("t", "ended", exit_code=code, error=error)


@pytest.mark.parametrize(
    ("task", "reason", "words"),
    [
        (ended("task: non-zero exit (3)", 3), "exited", "exit code 3"),
        (ended("", 0), "exited", "exit code 0"),
        (ended("task: non-zero exit (137)", 137), "killed", "137"),
        (ended("task: non-zero exit (143): dockerexec: unhealthy container", 143),
         "unhealthy", "health check kept failing"),
        (ended("dockerexec: unhealthy container", 0), "unhealthy", "health check kept failing"),
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


NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
LATE = "the health check failed for 80 s after its start"
OURS = f"{LIFELINE} check 3000"
NOWHERE = "nothing listens on port 3000 (tried 127.0.0.1); the program listens on 80"


def health(asked: str, answer: str, code: int = 1) -> Health:
    """Of a container that began 80 s ago and has answered badly for the last 12."""
    words = tuple(asked.split()) if asked.startswith(LIFELINE) else (asked,)
    times = (NOW - timedelta(seconds=80), NOW - timedelta(seconds=12), NOW)
    return Health(words, answer, code, *times, unhealthy=True)


@pytest.mark.parametrize(
    ("said", "ready", "reason", "detail", "to_set"),
    [
        (health(OURS, NOWHERE), False, "not-listening", f"80 s after its start {NOWHERE}", "port"),
        (health(OURS, NOWHERE), True, "not-listening",
         f"after it had been healthy {NOWHERE}", "port"),
        (health(f"{OURS} /up", "GET http://10.0.0.4:3000/up (Host: localhost) answered 400 Bad"),
         False, "unhealthy",
         f"{LATE}: GET http://10.0.0.4:3000/up (Host: localhost) answered 400 Bad",
         "health_check.host"),
        (health(f"{OURS} /up", "GET /up answered 500"), True, "unhealthy",
         "the health check failed for 12 s after it had been healthy: GET /up answered 500",
         "health_check.path"),
        (health("false", ""), False, "unhealthy",
         f"{LATE}: `false` ended with 1 and said nothing",
         "health_check"),
        (health("curl -f localhost", "/bin/sh: 1: curl: not found", 127), False, "unhealthy",
         f"{LATE}: `curl -f localhost` ended with 127 and said: /bin/sh: 1: curl: not found",
         "health_check"),
    ],
)  # fmt: skip
def test_what_the_health_check_ended_says_what_was_asked_and_what_came(
    said: Health, ready: bool, reason: str, detail: str, to_set: str
):
    failure = explain.unhealthy(said, ready=ready)
    assert (failure.reason, failure.detail) == (reason, detail)
    assert to_set in failure.hint
    assert "start_period" in failure.hint


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


@pytest.mark.parametrize(
    ("error", "to_do"),
    [
        ("no suitable node (insufficient resources on 1 node)", "memory_reservation"),
        ("no suitable node (host-mode port already in use on 1 node)", "publish another"),
        ("no suitable node (scheduling constraints not satisfied on 1 node)", "docker node ls"),
        ("no suitable node", "listen on its port"),
    ],
)
def test_what_swarm_can_t_place_says_what_to_do_about_it(error: str, to_do: str):
    waits = [TaskView("t", "starting", error=error)]
    assert to_do in explain.never_ready(waits).hint
    assert to_do in explain.job_late(waits).hint


@pytest.mark.parametrize(
    ("error", "to_do"),
    [
        ("starting container failed: Bind for :::80 failed: port is already allocated", "ports"),
        ("starting container failed: unable to find user bob: no matching entries", "set user"),
        ("invalid mount config", "check the command"),
    ],
)
def test_what_the_engine_can_t_start_says_what_to_do_about_it(error: str, to_do: str):
    assert to_do in explain.task(TaskView("t", "refused", error=error), ready=False).hint


def test_a_job_that_was_killed_is_told_of_its_memory():
    assert "memory_limit" in explain.job(137, None).hint
    assert "memory_limit" not in explain.job(1, None).hint


def test_the_last_twenty_lines_are_kept():
    failure = explain.with_lines(explain.no_route(), [str(number) for number in range(50)])
    assert failure.lines == tuple(str(number) for number in range(30, 50))


def test_every_reason_is_stable_and_has_a_next_step():
    reasons = {
        failure.reason: failure.hint
        for failure in (
            explain.unhealthy(health("x", "GET / answered 500"), ready=False),
            explain.no_route(),
            explain.workloads_unreadable("no key"),
            explain.refused("no"),
            explain.no_command("nginx"),
            explain.never_ready([]),
        )
    }
    assert set(reasons) == {
        "unhealthy", "route-timeout", "workloads-unreadable", "engine-refused", "rollout-timeout",
        "no-command",
    }  # fmt: skip
    assert all(reasons.values())


def test_what_has_to_end_first_is_named_as_its_users_know_it():
    one = release("d1")
    (main,) = one.workloads
    two = one.model_copy(update={"workloads": (main, main.model_copy(update={"name": "db"}))})
    before = SwarmServiceView("i", "s", "main", 0, 1)
    assert explain.ends(one, before).startswith("the end of the former release, which")
    assert explain.ends(two, before).startswith("the end of main as it was, which")
    assert explain.lingers(["port:80", "volume:data", "workload:main"]) == (
        "the end of what had the port 80 and the volume data"
    )
    assert explain.lingers(["workload:main"]) == "the end of a former task"


def test_the_lost_way_out_is_known_of_one_among_several():
    one = release("d1")
    (main,) = one.workloads
    two = one.model_copy(update={"workloads": (main, main.model_copy(update={"name": "db"}))})
    said = explain.no_node(two, main, "network bc0n8oyz5rh4m0tfhr8mo90i7 exists")
    assert said.startswith("a node: main: network bc0n8oyz5rh4m0tfhr8mo90i7 exists; the engine has")
