"""Images of a service that nobody rolls back to any more are gone, and nothing else is."""

import uuid
from typing import Any

import pytest
from slipway.contracts import labels
from slipway.contracts.registry import PLATFORM

from tests.e2e import registry
from tests.e2e.api import Api
from tests.e2e.engine import docker, eventually, inspect
from tests.e2e.instance import service
from tests.e2e.repositories import GitServer
from tests.e2e.services import QUICK, Service

pytestmark = [pytest.mark.engine, pytest.mark.timeout(240)]


def kept() -> int:
    env = inspect("service", service("builder"))["Spec"]["TaskTemplate"]["ContainerSpec"]["Env"]
    said = dict(item.split("=", 1) for item in env)
    return int(said["SLIPWAY_IMAGES_KEPT"])


def there(path: str) -> bool:
    return registry.ask("HEAD", path, registry.account_of(PLATFORM)).status_code == 200


def tags(repository: str) -> list[str]:
    said = registry.ask("GET", f"/v2/{repository}/tags/list", registry.account_of(PLATFORM))
    return said.json().get("tags") or [] if said.status_code == 200 else []


def on_engine(app: Service) -> set[str]:
    mark = f"label={labels.SERVICE}={app.id}"
    listed = docker("image", "ls", "--digests", "--filter", mark, "--format", "{{.Digest}}")
    return set(listed.split()) - {"<none>"}


def last_layer(image: str) -> str:
    name, _, digest = image.partition("@")
    path = f"/v2/{name}/manifests/{digest}"
    manifest = registry.ask("GET", path, registry.account_of(PLATFORM)).json()
    return f"/v2/{name}/blobs/{manifest['layers'][-1]['digest']}"


def test_the_last_ones_stay_and_the_others_go(api: Api, environment: str, git_server: GitServer):
    app = Service(api, environment, git_server.repository(), **QUICK)
    foreign = f"slipway-e2e-foreign-{uuid.uuid4().hex[:8]}"
    lives = list[dict[str, Any]]()
    for number in range(2):
        app.repository.behave(f"{number}", f"RUN echo {uuid.uuid4().hex} > /own")
        lives.append(app.live())
    gone, stays = (live["image"] for live in lives)
    layers = [last_layer(image) for image in (gone, stays)]
    docker("image", "tag", f"{registry.place()}/{gone}", foreign)
    try:
        for _ in range(kept() - 1):  # they need the second one's image
            api.until(app.again("restart"), "live")
        repository = stays.partition("@")[0]
        eventually("tags", lambda: tags(repository) == [lives[1]["id"]], 60)
        eventually("on the engine", lambda: on_engine(app) == {stays.partition("@")[2]}, 30)
        eventually("collected", lambda: [*map(there, layers)] == [False, True], 60)
        refused = api.call("POST", f"/v1/deployments/{lives[0]['id']}/rollback")
        assert refused.status_code == 410, refused.text
        assert refused.json()["type"].endswith("/images-swept")
        again = api.until(api.rollback(lives[1]["id"]), "live")
        assert again["image"] == stays
        api.ok("DELETE", app.path)
        api.gone(app.path)
        eventually("repository", lambda: tags(repository) == [], 60)
        eventually("layers", lambda: not there(layers[1]), 60)
        assert docker("image", "ls", "--quiet", foreign), "who has it under another name keeps it"
    finally:
        docker("image", "rm", foreign, check=False)
