"""The HTTP API over the memory stores: its promises to every client."""

import asyncio
import hashlib
import hmac
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest
from api_gateway.app import FEATURES, reactor
from api_gateway.events.routes import beginning, events
from api_gateway.gateway import Gateway
from api_gateway.http.application import build
from api_gateway.identity.throttle import Throttle
from api_gateway.settings import GatewaySettings
from fastapi import APIRouter
from fastapi.routing import APIRoute
from pydantic import SecretStr, TypeAdapter
from slipway import sealing
from slipway.contracts.deployment import DeploymentRequested
from slipway.contracts.rollout import NetworkRemoved, RolloutRemoved, RolloutState
from slipway.eventstore.memory import (
    MemoryDeadLetters,
    MemoryKeys,
    MemoryLogs,
    MemoryObjects,
    MemoryStore,
)
from slipway.kernel.envelope import NOTHING, Actor, Meta, Subject
from slipway.readmodel.memory import MemoryDocuments
from slipway.readmodel.projector import Projector
from slipway.runtime.clock import SystemClock

PASSWORD = "correct horse battery"


ROUTES = [
    route
    for included in build(None, FEATURES).routes  # pyright: ignore[reportArgumentType]
    for route in getattr(included, "original_router", APIRouter()).routes
    if isinstance(route, APIRoute)
]


def _as_described(method: str, path: str, answer: Any) -> None:
    """What is answered is what the description says of the operation."""
    address = path.partition("?")[0]
    for route in ROUTES:
        if method in (route.methods or ()) and route.path_regex.fullmatch(address):
            if answer.is_success and answer.content and route.response_model is not None:
                TypeAdapter(route.response_model).validate_json(answer.content)
            if answer.is_success:
                assert answer.status_code in {route.status_code or 200, *route.responses}
            break
    if not answer.is_success:
        assert answer.headers["content-type"] == "application/problem+json"


