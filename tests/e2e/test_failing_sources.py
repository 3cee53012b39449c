"""Sources that can't be had: the deployment says why and what to do, leaves nothing half made, and
the platform goes on.

A full disk of the engine itself is not brought about, since others use it: a step that fills a
small file system of its own stands for it. `test_server_trouble` fills the builder's."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.api import Api
from tests.e2e.engine import half_made
from tests.e2e.repositories import GitServer
from tests.e2e.services import QUICK, Image, Service

pytestmark = [pytest.mark.engine, pytest.mark.timeout(120)]

FULL = "RUN --mount=type=tmpfs,target=/small,size=1m dd if=/dev/zero of=/small/file bs=1M count=4"


def failed(app: Service, *reasons: str, words: tuple[str, ...], hint: str = "") -> Any:
    """It failed with one of the reasons and the words in its detail; nothing is left of it."""
    seen = app.failed(seconds=60)
    error = seen["error"]
    assert error["reason"] in reasons, error
    assert [word for word in words if word not in error["detail"]] == [], error
    assert hint in error["hint"], error
    assert error["detail"] in app.api.logs(seen["id"]), "the log says it too"
    assert half_made(seen["id"]) == {}
    return error


@pytest.fixture(scope="module")
def good(api: Api, environment: str, image: Image) -> Service:
    return Service(api, environment, source=image.source, **QUICK)


@pytest.fixture(autouse=True)
def goes_on(good: Service, version_of: Any) -> Iterator[None]:
    """After each of them a good deployment is live."""
    yield
    good.live()
    assert version_of(good.host) == "image"


def test_a_git_address_that_does_not_exist(api: Api, environment: str, git_server: GitServer):
    url = f"http://{git_server.address}/nothing-{uuid.uuid4().hex[:6]}.git"
    app = Service(api, environment, source={"kind": "git", "url": url})
    failed(app, "git-repository-not-found", words=(url,), hint="address")


def test_a_git_host_that_does_not_exist(api: Api, environment: str):
    url = "http://nowhere.invalid/app.git"
    app = Service(api, environment, source={"kind": "git", "url": url})
    failed(app, "git-unreachable", words=(url,), hint="reach")


def test_a_git_address_of_the_platform_itself(api: Api, environment: str):
    url = "http://nats:4222/app.git"
    app = Service(api, environment, source={"kind": "git", "url": url})
    failed(app, "git-address-refused", words=(url,))


def test_a_branch_that_does_not_exist(api: Api, environment: str, git_server: GitServer):
    repository = git_server.repository()
    repository.behave("main")
    app = Service(api, environment, repository, source={"branch": "mian"})
    failed(app, "git-branch-not-found", words=(repository.url, "mian"), hint="main")


def test_a_folder_and_a_dockerfile_that_do_not_exist(
    api: Api, environment: str, git_server: GitServer
):
    repository = git_server.repository()
    repository.behave("main")
    app = Service(api, environment, repository, source={"path": "services/web"})
    failed(app, "folder-missing", words=("services/web",))
    source = {"kind": "git", "url": repository.url, "branch": "main"}
    app.patch(source=source, build={"kind": "dockerfile", "file": "Containerfile"})
    failed(app, "dockerfile-missing", words=("Containerfile",), hint="Dockerfile")


def test_an_image_that_cannot_be_pulled(api: Api, environment: str):
    name = "127.0.0.1:9/nothing/here:1"
    app = Service(api, environment, source={"kind": "image", "image": name})
    failed(app, "image-pull-failed", words=(name,), hint="registry")


def test_a_base_image_that_cannot_be_pulled(api: Api, environment: str, git_server: GitServer):
    repository = git_server.repository()
    repository.push({"Dockerfile": "FROM 127.0.0.1:9/nothing/here:1\n"})
    app = Service(api, environment, repository)
    failed(app, "base-image-missing", words=("line 1", "nothing/here"), hint="registry")


def test_a_disk_that_is_full_while_a_step_runs(api: Api, environment: str, git_server: GitServer):
    repository = git_server.repository()
    repository.behave("main", FULL)
    app = Service(api, environment, repository)
    error = failed(app, "disk-full", words=("no space",), hint="free space")
    assert "no space left on device" in "\n".join(error["lines"]).lower(), error
