"""The registry, and what an organization may not do there, with its own and foreign passwords."""

import json
import uuid
from dataclasses import dataclass
from typing import Any

import pytest
from slipway.contracts import labels
from slipway.contracts.registry import Account

from tests.e2e import registry
from tests.e2e.api import Api
from tests.e2e.engine import docker
from tests.e2e.instance import INSTANCE
from tests.e2e.repositories import GitServer
from tests.e2e.services import QUICK, Service

pytestmark = [pytest.mark.engine, pytest.mark.timeout(240)]


@dataclass
class Owner:
    """An organization of which one application was built. `layer`: the digest of its last one."""

    api: Api
    app: Service
    deployment: str
    image: str
    account: Account
    layer: str

    @property
    def repository(self) -> str:
        return self.image.partition("@")[0]

    @property
    def digest(self) -> str:
        return self.image.partition("@")[2]


def owner(api: Api, git_server: GitServer) -> Owner:
    environment = api.post("/v1/projects", {"name": f"e2e {uuid.uuid4().hex[:6]}"})
    repository = git_server.repository()
    repository.behave("own", f"RUN echo {uuid.uuid4().hex} > /private")
    app = Service(api, environment["environments"][0]["id"], repository, **QUICK)
    live = app.live()
    account = registry.account_of(live["image"].partition("/")[0])
    name, _, digest = live["image"].partition("@")
    manifest = registry.ask("GET", f"/v2/{name}/manifests/{digest}", account)
    assert manifest.status_code == 200, manifest.text
    layer = manifest.json()["layers"][-1]["digest"]
    return Owner(api, app, live["id"], live["image"], account, layer)


@pytest.fixture(scope="module")
def first(api: Api, git_server: GitServer) -> Owner:
    return owner(api, git_server)


@pytest.fixture(scope="module")
def second(stranger: Api, git_server: GitServer) -> Owner:
    return owner(stranger, git_server)


def test_what_is_its_own_is_read_by_tag_and_digest(first: Owner):
    for reference in (first.deployment, first.digest):
        path = f"/v2/{first.repository}/manifests/{reference}"
        assert registry.ask("HEAD", path, first.account).status_code == 200
    blob = registry.ask("GET", f"/v2/{first.repository}/blobs/{first.layer}", first.account)
    assert blob.status_code == 200


def test_what_is_anothers_is_not_there(first: Owner, second: Owner):
    paths = (
        f"/v2/{first.repository}/manifests/{first.deployment}",
        f"/v2/{first.repository}/manifests/{first.digest}",
        f"/v2/{first.repository}/blobs/{first.layer}",
        f"/v2/{first.repository}/tags/list",
        f"/v2/{second.repository}/blobs/{first.layer}",
        "/v2/_catalog",
    )
    for path in paths:
        said = registry.ask("GET", path, second.account)
        assert said.status_code == 404, (path, said.text)
        nothing = registry.ask("GET", path.replace(first.app.id, str(uuid.uuid4())), second.account)
        assert nothing.status_code == 404, path


@pytest.mark.parametrize("user", ["organization", "platform", "library", "nobody", ""])
def test_without_the_right_password_nothing_is_told(first: Owner, user: str):
    named = first.account.user if user == "organization" else user
    for account in (None, Account(named, "wrong"), Account(named, "")):
        for path in (f"/v2/{first.repository}/tags/list", "/v2/_catalog", "/v2/"):
            assert registry.ask("GET", path, account).status_code in (401, 404)


def test_the_catalogue_and_everybodys_images_are_closed(first: Owner):
    engine = registry.account_of("platform")
    manifest = registry.ask("GET", f"/v2/{first.repository}/manifests/{first.digest}", engine)
    assert manifest.status_code == 200
    for account in (first.account, engine):
        assert registry.ask("GET", "/v2/_catalog", account).status_code == 404
        for repository in ("library/python", first.repository):
            if account is first.account and repository == first.repository:
                continue
            path = f"/v2/{repository}/manifests/new"
            kind = manifest.headers["Content-Type"]
            put = registry.ask("PUT", path, account, Content_Type=kind, content=manifest.content)
            assert put.status_code == 404, (account.user, repository)
    path = f"/v2/{first.repository}/manifests/{first.digest}"
    assert registry.ask("DELETE", path, first.account).status_code == 404


def test_a_layer_is_mounted_from_ones_own_repositories_alone(first: Owner, second: Owner):
    def mounted(of: Owner, query: str, content: bytes = b"", kind: str = "") -> int:
        path = f"/v2/{of.account.user}/mounted/blobs/uploads/{query}"
        return registry.ask(
            "POST", path, of.account, Content_Type=kind or "text/plain", content=content
        ).status_code

    layer = first.layer.replace(":", "%3A")
    wanted = f"mount={layer}&from={first.repository.replace('/', '%2F')}"
    assert mounted(first, f"?{wanted}") == 201
    assert mounted(second, f"?{wanted}") == 404
    form = "application/x-www-form-urlencoded"
    assert mounted(second, "", wanted.encode(), form) == 202, "an upload begins, nothing is mounted"
    own = second.repository.replace("/", "%2F")
    assert mounted(second, f"?mount={layer}&from={own}", wanted.encode(), form) == 202
    assert mounted(second, f"?mount={layer}&fro%6D={first.repository}") == 404
    blob = f"/v2/{second.account.user}/mounted/blobs/{first.layer}"
    assert registry.ask("GET", blob, second.account).status_code == 404


def test_the_door_leads_from_no_network_into_another(first: Owner, second: Owner):
    door = labels.registry_door(INSTANCE)
    assert docker("exec", door, "cat", "/proc/sys/net/ipv4/ip_forward").strip() == "0"


ATTACKS = {
    "by its name in the registry": "registry:5000/{image}",
    "by the organization's name": "{repository}:{deployment}",
    "by the beginning of its id on the engine": "{id}",
    "by the name on the engine": "{place}/{image}",
    "the platform itself": "slipway/control:{tag}",
}


@pytest.mark.parametrize("how", ATTACKS)
@pytest.mark.parametrize("by", ["FROM", "COPY --from", "image source"])
def test_an_image_of_another_organization_is_out_of_reach(
    first: Owner, second: Owner, git_server: GitServer, how: str, by: str
):
    id_ = docker("image", "inspect", "--format", "{{.Id}}", f"{registry.place()}/{first.image}")
    template = json.loads(docker("service", "inspect", f"{INSTANCE}_builder"))[0]
    control = template["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"]
    name = ATTACKS[how].format(
        image=first.image, repository=first.repository, deployment=first.deployment,
        id=id_.removeprefix("sha256:")[:12], place=registry.place(), tag=control.partition(":")[2],
    )  # fmt: skip
    body: dict[str, Any] = {"source": {"kind": "image", "image": name}}
    repository = None
    if by != "image source":
        repository = git_server.repository()
        line = f"FROM {name}\n" if by == "FROM" else f"FROM scratch\nCOPY --from={name} / /x\n"
        repository.push({"Dockerfile": line})
        body = {}
    app = Service(second.api, second.app.environment, repository, **body)
    seen = app.failed()
    assert seen["error"]["reason"] in ("base-image-missing", "image-pull-failed", "build-failed")