@dataclass
class Platform:
    gateway: Gateway
    http: httpx2.AsyncClient
    store: MemoryStore
    token: str = ""
    sequence: str = "0"
    organization: str = ""
    extra: dict[str, str] = field(default_factory=dict)

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        sent = {"Slipway-Sequence": self.sequence, **self.extra}
        if self.token:
            sent["Authorization"] = f"Bearer {self.token}"
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        answer = await self.http.request(method, path, json=body, headers=sent)
        _as_described(method, path, answer)
        if int(answer.headers.get("Slipway-Sequence", 0)) > int(self.sequence):
            self.sequence = answer.headers["Slipway-Sequence"]
        return answer

    async def ok(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        answer = await self.call(method, path, body, **headers)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    async def service(self, **body: Any) -> dict[str, Any]:
        project = await self.ok("POST", "/v1/projects", {"name": "Shop"})
        environment = project["environments"][0]["id"]
        wanted = {
            "kind": "application",
            "name": "web",
            "source": {"kind": "image", "image": "nginx:stable"},
            **body,
        }
        return await self.ok("POST", f"/v1/environments/{environment}/services", wanted)

    async def append(self, subject: Subject, *events: Any) -> None:
        head = await self.store.head(subject)
        meta = Meta(f"test-{len(self.store._log)}", SystemClock().now(), Actor("service", "t"), "c")
        await self.store.append(subject, head.head if head else NOTHING, events, meta)


@pytest.fixture
async def bare() -> AsyncIterator[Platform]:
    master, own = sealing.generate(), sealing.generate()
    store, documents = MemoryStore(), MemoryDocuments()
    projector = Projector(store, documents, FEATURES.projections, FEATURES.version)
    gateway = Gateway(
        store=store,
        documents=documents,
        projector=projector,
        logs=MemoryLogs(),
        build_logs=MemoryObjects(),
        job_logs=MemoryObjects(),
        keys=MemoryKeys(),
        dead_letters=MemoryDeadLetters(SystemClock()),
        clock=SystemClock(),
        settings=GatewaySettings(
            master_public=master.public,
            gateway_key=SecretStr(own.private),
            setup_token=SecretStr("once"),
        ),
        projections=FEATURES.projections,
        memories=FEATURES.memories,
        ready=lambda: projector.caught_up,
    )

    running = [
        asyncio.create_task(projector.run()),
        asyncio.create_task(reactor(gateway, FEATURES).run()),
    ]
    transport = httpx2.ASGITransport(app=build(gateway, FEATURES), client=("10.0.0.9", 1))
    async with httpx2.AsyncClient(transport=transport, base_url="http://slipway.test") as http:
        while not projector.caught_up:  # as /readyz says
            await asyncio.sleep(0)
        yield Platform(gateway, http, store)
    for task in running:
        task.cancel()


@pytest.fixture
async def platform(bare: Platform, monkeypatch: pytest.MonkeyPatch) -> Platform:
    async def quick(password: str) -> str:
        return f"plain:{password}"

    async def compare(password: str, hashed: str) -> bool:
        return hashed == f"plain:{password}"

    monkeypatch.setattr("api_gateway.identity.passwords.hash_password", quick)
    monkeypatch.setattr("api_gateway.identity.passwords.verify", compare)
    monkeypatch.setattr("api_gateway.identity.routes._throttle", Throttle())
    setup = {"token": "once", "email": "ada@example.org", "password": PASSWORD}
    made = await bare.ok("POST", "/v1/setup", setup)
    bare.organization = made["organization"]["id"]
    signed_in = {"email": "Ada@example.org", "password": PASSWORD}
    await bare.ok("POST", "/v1/sessions", signed_in)
    made = await bare.ok("POST", "/v1/tokens", {"name": "ci", "role": "owner"})
    bare.http.cookies.clear()
    bare.token = made["token"]
    return bare


async def test_setup_is_for_the_token_and_once(bare: Platform):
    body = {"token": "wrong", "email": "a@b.c", "password": PASSWORD}
    assert (await bare.call("POST", "/v1/setup", body)).status_code == 403
    body["token"] = "once"
    assert (await bare.call("POST", "/v1/setup", body)).status_code == 201
    again = await bare.call("POST", "/v1/setup", body)
    assert (again.status_code, again.json()["type"]) == (409, "/problems/setup-closed")
    wrong = {"email": "a@b.c", "password": "not it at all"}
    assert (await bare.call("POST", "/v1/sessions", wrong)).status_code == 401
    answer = await bare.call("POST", "/v1/sessions", {"email": "A@b.c", "password": PASSWORD})
    assert answer.status_code == 201
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    for commit in bare.store._log:
        assert PASSWORD not in repr(commit.events)
        assert "a@b.c" not in repr(commit.events)


async def test_sign_in_is_throttled(bare: Platform):
    wrong = {"email": "x@y.z", "password": "nope nope nope"}
    answers = [(await bare.call("POST", "/v1/sessions", wrong)).status_code for _ in range(11)]
    assert answers[-1] == 429


async def test_without_a_token_nothing(platform: Platform):
    platform.token = ""
    answer = await platform.call("GET", "/v1/projects")
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    platform.token = "slp_guess"
    assert (await platform.call("GET", "/v1/projects")).status_code == 401


async def test_a_project_comes_with_production(platform: Platform):
    project = await platform.ok("POST", "/v1/projects", {"name": "Shop"})
    assert [e["name"] for e in project["environments"]] == ["Production"]
    seen = await platform.call("GET", f"/v1/projects/{project['id']}")
    assert seen.headers["ETag"] == '"1"'
    stale = await platform.call(
        "PATCH", f"/v1/projects/{project['id']}", {"name": "B"}, If_Match='"7"'
    )
    assert stale.status_code == 412
    renamed = await platform.ok(
        "PATCH", f"/v1/projects/{project['id']}", {"name": "B"}, If_Match='"1"'
    )
    assert renamed["name"] == "B"
    listed = await platform.ok("GET", "/v1/projects")
    assert [item["name"] for item in listed["items"]] == ["B"]


async def test_the_same_key_is_the_same_project(platform: Platform):
    first = await platform.ok("POST", "/v1/projects", {"name": "A"}, Idempotency_Key="k1")
    end = await platform.store.last_sequence()
    again = await platform.ok("POST", "/v1/projects", {"name": "A"}, Idempotency_Key="k1")
    assert again == first
    other = await platform.call("POST", "/v1/projects", {"name": "B"}, Idempotency_Key="k1")
    assert (other.status_code, other.json()["type"]) == (422, "/problems/idempotency-key-reused")
    token = {"name": "t"}
    shown = await platform.ok("POST", "/v1/tokens", token, Idempotency_Key="k2")
    repeated = await platform.ok("POST", "/v1/tokens", token, Idempotency_Key="k2")
    assert "token" in shown
    assert "token" not in repeated
    assert await platform.store.last_sequence() == end + 1


async def test_lists_come_in_pages(platform: Platform):
    for number in range(7):
        await platform.ok("POST", "/v1/projects", {"name": f"p{number}"})
    seen, cursor = [], ""
    while True:
        page = await platform.ok("GET", f"/v1/projects?limit=3{cursor}")
        seen += [item["name"] for item in page["items"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert seen == [f"p{number}" for number in range(7)]
    assert (await platform.call("GET", "/v1/projects?cursor=xyz")).status_code == 422


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/name"),
        ({"name": 5}, "/name"),
        ({"name": "x" * 300}, "/name"),
        ({"name": "ok", "nonsense": 1}, "/nonsense"),
    ],
)
async def test_bad_input_names_the_field(platform: Platform, body: Any, pointer: str):
    before = await platform.store.last_sequence()
    answer = await platform.call("POST", "/v1/projects", body)
    assert answer.status_code == 422
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]
    assert await platform.store.last_sequence() == before


