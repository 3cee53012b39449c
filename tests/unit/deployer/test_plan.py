"""The next step, for every state that a rollout can be in."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from deployer.rollout import explain
from deployer.rollout.domain import Health, Phase, ReleaseView, TaskView, View
from deployer.rollout.plan import (
    IDLE,
    SOON,
    Cancel,
    Create,
    Drop,
    Fail,
    Finish,
    NoteScaled,
    NoteStopped,
    Ready,
    Remove,
    Rest,
    RolloutStep,
    Scale,
    Start,
    Succeed,
    Wait,
    about,
    next_step,
)
from slipway.contracts.rollout import Pending, Release, RolloutState, Task
from slipway.contracts.route import Refusal, RouteState
from slipway.contracts.values import BuiltImage, Failure

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
PAST, FUTURE = "2026-01-01T11:59:59.000Z", "2026-01-01T12:10:00.000Z"


def release(name: str, sequence: int) -> Release:
    return Release(
        deployment=name,
        sequence=sequence,
        swarm_service=f"web-{name}",
        image=BuiltImage(reference="sha256:1"),
        specification_digest="s",
    )


def task(name: str = "t1", phase: Phase = "running", **more: Any) -> TaskView:
    return TaskView(name, phase, address="10.0.0.5" if phase == "running" else "", **more)


def on_engine(name: str, *tasks: TaskView, replicas: int = 1) -> ReleaseView:
    return ReleaseView(f"id-{name}", f"web-{name}", name, replicas, 7, tasks)


OLD, NEW = release("d1", 10), release("d2", 20)
ON_OLD, ON_NEW = on_engine("d1", task()), on_engine("d2", task("t2"))
STARTING = on_engine("d2", task("t2", "starting"))
FAILED = Failure(reason="probe-failed", detail="it answered 502")
IMPOSSIBLE = Failure(reason="engine-refused", detail="no such limit")


def route(event: str, of: str | None, *releases: str, attempt: int = 1) -> dict[str, Any]:
    state = RouteState(deployment=of, attempt=attempt, deployments=releases)
    return {"route": state, "route_event": event}


def refused(deployment: str, attempt: int = 1) -> dict[str, Any]:
    """d1 is routed; another release was not."""
    refusal = Refusal(deployment=deployment, attempt=attempt, failure=FAILED)
    state = RouteState(deployment="d1", attempt=1, deployments=("d1",), refused=refusal)
    return {"route": state, "route_event": "route.failed"}


def health(answer: str, *, unhealthy: bool = True) -> Health:
    asked, last = ("/.slipway/lifeline", "check", "80"), NOW - timedelta(seconds=1)
    times = (last - timedelta(seconds=75), last - timedelta(seconds=12), last)
    return Health(asked, answer, 1, *times, unhealthy)


OLD_ROUTE = route("route.activated", "d1", "d1")
NEW_ROUTE = route("route.activated", "d2", "d2")


MANY = tuple(Pending(deployment=f"e{number}", sequence=number) for number in range(50, 251))


def idle(**more: Any) -> View:
    """d1 serves; nothing else is going on."""
    state = RolloutState(serving=OLD, highest=10)
    return replace(View(NOW, state, releases={"d1": ON_OLD}, **OLD_ROUTE), **more)


def rolling(*releases: ReleaseView, ready: bool = False, **more: Any) -> View:
    """d1 serves, d2 is being rolled out."""
    state = RolloutState(serving=OLD, wanted=NEW, highest=20, ready=ready, deadline=FUTURE)
    found = {item.deployment: item for item in (ON_OLD, *releases)}
    return replace(View(NOW, state, releases=found, **OLD_ROUTE), **more)


def state_of(view: View, **more: Any) -> View:
    return replace(view, rollout=view.rollout.model_copy(update=more))


def queue(*items: tuple[str, int], highest: int = 10, **more: Any) -> View:
    waiting = tuple(Pending(deployment=name, sequence=number) for name, number in items)
    return replace(state_of(idle(), queue=waiting, highest=highest), **more)


D2, D3 = Pending(deployment="d2", sequence=20), Pending(deployment="d3", sequence=30)
TWO = (task("a"), task("b"))

TABLE: dict[str, tuple[View, RolloutStep]] = {
    "bad answers are waited for": (
        rolling(STARTING, health=health("GET /h answered 503", unhealthy=False)),
        Wait(SOON),
    ),
    # nothing goes on
    "nothing at all": (View(NOW, RolloutState()), Rest()),
    "all is as it should be": (idle(), Wait(IDLE)),
    "a removed service is left alone": (state_of(idle(), removed=True), Rest()),
    # the queue
    "the first of the queue starts": (queue(("d2", 20)), Start(D2)),
    "the lowest sequence is first": (queue(("d3", 30), ("d2", 20)), Start(D2)),
    "a stopped one never starts": (
        queue(("d2", 20), stops=frozenset({"d2"})),
        Drop(D2, superseded=False),
    ),
    "a lower one than started is superseded": (
        queue(("d2", 20), highest=25),
        Drop(D2, superseded=True),
    ),
    "an equal one as well": (queue(("d2", 20), highest=20), Drop(D2, superseded=True)),
    "what is rolled out goes before the queue": (
        state_of(rolling(STARTING), queue=(D3,)),
        Wait(SOON),
    ),
    # a rollout: the release
    "its service is made": (rolling(), Create(NEW, 1)),
    "with its replicas": (rolling(replicas=3), Create(NEW, 3)),
    "of a stopped service with one": (rolling(replicas=3, stopped=True), Create(NEW, 1)),
    "of a service scaled to none with one": (rolling(replicas=0), Create(NEW, 1)),
    "its time may be over before it was made": (
        state_of(rolling(), deadline=PAST),
        Fail(explain.too_late()),
    ),
    "an engine that is away is waited for": (rolling(away="no answer"), Wait(SOON)),
    "until its time is over": (
        state_of(rolling(away="no answer"), deadline=PAST),
        Fail(explain.engine_away("no answer")),
    ),
    "a route needs no engine": (rolling(away="no answer", **NEW_ROUTE), Succeed()),
    "nor does a wish to stop": (
        rolling(away="no answer", stops=frozenset({"d2"})),
        Cancel(),
    ),
    "what serves is left alone meanwhile": (idle(away="no answer", releases={}), Wait(SOON)),
    "what can't be made fails": (rolling(impossible=IMPOSSIBLE), Fail(IMPOSSIBLE)),
    "a change of replicas is followed": (
        rolling(STARTING, replicas=2),
        Scale(STARTING, 2),
    ),
    "its tasks are waited for": (rolling(STARTING), Wait(SOON)),
    "one of two runs": (
        state_of(
            rolling(
                on_engine("d1", *TWO, replicas=2),
                on_engine("d2", task("a"), task("b", "starting"), replicas=2),
                replicas=2,
            ),
            replicas=2,
        ),
        Wait(SOON),
    ),
    "what serves is scaled beside it": (
        rolling(on_engine("d2", task("a"), task("b", "starting"), replicas=2), replicas=2),
        Scale(ON_OLD, 2),
    ),
    "tasks without an address don't count": (
        rolling(on_engine("d2", replace(task("a"), address=""))),
        Wait(SOON),
    ),
    "all run": (rolling(ON_NEW), Ready((Task(id="t2", address="10.0.0.5"),))),
    "both run": (
        rolling(on_engine("d2", *TWO, replicas=2), replicas=2),
        Ready((Task(id="a", address="10.0.0.5"), Task(id="b", address="10.0.0.5"))),
    ),
    "the proxy is waited for": (rolling(ON_NEW, ready=True), Wait(SOON)),
    "a task that goes away on purpose is no failure": (
        rolling(on_engine("d2", task("t2", "stopping"))),
        Wait(SOON),
    ),
    # a rollout: how it ends
    "the proxy switched": (rolling(ON_NEW, ready=True, **NEW_ROUTE), Succeed()),
    "the proxy switched, and a stop comes late": (
        rolling(ON_NEW, ready=True, stops=frozenset({"d2"}), **NEW_ROUTE),
        Succeed(),
    ),
    "another attempt's route is not ours": (
        rolling(ON_NEW, ready=True, **route("route.activated", "d2", "d2", attempt=2)),
        Wait(SOON),
    ),
    "the former's route is not ours": (rolling(ON_NEW, ready=True, **OLD_ROUTE), Wait(SOON)),
    "asked to stop before its service": (rolling(stops=frozenset({"d2"})), Cancel()),
    "asked to stop while it starts": (rolling(STARTING, stops=frozenset({"d2"})), Cancel()),
    "asked to stop while probed": (
        rolling(ON_NEW, ready=True, stops=frozenset({"d2"})),
        Cancel(),
    ),
    "another's stop is not ours": (rolling(STARTING, stops=frozenset({"d3"})), Wait(SOON)),
    "the proxy switched and then changed addresses": (
        rolling(ON_NEW, ready=True, **route("route.changed", "d2", "d2")),
        Succeed(),
    ),
    "the proxy refused": (rolling(ON_NEW, ready=True, **refused("d2")), Fail(FAILED)),
    "another attempt's refusal is not ours": (
        rolling(ON_NEW, ready=True, **refused("d2", attempt=2)),
        Wait(SOON),
    ),
    "another's refusal is not ours": (
        rolling(ON_NEW, ready=True, **refused("d0")),
        Wait(SOON),
    ),
    # what serves
    "the serving release is missing": (idle(releases={}), Create(OLD, 1, repair=True)),
    "it has other replicas": (idle(replicas=2), Scale(ON_OLD, 2)),
    "scaled to none": (idle(replicas=0), Scale(ON_OLD, 0)),
    "the scaling is told": (
        idle(replicas=2, releases={"d1": on_engine("d1", *TWO, replicas=2)}),
        NoteScaled(2),
    ),
    "it is repaired during a rollout": (
        replace(rolling(ON_NEW, ready=True), releases={"d2": ON_NEW}),
        Create(OLD, 1, repair=True),
    ),
    # what is left over
    "a release nobody wants goes": (
        idle(releases={"d1": ON_OLD, "d0": on_engine("d0")}),
        Remove(on_engine("d0")),
    ),
    "not while a route names it": (
        idle(
            releases={"d1": ON_OLD, "d0": on_engine("d0")},
            **route("route.activated", "d1", "d1", "d0"),
        ),
        Wait(IDLE),
    ),
    "it goes during a rollout": (
        rolling(STARTING, on_engine("d0")),
        Remove(on_engine("d0")),
    ),
    "the former goes behind the new": (
        View(
            NOW,
            RolloutState(serving=NEW, highest=20),
            releases={"d1": ON_OLD, "d2": ON_NEW},
            **NEW_ROUTE,
        ),
        Remove(ON_OLD),
    ),
    # stopped
    "stopping waits for the proxy": (idle(stopped=True), Wait(SOON)),
    "stopping scales to none": (
        idle(stopped=True, **route("route.withdrawn", "d1")),
        Scale(ON_OLD, 0),
    ),
    "what was never routed scales at once": (
        idle(stopped=True, **route("", None)),
        Scale(ON_OLD, 0),
    ),
    "the stop is told": (
        idle(
            stopped=True,
            releases={"d1": on_engine("d1", replicas=0)},
            **route("route.withdrawn", "d1"),
        ),
        NoteStopped(),
    ),
    "stopped is stopped": (
        state_of(
            idle(
                stopped=True,
                releases={"d1": on_engine("d1", replicas=0)},
                **route("route.withdrawn", "d1"),
            ),
            stopped=True,
        ),
        Rest(),
    ),
    "started again, the stopped release stays down": (
        state_of(
            idle(
                releases={"d1": on_engine("d1", replicas=0)},
                **route("route.withdrawn", "d1"),
            ),
            stopped=True,
        ),
        Rest(),
    ),
    # being deleted
    "deleting cancels the rollout": (rolling(STARTING, deleting=True), Cancel()),
    "of too many that wait the oldest goes": (
        state_of(rolling(STARTING), queue=MANY),
        Drop(MANY[0], superseded=True),
    ),
    "as many as may wait do": (state_of(rolling(STARTING), queue=MANY[1:]), Wait(SOON)),
    "deleting empties the queue": (
        queue(("d2", 20), deleting=True),
        Drop(D2, superseded=False),
    ),
    "deleting waits for the proxy": (idle(deleting=True), Wait(0.5)),
    "deleting removes every release": (
        idle(deleting=True, **route("route.withdrawn", None)),
        Remove(ON_OLD),
    ),
    "deleting ends": (
        idle(deleting=True, releases={}, **route("route.withdrawn", None)),
        Finish(),
    ),
}


@pytest.mark.parametrize("what", TABLE)
def test_next_step(what: str):
    view, step = TABLE[what]
    assert next_step(view) == step


FAILS: dict[str, tuple[View, str, str]] = {
    "a task ended at its start": (
        rolling(on_engine("d2", task("t", "ended", exit_code=3))),
        "exited",
        "at its start with exit code 3",
    ),
    "a task ended while probed": (
        rolling(on_engine("d2", task("t", "ended", exit_code=0), task("u")), ready=True),
        "exited",
        "after it had been healthy",
    ),
    "it answers its health check badly for too long": (
        rolling(STARTING, health=health("GET /h answered 500")),
        "unhealthy",
        "for 75 s after its start: GET /h answered 500",
    ),
    "it was ended for that": (
        rolling(
            on_engine("d2", task("t", "ended", exit_code=143)),
            health=health("nothing listens on port 80"),
        ),
        "not-listening",
        "75 s after its start nothing listens on port 80",
    ),
    "it ended by itself while it answered badly": (
        rolling(
            on_engine("d2", task("t", "ended", exit_code=3)), health=health("x", unhealthy=False)
        ),
        "exited",
        "exit code 3",
    ),
    "it is late and answers badly": (
        state_of(
            rolling(STARTING, health=health("GET /h answered 503", unhealthy=False)), deadline=PAST
        ),
        "unhealthy",
        "GET /h answered 503",
    ),
    "it is late": (state_of(rolling(STARTING), deadline=PAST), "rollout-timeout", "ready in time"),
    "it is nowhere": (
        state_of(rolling(on_engine("d2")), deadline=PAST),
        "rollout-timeout",
        "no task was placed",
    ),
    "the proxy is late": (
        state_of(rolling(ON_NEW, ready=True), deadline=PAST),
        "route-timeout",
        "did not confirm",
    ),
}


@pytest.mark.parametrize("what", FAILS)
def test_failures_say_why(what: str):
    view, reason, words = FAILS[what]
    step = next_step(view)
    assert isinstance(step, Fail)
    assert step.failure.reason == reason
    assert words in step.failure.detail


@pytest.mark.parametrize(
    ("step", "own"),
    [
        (Create(NEW, 1), True),
        (Create(OLD, 1, repair=True), False),
        (Scale(ON_NEW, 2), True),
        (Scale(ON_OLD, 2), False),
        (Remove(ON_OLD), False),
        (Ready(()), True),
        (NoteScaled(2), False),
    ],
)
def test_only_what_a_rollout_can_t_go_on_without_is_about_it(step: RolloutStep, own: bool):
    assert about(step, "d2") is own


def test_a_route_that_is_late_may_still_come_before_the_end_is_told():
    late = state_of(rolling(ON_NEW, ready=True, **NEW_ROUTE), deadline=PAST)
    assert next_step(late) == Succeed()
