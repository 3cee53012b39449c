"""The next step, for every state that a rollout can be in."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from deployer.rollout import explain, undoing
from deployer.rollout.domain import Health, Phase, SwarmServiceView, TaskView, View
from deployer.rollout.plan import ENDING as TOLD_TO_END
from deployer.rollout.plan import IDLE, LEFT, next_step
from deployer.rollout.step import (
    SOON,
    Create,
    Drop,
    End,
    EndContainers,
    Finish,
    NoteJobEnded,
    NoteRemoving,
    NoteScaled,
    NoteStopped,
    Ready,
    Remove,
    Rest,
    Revert,
    RolloutStep,
    Scale,
    Start,
    StartJob,
    Stop,
    Succeed,
    Wait,
    about,
)
from slipway.contracts.rollout import (
    Job,
    Pending,
    Release,
    Released,
    Reverting,
    RolloutState,
    Task,
    place,
)
from slipway.contracts.route import Refusal, RouteState, Served
from slipway.contracts.values import After, Failure
from slipway.contracts.workload import MAIN
from slipway.runtime.clock import iso
from slipway.testing.releases import release

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
PAST, FUTURE = "2026-01-01T11:59:59.000Z", "2026-01-01T12:10:00.000Z"


def task(name: str = "t1", phase: Phase = "running", **more: Any) -> TaskView:
    """One that runs has done so for a minute."""
    if phase == "running":
        more = {"address": "10.0.0.5", "since": NOW - timedelta(minutes=1), **more}
    return TaskView(name, phase, **more)


def ready(*tasks: tuple[str, str]) -> Ready:
    """Of (task, workload)."""
    return Ready(tuple(Task(id=id_, workload=of, address="10.0.0.5") for id_, of in tasks))


def on_engine(
    name: str, *tasks: TaskView, replicas: int = 1, workload: str = "main"
) -> SwarmServiceView:
    there = SwarmServiceView(f"id-{name}", f"s-{name}", workload, replicas, 7, tasks)
    return replace(there, updated=NOW)


def since(name: str, age: float, *tasks: TaskView, replicas: int = 1) -> SwarmServiceView:
    """It was made, or changed, so many seconds ago, and its tasks have been looked at."""
    there = on_engine(name, *tasks, replicas=replicas)
    at = NOW - timedelta(seconds=age)
    return replace(there, created=at, updated=at, looked=True)


def by_name(*views: SwarmServiceView) -> dict[str, SwarmServiceView]:
    return {view.name: view for view in views}


def beside(main: Release) -> Release:
    """The same with a second workload, `db`."""
    (first,) = main.workloads
    db = first.model_copy(update={"name": "db", "swarm_service": f"s-{main.deployment}-db"})
    return main.model_copy(update={"workloads": (first, db)})


OLD, NEW = release("d1", 10), release("d2", 20)
OLD_MAIN, NEW_MAIN = OLD.workloads[0], NEW.workloads[0]
ON_OLD, ON_NEW = on_engine("d1", task()), on_engine("d2", task("t2"))
STARTING = on_engine("d2", task("t2", "starting"))
FAILED = Failure(reason="probe-failed", detail="it answered 502")
DEADLINE = iso(NOW + timedelta(seconds=undoing.LONGEST))


def failed(failure: Failure, *paused: str) -> Revert:
    return Revert(Reverting(outcome="failed", failure=failure, paused=paused, deadline=DEADLINE))


def cancelled(*paused: str) -> Revert:
    return Revert(Reverting(outcome="cancelled", paused=paused, deadline=DEADLINE))


IMPOSSIBLE = Failure(reason="engine-refused", detail="no such limit")


def route(event: str, of: str | None, *releases: str, attempt: int = 1) -> dict[str, Any]:
    named = tuple(f"s-{name}" for name in releases)
    served = tuple(Served(workload="main", swarm_service=name) for name in named[:1])
    state = RouteState(deployment=of, attempt=attempt, served=served, named=named)
    return {"route": state, "route_event": event}


def refused(deployment: str, attempt: int = 1) -> dict[str, Any]:
    """d1 is routed; another release was not."""
    refusal = Refusal(deployment=deployment, attempt=attempt, failure=FAILED)
    state = OLD_ROUTE["route"].model_copy(update={"refused": refusal})
    return {"route": state, "route_event": "route.failed"}


def health(answer: str, *, unhealthy: bool = True) -> Health:
    asked, last = ("/.slipway/lifeline", "check", "80"), NOW - timedelta(seconds=1)
    times = (last - timedelta(seconds=75), last - timedelta(seconds=12), last)
    return Health(asked, answer, 1, *times, unhealthy)


def badly(answer: str, workload: str = "main", **more: bool) -> dict[str, Health]:
    return {workload: health(answer, **more)}


OLD_ROUTE = route("route.activated", "d1", "d1")
NEW_ROUTE = route("route.activated", "d2", "d2")


MANY = tuple(Pending(deployment=f"e{number}", sequence=number) for number in range(50, 251))


def idle(**more: Any) -> View:
    """d1 serves; nothing else is going on."""
    state = RolloutState(serving=OLD, highest=10, replicas={"main": 1})
    return replace(View(NOW, state, there=by_name(ON_OLD), **OLD_ROUTE), **more)


def rolling(*there: SwarmServiceView, ready: bool = False, **more: Any) -> View:
    """d1 serves, d2 is being rolled out."""
    state = RolloutState(serving=OLD, wanted=NEW, highest=20, ready=ready, deadline=FUTURE)
    return replace(View(NOW, state, there=by_name(ON_OLD, *there), **OLD_ROUTE), **more)


def state_of(view: View, **more: Any) -> View:
    return replace(view, rollout=view.rollout.model_copy(update=more))


def queue(*items: tuple[str, int], highest: int = 10, **more: Any) -> View:
    waiting = tuple(Pending(deployment=name, sequence=number) for name, number in items)
    return replace(state_of(idle(), queue=waiting, highest=highest), **more)


OLD_2, NEW_2 = beside(OLD), beside(NEW)
OLD_DB, NEW_DB = OLD_2.workloads[1], NEW_2.workloads[1]
ON_OLD_DB = on_engine("d1-db", task("t0"), workload="db")
ON_NEW_DB = on_engine("d2-db", task("t3"), workload="db")
NO_ROOM = on_engine(
    "d2-db", task("t3", "starting", error="no suitable node"), workload="db"
)  # fmt: skip
DB_STARTING = on_engine("d2-db", task("t3", "starting"), workload="db")


def idle_2(*there: SwarmServiceView, **more: Any) -> View:
    """d1 serves, with two workloads."""
    return state_of(
        idle(there=by_name(*there), **more), serving=OLD_2, replicas={"main": 1, "db": 1}
    )


def rolling_2(*there: SwarmServiceView, **more: Any) -> View:
    """d1 serves, d2 is being rolled out with two workloads."""
    return state_of(rolling(*there, **more), wanted=NEW_2)


UNHEALTHY = "task: non-zero exit (143): dockerexec: unhealthy container"


def ended_db(times: int, error: str = "", code: int = 3) -> SwarmServiceView:
    ended = [task(str(number), "ended", exit_code=code, error=error) for number in range(times)]
    return on_engine("d2-db", *ended, workload="db")


def changed(release: Release, **more: Any) -> Release:
    """Its last workload."""
    last = release.workloads[-1].model_copy(update=more)
    return release.model_copy(update={"workloads": (*release.workloads[:-1], last)})


WITH_JOB = changed(NEW_2, job=True)
THE_JOB: Released = WITH_JOB.workloads[-1]
ON_JOB = replace(ON_NEW_DB, job=True, tasks=(task("t3", "starting"),))
JOB_ENDED = replace(ON_JOB, tasks=(task("t3", "ended", exit_code=4, over=True),))

NO_USER = "starting container failed: unable to find user bob"
JOB_NOT_STARTED = replace(
    ON_JOB, tasks=(task("t3", "ended", exit_code=128, error=NO_USER, over=True),)
)


def with_job(*there: SwarmServiceView, **more: Any) -> View:
    """d1 serves, d2 has a job beside its main workload."""
    return state_of(rolling(*there), **{"wanted": WITH_JOB, **more})


DATA = ("volume:data",)
OLD_D, NEW_D = changed(OLD, holds=DATA), changed(NEW, holds=DATA)
AFTER_DB = NEW_2.model_copy(
    update={
        "workloads": (
            NEW_MAIN.model_copy(update={"after": (After(workload="db", condition="healthy"),)}),
            NEW_DB,
        )
    }
)

# Its database is the serving one's, which goes on; the main workload starts after it.
ON_DB_KEPT = AFTER_DB.model_copy(
    update={"workloads": (AFTER_DB.workloads[0], OLD_DB.model_copy(update={"carried": True}))}
)


def keeping_db(*there: SwarmServiceView, **more: Any) -> View:
    view = state_of(rolling(**more), serving=OLD_2, wanted=ON_DB_KEPT)
    return replace(view, there=by_name(ON_OLD, *there))


def writer(name: str, *tasks: TaskView, replicas: int = 1) -> SwarmServiceView:
    there = on_engine(name, *tasks, replicas=replicas)
    return replace(there, holds=frozenset(DATA), looked=True)


OLD_WRITES, OLD_ENDS = writer("d1", task()), writer("d1", task("t1", "stopping"), replicas=0)
OLD_STANDS, NEW_STANDS = writer("d1", replicas=0), writer("d2", replicas=0)
ENDING = task("t1", "stopping", address="10.0.0.4", container="c1")
OLD_LEFT, NEW_LEFT = writer("d1", ENDING, replicas=0), writer("d2", ENDING, replicas=0)
LED = RouteState(deployment="d1", addresses=("10.0.0.4",))
NEW_WRITES, NEW_ENDS = writer("d2", task("t2")), writer("d2", task("t2", "stopping"), replicas=0)


def writing(*there: SwarmServiceView, lingering: bool = False, **more: Any) -> View:
    """d1 serves and d2 is being rolled out; both write one volume."""
    view = rolling(lingering=frozenset(DATA if lingering else ()), there=by_name(*there))
    return state_of(view, **{"serving": OLD_D, "wanted": NEW_D, **more})


def undone(former: SwarmServiceView = ON_OLD, **more: Any) -> View:
    """d2 has failed, and d1 did not stand still for it."""
    return state_of(rolling(**{"there": by_name(former), **more}), reverting=EASY)


REVERTING = Reverting(outcome="failed", failure=FAILED, paused=("s-d1",), deadline=DEADLINE)
EASY = REVERTING.model_copy(update={"paused": ()})
REFUSED = task("t", "refused", error="No such image")
PASSING = (
    "invalid pool request: Pool overlaps with other one on this address space",
    "network bc0n8oyz5rh4m0tfhr8mo90i7 exists",
)
LATE = REVERTING.model_copy(update={"deadline": PAST})
FIRST = changed(NEW, holds=(place(MAIN),))
FIRST_STANDS = replace(NEW_STANDS, holds=frozenset((place(MAIN),)))
OLD_LOOKED = replace(ON_OLD, looked=True)
BOTH = {"main": 2, "db": 2}
HOLDING = replace(on_engine("d1-volume", task()), holds=frozenset({"volume:data"}))
D2, D3 = Pending(deployment="d2", sequence=20), Pending(deployment="d3", sequence=30)
TWO = (task("a"), task("b"))

GOING = idle(deleting=True, there={}, containers=True, **route("route.withdrawn", None))

TABLE: dict[str, tuple[View, RolloutStep]] = {
    "bad answers are waited for": (
        rolling(STARTING, health=badly("GET /h answered 503", unhealthy=False)),
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
    "its service is made": (rolling(), Create(NEW, NEW_MAIN, 1)),
    "with its replicas": (rolling(replicas={"main": 3}), Create(NEW, NEW_MAIN, 3)),
    "of a stopped service with one": (
        rolling(replicas={"main": 3}, stopped=True),
        Create(NEW, NEW_MAIN, 1),
    ),
    "of a service scaled to none with one": (
        rolling(replicas={"main": 0}),
        Create(NEW, NEW_MAIN, 1),
    ),
    "its time may be over before it was made": (
        state_of(rolling(), deadline=PAST),
        failed(explain.too_late()),
    ),
    "an engine that is away is waited for": (rolling(away="no answer"), Wait(SOON)),
    "until its time is over": (
        state_of(rolling(away="no answer"), deadline=PAST),
        failed(explain.engine_away("no answer")),
    ),
    "a route needs no engine": (rolling(away="no answer", **NEW_ROUTE), Succeed()),
    "nor does a wish to stop": (
        rolling(away="no answer", stops=frozenset({"d2"})),
        cancelled(),
    ),
    "what serves is left alone meanwhile": (idle(away="no answer", there={}), Wait(SOON)),
    "what can't be made fails": (rolling(impossible=IMPOSSIBLE), failed(IMPOSSIBLE)),
    "a change of replicas is followed": (
        rolling(STARTING, replicas={"main": 2}),
        Scale(STARTING, 2),
    ),
    "its tasks are waited for": (rolling(STARTING), Wait(SOON)),
    "one of two runs": (
        state_of(
            rolling(
                on_engine("d1", *TWO, replicas=2),
                on_engine("d2", task("a"), task("b", "starting"), replicas=2),
                replicas={"main": 2},
            ),
            replicas={"main": 2},
        ),
        Wait(SOON),
    ),
    "what serves is scaled beside it": (
        rolling(
            on_engine("d2", task("a"), task("b", "starting"), replicas=2), replicas={"main": 2}
        ),
        Scale(ON_OLD, 2),
    ),
    "tasks without an address don't count": (
        rolling(on_engine("d2", replace(task("a"), address=""))),
        Wait(SOON),
    ),
    "all run": (rolling(ON_NEW), ready(("t2", "main"))),
    "both run": (
        rolling(on_engine("d2", *TWO, replicas=2), replicas={"main": 2}),
        ready(("a", "main"), ("b", "main")),
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
    "asked to stop before its service": (rolling(stops=frozenset({"d2"})), cancelled()),
    "asked to stop while it starts": (rolling(STARTING, stops=frozenset({"d2"})), cancelled()),
    "asked to stop while probed": (
        rolling(ON_NEW, ready=True, stops=frozenset({"d2"})),
        cancelled(),
    ),
    "another's stop is not ours": (rolling(STARTING, stops=frozenset({"d3"})), Wait(SOON)),
    "the proxy switched and then changed addresses": (
        rolling(ON_NEW, ready=True, **route("route.changed", "d2", "d2")),
        Succeed(),
    ),
    "the proxy refused": (rolling(ON_NEW, ready=True, **refused("d2")), failed(FAILED)),
    "another attempt's refusal is not ours": (
        rolling(ON_NEW, ready=True, **refused("d2", attempt=2)),
        Wait(SOON),
    ),
    "another's refusal is not ours": (
        rolling(ON_NEW, ready=True, **refused("d0")),
        Wait(SOON),
    ),
    # what serves
    "the serving release is missing": (idle(there={}), Create(OLD, OLD_MAIN, 1, repair=True)),
    "it has other replicas": (idle(replicas={"main": 2}), Scale(ON_OLD, 2)),
    "scaled to none": (idle(replicas={"main": 0}), Scale(ON_OLD, 0)),
    "what writes a volume runs once, however its service is scaled": (
        state_of(idle(replicas={"main": 3}), serving=OLD_D),
        Wait(IDLE),
    ),
    "what has a port of the host, too": (
        state_of(idle(replicas={"main": 3}), serving=changed(OLD, holds=("port:80/tcp",))),
        Wait(IDLE),
    ),
    "what is only to stop first is scaled": (
        state_of(idle(replicas={"main": 3}), serving=changed(OLD, holds=("workload:main",))),
        Scale(ON_OLD, 3),
    ),
    "a rollback to what writes one starts one, however its service is scaled": (
        state_of(
            rolling(replicas={"main": 3}, there=by_name(NEW_STANDS)),
            wanted=NEW_D,
        ),
        Scale(NEW_STANDS, 1),
    ),
    "the scaling is told": (
        idle(replicas={"main": 2}, there=by_name(on_engine("d1", *TWO, replicas=2))),
        NoteScaled({"main": 2}),
    ),
    "it is repaired during a rollout": (
        replace(rolling(ON_NEW, ready=True), there=by_name(ON_NEW)),
        Create(OLD, OLD_MAIN, 1, repair=True),
    ),
    # what is left over
    "a release nobody wants goes": (
        idle(there=by_name(ON_OLD, on_engine("d0"))),
        Remove(on_engine("d0")),
    ),
    "what started last goes first": (
        idle(there=by_name(ON_OLD, since("d0", 3), since("d9", 1), since("d3", 2))),
        Remove(since("d9", 1)),
    ),
    "what was scaled to none ends before it goes": (
        idle(there=by_name(ON_OLD, since("d0", 19, task("t0", "stopping"), replicas=0))),
        Wait(SOON),
    ),
    "it goes when nothing of it runs": (
        idle(there=by_name(ON_OLD, since("d0", 19, replicas=0))),
        Remove(since("d0", 19, replicas=0)),
    ),
    "or has had its time": (
        idle(there=by_name(ON_OLD, since("d0", 21, task("t0", "stopping"), replicas=0))),
        Remove(since("d0", 21, task("t0", "stopping"), replicas=0)),
    ),
    "not while a route names it": (
        idle(
            there=by_name(ON_OLD, on_engine("d0")),
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
            RolloutState(serving=NEW, highest=20, replicas={"main": 1}),
            there=by_name(ON_OLD, ON_NEW),
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
            there=by_name(on_engine("d1", replicas=0)),
            **route("route.withdrawn", "d1"),
        ),
        NoteStopped(),
    ),
    "stopped is stopped": (
        state_of(
            idle(
                stopped=True,
                there=by_name(on_engine("d1", replicas=0)),
                **route("route.withdrawn", "d1"),
            ),
            stopped=True,
        ),
        Rest(),
    ),
    "started again, the stopped release stays down": (
        state_of(
            idle(
                there=by_name(on_engine("d1", replicas=0)),
                **route("route.withdrawn", "d1"),
            ),
            stopped=True,
        ),
        Rest(),
    ),
    # several workloads
    "of two the first is made first": (rolling_2(), Create(NEW_2, NEW_MAIN, 1)),
    "the other does not wait until it runs": (rolling_2(STARTING), Create(NEW_2, NEW_DB, 1)),
    "the time may be over before the last was made": (
        state_of(rolling_2(ON_NEW), deadline=PAST),
        failed(explain.too_late()),
    ),
    "all have to run": (rolling_2(ON_NEW, DB_STARTING), Wait(SOON)),
    "all of them run": (rolling_2(ON_NEW, ON_NEW_DB), ready(("t2", "main"), ("t3", "db"))),
    "each gets its replicas": (
        rolling_2(on_engine("d2", *TWO, replicas=2), ON_NEW_DB, replicas=BOTH),
        Scale(ON_NEW_DB, 2),
    ),
    "the refusals of several don't add up": (
        rolling_2(
            on_engine("d2", *[task(str(n), "refused") for n in range(3)]),
            on_engine("d2-db", *[task(str(n), "refused") for n in range(3)], workload="db"),
        ),
        Wait(SOON),
    ),
    **{
        f"what passes by itself is not counted: {error[:12]}": (
            rolling(on_engine("d2", *[task(str(n), "refused", error=error) for n in range(9)])),
            Wait(SOON),
        )
        for error in PASSING
    },
    "what is missing of a release that serves": (
        idle_2(ON_OLD),
        Create(OLD_2, OLD_DB, 1, repair=True),
    ),
    "each that serves is scaled": (
        idle_2(on_engine("d1", *TWO, replicas=2), ON_OLD_DB, replicas=BOTH),
        Scale(ON_OLD_DB, 2),
    ),
    "scaling is told when all are": (
        idle_2(
            on_engine("d1", replicas=2),
            on_engine("d1-db", replicas=2, workload="db"),
            replicas=BOTH,
        ),
        NoteScaled(BOTH),
    ),
    "all are stopped": (
        idle_2(
            on_engine("d1", replicas=0), ON_OLD_DB, stopped=True, **route("route.withdrawn", "d1")
        ),
        Scale(ON_OLD_DB, 0),
    ),
    "the stop is told when all are": (
        idle_2(
            on_engine("d1", replicas=0),
            on_engine("d1-db", replicas=0, workload="db"),
            stopped=True,
            **route("route.withdrawn", "d1"),
        ),
        NoteStopped(),
    ),
    "of what nobody wants all goes": (
        idle_2(ON_OLD, ON_OLD_DB, ON_NEW_DB),
        Remove(ON_NEW_DB),
    ),
    "of what serves nothing does": (idle_2(ON_OLD, ON_OLD_DB), Wait(IDLE)),
    "nor of what is rolled out": (
        state_of(rolling_2(ON_NEW, DB_STARTING, ON_OLD_DB), serving=OLD_2),
        Wait(SOON),
    ),
    "two ends of one of several are waited out": (rolling_2(ON_NEW, ended_db(2)), Wait(SOON)),
    "also those that Swarm makes for their health checks": (
        rolling_2(ON_NEW, ended_db(2, error=UNHEALTHY), health=badly("no", "db")),
        Wait(SOON),
    ),
    "who starts after another waits for it": (
        state_of(rolling(DB_STARTING), wanted=AFTER_DB),
        Wait(SOON),
    ),
    "until that runs": (
        state_of(rolling(ON_NEW_DB), wanted=AFTER_DB),
        Create(AFTER_DB, AFTER_DB.workloads[0], 1),
    ),
    "what is carried over is neither made nor waited for": (
        state_of(rolling_2(ON_NEW), wanted=changed(NEW_2, carried=True, swarm_service="s-d0")),
        ready(("t2", "main")),
    ),
    # jobs
    "what goes on is waited for": (
        keeping_db(on_engine("d1-db", task("t0", "starting"), workload="db")),
        Wait(SOON),
    ),
    "but not where it was scaled to none": (
        keeping_db(on_engine("d1-db", replicas=0, workload="db"), replicas={"db": 0}),
        Create(ON_DB_KEPT, ON_DB_KEPT.workloads[0], 1),
    ),
    "a job begins": (with_job(ON_NEW), StartJob(WITH_JOB, THE_JOB)),
    "a job runs": (with_job(ON_NEW, ON_JOB, jobs=(Job(workload="db"),)), Wait(SOON)),
    "how it ended is said": (
        with_job(ON_NEW, JOB_ENDED, jobs=(Job(workload="db"),)),
        NoteJobEnded(THE_JOB, 4),
    ),
    "then it goes": (
        with_job(ON_NEW, JOB_ENDED, jobs=(Job(workload="db", exit=0),)),
        Remove(JOB_ENDED),
    ),
    "it has no part in what is ready": (
        with_job(ON_NEW, jobs=(Job(workload="db", exit=0),)),
        ready(("t2", "main")),
    ),
    # two that write one volume
    "the new one is made, and stands": (writing(OLD_WRITES), Create(NEW_D, NEW_D.workloads[0], 0)),
    "the former is stopped": (writing(OLD_WRITES, NEW_STANDS), Scale(OLD_WRITES, 0)),
    "and has to end": (writing(OLD_ENDS, NEW_STANDS), Wait(SOON)),
    "what is to stop first stops also one that was not": (
        writing(OLD_LOOKED, FIRST_STANDS, serving=OLD, wanted=FIRST),
        Scale(OLD_LOOKED, 0),
    ),
    "which runs again when that fails": (
        writing(OLD_LOOKED, replace(FIRST_STANDS, tasks=(REFUSED,)), serving=OLD, wanted=FIRST),
        failed(explain.task(REFUSED, ready=False), "s-d1"),
    ),
    "it is told to": (writing(OLD_LEFT, NEW_STANDS), Stop("c1")),
    "once": (replace(writing(OLD_LEFT, NEW_STANDS), told=frozenset({"c1"})), Wait(SOON)),
    "when the proxy leads nobody to it": (
        replace(writing(OLD_LEFT, NEW_STANDS), route=LED),
        Wait(SOON),
    ),
    "and not while it serves": (
        writing(writer("d1", task(container="c1"), replicas=0), NEW_STANDS),
        Wait(SOON),
    ),
    "nor when it has ended": (
        writing(writer("d1", replace(ENDING, over=True), replicas=0), NEW_STANDS),
        Scale(NEW_STANDS, 1),
    ),
    "undone, it is told to end": (
        writing(OLD_STANDS, NEW_LEFT, reverting=REVERTING),
        Stop("c1"),
    ),
    "so have containers that nothing is known of": (
        writing(OLD_STANDS, NEW_STANDS, lingering=True),
        Wait(SOON),
    ),
    "what was not looked at may still run": (
        writing(replace(OLD_STANDS, looked=False), NEW_STANDS),
        Wait(SOON),
    ),
    "then the new one runs": (writing(OLD_STANDS, NEW_STANDS), Scale(NEW_STANDS, 1)),
    "the former stands still meanwhile": (writing(OLD_STANDS, NEW_WRITES, ready=True), Wait(SOON)),
    "one that fails then is undone": (
        writing(OLD_STANDS, writer("d2", REFUSED)),
        failed(explain.task(REFUSED, ready=False), "s-d1"),
    ),
    "undone, it is stopped": (
        writing(OLD_STANDS, NEW_WRITES, reverting=REVERTING),
        Scale(NEW_WRITES, 0),
    ),
    "undone, it has to end": (writing(OLD_STANDS, NEW_ENDS, reverting=REVERTING), Wait(SOON)),
    "undone, it goes": (
        writing(OLD_STANDS, NEW_STANDS, reverting=REVERTING),
        Remove(NEW_STANDS),
    ),
    "then the former runs again": (
        writing(OLD_STANDS, reverting=REVERTING),
        Scale(OLD_STANDS, 1),
    ),
    "or is made again where hands have removed it": (
        writing(reverting=REVERTING),
        Create(OLD_D, OLD_D.workloads[0], 0, repair=True),
    ),
    "when its containers have ended": (
        writing(reverting=REVERTING, lingering=True),
        Wait(SOON),
    ),
    "but not for ever": (writing(reverting=LATE), End(LATE, "not_running")),
    "which is waited for": (
        writing(writer("d1", task("t", "starting")), reverting=REVERTING),
        Wait(SOON),
    ),
    "and said": (writing(OLD_WRITES, reverting=REVERTING), End(REVERTING, "running")),
    "or that it does not": (
        writing(writer("d1", task("t", "starting")), reverting=LATE),
        End(LATE, "not_running"),
    ),
    "where nothing stood still the former is looked at": (undone(), Wait(SOON)),
    "it runs": (undone(replace(ON_OLD, looked=True)), End(EASY, "running")),
    "it does not run though nothing was taken from it": (
        undone(replace(on_engine("d1", task("t", "starting")), looked=True)),
        End(EASY, "not_running"),
    ),
    "a former of no replicas does not run": (
        undone(replace(on_engine("d1", replicas=0), looked=True), replicas={"main": 0}),
        End(EASY, "not_running"),
    ),
    "nor one that is stopped": (
        state_of(undone(replace(on_engine("d1", replicas=0), looked=True)), stopped=True),
        End(EASY, "not_running"),
    ),
    "a stopped former is not started for what is undone": (
        state_of(writing(OLD_STANDS, writer("d2", REFUSED)), stopped=True),
        failed(explain.task(REFUSED, ready=False)),
    ),
    "while the engine is away the log tells": (
        undone(away="no answer"),
        End(EASY, "running"),
    ),
    "a service that is being deleted undoes no more": (
        replace(writing(OLD_STANDS, NEW_ENDS, reverting=REVERTING), deleting=True),
        End(REVERTING, "not_running"),
    ),
    # being deleted
    "deleting cancels the rollout": (rolling(STARTING, deleting=True), cancelled()),
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
    "deleting waits for what was scaled to none, whatever it holds": (
        replace(GOING, there=by_name(NEW_LEFT)),
        Wait(SOON),
    ),
    "for so long": (
        replace(GOING, there=by_name(replace(NEW_LEFT, updated=NOW - TOLD_TO_END))),
        Remove(replace(NEW_LEFT, updated=NOW - TOLD_TO_END)),
    ),
    "also by a clock that is somewhat ahead": (
        replace(GOING, there=by_name(replace(NEW_LEFT, updated=NOW + TOLD_TO_END / 2))),
        Wait(SOON),
    ),
    "and not by one that is far ahead": (
        replace(GOING, there=by_name(replace(NEW_LEFT, updated=NOW + TOLD_TO_END))),
        Remove(replace(NEW_LEFT, updated=NOW + TOLD_TO_END)),
    ),
    "deleting ends": (
        idle(deleting=True, there={}, **route("route.withdrawn", None)),
        Finish(),
    ),
    "deleting gives containers time to end": (
        GOING,
        NoteRemoving(iso(NOW + timedelta(seconds=LEFT))),
    ),
    "which are waited for": (state_of(GOING, removing=FUTURE), Wait(0.3)),
    "and are ended then": (state_of(GOING, removing=PAST), EndContainers()),
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
    "tasks of another workload ended": (
        rolling_2(ON_NEW, ended_db(3)),
        "exited",
        "db: the container ended at its start with exit code 3",
    ),
    "a job ended badly": (
        with_job(ON_NEW, jobs=(Job(workload="db", exit=3),)),
        "job-failed",
        "db: the job ended with exit code 3",
    ),
    "a job could not be started": (
        with_job(ON_NEW, JOB_NOT_STARTED, jobs=(Job(workload="db", exit=128),)),
        "not-started",
        "db: the container could not be started: starting container failed: unable to find user",
    ),
    "a job is late": (
        with_job(ON_NEW, ON_JOB, jobs=(Job(workload="db"),), deadline=PAST),
        "rollout-timeout",
        "db: the job had not ended",
    ),
    "a job that was begun is nowhere": (
        with_job(ON_NEW, jobs=(Job(workload="db"),)),
        "job-lost",
        "its Swarm service is gone",
    ),
    "another workload can't be started": (
        rolling_2(
            ON_NEW,
            on_engine(
                "d2-db", *[task(str(n), "refused", error="no") for n in range(4)], workload="db"
            ),
        ),
        "not-started",
        "could not be started: no",
    ),
    "it answers its health check badly for too long": (
        rolling(STARTING, health=badly("GET /h answered 500")),
        "unhealthy",
        "for 75 s after its start: GET /h answered 500",
    ),
    "another workload answered its health check badly for too long, for the third time": (
        rolling_2(ON_NEW, ended_db(3, error=UNHEALTHY), health=badly("no", "db")),
        "unhealthy",
        "db: the health check failed for 75 s after its start: no",
    ),
    "another workload did so for the third time, and ended well each time": (
        rolling_2(ON_NEW, ended_db(3, code=0), health=badly("no", "db")),
        "unhealthy",
        "db: the health check failed for 75 s after its start: no",
    ),
    "it was ended for that": (
        rolling(
            on_engine("d2", task("t", "ended", exit_code=143)),
            health=badly("nothing listens on port 80"),
        ),
        "not-listening",
        "75 s after its start nothing listens on port 80",
    ),
    "it ended by itself while it answered badly": (
        rolling(
            on_engine("d2", task("t", "ended", exit_code=3)), health=badly("x", unhealthy=False)
        ),
        "exited",
        "exit code 3",
    ),
    "it is late and answers badly": (
        state_of(
            rolling(STARTING, health=badly("GET /h answered 503", unhealthy=False)), deadline=PAST
        ),
        "unhealthy",
        "GET /h answered 503",
    ),
    "it is late": (state_of(rolling(STARTING), deadline=PAST), "rollout-timeout", "ready in time"),
    "what another waits for is late": (
        state_of(rolling(NO_ROOM), wanted=AFTER_DB, deadline=PAST),
        "rollout-timeout",
        "db: it did not become ready in time: no suitable node",
    ),
    "what goes on did not run until it was too late": (
        state_of(keeping_db(on_engine("d1-db", workload="db")), deadline=PAST),
        "rollout-timeout",
        "main: it starts after db, which goes on as it was",
    ),
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
    assert isinstance(step, Revert)
    assert step.reverting.outcome == "failed"
    assert step.reverting.failure is not None
    assert step.reverting.failure.reason == reason
    assert words in step.reverting.failure.detail


@pytest.mark.parametrize(
    ("step", "own"),
    [
        (Create(NEW_2, NEW_DB, 1), True),
        (Scale(ON_NEW_DB, 2), True),
        (Scale(ON_OLD_DB, 2), False),
        (Create(NEW, NEW_MAIN, 1), True),
        (Create(OLD, OLD_MAIN, 1, repair=True), False),
        (Scale(ON_NEW, 2), True),
        (Scale(ON_OLD, 2), False),
        (Scale(ON_OLD, 0), False),
        (Scale(HOLDING, 0), True),
        (Remove(ON_OLD), False),
        (Ready(()), True),
        (StartJob(NEW_2, NEW_DB), True),
        (NoteJobEnded(NEW_DB, 0), True),
        (cancelled(), True),
        (End(Reverting(outcome="cancelled", deadline=DEADLINE), "none"), True),
        (NoteScaled({"main": 2}), False),
    ],
)
def test_only_what_a_rollout_can_t_go_on_without_is_about_it(step: RolloutStep, own: bool):
    assert about(step, NEW_2, frozenset({HOLDING.name})) is own


def test_where_nothing_is_rolled_out_only_the_next_one_waits_for_a_step():
    assert about(Start(D2), None, frozenset())
    assert not about(Create(OLD, OLD_MAIN, 1, repair=True), None, frozenset())
    assert not about(Scale(ON_OLD, 2), None, frozenset())


def test_a_route_that_is_late_may_still_come_before_the_end_is_told():
    late = state_of(rolling(ON_NEW, ready=True, **NEW_ROUTE), deadline=PAST)
    assert next_step(late) == Succeed()
