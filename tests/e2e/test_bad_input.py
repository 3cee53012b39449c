"""What is wrong is refused by the platform as it runs, with the place where it is wrong, and
nothing is appended for whoever sent it. The bodies follow from the API's description."""

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from api_gateway.app import FEATURES

from tests.contract.test_bad_input import (
    NO_JSON,
    NO_OBJECT,
    VALID,
    WRITES,
    address,
    body_schema,
    collection,
    told,
    wrongs,
)
from tests.e2e.api import Api

pytestmark = [pytest.mark.engine, pytest.mark.timeout(180)]

NOWHERE = {"kind": "git", "url": "http://127.0.0.1:9/nowhere.git"}


def something_of_everything(api: Api) -> dict[str, str]:
    """Collection → an id in it. The deployment fails: there is no such repository."""
    project = api.post("/v1/projects", {"name": f"bad input {uuid.uuid4().hex[:6]}"})
    environment = project["environments"][0]["id"]
    wanted = {
        "kind": "application",
        "name": "web",
        "source": NOWHERE,
        "build": {"kind": "dockerfile"},
    }
    service = api.post(f"/v1/environments/{environment}/services", wanted)
    path = f"/v1/services/{service['id']}"
    domain = api.post(f"{path}/domains", {"host": f"{uuid.uuid4().hex[:8]}.localhost"})
    deployment = api.deploy(service["id"])
    assert api.ended(deployment)["status"] == "failed"
    return {
        "projects": project["id"],
        "environments": environment,
        "services": service["id"],
        "domains": domain["id"],
        "deployments": deployment,
        "tokens": api.post("/v1/tokens", {"name": "victim", "role": "viewer"})["id"],
    }


@dataclass
class Sender:
    """Somebody who may do everything in the organization, and sends what is wrong."""

    http: httpx2.Client
    owner: Api
    """Another token of the organization."""
    token: dict[str, Any]
    cookie: str
    ids: dict[str, str]
    foreign: dict[str, str]
    marker: str
    """A project that no wrong request is about."""

    def send(self, name: str, path: str, content: bytes | None) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {self.token['token']}"}
        if FEATURES.needs[name] == "person":
            headers = {"Cookie": self.cookie}
        if content is not None:
            headers["Content-Type"] = "application/json"
        return self.http.request(WRITES[name][0], path, content=content, headers=headers)

    def everything(self) -> list[tuple[str, Any]]:
        """What the wrong requests were about, as it is read."""
        service = f"/v1/services/{self.ids['services']}"
        paths = [
            *(f"/v1/{kind}/{id_}" for kind, id_ in self.ids.items() if kind in READ),
            f"{service}/domains",
            *(f"/v1/{kind}/{self.ids[kind]}/variables" for kind in READ if kind != "deployments"),
            "/v1/tokens",
        ]
        return [(path, self.owner.get(path)) for path in paths]

    def appended(self, after: int) -> list[dict[str, Any]]:
        """Its events behind that sequence. A rename by the other token marks the end."""
        path = f"/v1/projects/{self.marker}"
        self.owner.patch(path, {"name": f"end {uuid.uuid4().hex[:6]}"})
        end, found = int(self.owner.sequence), []
        for id_, _, data in self.owner.stream(f"/v1/events?after={after}"):
            if int(id_.partition(".")[0]) >= end:
                return found
            event = json.loads(data)
            if event["actor"] == f"token/{self.token['id']}":
                found.append(event)
        return found


READ = ("projects", "environments", "services", "deployments")


@pytest.fixture(scope="module")
def sender(api: Api, stranger: Api, settings: dict[str, str]) -> Iterator[Sender]:
    ids, foreign = something_of_everything(api), something_of_everything(stranger)
    (ids["organizations"],) = {item["id"] for item in api.items("/v1/organizations")}
    (foreign["organizations"],) = {item["id"] for item in stranger.items("/v1/organizations")}
    token = api.post("/v1/tokens", {"name": "bad input", "role": "owner"})
    marker = api.post("/v1/projects", {"name": "bad input's end"})["id"]
    person = {"email": settings["SLIPWAY_EMAIL"], "password": settings["SLIPWAY_PASSWORD"]}
    with httpx2.Client(base_url=api.url, timeout=30) as http:
        signed_in = http.post("/v1/sessions", json=person)
        cookie = signed_in.headers["set-cookie"].partition(";")[0]
        http.cookies.clear()
        yield Sender(http, api, token, cookie, ids, foreign, marker)
    for id_ in (token["id"], ids["tokens"]):
        api.ok("DELETE", f"/v1/tokens/{id_}")
    for of, projects in ((api, [ids["projects"], marker]), (stranger, [foreign["projects"]])):
        for id_ in projects:
            of.ok("DELETE", f"/v1/projects/{id_}")
            of.gone(f"/v1/projects/{id_}")


@pytest.mark.parametrize("name", VALID)
def test_a_wrong_body_is_refused_and_changes_nothing(sender: Sender, name: str):
    operation, path = WRITES[name][2], address(name, sender.ids.get(collection(name), ""))
    before, after = sender.everything(), int(sender.owner.sequence)
    failures, count = [], 0

    def check(what: str, content: bytes, statuses: set[int], pointer: str | None = None) -> None:
        nonlocal count
        count += 1
        answer = sender.send(name, path, content)
        problem = told(answer, statuses=statuses, pointer=pointer)
        if problem is not None:
            failures.append(f"{what}: {problem}")

    schema = body_schema(operation)
    for body in VALID[name]:
        for wrong in wrongs(schema, body, body):
            check(wrong.what, json.dumps(wrong.body).encode(), {422}, wrong.pointer)
    optional = not operation["requestBody"].get("required", False)
    for what, content in NO_JSON.items():
        if content or not optional:
            check(what, content, {400, 422})
    for what, value in NO_OBJECT.items():
        if value is not None or not optional:
            check(what, json.dumps(value).encode(), {422})
    assert failures == []
    assert count >= 20
    assert sender.appended(after) == []
    assert sender.everything() == before


STRANGERS = [
    name
    for name, (_, path, _) in WRITES.items()
    if "{id}" in path and not path.startswith("/v1/admin/")
]
"""To the operator no organization is a stranger's."""


@pytest.mark.parametrize("name", STRANGERS)
def test_what_is_a_strangers_is_not_there(sender: Sender, name: str):
    before, after = sender.everything(), int(sender.owner.sequence)
    body = json.dumps(VALID[name][0]).encode() if name in VALID else None
    for id_ in (sender.foreign[collection(name)], str(uuid.uuid4()), "x'.>*", "..%2F..", "%00"):
        answer = sender.send(name, address(name, id_), body)
        assert told(answer, statuses={404}) is None, (id_, answer.text)
    assert sender.appended(after) == []
    assert sender.everything() == before