async def test_malformed_json_and_foreign_ids(platform: Platform):
    answer = await platform.http.post(
        "/v1/projects",
        content=b"{",
        headers={"Authorization": f"Bearer {platform.token}", "Content-Type": "application/json"},
    )
    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/malformed")
    for id_ in ("nonsense", "00000000-0000-0000-0000-000000000000"):
        assert (await platform.call("GET", f"/v1/projects/{id_}")).status_code == 404


async def test_a_stranger_gets_404(platform: Platform):
    service = await platform.service()
    platform.token = ""
    signed_in = {"email": "ada@example.org", "password": PASSWORD}
    await platform.ok("POST", "/v1/sessions", signed_in)
    other = await platform.ok("POST", "/v1/organizations", {"name": "Other"})
    platform.extra = {"Slipway-Organization": other["id"]}
    for method, path, body in [
        ("GET", f"/v1/services/{service['id']}", None),
        ("PATCH", f"/v1/services/{service['id']}", {"replicas": 2}),
        ("DELETE", f"/v1/services/{service['id']}", None),
        ("GET", f"/v1/projects/{service['project']}", None),
        ("GET", f"/v1/environments/{service['environment']}", None),
        ("POST", f"/v1/services/{service['id']}/deployments", {}),
        ("GET", f"/v1/services/{service['id']}/variables", None),
        ("GET", f"/v1/organizations/{service['id']}", None),
    ]:
        assert (await platform.call(method, path, body)).status_code == 404, (method, path)
    assert (await platform.ok("GET", "/v1/projects"))["items"] == []


