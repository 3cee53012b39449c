"""What a rollout's state is after each fact."""

from datetime import UTC, datetime, timedelta

import pytest
from deployer.rollout import domain
from slipway.contracts.deployment import Limits
from slipway.contracts.rollout import MOST_TASKS, Job, Pending, Reverting, RolloutState, Task
from slipway.testing.releases import release

ONE, TWO = Pending(deployment="d1", sequence=10), Pending(deployment="d2", sequence=20)
FIRST, SECOND = release("d1", 10), release("d2", 20)
TASK = Task(id="t", workload="main", address="10.0.0.2")


def test_each_deployment_is_queued_once():
    once = domain.queued(RolloutState(), ONE, "env")
    assert once is not None
    assert once == RolloutState(environment="env", queue=(ONE,))
    assert domain.queued(once, ONE, "env") is None
    both = domain.queued(once, TWO, "env")
    assert both is not None
    assert both.queue == (ONE, TWO)


def test_what_runs_or_was_removed_is_not_queued():
    for state in (
        RolloutState(serving=FIRST),
        RolloutState(wanted=FIRST),
        RolloutState(removed=True),
    ):
        assert domain.queued(state, ONE, "env") is None


def test_a_rollout_from_queue_to_serving():
    state = RolloutState(queue=(ONE, TWO), replicas={"main": 3}, stopped=True)
    state = domain.started(state, ONE, FIRST, "soon")
    assert state.queue == (TWO,)
    assert (state.wanted, state.highest, state.deadline) == (FIRST, 10, "soon")
    state = domain.ready(state, (TASK,), "now", "later")
    assert (state.ready, state.ready_at, state.deadline) == (True, "now", "later")
    assert [task.id for task in state.tasks] == ["t"]
    state = domain.succeeded(state, {"main": 3})
    assert (state.serving, state.wanted, state.stopped) == (FIRST, None, False)
    assert state.replicas == {"main": 3}
    assert (state.ready, state.deadline, state.queue) == (False, None, (TWO,))


def test_one_that_is_given_up_leaves_what_serves():
    state = RolloutState(
        serving=FIRST, wanted=SECOND, highest=20, ready=True, deadline="soon",
        tasks=(TASK,), queue=(Pending(deployment="d3", sequence=30),),
    )  # fmt: skip
    after = domain.given_up(state)
    assert after == RolloutState(serving=FIRST, highest=20, queue=state.queue)


def test_what_is_undone_is_still_wanted_until_that_is_over():
    state = RolloutState(serving=FIRST, wanted=SECOND, ready=True, ready_at="then", deadline="soon")
    reverting = Reverting(outcome="cancelled", paused=("s-d1",), deadline="later")
    after = domain.undone(state, reverting)
    assert (after.reverting, after.wanted, after.serving) == (reverting, SECOND, FIRST)
    assert (after.ready, after.ready_at, after.deadline) == (False, None, "later")
    assert domain.given_up(after) == RolloutState(serving=FIRST)


def test_a_job_has_begun_and_then_its_end():
    state = RolloutState(wanted=SECOND)
    begun = domain.job_started(domain.job_started(state, "a"), "b")
    assert begun.jobs == (Job(workload="a"), Job(workload="b"))
    ended = domain.job_ended(begun, "a", 3)
    assert sorted((job.workload, job.exit) for job in ended.jobs) == [("a", 3), ("b", None)]
    assert domain.started(ended, TWO, SECOND, "soon").jobs == ()
    assert domain.succeeded(ended, {}).jobs == ()


def test_of_very_many_tasks_the_event_has_the_first():
    many = tuple(TASK.model_copy(update={"id": str(n)}) for n in range(MOST_TASKS + 1))
    after = domain.ready(RolloutState(wanted=SECOND), many, "now", "soon")
    assert after.tasks == many[:MOST_TASKS]


def test_the_next_start_forgets_the_former_tasks():
    state = RolloutState(queue=(TWO,), ready=True, tasks=(TASK,))
    after = domain.started(state, TWO, SECOND, "soon")
    assert (after.ready, after.tasks) == (False, ())


def test_a_dropped_one_leaves_the_queue_only():
    state = RolloutState(serving=FIRST, queue=(ONE, TWO), highest=10)
    after = domain.dropped(state, TWO)
    assert after == state.model_copy(update={"queue": (ONE,)})


NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
LIMITS = Limits(queue=10, build=20, rollout=30, route=40)


@pytest.mark.parametrize(
    ("requested_ago", "allowed"), [(0, 30), (69, 30), (80, 20), (100, 0), (130, -30)]
)
def test_a_phase_ends_at_the_latest_with_the_time_of_the_whole(requested_ago: int, allowed: int):
    requested = NOW - timedelta(seconds=requested_ago)
    assert domain.until(requested, NOW, LIMITS, 30) == NOW + timedelta(seconds=allowed)


@pytest.mark.parametrize(
    ("state", "rests"),
    [
        (RolloutState(), True),
        (RolloutState(serving=FIRST), False),
        (RolloutState(serving=FIRST, stopped=True), True),
        (RolloutState(serving=FIRST, stopped=True, queue=(TWO,)), False),
        (RolloutState(wanted=FIRST), False),
        (RolloutState(serving=FIRST, removed=True), True),
    ],
)
def test_what_rests(state: RolloutState, rests: bool):
    assert domain.resting(state) is rests


def test_a_failed_one_is_forgotten_wherever_it_was():
    state = RolloutState(wanted=FIRST, queue=(TWO,), ready=True)
    assert domain.failed(state, "d2") == state.model_copy(update={"queue": ()})
    assert [domain.unfinished(state, name) for name in ("d1", "d2", "d3")] == [True, True, False]
