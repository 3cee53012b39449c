"""The gap between two releases of which only one can have a volume or a port of the host."""

from dataclasses import replace
from typing import Any

import pytest
from proxy_sync.routing import plan
from proxy_sync.routing.domain import Answers, View
from proxy_sync.routing.gap import BAD_ANSWERS
from slipway.contracts.rollout import Reverting, RolloutState, place
from slipway.contracts.workload import MAIN

from tests.unit.proxy_sync.test_plan import (
    BINDING,
    NEW,
    OLD,
    T1,
    T2,
    good,
    on,
    release,
    second,
    steady,
)  # fmt: skip

HELD = ("volume:data",)


def stopping(**more: Any) -> View:
    """The former release's task is taken away, the wanted one's does not run yet."""
    state = RolloutState(
        environment="env", serving=release(OLD, holds=HELD), wanted=release(NEW, holds=HELD)
    )
    return second(**{"rollout": state, "tasks": (), **more})


def reverting(*paused: str, **more: Any) -> View:
    undone = Reverting(outcome="failed", paused=paused, deadline="2026-01-01T00:00:00Z")
    view = stopping(**more)
    return replace(view, rollout=view.rollout.model_copy(update={"reverting": undone}))


def test_there_is_none_while_the_former_still_answers():
    assert plan.routing(stopping(tasks=(T1,))).standing == ()


def test_it_begins_with_its_end_and_lasts_until_the_next_has_answered():
    view = stopping()
    assert plan.routing(view).bindings == (BINDING,)
    assert plan.routing(view).standing == (MAIN,)
    starts = replace(view, tasks=(replace(T2, running=False),))
    assert plan.routing(starts).standing == (MAIN,)
    ready = view.rollout.model_copy(update={"ready": True})
    answers = replace(view, tasks=(T2,), rollout=ready, asked=good(T2, 100.0))
    assert plan.routing(answers).standing == ()
    assert plan.routing(answers).addresses == (on("10.0.0.2"),)


def test_what_is_to_stop_first_makes_one_whatever_the_former_holds():
    state = RolloutState(serving=release(OLD), wanted=release(NEW, holds=(place(MAIN),)))
    assert plan.routing(stopping(rollout=state)).standing == (MAIN,)


def test_what_holds_nothing_of_it_has_none():
    for holds in ((), ("volume:other",)):
        serving = release(OLD, holds=holds)
        rollout = stopping().rollout.model_copy(update={"serving": serving})
        assert plan.routing(stopping(rollout=rollout)).standing == ()


def test_what_goes_on_has_none():
    view = stopping()
    assert view.rollout.wanted is not None
    (main,) = view.rollout.wanted.workloads
    same = main.model_copy(update={"carried": True, "swarm_service": f"s-{OLD}"})
    wanted = view.rollout.wanted.model_copy(update={"workloads": (same,)})
    rollout = view.rollout.model_copy(update={"wanted": wanted})
    assert plan.routing(replace(view, rollout=rollout)).standing == ()


def test_a_program_that_died_by_itself_is_in_no_gap():
    assert plan.routing(steady(tasks=())).standing == ()


@pytest.mark.parametrize(("paused", "standing"), [(f"s-{OLD}", (MAIN,)), ("s-other", ())])
def test_undoing_is_a_gap_of_what_it_stopped(paused: str, standing: tuple[str, ...]):
    assert plan.routing(reverting(paused)).standing == standing


def test_undone_it_lasts_until_the_former_has_answered_or_does_not():
    before = reverting(f"s-{OLD}")
    again = replace(T1, address="10.0.0.9")
    view = replace(
        before, loaded=plan.routing(before), tasks=(again,),
        rollout=RolloutState(environment="env", serving=release(OLD, holds=HELD)),
    )  # fmt: skip
    assert plan.routing(view).standing == (MAIN,)
    assert plan.routing(replace(view, tasks=())).standing == (), "it does not run"
    bad = {("t1", 8000): Answers(last=100.0, bad=BAD_ANSWERS)}
    assert plan.routing(replace(view, asked=bad)).standing == (), "it is broken"
    assert plan.routing(replace(view, asked=good(again, 100.0))).standing == ()
