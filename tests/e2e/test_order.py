"""What is asked for later wins, whatever was still under way."""

import threading
import uuid
from typing import Any

import pytest

from tests.e2e.api import ENDED, Api
from tests.e2e.engine import eventually, releases, settled
from tests.e2e.repositories import GitServer, slow
from tests.e2e.services import QUICK, Service

pytestmark = [pytest.mark.engine, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def first() -> dict[str, str]:
    return {}


@pytest.fixture(scope="module")
def app(api: Api, environment: str, git_server: GitServer, first: dict[str, str]) -> Service:
    made = Service(api, environment, git_server.repository(), **QUICK)
    made.repository.behave("first", on_term="drain")
    first["id"] = made.live()["id"]
    made.repository.behave("second", on_term="drain")
    made.live()
    settled(made.id)
    return made


def building(app: Service, version: str, seconds: float) -> str:
    """A deployment of a new commit, whose build has begun and takes so long."""
    app.repository.behave(version, slow(seconds), on_term="drain")
    deployment = app.deploy()
    app.api.until(deployment, "building")
    return deployment


def test_a_rollback_wins_over_a_push_that_is_being_built(
    app: Service, first: dict[str, str], version_of: Any
):
    pushed = building(app, "pushed", 30)
    rolled_back = app.api.rollback(first["id"])
    app.api.until(rolled_back, "live", seconds=30)
    ended = app.api.ended(pushed, seconds=10)
    assert ended["status"] in {"superseded", "cancelled"}, ended
    assert app.shown()["live_deployment"] == rolled_back
    assert version_of(app.host) == "first"
    settled(app.id)
    assert app.api.deployment(rolled_back)["status"] == "live"


def test_replicas_that_are_set_during_a_deployment_take_effect(app: Service):
    deployment = building(app, "scaled", 3)
    app.patch(replicas=2)
    app.api.until(deployment, "live")
    settled(app.id, replicas=2)
    eventually("two addresses", lambda: app.shown()["observed"]["addresses"] == 2)
    deployment = building(app, "scaled back", 1)
    app.api.until(deployment, "deploying", "live")
    app.patch(replicas=1)
    app.api.until(deployment, "live")
    settled(app.id)
    assert app.shown()["live_deployment"] == deployment


def test_a_domain_that_is_added_during_a_deployment_takes_effect(app: Service, version_of: Any):
    deployment = building(app, "with a domain", 3)
    host = f"added-{uuid.uuid4().hex[:6]}.localhost"
    app.api.post(f"{app.path}/domains", {"host": host})
    app.api.until(deployment, "live")
    eventually("the new host leads there", lambda: version_of(host) == "with a domain", 10)
    assert version_of(app.host) == "with a domain"


def test_of_two_deployments_at_once_the_later_is_live(
    app: Service, settings: dict[str, str], version_of: Any
):
    app.repository.behave("at once", slow(2), on_term="drain")
    made: list[str] = []

    def deploy() -> None:
        own = Api(settings["SLIPWAY_URL"], settings["SLIPWAY_TOKEN"])
        made.append(own.deploy(app.id))

    threads = [threading.Thread(target=deploy) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 2, made
    both = sorted((app.api.ended(id_) for id_ in made), key=lambda item: item["sequence"])
    earlier, later = (app.api.deployment(item["id"]) for item in both)
    assert earlier["status"] in ENDED - {"live", "failed", "expired"}, earlier
    assert later["status"] == "live", later
    assert version_of(app.host) == "at once"
    settled(app.id)
    assert len(releases(app.id)) == 1
