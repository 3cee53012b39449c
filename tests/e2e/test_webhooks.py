"""Pushes that GitHub and Gitea announce."""

import hashlib
import hmac
import json
import statistics
import time
import uuid
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.e2e.api import ENDED, Api
from tests.e2e.repositories import GitServer
from tests.e2e.services import QUICK, Service

pytestmark = [pytest.mark.engine, pytest.mark.timeout(120)]

SECRET = "a shared secret of the tests"


@dataclass
class Forge:
    """Delivers as GitHub or Gitea does: without a token, by the service's own address."""

    app: Service
    kind: str
    http: httpx2.Client = field(init=False)

    def __post_init__(self) -> None:
        self.http = httpx2.Client(base_url=self.app.api.url, timeout=10)

    def deliver(
        self, commit: str, *, branch: str = "main", delivery: str = "", secret: str = SECRET,
        event: str = "push",
    ) -> httpx2.Response:  # fmt: skip
        author = {"name": "Ada", "email": "ada@example.org"}
        head = {"id": commit, "message": "change\n\nmore", "author": author}
        payload = {"ref": f"refs/heads/{branch}", "after": commit, "head_commit": head}
        body = json.dumps(payload).encode()
        signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        id_ = delivery or str(uuid.uuid4())
        headers = {
            "github": {
                "X-GitHub-Event": event,
                "X-GitHub-Delivery": id_,
                "X-Hub-Signature-256": f"sha256={signature}",
            },
            "gitea": {
                "X-Gitea-Event": event,
                "X-Gitea-Delivery": id_,
                "X-Gitea-Signature": signature,
            },
        }[self.kind]
        headers["Content-Type"] = "application/json"
        return self.http.post(self.app.webhook, content=body, headers=headers)


def nothing(app: Service, answer: httpx2.Response, newest: str) -> None:
    """It was understood, and started nothing."""
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "ignored", answer.text
    assert app.shown()["latest_deployment"] == newest


@pytest.fixture(params=["github", "gitea"])
def forge(
    request: pytest.FixtureRequest, api: Api, environment: str, git_server: GitServer
) -> Forge:
    app = Service(api, environment, git_server.repository(), **QUICK)
    assert app.shown()["webhook"] == {"url": app.webhook, "has_secret": False}
    assert app.patch(webhook_secret=SECRET)["webhook"]["has_secret"]
    return Forge(app, request.param)


def test_a_push_deploys_once_and_what_is_none_does_nothing(forge: Forge, version_of: Any):
    app = forge.app
    commit = app.repository.behave("pushed", on_term="drain")
    delivery = str(uuid.uuid4())
    accepted = forge.deliver(commit, delivery=delivery)
    assert accepted.status_code == 202, accepted.text
    deployment = accepted.json()["deployment"]
    live = app.api.until(deployment, "live")
    assert version_of(app.host) == "pushed"
    assert live["trigger"] | {"kind": "webhook", "commit": commit} == live["trigger"]
    assert live["commit"]["hash"] == commit

    nothing(app, forge.deliver(commit, delivery=delivery), deployment)
    nothing(app, forge.deliver(commit), deployment)
    nothing(app, forge.deliver(commit, branch="other"), deployment)
    nothing(app, forge.deliver("0" * 40), deployment)
    nothing(app, forge.deliver(commit, event="ping"), deployment)
    wrong = forge.deliver("1" * 40, secret="not the secret")
    assert wrong.status_code == 403, wrong.text
    nowhere = forge.http.post("/v1/webhooks/git/of-nobody", json={})
    assert nowhere.status_code == 404, nowhere.text
    assert app.shown()["latest_deployment"] == deployment

    again = app.repository.behave("pushed again", on_term="drain")
    app.api.until(forge.deliver(again).json()["deployment"], "live")
    assert version_of(app.host) == "pushed again"


