"""The engine's words for a task and a Swarm service, as a rollout sees them."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from deployer.adapters.engine import Engine, health_of, release_view, task_view
from deployer.rollout.domain import Health, SwarmServiceView, TaskView
from slipway.contracts import labels
from slipway.runtime.engine import EngineMissing, EngineRefused

CONTAINER = {"ContainerID": "c1", "ExitCode": 0}


def task(state: str, desired: str = "running", **status: Any) -> dict[str, Any]:
    def attached(network: str, address: str) -> dict[str, Any]:
        return {"Network": {"Spec": {"Name": network}}, "Addresses": [address]}

    return {
        "ID": "t1",
        "DesiredState": desired,
        "Status": {"State": state, **status},
        "NetworksAttachments": [attached("other", "10.9.9.9/24"), attached("net", "10.0.0.7/24")],
    }


@pytest.mark.parametrize(
    ("state", "desired", "phase"),
    [
        ("new", "running", "starting"),
        ("pending", "running", "starting"),
        ("preparing", "running", "starting"),
        ("starting", "running", "starting"),
        ("running", "running", "running"),
        ("running", "shutdown", "stopping"),
        ("running", "remove", "stopping"),
        ("starting", "remove", "stopping"),
        ("shutdown", "shutdown", "stopping"),
        ("complete", "running", "ended"),
        ("complete", "shutdown", "ended"),
        ("failed", "shutdown", "ended"),
        ("rejected", "shutdown", "refused"),
        ("orphaned", "shutdown", "ended"),
        ("complete", "remove", "stopping"),
        ("remove", "remove", "stopping"),
        ("a state of a later engine", "running", "starting"),
    ],
)
def test_the_phase(state: str, desired: str, phase: str):
    status = {} if state == "rejected" else {"ContainerStatus": CONTAINER}
    assert task_view(task(state, desired, **status), "net").phase == phase


def test_one_that_ended_without_ever_having_a_container():
    assert task_view(task("failed", "shutdown", Err="no network"), "net").phase == "refused"


def test_one_that_runs():
    found = task_view(task("running", ContainerStatus=CONTAINER), "net")
    assert found == TaskView("t1", "running", "10.0.0.7", container="c1")


def test_one_that_ended_has_its_code_and_its_error():
    status = {"Err": "task: non-zero exit (3)", "ContainerStatus": CONTAINER | {"ExitCode": 3}}
    found = task_view(task("failed", "shutdown", **status), "net")
    assert (found.exit_code, found.error) == (3, "task: non-zero exit (3)")


def test_one_that_was_never_placed():
    bare = {"ID": "t1", "DesiredState": "running", "Status": {"State": "pending", "Err": "no node"}}
    assert task_view(bare, "net") == TaskView("t1", "starting", error="no node")


def test_an_address_of_another_network_is_none():
    assert task_view(task("running"), "third").address == ""


def swarm_service(**lacks: object) -> dict[str, Any]:
    marks = {labels.WORKLOAD: "db", labels.RELEASE: "slipway-db-0123"}
    spec = {
        "Name": "renamed", "Labels": marks, "Mode": {"Replicated": {"Replicas": 2}},
        "TaskTemplate": {"ContainerSpec": {"Image": "sha256:1"}},
    }  # fmt: skip
    return {
        "ID": "s1", "Version": {"Index": 7}, "Spec": spec | lacks,
        "CreatedAt": "2026-01-01T00:00:00.123456789Z", "UpdatedAt": "2026-01-01T00:01:00Z",
    }  # fmt: skip


def test_a_swarm_service_of_a_release_is_known_by_its_labels():
    found = release_view(swarm_service())
    assert found == SwarmServiceView(
        "s1",
        "slipway-db-0123",
        "db",
        2,
        7,
        created=datetime(2026, 1, 1, 0, 0, 0, 123456, UTC),
        updated=datetime(2026, 1, 1, 0, 1, tzinfo=UTC),
    )


def test_what_two_cannot_have_at_once_is_on_its_label():
    made = swarm_service()
    made["Spec"]["Labels"][labels.HOLDS] = "volume:data,port:5432/tcp"
    assert release_view(made).holds == {"volume:data", "port:5432/tcp"}


@pytest.mark.parametrize(
    ("check", "checked"),
    [({"Test": ["CMD", "ask"]}, True), ({"Test": ["NONE"]}, False), ({}, False), (None, False)],
)
def test_whether_to_run_is_to_be_healthy(check: Any, checked: bool):
    made = swarm_service(TaskTemplate={"ContainerSpec": {"Healthcheck": check}})
    assert release_view(made).checked is checked


@pytest.mark.parametrize(
    ("state", "at", "since"),
    [
        ("running", "2026-01-01T00:00:01.123456789Z", datetime(2026, 1, 1, 0, 0, 1, 123456, UTC)),
        ("running", "0001-01-01T00:00:00Z", None),
        ("starting", "2026-01-01T00:00:01Z", None),
    ],
)
def test_since_when_a_task_runs(state: str, at: str, since: datetime | None):
    assert task_view(task(state, Timestamp=at), "net").since == since


class Told:
    """An engine that answers what it was told to."""

    def __init__(self, **answers: list[dict[str, Any]]) -> None:
        self._answers = answers

    async def query(self, path: str, *, params: dict[str, str]) -> list[dict[str, Any]]:
        marks = [f"{labels.INSTANCE}=slipway", f"{labels.SERVICE}=app", labels.HOLDS]
        assert json.loads(params["filters"]) == {"label": marks}
        return self._answers[path.partition("/")[0]]


def marks(release: str, *held: str) -> dict[str, str]:
    return {labels.RELEASE: release, labels.HOLDS: ",".join(held)}


async def test_what_is_held_on_any_node_until_it_has_ended():
    def running(state: str, of: dict[str, str]) -> dict[str, Any]:
        return task(state, "remove") | {"Spec": {"ContainerSpec": {"Labels": of}}}

    told = Told(
        tasks=[
            running("running", marks("far", "volume:data", "port:80/tcp")),
            running("pending", marks("waits", "volume:data")),
            *(running(state, marks("over", "volume:data")) for state in ("shutdown", "failed")),
        ],
        containers=[{"Labels": marks("here", "volume:more")}],
    )
    engine = Engine(told, "slipway", 5000)  # pyright: ignore[reportArgumentType]
    assert await engine.holding("app") == {
        "far": {"volume:data", "port:80/tcp"}, "waits": {"volume:data"}, "here": {"volume:more"},
    }  # fmt: skip


ENDING = task("running", "remove", ContainerStatus={"ContainerID": "c1"}) | {
    "ServiceID": "s1", "CreatedAt": "1",
    "Spec": {"ContainerSpec": {"Labels": marks("r", "port:80/tcp")}},
}  # fmt: skip


class Listing:
    """An engine with one task and the containers of its node."""

    def __init__(self, found: dict[str, Any], *containers: tuple[str, str]) -> None:
        self._found = found
        self._containers = [{"Id": id_, "State": state} for id_, state in containers]

    async def query(self, path: str, *, params: dict[str, str]) -> list[dict[str, Any]]:
        if path == "tasks":
            return [self._found]
        assert path == "containers/json"
        every = params.get("all") == "1"
        return [
            each | {"Labels": marks("r", "port:80/tcp")}
            for each in self._containers
            if every or each["State"] == "running"
        ]


@pytest.mark.parametrize(
    ("found", "containers", "over"),
    [
        (ENDING, [("c1", "exited")], True),
        (ENDING, [("c1", "running")], False),
        (ENDING, [("c1", "created")], False),
        (ENDING, [("c2", "exited")], False),
        (ENDING, [], False),
        (ENDING | {"DesiredState": "running"}, [("c1", "exited")], False),
    ],
)
async def test_what_is_being_ended_is_over_with_its_container_whatever_swarm_says_yet(
    found: dict[str, Any], containers: list[tuple[str, str]], over: bool
):
    engine = Engine(Listing(found, *containers), "slipway", 5000)  # pyright: ignore[reportArgumentType]
    ((view,),) = (await engine.tasks(["s1"])).values()
    assert view.over is over
    assert bool(await engine.holding("app")) is not over


class Container:
    """An engine with one container, which may be told something."""

    def __init__(self, signal: str, marks: dict[str, str], error: Exception | None = None) -> None:
        self._config = {"StopSignal": signal, "Labels": marks} if signal else {"Labels": marks}
        self._error = error
        self.told: list[str] = []

    async def query(
        self, path: str, method: str = "GET", *, params: dict[str, str] | None = None
    ) -> Any:
        if self._error:
            raise self._error
        if path == "containers/c1/json":
            return {"Config": self._config}
        assert (path, method) == ("containers/c1/kill", "POST")
        self.told += (params or {}).values()
        return None


OURS = {labels.INSTANCE: "slipway", **marks("r", "volume:data")}


@pytest.mark.parametrize(
    ("signal", "of", "told"),
    [
        ("", OURS, ["SIGTERM"]),
        ("SIGQUIT", OURS, ["SIGQUIT"]),
        ("int", OURS, ["int"]),
        ("SIGWINCH", OURS, []),  # lifeline would hand on the repeat
        ("", OURS | {labels.INSTANCE: "other"}, []),
        ("", {labels.INSTANCE: "slipway"}, []),
    ],
)
async def test_who_is_told_to_end_before_swarm_does(
    signal: str, of: dict[str, str], told: list[str]
):
    container = Container(signal, of)
    await Engine(container, "slipway", 5000).stop("c1")  # pyright: ignore[reportArgumentType]
    assert container.told == told


@pytest.mark.parametrize("error", [EngineMissing("c1"), EngineRefused("it is not running", 409)])
async def test_one_that_is_not_here_or_has_ended_is_told_nothing(error: Exception):
    container = Container("", OURS, error)
    await Engine(container, "slipway", 5000).stop("c1")  # pyright: ignore[reportArgumentType]
    assert container.told == []


def test_a_job_is_one_that_runs_until_it_is_removed():
    found = release_view(swarm_service(Mode={"ReplicatedJob": {"TotalCompletions": 1}}))
    assert (found.job, found.replicas) == (True, 1)


@pytest.mark.parametrize(
    ("state", "over"),
    [
        ("new", False), ("preparing", False), ("starting", False), ("running", False),
        ("complete", True), ("failed", True), ("shutdown", True), ("rejected", True),
        ("orphaned", True), ("remove", False),
    ],
)  # fmt: skip
def test_whether_anything_of_it_runs(state: str, over: bool):
    assert task_view(task(state, "remove"), "net").over is over


@pytest.mark.parametrize(
    "other",
    [
        {"Labels": {labels.WORKLOAD: "db"}},
        {"Labels": {labels.RELEASE: "slipway-db-0123"}},
        {"Mode": {"Global": {}}},
        {"Mode": {"GlobalJob": {}}},
    ],
)
def test_a_swarm_service_that_is_no_release(other: dict[str, Any]):
    with pytest.raises(KeyError):
        release_view(swarm_service(**other))


def container(*codes: int, streak: int, **check: Any) -> dict[str, Any]:
    """As inspected: asked once a second, from 12:00:01 on."""
    log = [
        {
            "Start": f"2026-01-01T12:00:{second:02}.123456789Z",
            "ExitCode": code,
            "Output": f"{code}\n",
        }
        for second, code in enumerate(codes, 1)
    ]
    state: dict[str, Any] = {"StartedAt": "2026-01-01T12:00:00.5Z"}
    if codes:
        state["Health"] = {"Status": "unhealthy", "FailingStreak": streak, "Log": log}
    asked = {"Healthcheck": {"Test": ["CMD", "curl", "-f"], **check}} if codes else {}
    return {"State": state, "Config": asked}


def test_bad_answers_of_a_health_check():
    found = health_of(container(0, 0, 1, 22, streak=2))
    second = datetime(2026, 1, 1, 12, 0, 0, 123456, UTC)
    started = datetime(2026, 1, 1, 12, 0, 0, 500000, UTC)
    since = second.replace(second=3)
    times = (started, since, second.replace(second=4))
    assert found == Health(("curl", "-f"), "22", 22, *times, unhealthy=False)
    found = health_of(container(1, 1, streak=2, Retries=2))
    assert found
    assert (found.since, found.unhealthy) == (second.replace(second=1), True)


@pytest.mark.parametrize("found", [container(streak=0), container(1, 0, streak=0)])
def test_no_bad_answers_of_a_health_check(found: dict[str, Any]):
    assert health_of(found) is None


def test_within_the_start_period_nothing_counts():
    found = health_of(container(1, 1, 1, 1, 1, streak=0))
    assert found
    assert not found.unhealthy, "the engine says so of every container that has ended"
