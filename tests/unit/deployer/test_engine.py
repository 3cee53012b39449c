"""The engine's words for a task and a Swarm service, as a rollout sees them."""

from typing import Any

import pytest
from deployer.adapters.engine import release_view, task_view
from deployer.rollout.domain import SwarmServiceView, TaskView
from slipway.contracts import labels

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
    spec = {"Name": "renamed", "Labels": marks, "Mode": {"Replicated": {"Replicas": 2}}}
    return {"ID": "s1", "Version": {"Index": 7}, "Spec": spec | lacks}


def test_a_swarm_service_of_a_release_is_known_by_its_labels():
    found = release_view(swarm_service())
    assert found == SwarmServiceView("s1", "slipway-db-0123", "db", 2, 7)


def test_what_two_cannot_have_at_once_is_on_its_label():
    made = swarm_service()
    made["Spec"]["Labels"][labels.HOLDS] = "volume:data,port:5432/tcp"
    assert release_view(made).holds == {"volume:data", "port:5432/tcp"}


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
