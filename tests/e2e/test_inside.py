"""Callers inside an environment, by the service's name: nothing that is changed of it fails one of
their requests either. There is no proxy between them and the tasks."""

from typing import Any

import pytest

from tests.e2e.api import Api
from tests.e2e.engine import eventually, settled
from tests.e2e.loads import load_from_inside, unharmed
from tests.e2e.repositories import GitServer
from tests.e2e.services import Service

pytestmark = [pytest.mark.engine, pytest.mark.timeout(240)]

ENDINGS = ("drain", "die")
"""What the program does on SIGTERM: it answers what is open, or it dies at once. The load asks by
new connections and by kept ones; those end with the task that they lead to."""


@pytest.fixture(scope="module", params=ENDINGS)
def app(
    request: pytest.FixtureRequest, api: Api, environment: str, git_server: GitServer
) -> Service:
    behaviour: dict[str, Any] = {"listen_after": 3, "on_term": request.param}
    app = Service(api, environment, git_server.repository())
    app.repository.behave("first", **behaviour)
    app.live()
    app.repository.behave("second", **behaviour)
    settled(app.id)
    return app


def test_a_second_commit_fails_no_request_by_name(app: Service):
    with load_from_inside(app.environment, app.name, 8000) as load:
        app.live()
        settled(app.id)
    unharmed(load)
    assert "second" in load.report["versions"], load.report["versions"]


def test_a_restart_fails_no_request_by_name(app: Service):
    with load_from_inside(app.environment, app.name, 8000) as load:
        app.api.until(app.again("restart"), "live")
        settled(app.id)
    unharmed(load)
    assert len(load.report["hosts"]) == 2, load.report["hosts"]


def test_scaling_fails_no_request_by_name(app: Service):
    def scaled(replicas: int) -> None:
        app.patch(replicas=replicas)
        eventually(
            f"{replicas} replicas",
            lambda: app.shown()["observed"]["addresses"] == replicas,
        )
        settled(app.id, replicas)

    with load_from_inside(app.environment, app.name, 8000) as load:
        scaled(3)
        scaled(1)
    unharmed(load)
    assert len(load.report["hosts"]) == 3, load.report["hosts"]
