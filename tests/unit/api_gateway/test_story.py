"""What a deployment's log says behind its build."""

from typing import Any

import pytest
from api_gateway.deployments.render import Story
from slipway.contracts.deployment import (
    DeploymentCancelled,
    DeploymentExpired,
    DeploymentFailed,
    DeploymentStopRequested,
    DeploymentSucceeded,
    DeploymentSuperseded,
)
from slipway.contracts.event import Event
from slipway.contracts.rollout import (
    MOST_TASKS,
    Pending,
    Release,
    Reverting,
    RolloutCancelled,
    RolloutFailed,
    RolloutJobEnded,
    RolloutJobStarted,
    RolloutQueued,
    RolloutReady,
    RolloutReverting,
    RolloutScaled,
    RolloutStarted,
    RolloutState,
    RolloutSucceeded,
    RolloutWaiting,
    Task,
)
from slipway.contracts.route import Binding, RouteActivated, RouteChanged, RouteState
from slipway.contracts.values import After, Failure
from slipway.contracts.workload import MAIN
from slipway.testing import releases

OF: dict[str, Any] = {"service": "a1", "kind": "application"}
OWN: dict[str, Any] = {**OF, "deployment": "d1"}
FAILURE = Failure(reason="exited", detail="it ended", hint="look at it", lines=("boom",))
TASKS = tuple(Task(id=f"t{n}", workload=MAIN, address=f"10.0.0.{n}") for n in (1, 2))


def release(
    deployment: str = "d1", port: int | None = 8000, path: str | None = None, **more: Any
) -> Release:
    name = f"slipway-web-{deployment}"
    return releases.release(deployment, swarm_service=name, port=port, health_path=path, **more)


def told(*events: Event, url: str = "http://example.org", build_failed: bool = False) -> list[str]:
    story = Story("d1", url, build_failed)
    return [said.text for event in events for said in story.tell(event)]


def binding(host: str, path: str = "/") -> Binding:
    return Binding(domain="x", host=host, path=path, workload=MAIN, port=8000)


def serving(former: str | None = "d0", **state: Any) -> RolloutState:
    return RolloutState(serving=release(former) if former else None, **state)


def test_from_the_release_to_the_addresses():
    bound = (binding("a.example.org"), binding("b.example.org", "/shop"))
    state = RouteState(deployment="d1", bindings=bound[:1])
    asking = "asking each through the proxy where a domain leads to it"
    assert told(
        RolloutStarted(**OWN, state=serving(wanted=release(path="/healthz"))),
        RolloutReady(**OWN, state=serving(wanted=release(), tasks=TASKS)),
        RouteActivated(**OWN, state=state),
        RouteChanged(**OWN, state=state.model_copy(update={"bindings": bound})),
        RolloutSucceeded(**OWN, state=serving("d1")),
        DeploymentSucceeded(**OF),
        url="http://server:8080",
    ) == [
        "creating the release slipway-web-d1",
        "waiting until its tasks run and are healthy (GET /healthz at port 8000)",
        "2 tasks are ready",
        f"{asking}, settling for 5 s beside what serves, then the switch",
        "it answered and has settled; the routes lead to it",
        "live at http://a.example.org:8080/",
        "live at http://b.example.org:8080/shop",
    ]


def test_a_worker_s_first_release():
    wanted = release(port=None)
    assert told(
        RolloutStarted(**OWN, state=serving(None, wanted=wanted)),
        RolloutReady(**OWN, state=serving(None, wanted=wanted, tasks=TASKS[:1])),
        RouteActivated(**OWN, state=RouteState(deployment="d1")),
        DeploymentSucceeded(**OF),
    ) == [
        "creating the release slipway-web-d1",
        "waiting until its tasks run and are healthy",
        "1 task is ready",
        "settling for 5 s",
        "it has settled",
        "live; no domain leads to it",
    ]


def test_a_health_check_by_command():
    started = RolloutStarted(**OWN, state=serving(None, wanted=release(health_command=True)))
    assert told(started)[-1].endswith("(its health check is a command)")


def several(**carried: bool) -> Release:
    """A web program behind a job and a database."""
    (web,) = release(name="web").workloads
    named = {"swarm_service": "slipway-db-d1", "port": None, "name": "db"}
    database = web.model_copy(update={**named, "carried": carried.get("db", False)})
    job = web.model_copy(update={"name": "migrate", "job": True, "port": None})
    web = web.model_copy(update={"after": (After(workload="migrate", condition="completed"),)})
    return release().model_copy(update={"workloads": (database, job, web)})


def test_each_workload_of_several_is_told():
    state = serving(wanted=several(db=True))
    former = state.model_copy(update={"wanted": None})
    paused = Reverting(outcome="failed", paused=("s-db",), deadline="2026-01-01T00:00:00Z")
    assert told(
        RolloutStarted(**OWN, state=state),
        RolloutWaiting(**OWN, state=state, words="a node: db: no suitable node"),
        RolloutWaiting(**OWN, state=state, words=""),
        RolloutJobStarted(**OWN, state=state, workload="migrate"),
        RolloutJobEnded(**OWN, state=state, workload="migrate", exit=3),
        RolloutReverting(**OWN, state=state.model_copy(update={"reverting": paused})),
        RolloutFailed(**OWN, state=former, failure=FAILURE, former="not_running"),
    ) == [
        "db: has not changed and goes on as it is",
        "migrate: a job, which runs once",
        "web: creating slipway-web-d1, after migrate, until it is healthy (port 8000)",
        "it waits for a node: db: no suitable node",
        "it goes on",
        "migrate: the job runs",
        "migrate: the job ended with 3",
        "undoing it, until what served before runs again",
        "what served before does not run again yet; the platform goes on trying",
    ]
    assert told(RolloutStarted(**OWN, state=serving(wanted=several())))[0] == (
        "db: creating slipway-db-d1, until it is healthy"
    )