async def test_roles_are_kept(platform: Platform):
    viewer = await platform.ok("POST", "/v1/tokens", {"name": "v", "role": "viewer"})
    service = await platform.service()
    platform.token = viewer["token"]
    seen = await platform.ok("GET", f"/v1/services/{service['id']}")
    assert seen["webhook"]["url"] is None
    assert (await platform.call("POST", "/v1/projects", {"name": "X"})).status_code == 403
    assert (await platform.call("GET", "/v1/tokens")).status_code == 403
    assert (await platform.call("POST", "/v1/admin/projections/rebuild")).status_code == 403


async def test_a_revoked_token_opens_nothing(platform: Platform):
    made = await platform.ok("POST", "/v1/tokens", {"name": "gone", "role": "viewer"})
    await platform.ok("DELETE", f"/v1/tokens/{made['id']}")
    platform.token = made["token"]
    assert (await platform.call("GET", "/v1/projects")).status_code == 401


async def test_a_service_is_named_once_in_its_environment(platform: Platform):
    service = await platform.service()
    path = f"/v1/environments/{service['environment']}/services"
    same = {"kind": "application", "name": "web", "source": {"kind": "image", "image": "nginx"}}
    taken = await platform.call("POST", path, same)
    assert (taken.status_code, taken.json()["errors"][0]["pointer"]) == (409, "/name")
    git = {"kind": "git", "url": "file:///etc", "branch": "main"}
    refused = await platform.call("POST", path, {"kind": "application", "name": "b", "source": git})
    assert "/source/url" in [error["pointer"] for error in refused.json()["errors"]]
    limits = {"memory_limit": "256m", "cpu_limit": 0.5, "replicas": 3, "port": 8080}
    changed = await platform.ok("PATCH", f"/v1/services/{service['id']}", limits)
    assert (changed["memory_limit"], changed["replicas"]) == (256 * 1024**2, 3)


async def test_variables_near_and_far(platform: Platform):
    service = await platform.service()
    path = f"/v1/services/{service['id']}/variables"
    project = f"/v1/projects/{service['project']}/variables"
    await platform.ok("PUT", project, {"items": [{"name": "HOST", "value": "db"}]})
    items = [
        {"name": "URL", "value": "pg://${{project.HOST}}"},
        {"name": "KEY", "value": "hunter2", "secret": True},
    ]
    shown = await platform.ok("PUT", path, {"items": items})
    assert shown["items"][1] == {"name": "KEY", "value": None, "secret": True}
    kept = await platform.ok("PUT", path, {"items": [items[0], {"name": "KEY", "secret": True}]})
    assert kept == shown
    wrong = {"items": [{"name": "A", "value": "${{project.NOPE}}"}]}
    refused = await platform.call("PUT", path, wrong)
    assert refused.json()["errors"][0]["pointer"] == "/items/0/value"
    assert all("hunter2" not in repr(commit.events) for commit in platform.store._log)


async def test_a_host_belongs_to_one(platform: Platform):
    service = await platform.service()
    path = f"/v1/services/{service['id']}/domains"
    made = await platform.ok("POST", path, {"host": "Shop.example.org"})
    taken = await platform.call("POST", path, {"host": "shop.example.org"})
    assert (taken.status_code, taken.json()["type"]) == (409, "/problems/host-taken")
    https = await platform.call("POST", path, {"host": "b.example.org", "https": True})
    assert https.json()["type"] == "/problems/certificates-not-available"
    assert [d["id"] for d in (await platform.ok("GET", path))["items"]] == [made["id"]]
    await platform.ok("DELETE", f"/v1/domains/{made['id']}")
    assert (await platform.ok("GET", path))["items"] == []


async def test_a_deployment_has_the_time_that_its_health_check_allows(platform: Platform):
    service = await platform.service()
    path = f"/v1/services/{service['id']}"
    await platform.ok("PATCH", path, {"health_check": {"start_period": 1000, "retries": 1}})
    made = await platform.ok("POST", f"{path}/deployments", {})
    (requested,) = [
        event
        for commit in platform.store._log
        for event in commit.events
        if isinstance(event, DeploymentRequested) and commit.subject.id == made["id"]
    ]
    assert requested.limits.rollout == 1130


