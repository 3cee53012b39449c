"""Whatever is changed of a service that serves, no request fails, and the former version is
not heard from once the new one was confirmed."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest

from tests.e2e.api import Api
from tests.e2e.engine import eventually, settled, tasks
from tests.e2e.loads import Load, load_from_outside, unharmed
from tests.e2e.repositories import GitServer
from tests.e2e.services import Service

pytestmark = [pytest.mark.engine, pytest.mark.timeout(240)]

# Neither has a HEALTHCHECK, or curl, and both listen three seconds after their start.
BEHAVIOURS = {
    "dies-at-once": {"listen_after": 3, "on_term": "die"},
    "answers-slowly": {"listen_after": 3, "answer_after": 2, "on_term": "drain"},
}


@dataclass
class Case:
    app: Service
    behaviour: dict[str, Any]
    first: str
    """Id of the deployment of the version `first`, which `second` has replaced."""

    def push(self, version: str) -> None:
        self.app.repository.behave(version, **self.behaviour)

    def addresses(self, number: int) -> None:
        eventually(
            f"{number} addresses are routed to",
            lambda: self.app.shown()["observed"]["addresses"] == number,
        )


@pytest.fixture(scope="module", params=BEHAVIOURS)
def case(request: pytest.FixtureRequest, api: Api, environment: str, git_server: GitServer) -> Case:
    app = Service(api, environment, git_server.repository())
    made = Case(app, BEHAVIOURS[request.param], "")
    made.push("first")
    made.first = app.live()["id"]
    made.push("second")
    app.live()
    settled(app.id)
    return made


def hosts(service: str) -> set[str]:
    """What the tasks call themselves in their answers."""
    return {container[:12] for container in tasks(service)}


def confirmed(deployment: dict[str, Any]) -> float:
    route = next(step for step in deployment["steps"] if step["name"] == "route")
    return datetime.fromisoformat(route["ended_at"]).timestamp() + 0.001  # its last millisecond


def switched(load: Load, deployment: dict[str, Any], old: set[str], new: set[str]) -> None:
    """The load has heard both, and the former not any more once the new one was confirmed."""
    heard, when = load.report["hosts"], confirmed(deployment)
    assert old & heard.keys(), f"nothing of {old} was heard: {heard}"
    assert new <= heard.keys(), f"not all of {new} were heard: {heard}"
    late = {host: heard[host]["last"] - when for host in old & heard.keys()}
    assert max(late.values()) <= 0, f"seconds after the switch was confirmed: {late}"


def replaced(
    case: Case, http_address: str, request: Callable[[], str], version: str
) -> dict[str, Any]:
    """What `request` deploys replaces what serves, under load."""
    app, old = case.app, hosts(case.app.id)
    with load_from_outside(http_address, app.host) as load:
        deployment = app.api.until(request(), "live")
        new = {container[:12] for container in settled(app.id)}
    unharmed(load)
    assert load.report["connections"]["reused"] > 0, load.report["connections"]
    assert version in load.report["versions"], load.report["versions"]
    switched(load, deployment, old, new)
    return deployment


def test_a_second_commit_fails_no_request(case: Case, http_address: str):
    case.push("third")
    replaced(case, http_address, case.app.deploy, "third")


def test_a_rollback_fails_no_request(case: Case, http_address: str):
    def rollback() -> str:
        return case.app.api.rollback(case.first)

    deployment = replaced(case, http_address, rollback, "first")
    former = case.app.api.deployment(case.first)
    assert deployment["image"] == former["image"], "a rollback runs the same bytes"


def test_a_restart_fails_no_request(case: Case, http_address: str, version_of: Any):
    version = version_of(case.app.host)
    replaced(case, http_address, lambda: case.app.again("restart"), version)


def test_scaling_up_and_down_fails_no_request(case: Case, http_address: str):
    app = case.app
    with load_from_outside(http_address, app.host) as load:
        app.patch(replicas=3)
        case.addresses(3)
        three = hosts(app.id)
        time.sleep(3)  # so long each of the three has its part of the traffic
        app.patch(replicas=1)
        case.addresses(1)
        settled(app.id)
    unharmed(load)
    answers = {host: seen["answers"] for host, seen in load.report["hosts"].items()}
    assert answers.keys() == three, f"{three} ran, and {answers} were heard"
    assert min(answers.values()) >= 50, f"the traffic is not shared: {answers}"
