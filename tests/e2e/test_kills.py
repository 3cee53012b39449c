"""A part of the platform dies, or is away: what was asked for happens all the same, once."""

import time
import uuid
from typing import Any

import pytest

from tests.e2e.api import ENDS, Api
from tests.e2e.engine import (
    away,
    container_of,
    docker,
    eventually,
    inspect,
    kill,
    release_label,
    releases,
    running_programs,
    services,
    settled,
)
from tests.e2e.instance import service
from tests.e2e.loads import load_from_outside, unharmed
from tests.e2e.repositories import GitServer, printing, slow
from tests.e2e.services import QUICK, Image, Service

pytestmark = [pytest.mark.engine, pytest.mark.timeout(240)]

ABSENCE = 60.0
"""So many seconds proxy-sync is away."""
LIGHT = 50.0


@pytest.fixture
def app(api: Api, environment: str, git_server: GitServer) -> Service:
    """Serves the version `first`."""
    made = Service(api, environment, git_server.repository(), **QUICK)
    made.repository.behave("first", on_term="drain")
    made.live()
    return made


def ends(types: list[str]) -> list[str]:
    return [type_ for type_ in types if type_ in ENDS]


def test_a_builder_that_is_killed_during_a_step_builds_once(app: Service, version_of: Any):
    marker = uuid.uuid4().hex
    app.repository.behave("second", printing(60, 0.1, marker), on_term="drain")
    deployment = app.deploy()
    eventually("the step runs", lambda: running_programs(marker), 30)
    kill("builder")
    app.api.until(deployment, "live", seconds=150)
    assert version_of(app.host) == "second"
    history = app.api.history(deployment)
    attempts = [e["data"]["attempt"] for e in history if e["type"] == "build.started"]
    assert attempts == [1, 2], attempts
    types = [event["type"] for event in history]
    assert types.count("build.succeeded") == 1, types
    assert ends(types) == ["deployment.succeeded"], types
    assert "attempt 2" in app.api.logs(deployment)


def test_a_build_that_was_there_at_two_deaths_is_given_up(app: Service, version_of: Any):
    marker = uuid.uuid4().hex
    app.repository.behave("second", printing(600, 0.1, marker), on_term="drain")
    deployment = app.deploy()

    def attempts() -> list[int]:
        history = app.api.history(deployment)
        return [e["data"]["attempt"] for e in history if e["type"] == "build.started"]

    for attempt in (1, 2):
        begun = list(range(1, attempt + 1))
        eventually("it is begun", lambda begun=begun: attempts() == begun, 60)
        eventually("the step runs", lambda: running_programs(marker), 30)
        kill("builder")
    seen = app.api.ended(deployment, 60)
    assert (seen["status"], seen["error"]["reason"]) == ("failed", "builder-interrupted"), seen
    assert deployment in seen["error"]["hint"]
    assert attempts() == [1, 2]
    app.repository.behave("third", on_term="drain")
    app.live()
    assert version_of(app.host) == "third"


def test_a_deployer_that_is_killed_after_it_created_creates_once(
    app: Service, failpoints: Any, version_of: Any
):
    app.repository.behave("second", on_term="drain")
    former = container_of(service("deployer"))
    failpoints("deployer", "deployer.create.after=kill")
    deployment = app.deploy()
    label = release_label(app.id, deployment)
    eventually("it was created", lambda: services(label))
    created = inspect("service", services(label)[0])["ID"]
    eventually("it died", lambda: container_of(service("deployer")) != former)
    app.api.until(deployment, "live")
    assert [inspect("service", name)["ID"] for name in services(label)] == [created]
    assert version_of(app.host) == "second"
    settled(app.id)
    types = app.api.types(deployment)
    assert types.count("rollout.started") == 1, types
    assert ends(types) == ["deployment.succeeded"], types


def test_proxy_sync_may_die_after_the_switch_and_stay_away(
    app: Service, http_address: str, failpoints: Any, version_of: Any
):
    """Before it could say that it switched. Until it is back both releases are kept, since the
    log does not tell which one is routed to."""
    settled(app.id)
    app.repository.behave("second", on_term="drain")
    failpoints("proxy-sync", "proxy-sync.switch.after=delay:120")
    with load_from_outside(http_address, app.host, rate=LIGHT) as load:
        deployment = app.deploy()
        eventually("it was switched", lambda: version_of(app.host) == "second")
        running = container_of(service("proxy-sync"))
        # Unwanted first, so that the engine does not start it again; then dead at once.
        docker("service", "scale", "--detach", f"{service('proxy-sync')}=0")
        docker("kill", "--signal", "KILL", running)
        with away(app.api, "proxy-sync"):
            until = time.monotonic() + ABSENCE
            while time.monotonic() < until:
                assert len(releases(app.id)) == 2, "a release went that may be routed to"
                time.sleep(1)
            assert version_of(app.host) == "second"
            assert app.api.deployment(deployment)["status"] == "deploying"
        app.api.until(deployment, "live")
        settled(app.id)
    unharmed(load, LIGHT * 0.9)
    types = app.api.types(deployment)
    assert types.count("route.activated") == 1, types
    assert ends(types) == ["deployment.succeeded"], types


def test_traffic_goes_on_while_proxy_sync_is_away(
    api: Api, environment: str, image: Image, http_address: str
):
    app = Service(api, environment, source=image.source, **QUICK)
    app.live()
    with load_from_outside(http_address, app.host, rate=LIGHT) as load:
        with away(api, "proxy-sync"):
            app.patch(replicas=2)
            settled(app.id, replicas=2)
        eventually("both are routed to", lambda: app.shown()["observed"]["addresses"] == 2)
        eventually("the second is asked", lambda: app.shown()["observed"]["replicas"] == 2)
        eventually("it is healthy", lambda: app.shown()["workloads"][0]["status"] == "running")
        (main,) = app.shown()["workloads"]
        assert main["replicas"] == {"wanted": 2, "running": 2, "healthy": 2}
        time.sleep(1)
    unharmed(load, LIGHT * 0.9)
    assert len(load.report["hosts"]) == 2, load.report["hosts"]


def test_a_deployment_goes_on_while_the_gateway_is_away(app: Service, version_of: Any):
    app.repository.behave("second", slow(8), on_term="drain")
    deployment = app.deploy()
    with away(app.api, "api-gateway"):
        eventually("it serves", lambda: version_of(app.host) == "second", 90)
        settled(app.id)
    shown = app.api.until(deployment, "live")
    assert shown["ended_at"], shown
    assert ends(app.api.types(deployment)) == ["deployment.succeeded"]