async def test_what_listens_on_nothing_has_no_domain(platform: Platform):
    service = await platform.service()
    path = f"/v1/services/{service['id']}"
    assert (await platform.ok("PATCH", path, {"port": "none"}))["port"] == "none"
    refused = await platform.call("POST", f"{path}/domains", {"host": "shop.example.org"})
    assert (refused.status_code, "listens on nothing" in refused.json()["detail"]) == (422, True)
    await platform.ok("PATCH", path, {"port": 8000})
    await platform.ok("POST", f"{path}/domains", {"host": "shop.example.org"})


async def test_a_waiting_deployment_is_superseded_or_cancelled(platform: Platform):
    service = await platform.service()
    path = f"/v1/services/{service['id']}/deployments"
    first = await platform.ok("POST", path, {})
    assert first["status"] == "queued"
    second = await platform.ok("POST", path, {})

    async def until(id_: str, status: str) -> None:
        async with asyncio.timeout(5):
            while (await platform.ok("GET", f"/v1/deployments/{id_}"))["status"] != status:
                await asyncio.sleep(0.01)

    await until(first["id"], "superseded")
    await platform.ok("POST", f"/v1/deployments/{second['id']}/cancel")
    await until(second["id"], "cancelled")
    late = await platform.call("POST", f"/v1/deployments/{second['id']}/cancel")
    assert (late.status_code, late.json()["type"]) == (409, "/problems/already-ended")
    back = await platform.call("POST", f"/v1/deployments/{second['id']}/rollback")
    assert back.status_code == 409


async def test_a_push_deploys_once(platform: Platform):
    source = {"kind": "git", "url": "https://git.example.org/a.git", "branch": "main"}
    service = await platform.service(source=source)
    hook = service["webhook"]["url"]
    await platform.ok("PATCH", f"/v1/services/{service['id']}", {"webhook_secret": "shared secret"})
    platform.token = ""

    async def push(ref: str, commit: str, delivery: str, secret: str = "shared secret") -> Any:
        body = json.dumps({"ref": ref, "after": commit}).encode()
        signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        headers = {
            "X-GitHub-Event": "push",
            "X-GitHub-Delivery": delivery,
            "X-Hub-Signature-256": f"sha256={signature}",
        }
        return await platform.http.post(hook, content=body, headers=headers)

    assert (await push("refs/heads/main", "a" * 40, "d0", "wrong secret")).status_code == 403
    accepted = await push("refs/heads/main", "a" * 40, "d1")
    assert (accepted.status_code, accepted.json()["status"]) == (202, "accepted")
    for ref, commit, delivery in [
        ("refs/heads/main", "a" * 40, "d1"),
        ("refs/heads/main", "a" * 40, "d2"),
        ("refs/heads/other", "b" * 40, "d3"),
        ("refs/tags/v1", "c" * 40, "d4"),
    ]:
        assert (await push(ref, commit, delivery)).json()["status"] == "ignored"
    assert (await push("refs/heads/main", "b" * 40, "d5")).json()["status"] == "accepted"
    assert (await platform.http.post("/v1/webhooks/git/guess", json={})).status_code == 404


async def test_deleting_a_project_takes_everything_with_it(platform: Platform):
    service = await platform.service()
    await platform.ok("POST", f"/v1/services/{service['id']}/domains", {"host": "x.example.org"})
    await platform.ok("DELETE", f"/v1/projects/{service['project']}")
    late = await platform.call("POST", f"/v1/services/{service['id']}/deployments", {})
    assert late.status_code in (404, 409)
    async with asyncio.timeout(5):
        while (await platform.call("GET", f"/v1/services/{service['id']}")).json()[
            "status"
        ] != "deleting":
            await asyncio.sleep(0.01)
    organization, environment = platform.organization, service["environment"]
    removed = RolloutRemoved(
        service=service["id"], kind="application", state=RolloutState(removed=True)
    )
    await platform.append(Subject(organization, "rollout", service["id"]), removed)
    network = Subject(organization, "network", environment)
    await platform.append(network, NetworkRemoved(name="n"))
    async with asyncio.timeout(5):
        while (await platform.call("GET", f"/v1/projects/{service['project']}")).status_code != 404:
            await asyncio.sleep(0.01)
    assert (await platform.ok("GET", "/v1/projects"))["items"] == []


