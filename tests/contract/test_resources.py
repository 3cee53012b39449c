"""What services are given of the host, over HTTP: mounts, and ports that are one service's."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import orjson
import pytest
from api_gateway.events.routes import events
from api_gateway.ports import PORT, Claim
from api_gateway.request_context import service_context
from slipway.contracts.build import BuildSucceeded
from slipway.contracts.deployment import DeploymentRequested, DeploymentSucceeded
from slipway.contracts.event import Event, encode
from slipway.contracts.rollout import RolloutState, RolloutStopped, RolloutSucceeded
from slipway.eventstore.store import Commit
from slipway.kernel.envelope import INSTALLATION, Subject
from slipway.kernel.ids import value_id
from slipway.testing.releases import BUILT, SEALED, release

from tests.contract.test_api import PASSWORD, Platform, bare, platform
from tests.contract.test_api_admin import Later

_fixtures = (bare, platform)
IMAGE = {"kind": "image", "image": "nginx"}
SECRET = {"kind": "file", "path": "/run/key", "content": "hunter2", "secret": True}
SHOWN = {"kind": "file", "path": "/run/key", "content": None, "mode": "0444", "secret": True}
TCP = {"port": 80, "published": 8080}


async def _services(platform: Platform) -> str:
    project = await platform.ok("POST", "/v1/projects", {"name": "Shop"})
    return f"/v1/environments/{project['environments'][0]['id']}/services"


async def _service(platform: Platform, path: str, name: str, **said: Any) -> str:
    body = {"kind": "application", "name": name, "source": IMAGE, **said}
    return (await platform.ok("POST", path, body))["id"]


async def _events(platform: Platform) -> list[Event]:
    last, found = await platform.store.last_sequence(), list[Event]()
    async for commit in platform.store.follow(0):
        found += commit.events
        if commit.sequence == last:
            return found
    return found


async def _last(platform: Platform) -> Commit:
    found = await platform.store.at(await platform.store.last_sequence())
    assert found is not None
    return found


async def _logged(platform: Platform) -> bytes:
    return orjson.dumps([encode(event) for event in await _events(platform)])


# -- what is said of a program --------------------------------------------------------------------


async def test_what_is_said_is_shown_as_it_was_said(platform: Platform):
    said: dict[str, Any] = {
        "mounts": [
            {"kind": "volume", "name": "data", "path": "/data"},
            {"kind": "file", "path": "/f", "content": "a\r\n", "mode": "0640", "secret": False},
            {"kind": "tmpfs", "path": "/t", "size": 4096},
        ],
        "ports": [{**TCP, "protocol": "udp"}],
        "strategy": "stop_first", "init": [["migrate", "--all"]], "user": "1000",
        "stop_signal": "SIGINT", "stop_grace_seconds": 9.0, "labels": {"team": "blue"},
        "cpu_reservation": 0.25, "memory_reservation": 64 << 20, "rollout_seconds": 900.0,
    }  # fmt: skip
    service = await platform.service(**said)
    assert {name: service[name] for name in said} == said
    path = f"/v1/services/{service['id']}"
    nothing = {**dict.fromkeys(said), "mounts": [], "ports": [], "init": [], "labels": {}}
    changed = await platform.ok("PATCH", path, nothing)
    assert {name: changed[name] for name in said} == nothing
    deployment = await platform.ok("POST", f"{path}/deployments", {})
    assert deployment["status"] == "queued"


async def test_a_secret_file_is_never_shown_and_stays_until_it_is_said_anew(platform: Platform):
    service = await platform.service(mounts=[SECRET])
    path = f"/v1/services/{service['id']}"
    assert service["mounts"] == [SHOWN]
    assert (await platform.ok("GET", path))["mounts"] == [SHOWN]
    kept = {**SHOWN, "mode": "0400"}
    assert (await platform.ok("PATCH", path, {"mounts": [kept]}))["mounts"] == [kept]
    elsewhere = await platform.call("PATCH", path, {"mounts": [{**SHOWN, "path": "/other"}]})
    assert elsewhere.status_code == 422
    assert elsewhere.json()["errors"][0]["pointer"] == "/mounts/0/content"
    assert b"hunter2" not in await _logged(platform)


async def test_what_is_sealed_stays_inside(platform: Platform):
    await platform.service(mounts=[SECRET])
    assert b"sealed" in await _logged(platform)
    stream = events(platform.store, platform.organization, (0, 10**6), ("service.created",))
    async with asyncio.timeout(5):
        chunk = await anext(each async for each in stream if each.startswith(b"id:"))
    (mount,) = json.loads(chunk.partition(b"data: ")[2])["data"]["settings"]["runtime"]["mounts"]
    assert (mount["path"], mount["sealed"]) == ("/run/key", None)


@pytest.mark.parametrize(
    ("said", "pointer"),
    [
        ({"mounts": [{"kind": "bind", "path": "/x"}]}, "/mounts/0/kind"),
        ({"mounts": [{"kind": "tmpfs", "path": "/../x"}]}, "/mounts/0/path"),
        ({"mounts": [{"kind": "volume", "name": "a", "path": "/dev/null"}]}, "/mounts/0/path"),
        ({"mounts": [SECRET, {"kind": "tmpfs", "path": "/run/key/t"}]}, "/mounts/1/path"),
        ({"user": "1000:2147483648"}, "/user"),
        ({"mounts": [{"kind": "tmpfs", "path": "/t", "size": "1k"}]}, "/mounts/0/size"),
        ({"mounts": [{"kind": "volume", "name": "X", "path": "/t"}]}, "/mounts/0/name"),
        ({"ports": [TCP, TCP]}, "/ports/1/published"),
        ({"ports": [TCP], "strategy": "start_first"}, "/strategy"),
        ({"init": ["a", ""]}, "/init"),
        ({"labels": {"slipway.org": "x"}}, "/labels"),
        ({"user": "a b"}, "/user"),
    ],
)
async def test_what_is_refused_names_its_place(
    platform: Platform, said: dict[str, Any], pointer: str
):
    service = await platform.service()
    for method, path in (
        ("POST", f"/v1/environments/{service['environment']}/services"),
        ("PATCH", f"/v1/services/{service['id']}"),
    ):
        new = {"kind": "application", "name": "new", "source": IMAGE}
        refused = await platform.call(method, path, {**(new if method == "POST" else {}), **said})
        assert refused.status_code == 422, refused.text
        assert refused.json()["errors"][0]["pointer"] == pointer


@pytest.mark.parametrize(
    ("secret", "most", "words"), [(True, 23_000, "as it is sealed"), (False, 31_000, "/run/key")]
)
async def test_files_and_all_else_have_one_limit(
    platform: Platform, secret: bool, most: int, words: str
):
    service = await platform.service()
    path, small = f"/v1/services/{service['id']}", {**SECRET, "path": "/small"}
    file = {**SECRET, "secret": secret}
    await platform.ok("PATCH", path, {"mounts": [{**file, "content": "x" * most}]})
    long = {**file, "content": "x" * (most + 1500)}
    refused = await platform.call("PATCH", path, {"mounts": [small, long]})
    assert refused.status_code == 422
    said = refused.json()["errors"][0]
    assert said["pointer"] == "/mounts/1/content"
    assert "32768 at most: the file /run/key has" in said["detail"]
    assert words in said["detail"]


async def test_what_two_cannot_have_at_once_is_not_scaled(platform: Platform):
    service = await platform.service()
    path, volume = f"/v1/services/{service['id']}", {"kind": "volume", "name": "a", "path": "/a"}
    await platform.ok("PATCH", path, {"replicas": 2})
    refused = await platform.call("PATCH", path, {"mounts": [volume]})
    assert refused.json()["errors"][0]["pointer"] == "/mounts"
    await platform.ok("PATCH", path, {"mounts": [volume], "replicas": 1})
    refused = await platform.call("PATCH", path, {"replicas": 2})
    assert refused.json()["errors"][0]["pointer"] == "/replicas"
    await platform.ok("PATCH", path, {"replicas": 0})


async def test_a_rollout_lasts_as_long_as_is_said(platform: Platform):
    service = await platform.service(rollout_seconds=20, health_check={"command": ["true"]})
    await platform.ok("POST", f"/v1/services/{service['id']}/deployments", {})
    found = await _events(platform)
    (requested,) = [event for event in found if isinstance(event, DeploymentRequested)]
    assert requested.limits.rollout == 20


# -- ports of the host ----------------------------------------------------------------------------


async def test_a_port_of_the_host_is_one_service_s(platform: Platform):
    path = await _services(platform)
    await _service(platform, path, "db", ports=[TCP])
    body = {"kind": "application", "name": "other", "source": IMAGE}
    udp = {"port": 81, "published": 8080, "protocol": "udp"}
    taken = await platform.call("POST", path, {**body, "ports": [udp, {**TCP, "port": 81}]})
    assert taken.status_code == 409
    found = taken.json()
    assert found["type"] == "/problems/port-taken"
    assert "8080/tcp" in found["detail"]
    assert "the service db" in found["detail"]
    assert "take it out of `ports` of db and deploy that one" in found["hint"]
    assert found["errors"][0]["pointer"] == "/ports/1/published"
    other = await _service(platform, path, "other")
    refused = await platform.call("PATCH", f"/v1/services/{other}", {"ports": [TCP]})
    assert refused.status_code == 409
    assert refused.json()["errors"][0]["pointer"] == "/ports/0/published"
    await platform.ok("PATCH", f"/v1/services/{other}", {"ports": [{**udp, "published": 8090}]})


async def test_to_a_stranger_nobody_is_named(platform: Platform):
    await _service(platform, await _services(platform), "db", ports=[TCP])
    platform.token = ""
    signed_in = {"email": "ada@example.org", "password": PASSWORD}
    await platform.ok("POST", "/v1/sessions", signed_in)
    other = await platform.ok("POST", "/v1/organizations", {"name": "Other"})
    platform.extra = {"Slipway-Organization": other["id"]}
    body = {"kind": "application", "name": "mine", "source": IMAGE, "ports": [TCP]}
    taken = await platform.call("POST", await _services(platform), body)
    assert taken.status_code == 409
    assert "db" not in taken.json()["detail"]


async def test_a_refused_request_leaves_no_claim_and_one_cut_off_lapses(
    platform: Platform,
):
    path = await _services(platform)
    await _service(platform, path, "db", ports=[TCP])
    more = [{"port": 81, "published": 8081}, TCP]
    body = {"kind": "application", "name": "other", "source": IMAGE, "ports": more}
    assert (await platform.call("POST", path, body)).status_code == 409
    free = {**body, "ports": more[:1]}
    lost = Claim("8081/tcp", "strange", "never-made", "r1")
    ctx = service_context(platform.gateway.clock, await _last(platform))
    commands, id_ = platform.gateway.commands, value_id("port", "8081/tcp")
    await commands.handle(ctx, PORT, id_, lost, organization=INSTALLATION)
    assert (await platform.call("POST", path, free)).status_code == 409
    _later(platform)
    await platform.ok("POST", path, free)


def _later(platform: Platform) -> None:
    now = platform.gateway.clock.now()
    platform.gateway.clock = Later(now + timedelta(seconds=61))


async def test_what_runs_keeps_its_port_until_it_has_ended(platform: Platform):
    path = await _services(platform)
    db = await _service(platform, path, "db", ports=[TCP])
    other = await _service(platform, path, "other")
    asked = await platform.ok("POST", f"/v1/services/{db}/deployments", {})
    await platform.ok("PATCH", f"/v1/services/{db}", {"ports": []})
    of_other = ("PATCH", f"/v1/services/{other}", {"ports": [TCP]})
    assert (await platform.call(*of_other)).status_code == 409, "it is to run with it"
    told: dict[str, Any] = {"service": db, "kind": "application"}
    built = BuildSucceeded(**told, environment="e", workloads=BUILT, sealed=SEALED)
    await platform.append(Subject(platform.organization, "build", asked["id"]), built)
    rollout = Subject(platform.organization, "rollout", db)
    serving = RolloutState(environment="e", serving=release(asked["id"]))
    await platform.append(rollout, RolloutSucceeded(**told, deployment=asked["id"], state=serving))
    deployment = Subject(platform.organization, "deployment", asked["id"])
    await platform.append(deployment, DeploymentSucceeded(**told))
    assert (await platform.call(*of_other)).status_code == 409, "it runs with it"
    stopped = serving.model_copy(update={"stopped": True})
    await platform.append(rollout, RolloutStopped(**told, state=stopped))
    await platform.ok(*of_other)
    back = await platform.call("POST", f"/v1/deployments/{asked['id']}/rollback")
    assert back.status_code == 409
    assert "the service other" in back.json()["detail"]


async def test_what_has_gone_has_no_port(platform: Platform):
    path = await _services(platform)
    db = await _service(platform, path, "db", ports=[TCP])
    await platform.ok("DELETE", f"/v1/services/{db}")
    _later(platform)
    await _service(platform, path, "other", ports=[TCP])
