"""A cancelled build stops at once, and who waited for it begins."""

import uuid

import pytest

from tests.e2e.api import Api
from tests.e2e.engine import eventually, half_made, running_programs
from tests.e2e.repositories import GitServer, printing
from tests.e2e.services import QUICK, Service

pytestmark = [pytest.mark.engine, pytest.mark.timeout(120)]


class Endless:
    """A deployment of a service of its own, whose build runs a program that can be told by
    its command line."""

    def __init__(self, api: Api, environment: str, git_server: GitServer) -> None:
        self.marker = f"endless-{uuid.uuid4().hex}"
        self.app = Service(api, environment, git_server.repository(), **QUICK)
        self.app.repository.behave("endless", printing(3000, 0.1, self.marker))
        self.deployment = self.app.deploy()
        eventually("the step runs", lambda: running_programs(self.marker), 30)

    def cancel(self) -> None:
        self.app.api.post(f"/v1/deployments/{self.deployment}/cancel")

    def stopped(self) -> None:
        """Within 2 s no step runs; then it is told so, and nothing is left of it."""
        eventually("no step runs", lambda: not running_programs(self.marker), 2, 0.05)
        self.app.api.until(self.deployment, "cancelled", seconds=5)
        assert half_made(self.app.id, self.deployment) == {}


def test_cancelling_stops_the_step_and_the_next_in_the_queue_begins(
    api: Api, environment: str, git_server: GitServer
):
    # Two builds at a time, so the third waits for either.
    one, two = (Endless(api, environment, git_server) for _ in range(2))
    waiting = Service(api, environment, git_server.repository(), **QUICK)
    waiting.repository.behave("waited", on_term="drain")
    third = waiting.deploy()
    try:
        eventually("it is in the queue", lambda: api.deployment(third)["status"] == "queued", 5)
        assert running_programs(one.marker)
        assert running_programs(two.marker)
        one.cancel()
        one.stopped()
        api.until(third, "building", "deploying", "live", seconds=2)
        api.until(third, "live")
        assert running_programs(two.marker), "the other build goes on"
    finally:
        two.cancel()
    two.stopped()


def test_of_one_service_a_cancelled_build_lets_the_next_begin(
    api: Api, environment: str, git_server: GitServer
):
    first = Endless(api, environment, git_server)
    first.app.repository.behave("next", on_term="drain")
    second = first.app.deploy()
    eventually("it waits", lambda: api.deployment(second)["status"] == "queued", 5)
    first.cancel()
    first.stopped()
    api.until(second, "building", "deploying", "live", seconds=2)
    api.until(second, "live")


def test_cancelling_what_waits_ends_it_at_once(api: Api, environment: str, git_server: GitServer):
    first = Endless(api, environment, git_server)
    second = first.app.deploy()
    try:
        answer = api.post(f"/v1/deployments/{second}/cancel")
        assert answer["id"] == second
        api.until(second, "cancelled", seconds=2)
        assert "build.started" not in api.types(second)
        assert running_programs(first.marker), "the one before it goes on"
        assert api.call("POST", f"/v1/deployments/{second}/cancel").status_code == 409
    finally:
        first.cancel()
    first.stopped()