async def test_events_show_public_fields_only(platform: Platform):
    service = await platform.service()
    await platform.ok(
        "PUT",
        f"/v1/services/{service['id']}/variables",
        {"items": [{"name": "A", "value": "in clear"}]},
    )
    seen = []
    stream = events(platform.store, platform.organization, (0, 10**6), ("service.",))
    async with asyncio.timeout(5):
        async for chunk in stream:
            if chunk.startswith(b"id:"):
                seen.append(json.loads(chunk.partition(b"data: ")[2]))
            if len(seen) == 2:
                break
    assert [event["type"] for event in seen] == [
        "service.created",
        "service.variables_set",
    ]
    assert seen[1]["data"] == {}
    assert "webhook_token" not in seen[0]["data"]


async def test_who_asks_for_what_comes_is_not_sent_what_was(platform: Platform):
    """And goes on from there after a break, also where nothing came before it."""
    await platform.service()
    end = await platform.store.last_sequence()
    start = await beginning(platform.store, "end", None)
    stream = events(platform.store, platform.organization, start, ("",))
    first = await anext(stream)
    assert f"id: {end}\n" in first.decode()
    await platform.ok("POST", "/v1/projects", {"name": "Later"})
    async with asyncio.timeout(5):
        assert (await anext(stream)).startswith(b"id: %d.0\n" % (end + 1))
    assert await beginning(platform.store, "end", str(end)) == start
    assert (await beginning(platform.store, None, None))[0] == 0


def test_the_description_is_whole():
    description = build(None, FEATURES).openapi()  # pyright: ignore[reportArgumentType]
    schemas = description["components"]["schemas"]
    text = json.dumps(description)
    wanted = set(re.findall(r'"#/components/schemas/([^"]+)"', text))
    assert wanted <= schemas.keys()
    assert not {"HTTPValidationError", "ValidationError"} & schemas.keys()
    assert schemas["Error"]["required"] == ["pointer", "detail"]
    assert set(schemas["Deployment"]["properties"]["error"]["anyOf"][0].values()) == {
        "#/components/schemas/Failed"
    }
    for path, item in description["paths"].items():
        assert set(re.findall(r"{(\w+)}", path)) <= {"id", "token", "durable", "sequence"}, path
        for method, operation in item.items():
            answers = operation["responses"]
            assert any(status.startswith("2") for status in answers), operation
            if path.startswith("/v1/"):
                assert "503" in answers
                refused = [answers[status] for status in answers if status[0] in "45"]
                assert all("application/problem+json" in one["content"] for one in refused)
            if method == "post" and "/webhooks/" not in path:
                names = {parameter["name"] for parameter in operation["parameters"]}
                assert "Idempotency-Key" in names


async def test_the_description_and_health(platform: Platform):
    paths = (await platform.ok("GET", "/openapi.json"))["paths"]
    assert "/v1/deployments/{id}/rollback" in paths
    assert (await platform.call("GET", "/docs")).status_code == 200
    assert (await platform.call("GET", "/healthz")).status_code == 200
    assert (await platform.call("GET", "/readyz")).status_code == 200
    gap = await platform.call("GET", "/between-releases")
    assert gap.status_code == 503
    assert gap.json()["type"] == "/problems/between-releases"
    assert b"slipway_http_seconds" in (await platform.http.get("/metrics")).content
