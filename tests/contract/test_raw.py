"""Services of kind `raw`, workloads as they are said: on test instances, and nowhere else."""

from datetime import timedelta
from typing import Any

import orjson
import pytest
from api_gateway.app import FEATURES, build
from api_gateway.deployments.domain import DEPLOYMENT
from api_gateway.services.domain import SERVICE
from api_gateway.services.kinds.raw import RawWorkload
from slipway.contracts.observation import Count, Observation
from slipway.contracts.rollout import Release, RolloutState, RolloutSucceeded
from slipway.contracts.values import RawProgram, RawSettings, VolumeMount
from slipway.kernel.clock import iso
from slipway.kernel.envelope import Subject
from slipway.testing.releases import release

from tests.contract.test_api import Platform, bare, platform

_fixtures = (bare, platform)
WEB: dict[str, Any] = {
    "name": "web", "image": "nginx:stable", "port": 80,
    "networks": [{"name": "default"}, {"name": "front", "aliases": ["www"]}],
}  # fmt: skip
DB: dict[str, Any] = {
    "name": "db", "image": "postgres:17", "replicas": 1, "port": 5432,
    "mounts": [{"kind": "volume", "name": "data", "path": "/data"}],
    "health_check": {"command": ["pg_isready"]},
}  # fmt: skip
JOB: dict[str, Any] = {
    "name": "migrate", "image": "app:1", "job": True, "command": ["migrate"],
    "after": [{"workload": "db", "condition": "healthy"}],
}  # fmt: skip
ENDED = {"workload": "web", "condition": "completed"}
STACK = [{**WEB, "after": [{"workload": "migrate", "condition": "completed"}]}, JOB, DB]