def test_no_domain_gets_the_deliveries_of_others(
    api: Api, environment: str, git_server: GitServer, http_address: str
):
    """A domain at the host that all addresses of webhooks name, under their path."""
    theirs = Service(api, environment, git_server.repository(), **QUICK)
    webhook = urlsplit(theirs.webhook)
    thief = Service(api, environment, git_server.repository(), **QUICK)
    taken = {"host": webhook.hostname, "path": "/v1/webhooks"}
    domain = api.post(f"{thief.path}/domains", taken)["id"]
    thief.repository.behave("thief", on_term="drain")
    thief.live()
    with httpx2.Client(base_url=f"http://{http_address}", timeout=10) as http:
        host = {"Host": str(webhook.hostname)}
        assert http.get("/v1/webhooks", headers=host).status_code == 200, "the domain is routed"
        delivered = http.post(webhook.path, json={}, headers=host | {"X-GitHub-Event": "ping"})
        assert delivered.json()["status"] == "ignored", delivered.text
    api.ok("DELETE", f"/v1/domains/{domain}")


def test_a_stopped_service_is_not_public_whatever_is_pushed(
    api: Api, environment: str, git_server: GitServer, version_of: Any
):
    """Stopped in the midst of a deployment, pushed to, and started."""
    app = Service(api, environment, git_server.repository(), settle_seconds=0, drain_seconds=0)
    app.patch(webhook_secret=SECRET)
    forge = Forge(app, "gitea")
    app.repository.behave("first", on_term="drain")
    app.live()
    second = forge.deliver(app.repository.behave("second", on_term="drain")).json()["deployment"]
    api.until(second, "building", "deploying")
    api.post(f"{app.path}/stop")
    assert api.ended(second, 10)["status"] == "cancelled"
    kept = forge.deliver(app.repository.behave("third", on_term="drain")).json()
    assert (kept["status"], kept["deployment"]) == ("kept", None), kept
    began = time.monotonic()
    while time.monotonic() - began < 2:
        assert version_of(app.host) is None, "it is public"
        time.sleep(0.02)
    shown = app.shown()
    assert (shown["status"], shown["latest_deployment"]) == ("stopped", second)
    api.until(app.again("start"), "live")
    assert version_of(app.host) == "third"


def test_the_public_port_takes_pushes_and_nothing_else(api: Api, forge: Forge):
    """A git server elsewhere reaches no more of this machine than the services' port."""
    public = forge.app.webhook.removesuffix(urlsplit(forge.app.webhook).path)
    assert public not in ("", api.url)
    with httpx2.Client(base_url=public, timeout=10) as outside:
        assert forge.deliver("0" * 40, branch="other").status_code == 200
        known = outside.post(f"/v1/webhooks/git/{'x' * 32}", json={})
        assert known.headers["content-type"] == "application/problem+json", known.text
        for method, path in (
            ("GET", forge.app.webhook),
            ("POST", f"{forge.app.webhook}/more"),
            ("POST", "/v1/webhooks/git/"),
            ("POST", "/v1/webhooks/git/..%2f..%2fsessions"),
            ("POST", "/v1/sessions"),
            ("GET", "/v1/projects"),
            ("GET", "/healthz"),
        ):
            answer = outside.request(method, path)
            assert answer.status_code in (400, 404), (method, path, answer.text)
            assert "problem" not in answer.headers.get("content-type", ""), (method, path)


def test_twenty_pushes_are_answered_within_100_ms(
    api: Api, environment: str, git_server: GitServer, version_of: Any
):
    """At the median, each of them requesting a deployment; the last one is live in the end."""
    app = Service(api, environment, git_server.repository(), **QUICK)
    app.patch(webhook_secret=SECRET)
    forge = Forge(app, "github")
    app.repository.behave("burst", on_term="drain")
    seconds, made = [], []
    for number in range(20):
        began = time.perf_counter()
        answer = forge.deliver(f"{number + 1:040x}")
        seconds.append(time.perf_counter() - began)
        assert answer.status_code == 202, answer.text
        made.append(answer.json()["deployment"])
    assert statistics.median(seconds) < 0.1, [round(one, 3) for one in seconds]
    api.until(made[-1], "live")
    assert version_of(app.host) == "burst"
    ends = [api.ended(id_)["status"] for id_ in made[:-1]]
    assert set(ends) <= ENDED - {"live", "failed", "expired"}, ends