def test_one_that_had_no_turn_says_for_whom_what_serves_stands_still():
    other = release("d9").model_copy(update={"deployment": "d9"})
    said = told(RolloutCancelled(**OWN, state=serving(wanted=other), former="not_running"))
    assert said == ["what serves stands still for the deployment d9"]


def test_what_was_scaled_to_none_is_not_waited_for():
    state = serving(replicas={"main": 0})
    said = told(RolloutFailed(**OWN, state=state, failure=FAILURE, former="not_running"))
    assert said == ["what served before stays as it is: scaled to none"]


def test_of_very_many_tasks_only_the_first_are_known():
    state = serving(wanted=release(), tasks=TASKS[:1] * (MOST_TASKS + 1))
    ready = told(RolloutStarted(**OWN, state=state), RolloutReady(**OWN, state=state))
    assert f"at least {MOST_TASKS} tasks are ready" in ready


def test_a_release_that_changes_nothing():
    state = serving(wanted=release(carried=True), tasks=TASKS)
    assert told(RolloutStarted(**OWN, state=state), RolloutReady(**OWN, state=state)) == [
        "nothing of it has changed: its tasks go on as they are"
    ]


HELD = ("port:80/tcp", "volume:data", "workload:main")


@pytest.mark.parametrize(
    ("holds", "first"),
    [
        (HELD, "what served before ends first: two can't have the port 80/tcp or the volume data"),
        (HELD[2:], "what served before ends first: its strategy says so"),
    ],
)
def test_what_ends_first_is_said_and_nothing_serves_beside_it(holds: tuple[str, ...], first: str):
    """Also where only the wanted one is to stop first."""
    former, wanted = release("d0", holds=HELD[:2]), release(holds=holds, port=None)
    state = RolloutState(serving=former, wanted=wanted, tasks=TASKS[:1])
    events = (RolloutStarted(**OWN, state=state), RolloutReady(**OWN, state=state))
    said = told(*events)
    assert said[0] == first
    assert said[-1] == "settling for 5 s"
    stopped = state.model_copy(update={"stopped": True})
    said = told(*(event.model_copy(update={"state": stopped}) for event in events))
    assert (said[0], said[-1]) == ("creating the release slipway-web-d1", "settling for 5 s")


def test_of_several_it_is_said_which_end_first():
    wanted = several()
    database, *others = wanted.workloads
    database = database.model_copy(update={"holds": ("volume:data",)})
    wanted = wanted.model_copy(update={"workloads": (database, *others)})
    former = release("d0").model_copy(
        update={"workloads": (database.model_copy(update={"swarm_service": "s-old"}),)}
    )
    state = RolloutState(serving=former, wanted=wanted)
    assert told(RolloutStarted(**OWN, state=state))[0] == (
        "what served before of db ends first: two can't have the volume data"
    )


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (RolloutState(queue=(Pending(deployment="d1", sequence=5),)), []),
        (
            RolloutState(wanted=release("d0"), queue=(Pending(deployment="d1", sequence=5),)),
            ["waiting for the deployment d0"],
        ),
        (
            RolloutState(
                wanted=release("d0"),
                queue=(
                    Pending(deployment="d1", sequence=5),
                    Pending(deployment="d2", sequence=4),
                    Pending(deployment="d3", sequence=6),
                ),
            ),
            ["waiting for the deployment d2"],
        ),
    ],
)
def test_whom_it_waits_for(state: RolloutState, said: list[str]):
    assert told(RolloutQueued(**OWN, state=state)) == said


def test_a_failure_ends_with_the_reason_and_what_to_do():
    failed = DeploymentFailed(**OF, failure=FAILURE)
    assert told(RolloutFailed(**OWN, state=serving(), failure=FAILURE), failed) == [
        "what served before goes on serving", "boom", "failed: it ended", "what to do: look at it",
    ]  # fmt: skip
    assert told(RolloutFailed(**OWN, state=serving(None), failure=FAILURE), failed)[0] == "boom"
    still = serving().model_copy(update={"stopped": True})
    stopped = RolloutFailed(**OWN, state=still, failure=FAILURE, former="not_running")
    assert told(stopped)[0] == "what served before stays stopped"
    assert told(failed, build_failed=True) == [], "the build's log has it"


@pytest.mark.parametrize(
    ("reason", "end", "said"),
    [
        ("cancelled", DeploymentCancelled(**OF), ["it was asked to stop", "cancelled"]),
        (
            "superseded",
            DeploymentSuperseded(**OF),
            ["a newer deployment takes its place", "superseded by a newer deployment"],
        ),
        (
            "expired",
            DeploymentExpired(**OF, failure=FAILURE),
            ["its time is over", "expired: it ended", "what to do: look at it"],
        ),
    ],
)
def test_who_asks_it_to_stop_and_how_it_ends(reason: Any, end: Event, said: list[str]):
    asked = DeploymentStopRequested(**OF, reason=reason)
    given_up = RolloutCancelled(**OWN, state=serving(None))
    assert told(asked, given_up, end) == said


def test_what_is_about_another_says_nothing():
    other: dict[str, Any] = {**OF, "deployment": "d0"}
    state = RouteState(deployment="d0", bindings=(binding("x"),))
    assert told(
        RolloutStarted(**other, state=serving(wanted=release("d0"))),
        RouteActivated(**other, state=state),
        RolloutScaled(**OF, state=serving()),
        DeploymentSucceeded(**OF),
    ) == ["live; no domain leads to it"]
