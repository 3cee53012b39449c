"""What is deleted leaves nothing behind, and its names can be used again."""

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.e2e.api import Api
from tests.e2e.engine import containers, docker, images, services, settled
from tests.e2e.instance import network_of
from tests.e2e.repositories import GitServer, printing
from tests.e2e.services import QUICK, Service

pytestmark = [pytest.mark.engine, pytest.mark.timeout(180)]


@pytest.fixture
def projects(api: Api) -> Iterator[Callable[[str], dict[str, Any]]]:
    """Makes projects; what a test leaves of them is deleted after it."""
    made: list[str] = []

    def make(name: str) -> dict[str, Any]:
        project = api.post("/v1/projects", {"name": name})
        made.append(f"/v1/projects/{project['id']}")
        return project

    yield make
    for path in made:
        if api.call("DELETE", path).status_code != 404:
            api.gone(path)


def left_of(service: str, environment: str = "") -> dict[str, list[str]]:
    """Kind → what the engine still has of them."""
    label = f"slipway.service={service}"
    name = f"name={network_of(environment)}"
    networks = docker("network", "ls", "--filter", name, "-q") if environment else ""
    found = {
        "services": services(label),
        "containers": containers(f"label={label}", all_=True),
        "images": images(label),
        "networks": networks.split(),
    }
    return {kind: names for kind, names in found.items() if names}


def test_a_deleted_project_leaves_nothing_and_its_names_are_free(
    api: Api, stranger: Api, git_server: GitServer, projects: Any, version_of: Any
):
    name, label = f"shop {uuid.uuid4().hex[:6]}", f"shop-{uuid.uuid4().hex[:6]}"
    repository = git_server.repository()

    def made() -> tuple[dict[str, Any], Service]:
        project = projects(name)
        environment = project["environments"][0]["id"]
        app = Service(api, environment, repository, name=label, **QUICK)
        repository.behave("shop", on_term="drain")
        app.live()
        return project, app

    # It runs, with two replicas, two releases in its history, and a build under way.
    project, app = made()
    repository.behave("second", on_term="drain")
    app.live()
    app.patch(replicas=2)
    settled(app.id, replicas=2)
    repository.behave("third", printing(1000, 0.1))
    open_ = app.deploy()
    api.until(open_, "building")
    kinds = {"services", "containers", "images", "networks"}
    assert left_of(app.id, app.environment).keys() == kinds

    path = f"/v1/projects/{project['id']}"
    assert api.ok("DELETE", path)["status"] == "deleting"
    shown = api.call("GET", path)
    assert shown.status_code == 404 or shown.json()["status"] == "deleting", shown.text
    assert api.call("POST", f"{app.path}/deployments", {}).status_code in {404, 409}
    api.gone(path)
    for gone in (app.path, f"/v1/environments/{app.environment}"):
        assert api.call("GET", gone).status_code == 404
    assert project["id"] not in {item["id"] for item in api.items("/v1/projects")}
    assert left_of(app.id, app.environment) == {}
    assert version_of(app.host) is None

    # A stranger may not have the host yet; who had it may, and the names with it.
    theirs = stranger.post("/v1/projects", {"name": name})
    environment = theirs["environments"][0]["id"]
    with pytest.raises(AssertionError, match="409"):
        Service(stranger, environment, repository, name=label, **QUICK)
    stranger.ok("DELETE", f"/v1/projects/{theirs['id']}")
    again, _ = made()
    assert again["id"] != project["id"]
    assert version_of(app.host) == "shop"


def test_a_deleted_service_goes_alone(
    api: Api, git_server: GitServer, projects: Any, version_of: Any
):
    environment = projects(f"two {uuid.uuid4().hex[:6]}")["environments"][0]["id"]
    apps = []
    for version in ("one", "two"):
        repository = git_server.repository()
        repository.behave(version, on_term="drain")
        apps.append(Service(api, environment, repository, **QUICK))
    deployments = [app.deploy() for app in apps]
    for deployment in deployments:
        api.until(deployment, "live")
    api.ok("DELETE", apps[0].path)
    api.gone(apps[0].path)
    assert left_of(apps[0].id) == {}
    assert version_of(apps[0].host) is None
    assert version_of(apps[1].host) == "two"
    settled(apps[1].id)
