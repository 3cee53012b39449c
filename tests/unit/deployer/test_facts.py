"""What a rollout's state is after each fact."""

from deployer.rollout import facts
from deployer.rollout.plan import Drop, Start
from slipway.contracts.rollout import Pending, Release, RolloutState, Task
from slipway.contracts.values import BuiltImage

ONE, TWO = Pending(deployment="d1", sequence=10), Pending(deployment="d2", sequence=20)


def release(pending: Pending) -> Release:
    image = BuiltImage(reference="sha256:1")
    return Release(
        deployment=pending.deployment, sequence=pending.sequence, service="s", image=image,
        specification="x",
    )  # fmt: skip


def test_each_deployment_is_queued_once():
    once = facts.queued(RolloutState(), ONE, "env")
    assert once is not None
    assert once == RolloutState(environment="env", queue=(ONE,))
    assert facts.queued(once, ONE, "env") is None
    both = facts.queued(once, TWO, "env")
    assert both is not None
    assert both.queue == (ONE, TWO)


def test_what_runs_or_was_removed_is_not_queued():
    for state in (
        RolloutState(serving=release(ONE)),
        RolloutState(wanted=release(ONE)),
        RolloutState(removed=True),
    ):
        assert facts.queued(state, ONE, "env") is None


def test_a_rollout_from_queue_to_serving():
    state = RolloutState(queue=(ONE, TWO), replicas=3, stopped=True)
    state = facts.started(state, Start(ONE), release(ONE), "soon")
    assert state.queue == (TWO,)
    assert (state.wanted, state.highest, state.deadline) == (release(ONE), 10, "soon")
    state = facts.ready(state, (Task(id="t", address="10.0.0.2"),), "later")
    assert (state.ready, state.deadline) == (True, "later")
    assert [task.id for task in state.tasks] == ["t"]
    state = facts.succeeded(state, 3)
    assert (state.serving, state.wanted, state.stopped) == (release(ONE), None, False)
    assert (state.ready, state.deadline, state.queue) == (False, None, (TWO,))


def test_one_that_is_given_up_leaves_what_serves():
    state = RolloutState(
        serving=release(ONE), wanted=release(TWO), highest=20, ready=True, deadline="soon",
        tasks=(Task(id="t", address="10.0.0.2"),), queue=(Pending(deployment="d3", sequence=30),),
    )  # fmt: skip
    after = facts.given_up(state)
    assert after == RolloutState(serving=release(ONE), highest=20, queue=state.queue)


def test_the_next_start_forgets_the_former_tasks():
    state = RolloutState(queue=(TWO,), ready=True, tasks=(Task(id="t", address="10.0.0.2"),))
    after = facts.started(state, Start(TWO), release(TWO), "soon")
    assert (after.ready, after.tasks) == (False, ())


def test_a_dropped_one_leaves_the_queue_only():
    state = RolloutState(serving=release(ONE), queue=(ONE, TWO), highest=10)
    after = facts.dropped(state, Drop(TWO, superseded=True))
    assert after == state.model_copy(update={"queue": (ONE,)})