@pytest.fixture
def tested(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Platform:
    """A test instance."""
    settings = platform.gateway.settings.model_copy(update={"test_kinds": True})
    monkeypatch.setattr(platform.gateway, "settings", settings)
    return platform


async def _path(platform: Platform) -> str:
    project = await platform.ok("POST", "/v1/projects", {"name": "Shop"})
    return f"/v1/environments/{project['environments'][0]['id']}/services"


async def _stack(platform: Platform) -> dict[str, Any]:
    body = {"kind": "raw", "name": "shop", "workloads": STACK}
    return await platform.ok("POST", await _path(platform), body)


def test_what_is_said_of_a_workload_is_what_it_has():
    assert RawWorkload.model_fields.keys() == RawProgram.model_fields.keys()


async def test_elsewhere_it_is_no_kind(platform: Platform):
    path, said = await _path(platform), []
    for kind in ("raw", "nothing"):
        body = {"kind": kind, "name": "shop", "workloads": [{"name": "A B"}]}
        said.append((await platform.call("POST", path, body)).json())
    assert said[0] == said[1]
    assert "raw" not in str(said)
    service = await platform.service()
    of = f"/v1/services/{service['id']}"
    for field in ("workloads", "nothing"):
        refused = await platform.call("PATCH", of, {field: [{"name": "A B"}]})
        said.append(refused.json()["errors"])
    assert said[2] == [{**said[3][0], "pointer": "/workloads"}]
    one, other = [await platform.call("PATCH", of, {"kind": kind}) for kind in ("raw", "nothing")]
    assert one.json() == other.json()


def test_the_description_names_it_nowhere():
    described = orjson.dumps(build(None, FEATURES).openapi()).decode()  # pyright: ignore[reportArgumentType]
    assert "NewApplication" in described
    assert '"raw"' not in described
    assert "Raw" not in described


async def test_its_workloads_are_kept_and_changed_whole(tested: Platform):
    stack = await _stack(tested)
    path = f"/v1/services/{stack['id']}"
    assert (stack["kind"], stack["source"], stack["replicas"]) == ("raw", None, 2)
    assert stack["workloads"] == [], "nothing runs yet"
    kept = (await tested.gateway.commands.state(SERVICE, tested.organization, stack["id"])).settings
    assert isinstance(kept, RawSettings)
    assert [each.name for each in kept.workloads] == ["web", "migrate", "db"]
    assert kept.workloads[2].mounts == (VolumeMount(name="data", path="/data"),)
    await tested.ok("PATCH", path, {"workloads": [WEB]})
    kept = (await tested.gateway.commands.state(SERVICE, tested.organization, stack["id"])).settings
    assert kept == RawSettings(workloads=(RawProgram(**WEB),))
    asked = await tested.ok("POST", f"{path}/deployments", {})
    requested = await tested.gateway.commands.state(DEPLOYMENT, tested.organization, asked["id"])
    assert requested.specification is not None
    assert (requested.kind, requested.specification.settings) == ("raw", kept)
    for field in ({"port": 80}, {"source": {"kind": "image", "image": "nginx"}}, {"build": None}):
        refused = await tested.call("PATCH", path, field)
        assert refused.json()["errors"][0]["pointer"] == f"/{next(iter(field))}"


async def test_an_application_has_no_workloads_of_its_own(tested: Platform):
    service = await tested.service()
    refused = await tested.call("PATCH", f"/v1/services/{service['id']}", {"workloads": [WEB]})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/workloads")


async def test_each_is_scaled_by_its_name_and_shown_as_it_is_wanted(tested: Platform):
    stack = await _stack(tested)
    path = f"/v1/services/{stack['id']}"
    state = RolloutState(serving=_running(), replicas={"web": 1, "db": 1})
    said = RolloutSucceeded(service=stack["id"], kind="raw", deployment="d", state=state)
    await tested.append(Subject(tested.organization, "rollout", stack["id"]), said)
    tested.sequence = str(await tested.store.last_sequence())
    at = tested.gateway.clock.now()
    counts = {"s-db": Count(running=1, healthy=0)}
    tested.gateway.observed.put(Observation(at=at, services={stack["id"]: counts}))
    scaled = await tested.ok("PATCH", path, {"replicas": 3, "workload": "web"})
    assert scaled["replicas"] == 4
    image = {"image": "sha256:1", "observed_at": iso(at)}
    assert scaled["workloads"] == [
        {
            "name": "web", **image, "status": "not running",
            "replicas": {"wanted": 3, "running": 0, "healthy": 0},
        },
        {
            "name": "db", **image, "status": "starting",
            "replicas": {"wanted": 1, "running": 1, "healthy": 0},
        },
    ]  # fmt: skip
    assert scaled["observed"]["replicas"] == 1
    for body in ({"replicas": 1}, {"replicas": 1, "workload": "migrate"}, {"workload": "web"}):
        refused = await tested.call("PATCH", path, body)
        assert refused.status_code == 422, body
    stopped = await tested.ok("POST", f"{path}/stop")
    assert [each["replicas"]["wanted"] for each in stopped["workloads"]] == [0, 0]
    assert [each["status"] for each in stopped["workloads"]] == ["stopped", "stopped"]


async def test_what_was_seen_too_long_ago_tells_when_and_not_how_it_is(tested: Platform):
    stack = await _stack(tested)
    state = RolloutState(serving=_running(), replicas={"web": 1, "db": 1})
    said = RolloutSucceeded(service=stack["id"], kind="raw", deployment="d", state=state)
    await tested.append(Subject(tested.organization, "rollout", stack["id"]), said)
    tested.sequence = str(await tested.store.last_sequence())
    shown = await tested.ok("GET", f"/v1/services/{stack['id']}")
    assert {each["observed_at"] for each in shown["workloads"]} == {None}
    at = tested.gateway.clock.now() - timedelta(seconds=31)
    counts = {name: Count(running=1, healthy=1) for name in ("s-main", "s-db")}
    tested.gateway.observed.put(Observation(at=at, services={stack["id"]: counts}))
    (listed,) = (await tested.ok("GET", "/v1/services"))["items"]
    assert [each["status"] for each in listed["workloads"]] == ["unknown", "unknown"]
    assert [each["replicas"]["running"] for each in listed["workloads"]] == [None, None]
    assert {each["observed_at"] for each in listed["workloads"]} == {iso(at)}
    assert (listed["observed"]["at"], listed["observed"]["replicas"]) == (iso(at), None)


def _running() -> Release:
    """What a build makes of STACK, rolled out."""
    (web,) = release("d", name="web", port=80).workloads
    db = web.model_copy(update={"name": "db", "swarm_service": "s-db", "port": 5432})
    job = web.model_copy(update={"name": "migrate", "job": True})
    return release("d").model_copy(update={"workloads": (web, job, db)})


async def test_a_domain_names_its_workload(tested: Platform):
    stack = await _stack(tested)
    path = f"/v1/services/{stack['id']}/domains"
    refused = await tested.call("POST", path, {"host": "a.example"})
    assert refused.json()["errors"][0]["pointer"] == "/workload"
    assert "web, db" in refused.json()["errors"][0]["detail"]
    web = await tested.ok("POST", path, {"host": "a.example", "workload": "web"})
    later = await tested.ok("POST", path, {"host": "b.example", "workload": "later", "port": 80})
    assert (web["workload"], web["problem"]) == ("web", None)
    assert "nothing of the name later runs" in later["problem"]


@pytest.mark.parametrize(
    ("workloads", "pointer"),
    [
        ([], "/workloads"),
        ([WEB] * 51, "/workloads"),
        ([WEB, WEB], "/workloads/1/name"),
        ([{**WEB, "name": "A"}], "/workloads/0/name"),
        ([{**WEB, "image": "a b"}], "/workloads/0/image"),
        ([{**WEB, "replicas": 51}], "/workloads/0/replicas"),
        ([{**WEB, "what": 1}], "/workloads/0/what"),
        ([{**WEB, "after": [{"workload": "no"}]}], "/workloads/0/after/0/workload"),
        ([{**WEB, "after": [{"workload": "web"}]}], "/workloads"),
        ([WEB, {**DB, "after": [ENDED]}], "/workloads/1/after/0/condition"),
        ([DB, {**DB, "name": "other"}], "/workloads/1/mounts/0/name"),
        ([{**WEB, "labels": {"slipway.service": "x"}}], "/workloads/0/labels"),
        ([{**WEB, "user": "2147483648"}], "/workloads/0/user"),
        ([{**JOB, "after": []}], "/workloads"),
    ],
)  # fmt: skip
async def test_what_does_not_fit_is_refused(tested: Platform, workloads: Any, pointer: str):
    body = {"kind": "raw", "name": "shop", "workloads": workloads}
    refused = await tested.call("POST", await _path(tested), body)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == pointer


async def test_a_port_that_is_taken_is_told_where_it_stands(tested: Platform):
    taken = {"port": 80, "published": 8080}
    path = await _path(tested)
    of_first = {"kind": "raw", "name": "first", "workloads": [{**WEB, "ports": [taken]}]}
    await tested.ok("POST", path, of_first)
    more = {**DB, "ports": [{"port": 1, "published": 9090}, {**taken, "port": 2}]}
    body = {**of_first, "name": "shop", "workloads": [WEB, more]}
    refused = await tested.call("POST", path, body)
    assert refused.status_code == 409
    assert refused.json()["errors"][0]["pointer"] == "/workloads/1/ports/1/published"
