"""Promises of the API that a client meets when something is repeated, cut off, late or large."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from api_gateway.deployments.logs import _of_deployment, position
from api_gateway.projects.domain import ENVIRONMENT, PROJECT, CreateEnvironment, Rename
from api_gateway.request_context import service_context
from slipway.contracts import build as builds
from slipway.contracts.build import BuildFailed, BuildStarted, BuildSucceeded, BuildSwept
from slipway.contracts.deployment import DeploymentRequested, Repeats
from slipway.contracts.logs import LogLine, build_subject
from slipway.contracts.rollout import RolloutState, RolloutStopped, RolloutSucceeded
from slipway.contracts.service import ServiceDeletionRequested
from slipway.contracts.values import ApplicationSettings, Failure, GitCommit, Step
from slipway.contracts.workload import MAIN
from slipway.eventstore.memory import MemoryLogs, MemoryObjects
from slipway.kernel.envelope import Subject
from slipway.testing.releases import BUILT, IMAGE, SEALED, release

from tests.contract.test_api import PASSWORD, Platform, bare, platform
from tests.unit.api_gateway import newer

_fixtures = (bare, platform)
GIT = {"kind": "git", "url": "https://git.example.org/a.git", "branch": "main"}
SETUP = {"token": "once", "email": "a@b.c", "password": PASSWORD}


async def until(what: Any, seconds: float = 5) -> Any:
    async with asyncio.timeout(seconds):
        while not (found := await what()):
            await asyncio.sleep(0.01)
    return found


# -- repeated -------------------------------------------------------------------------------------


async def test_a_setup_whose_answer_was_lost_is_asked_for_again(bare: Platform):
    made = await bare.ok("POST", "/v1/setup", SETUP, Idempotency_Key="k")
    assert await bare.ok("POST", "/v1/setup", SETUP, Idempotency_Key="k") == made
    other = {**SETUP, "email": "x@y.z"}
    reused = await bare.call("POST", "/v1/setup", other, Idempotency_Key="k")
    assert (reused.status_code, reused.json()["type"]) == (422, "/problems/idempotency-key-reused")
    assert (await bare.call("POST", "/v1/setup", SETUP, Idempotency_Key="l")).status_code == 409


async def test_of_many_setups_at_once_one_makes_the_owner(bare: Platform):
    bodies = [{**SETUP, "email": f"{n}@b.c"} for n in range(3)]
    answers = await asyncio.gather(*(bare.call("POST", "/v1/setup", body) for body in bodies))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409]
    users = [c for c in bare.store._log if c.subject.category == "user"]
    assert len(users) == 1


async def test_the_same_key_is_the_same_session(platform: Platform):
    body = {"email": "ada@example.org", "password": PASSWORD}
    one = await platform.call("POST", "/v1/sessions", body, Idempotency_Key="k")
    end = await platform.store.last_sequence()
    two = await platform.call("POST", "/v1/sessions", body, Idempotency_Key="k")
    assert one.json() == two.json()
    assert one.cookies["slipway_session"] == two.cookies["slipway_session"]
    assert await platform.store.last_sequence() == end
    other = await platform.call("POST", "/v1/sessions", body)
    assert other.cookies["slipway_session"] != one.cookies["slipway_session"]


async def test_ten_at_once_with_one_key_make_one(platform: Platform):
    answers = await asyncio.gather(
        *(
            platform.call("POST", "/v1/projects", {"name": "A"}, Idempotency_Key="k")
            for _ in range(10)
        )
    )
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len((await platform.ok("GET", "/v1/projects"))["items"]) == 1


async def test_every_repeated_post_is_carried_out_once(platform: Platform):
    service = await platform.service(source=GIT)
    path = f"/v1/services/{service['id']}"
    await _deployed(platform, service)
    for number, (address, body) in enumerate(
        [
            (f"/v1/projects/{service['project']}/environments", {"name": "Staging"}),
            (
                f"/v1/environments/{service['environment']}/services",
                {"kind": "application", "name": "b", "source": {"kind": "image", "image": "nginx"}},
            ),
            (f"{path}/domains", {"host": "a.example.org", "port": 80}),
            (f"{path}/deployments", {"build": False}),
            (f"{path}/stop", None),
            (f"{path}/start", None),
            (f"{path}/restart", None),
        ]
    ):
        key = f"key-{number}"
        one = await platform.call("POST", address, body, Idempotency_Key=key)
        assert one.is_success, one.text
        await _quiet(platform)
        end = await platform.store.last_sequence()
        two = await platform.call("POST", address, body, Idempotency_Key=key)
        assert two.status_code == one.status_code, two.text
        assert two.json()["id"] == one.json()["id"]
        assert int(two.headers["Slipway-Sequence"]) <= end
        assert await platform.store.last_sequence() == end
        if body is not None:
            other = {**body, "name": "other"} if "name" in body else {**body, "port": 5}
            other = {"build": True} if "build" in body else other
            reused = await platform.call("POST", address, other, Idempotency_Key=key)
            assert reused.json()["type"] == "/problems/idempotency-key-reused", address


async def test_a_rebuild_is_asked_for_once_with_one_key(platform: Platform):
    path = "/v1/admin/projections/rebuild"
    asked = []
    platform.gateway.projector.ask_rebuild = lambda: asked.append(1)
    for _ in range(2):
        await platform.ok("POST", path, Idempotency_Key="k")
    assert asked == [1]
    await platform.ok("POST", path, Idempotency_Key="l")
    assert asked == [1, 1]


async def _quiet(platform: Platform) -> None:
    before = -1
    while (now := await platform.store.last_sequence()) != before:
        before = now
        await asyncio.sleep(0.03)


async def _deployed(platform: Platform, service: dict[str, Any], commit: str = "c" * 40) -> str:
    """As builder and deployer say it."""
    path = f"/v1/services/{service['id']}"
    made = await platform.ok("POST", f"{path}/deployments", {})
    await _succeed(platform, service, made["id"], commit)
    return made["id"]


async def _succeed(
    platform: Platform, service: dict[str, Any], deployment: str, commit: str
) -> None:
    here = {"service": service["id"], "environment": service["environment"]}
    built = GitCommit(hash=commit)
    of = Subject(platform.organization, "build", deployment)
    await platform.append(
        of, BuildStarted(kind="application", **here, attempt=1, deadline="2126-01-01T00:00:00Z")
    )
    await platform.append(
        of,
        BuildSucceeded(kind="application", **here, workloads=BUILT, sealed=SEALED, commit=built),
    )
    await _serves(platform, service, deployment, built)
    await until(lambda: _has(platform, deployment, "live"))


async def _serves(
    platform: Platform, service: dict[str, Any], deployment: str, commit: GitCommit
) -> None:
    requested = await platform.store.load(Subject(platform.organization, "deployment", deployment))
    ran = release(deployment, requested[0].sequence, commit=commit)
    serving = RolloutSucceeded(
        service=service["id"], kind="application", deployment=deployment,
        state=RolloutState(serving=ran, replicas={MAIN: 1}),
    )  # fmt: skip
    await platform.append(Subject(platform.organization, "rollout", service["id"]), serving)


async def _has(platform: Platform, deployment: str, status: str) -> bool:
    return (await platform.ok("GET", f"/v1/deployments/{deployment}"))["status"] == status


# -- run again ------------------------------------------------------------------------------------


async def _asked(platform: Platform, path: str, body: Any = None) -> DeploymentRequested:
    """What the builder is told of the deployment that this makes."""
    made = await platform.ok("POST", path, body)
    head = await platform.store.head(Subject(platform.organization, "deployment", made["id"]))
    assert head is not None
    event = head.events[0]
    assert isinstance(event, DeploymentRequested)
    return event


def _port(asked: DeploymentRequested) -> Any:
    settings = asked.specification.settings
    assert isinstance(settings, ApplicationSettings)
    return settings.runtime.port


async def test_what_runs_again_is_said_by_its_deployment(platform: Platform):
    service = await platform.service(source=GIT, port=80)
    path = f"/v1/services/{service['id']}"
    live = await _deployed(platform, service)
    commit = GitCommit(hash="c" * 40)
    await platform.ok("PATCH", path, {"port": 81})
    whole, images = Repeats(deployment=live), Repeats(deployment=live, whole=False)
    for address, body, repeats, port in (
        (f"{path}/deployments", {"build": False}, images, 81),
        (f"/v1/deployments/{live}/rollback", None, whole, 80),
        (f"{path}/restart", None, whole, 80),
        (f"{path}/start", None, whole, 80),
    ):
        asked = await _asked(platform, address, body)
        assert (asked.repeats, asked.commit, _port(asked)) == (repeats, commit, port), address
    asked = await _asked(platform, f"{path}/deployments")
    assert (asked.repeats, asked.commit, _port(asked)) == (None, None, 81)


async def test_what_was_swept_is_not_run_again(platform: Platform):
    service = await platform.service(source=GIT)
    path = f"/v1/services/{service['id']}"
    old, kept = await _deployed(platform, service), await _deployed(platform, service)
    swept = BuildSwept(
        service=service["id"], kind="application", environment=service["environment"], kept=1
    )
    await platform.append(Subject(platform.organization, "build", old), swept)
    refused = await platform.call("POST", f"/v1/deployments/{old}/rollback")
    assert (refused.status_code, refused.json()["type"].rpartition("/")[2]) == (410, "images-swept")
    assert old in refused.json()["detail"]
    assert refused.json()["hint"]
    asked = await _asked(platform, f"{path}/deployments", {"build": False})
    assert asked.repeats == Repeats(deployment=kept, whole=False)
    log = await platform.call("GET", f"/v1/deployments/{old}/logs")
    assert log.status_code == 200
    shown = await platform.ok("GET", f"/v1/deployments/{old}")
    assert shown["status"] == "replaced"
    await platform.append(Subject(platform.organization, "build", kept), swept)
    refused = await platform.call("POST", f"{path}/deployments", {"build": False})
    assert (refused.status_code, refused.json()["type"].rpartition("/")[2]) == (410, "images-swept")
    assert kept in refused.json()["detail"]


async def test_what_serves_was_built_also_where_no_view_says_so(platform: Platform):
    service = await platform.service(source=GIT)
    path, commit = f"/v1/services/{service['id']}", GitCommit(hash="c" * 40)
    made = await platform.ok("POST", f"{path}/deployments")
    await _serves(platform, service, made["id"], commit)
    for address in (f"{path}/restart", f"{path}/start"):
        asked = await _asked(platform, address)
        assert (asked.repeats, asked.commit) == (Repeats(deployment=made["id"]), commit)


async def test_the_image_of_what_was_built_is_shown(platform: Platform):
    service = await platform.service(source=GIT)
    live = await _deployed(platform, service)
    shown = await platform.ok("GET", f"/v1/deployments/{live}")
    assert shown["image"] == IMAGE.reference
    assert shown["workloads"] == [{"name": "main", "image": IMAGE.reference}]


# -- seen at once ---------------------------------------------------------------------------------


async def test_what_was_written_is_read_without_the_sequence(platform: Platform):
    for number in range(10):
        project = await platform.ok("POST", "/v1/projects", {"name": f"p{number}"})
        platform.sequence = "0"
        assert [one["name"] for one in project["environments"]] == ["Production"]
        assert await platform.ok("GET", f"/v1/projects/{project['id']}") == project
        assert project in (await platform.ok("GET", "/v1/projects"))["items"]
        environment = project["environments"][0]["id"]
        path = f"/v1/environments/{environment}/services"
        body = {"kind": "application", "name": "web", "source": {"kind": "image", "image": "nginx"}}
        made = await platform.ok("POST", path, body)
        platform.sequence = "0"
        assert await platform.ok("GET", f"/v1/services/{made['id']}") == made
        assert (await platform.ok("GET", path))["items"] == [made]
        shown = await platform.ok("GET", f"/v1/environments/{environment}")
        assert [service["id"] for service in shown["services"]] == [made["id"]]
        made = await platform.ok("POST", f"/v1/services/{made['id']}/deployments", {})
        platform.sequence = "0"
        assert (await platform.ok("GET", f"/v1/deployments/{made['id']}"))["status"] == "queued"
        shown = await platform.ok("GET", f"/v1/services/{made['service']}")
        assert shown["latest_deployment"] == made["id"]


async def test_every_write_tells_its_sequence(platform: Platform):
    service = await platform.service()
    path = f"/v1/services/{service['id']}"
    for method, address, body in [
        ("PATCH", path, {"replicas": 2}),
        ("PATCH", path, {"replicas": 2}),
        ("PUT", f"{path}/variables", {"items": []}),
        ("POST", f"{path}/stop", None),
        ("POST", f"{path}/stop", None),
        ("DELETE", path, None),
        ("DELETE", path, None),
    ]:
        answer = await platform.call(method, address, body)
        assert answer.is_success, answer.text
        assert int(answer.headers["Slipway-Sequence"]) > 0, (method, address)


async def test_a_rebuild_changes_nothing_that_is_read(platform: Platform, service: dict[str, Any]):
    """Also where the writer stored a document ahead of the projector."""
    path = f"/v1/services/{service['id']}"
    await platform.ok("POST", f"{path}/domains", {"host": "a.example.org"})
    await platform.ok("PUT", f"{path}/variables", {"items": [{"name": "A", "value": "1"}]})
    live = await _deployed(platform, service)
    waiting = await platform.ok("POST", f"{path}/deployments", {})
    await platform.ok("POST", f"/v1/deployments/{waiting['id']}/cancel")
    await until(lambda: _has(platform, waiting["id"], "cancelled"))
    addresses = ["/v1/projects", "/v1/tokens", path, f"{path}/deployments", f"{path}/domains"]
    addresses += [f"/v1/deployments/{live}", f"/v1/projects/{service['project']}"]

    async def answers() -> list[tuple[str, str]]:
        found = [await platform.call("GET", address) for address in addresses]
        return [(one.headers.get("ETag", ""), one.text) for one in found]

    await _quiet(platform)
    projector = platform.gateway.projector
    assert await projector.wait_for(await platform.store.last_sequence(), 5)
    before = await answers()
    await platform.ok("POST", "/v1/admin/projections/rebuild")
    assert await answers() == before

    async def done() -> bool:
        progress = await platform.ok("GET", "/v1/admin/projections")
        return progress["status"] == "done"

    await until(done)
    progress = await platform.ok("GET", "/v1/admin/projections")
    assert (progress["differing"], progress["folded"]) == (0, progress["of"])
    assert progress["documents"] > 10
    assert await answers() == before


# -- what is kept as it is ------------------------------------------------------------------------


async def test_values_are_kept_to_the_letter(platform: Platform):
    service = await platform.service()
    path = f"/v1/services/{service['id']}/variables"
    items = [
        {"name": "PEM", "value": "-----BEGIN-----\nabc\n-----END-----\n", "secret": False},
        {"name": "SPACES", "value": "  a\tb  ", "secret": False},
        {"name": "EMPTY", "value": "", "secret": False},
        {"name": "DOLLARS", "value": "${HOME} $${x} {{y}}", "secret": False},
    ]
    assert (await platform.ok("PUT", path, {"items": items}))["items"] == items
    assert (await platform.ok("GET", path))["items"] == items


async def test_references_in_secrets_are_checked_too(platform: Platform):
    service = await platform.service()
    path = f"/v1/services/{service['id']}/variables"
    secret = {"name": "URL", "value": "pg://${{NOWHERE}}", "secret": True}
    refused = await platform.call("PUT", path, {"items": [secret]})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/items/0/value")
    circle = [{"name": "A", "value": "${{B}}"}, {"name": "B", "value": "${{A}}"}]
    assert (await platform.call("PUT", path, {"items": circle})).status_code == 422


async def test_what_farther_levels_refer_to_is_not_held_against_the_nearer(platform: Platform):
    service = await platform.service()
    project = f"/v1/projects/{service['project']}/variables"
    path = f"/v1/services/{service['id']}/variables"
    organization = f"/v1/organizations/{platform.organization}/variables"
    await platform.ok("PUT", organization, {"items": [{"name": "BASE", "value": "x"}]})
    await platform.ok("PUT", project, {"items": [{"name": "URL", "value": "${{BASE}}"}]})
    await platform.ok("PUT", organization, {"items": []})
    await platform.ok("PUT", path, {"items": [{"name": "OWN", "value": "1"}]})
    bad = {"items": [{"name": "OWN", "value": "${{NOPE}}"}]}
    refused = await platform.call("PUT", path, bad)
    assert refused.json()["errors"][0]["pointer"] == "/items/0/value"


async def test_variables_that_are_too_many_are_refused_when_they_are_set(platform: Platform):
    service = await platform.service()
    path = f"/v1/services/{service['id']}"
    large = {"items": [{"name": f"A{n}", "value": "x" * 50_000} for n in range(2)]}
    refused = await platform.call("PUT", f"{path}/variables", large)
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/items")
    levels = {
        "organizations": platform.organization, "projects": service["project"],
        "environments": service["environment"], "services": service["id"],
    }  # fmt: skip
    for level, id_ in levels.items():
        most = {"items": [{"name": f"{level[0].upper()}1", "value": "x" * 55_000}]}
        await platform.ok("PUT", f"/v1/{level}/{id_}/variables", most)
    command = ["x" * 4000] * 7
    await platform.ok("PATCH", path, {"command": command})
    assert (await platform.call("PATCH", path, {"command": command * 3})).status_code == 422
    await platform.ok("POST", f"{path}/deployments", {})


# -- changes of a service --------------------------------------------------------------------


async def test_what_may_be_absent_is_taken_away_by_null(platform: Platform):
    build = {"kind": "dockerfile", "file": "Containerfile"}
    service = await platform.service(source=GIT, build=build, port=80, command="a b")
    path = f"/v1/services/{service['id']}"
    assert service["build"]["file"] == "Containerfile"
    await platform.ok("PATCH", path, {"webhook_secret": "a shared secret"})
    changed = await platform.ok("PATCH", path, {"replicas": 3})
    assert (changed["port"], changed["command"], changed["webhook"]["has_secret"]) == (
        80, ["a", "b"], True,
    )  # fmt: skip
    nothing = {"port": None, "command": None, "build": None, "webhook_secret": None}
    changed = await platform.ok("PATCH", path, nothing)
    assert {changed["port"], changed["command"], changed["build"]} == {None}
    assert (changed["webhook"]["has_secret"], changed["replicas"]) == (False, 3)
    await platform.ok("PATCH", path, {"build": build})
    image = {"kind": "image", "image": "nginx"}
    assert (await platform.ok("PATCH", path, {"source": image}))["build"] is None
    refused = await platform.call("PATCH", path, {"build": build})
    assert refused.json()["errors"][0]["pointer"] == "/build"


async def test_two_changes_at_once_both_count(platform: Platform):
    service = await platform.service()
    path = f"/v1/services/{service['id']}"
    changes = [{"port": 80}, {"replicas": 4}, {"cpu_limit": 0.5}, {"command": "x"}]
    await asyncio.gather(*(platform.ok("PATCH", path, change) for change in changes))
    shown = await platform.ok("GET", path)
    assert (shown["port"], shown["replicas"], shown["cpu_limit"]) == (80, 4, 0.5)
    assert shown["command"] == ["x"]


async def test_a_renamed_service_frees_its_name(platform: Platform):
    service = await platform.service()
    path = f"/v1/environments/{service['environment']}/services"
    same = {"kind": "application", "name": "web", "source": {"kind": "image", "image": "nginx"}}
    renamed = await platform.ok("PATCH", f"/v1/services/{service['id']}", {"name": "shop"})
    assert renamed["name"] == "shop"
    assert (await platform.ok("POST", path, same))["name"] == "web"
    taken = await platform.call("POST", path, {**same, "name": "shop"})
    assert taken.status_code == 409


async def test_deploying_starts_what_was_stopped(platform: Platform):
    service = await platform.service()
    path = f"/v1/services/{service['id']}"
    await _deployed(platform, service)
    assert (await platform.ok("GET", path))["status"] == "running"
    assert (await platform.ok("POST", f"{path}/stop"))["status"] == "stopped"
    await platform.ok("POST", f"{path}/deployments", {})
    assert (await platform.ok("GET", path))["status"] == "running"


# -- lists ----------------------------------------------------------------------------------------


async def pages(platform: Platform, path: str, limit: int) -> list[dict[str, Any]]:
    seen, cursor = [], ""
    while True:
        joined = "&" if "?" in path else "?"
        page = await platform.ok("GET", f"{path}{joined}limit={limit}{cursor}")
        assert len(page["items"]) <= limit
        seen += page["items"]
        if page["next"] is None:
            return seen
        cursor = f"&cursor={page['next']}"


async def test_a_list_of_deployments_is_without_their_output(
    platform: Platform, service: dict[str, Any]
):
    path = f"/v1/services/{service['id']}/deployments"
    made = await platform.ok("POST", path, {})
    here = {"service": service["id"], "environment": service["environment"], "kind": "application"}
    of = Subject(platform.organization, "build", made["id"])
    failure = Failure(reason="exited", detail="it broke", hint="mend it", lines=("x" * 2000,) * 40)
    steps = (Step(name="RUN make", started="2026-01-01T00:00:00Z"),) * 300
    await platform.append(of, BuildStarted(**here, attempt=1, deadline="2126-01-01T00:00:00Z"))
    await platform.append(of, BuildFailed(**here, failure=failure, steps=steps))
    await until(lambda: _has(platform, made["id"], "failed"))
    whole = await platform.ok("GET", f"/v1/deployments/{made['id']}")
    assert whole["error"] == failure.model_dump(mode="json")
    assert len(whole["steps"]) > 300
    (item,) = (await platform.ok("GET", path))["items"]
    assert item["error"] == {"reason": "exited", "detail": "it broke", "hint": "mend it"}
    assert {**item, "error": 0} == {k: v for k, v in whole.items() if k != "steps"} | {"error": 0}


async def test_every_list_comes_in_pages(platform: Platform):
    service = await platform.service()
    path = f"/v1/services/{service['id']}"
    hosts = [f"{name}.example.org" for name in ("b", "a", "a-b", "c", "d")]
    for host in hosts:
        await platform.ok("POST", f"{path}/domains", {"host": host})
        await platform.ok("POST", "/v1/tokens", {"name": host})
        await platform.ok("POST", f"{path}/deployments", {})
        body = {
            "kind": "application",
            "name": host.partition(".")[0],
            "source": {"kind": "image", "image": "nginx"},
        }
        of = f"/v1/environments/{service['environment']}/services"
        await platform.ok("POST", of, body)
    found = await pages(platform, f"{path}/domains", 2)
    assert sorted(item["host"] for item in found) == sorted(hosts)
    for address, count in [
        ("/v1/tokens", 6),
        (f"{path}/deployments", 5),
        (f"/v1/environments/{service['environment']}/services", 6),
    ]:
        for limit in (1, 2, 100):
            items = await pages(platform, address, limit)
            assert len({item["id"] for item in items}) == len(items) == count, address
    token, platform.token = platform.token, ""
    await platform.ok("POST", "/v1/sessions", {"email": "ada@example.org", "password": PASSWORD})
    for number in range(4):
        await platform.ok("POST", "/v1/organizations", {"name": f"o{number}"})
    items = await pages(platform, "/v1/organizations", 2)
    assert [item["name"] for item in items] == ["Default", "o0", "o1", "o2", "o3"]
    platform.token = token


# -- deletes --------------------------------------------------------------------------------------


async def test_what_is_made_in_a_project_that_goes_goes_too(platform: Platform):
    """As another process would make it, which had not heard of the deletion."""
    project = await platform.ok("POST", "/v1/projects", {"name": "A"})
    await platform.ok("DELETE", f"/v1/projects/{project['id']}")
    ctx = service_context(platform.gateway.clock, platform.store._log[-1], "test")
    late = str(uuid4())
    command = CreateEnvironment(project["id"], "Late")
    await platform.gateway.commands.handle(ctx, ENVIRONMENT, late, command, step="late")

    async def leaving() -> bool:
        state = await platform.gateway.commands.state(ENVIRONMENT, platform.organization, late)
        return state.phase == "deleting"

    await until(leaving)


# -- pushes ---------------------------------------------------------------------------------------


@pytest.fixture
async def service(platform: Platform) -> dict[str, Any]:
    return await platform.service(source=GIT)


async def push(platform: Platform, service: dict[str, Any], commit: str, delivery: str) -> Any:
    body = {"ref": "refs/heads/main", "after": commit}
    headers = {"X-Gitea-Event": "push", "X-Gitea-Delivery": delivery}
    return await platform.http.post(service["webhook"]["url"], json=body, headers=headers)


async def test_a_commit_that_failed_is_deployed_by_the_next_delivery(
    platform: Platform, service: dict[str, Any]
):
    commit = "a" * 40
    first = (await push(platform, service, commit, "d1")).json()["deployment"]
    failed = builds.BuildFailed(
        kind="application", service=service["id"], environment=service["environment"],
        failure=Failure(reason="build-failed", detail="it did"),
    )  # fmt: skip
    await platform.append(Subject(platform.organization, "build", first), failed)
    await until(lambda: _has(platform, first, "failed"))
    assert (await push(platform, service, commit, "d1")).json()["status"] == "ignored"
    assert (await push(platform, service, commit, "d2")).json()["status"] == "accepted"


async def test_what_runs_already_is_not_deployed_again_over_a_failure(
    platform: Platform, service: dict[str, Any]
):
    """A push of what serves, after one that failed, changes nothing."""
    serving, broken = "a" * 40, "b" * 40
    live = (await push(platform, service, serving, "d1")).json()["deployment"]
    await _succeed(platform, service, live, serving)
    bad = (await push(platform, service, broken, "d2")).json()["deployment"]
    failed = builds.BuildFailed(
        kind="application", service=service["id"], environment=service["environment"],
        failure=Failure(reason="build-failed", detail="it did"),
    )  # fmt: skip
    await platform.append(Subject(platform.organization, "build", bad), failed)
    await until(lambda: _has(platform, bad, "failed"))
    again = (await push(platform, service, serving, "d3")).json()
    assert (again["status"], again["deployment"]) == ("ignored", live)


async def test_the_commit_that_was_built_counts_as_well_as_the_announced(
    platform: Platform, service: dict[str, Any]
):
    """Two pushes close together: the first one's build took the second one's commit already."""
    first = (await push(platform, service, "a" * 40, "d1")).json()["deployment"]
    await _succeed(platform, service, first, "b" * 40)
    assert (await push(platform, service, "b" * 40, "d2")).json()["status"] == "ignored"
    assert (await push(platform, service, "a" * 40, "d3")).json()["status"] == "ignored"
    assert (await push(platform, service, "c" * 40, "d4")).json()["status"] == "accepted"


# -- what streams ---------------------------------------------------------------------------------


def line(text: str) -> LogLine:
    return LogLine(at="2026-01-01T00:00:00Z", text=text)


async def test_lines_are_resumed_without_loss_or_doubling(
    platform: Platform, service: dict[str, Any]
):
    assert isinstance(platform.gateway.logs, MemoryLogs)
    made = await platform.ok("POST", f"/v1/services/{service['id']}/deployments", {})
    subject = build_subject(platform.organization, made["id"])
    await platform.gateway.logs.write(subject, [line("1"), line("2"), line("3")])
    await platform.gateway.logs.write(subject, [line("4"), line("5")])
    path = f"/v1/deployments/{made['id']}/logs?follow=false"
    ndjson = await platform.call("GET", path)
    assert [json.loads(row)["text"] for row in ndjson.text.splitlines()] == list("12345")
    events = (await platform.call("GET", path, Accept="text/event-stream")).text
    ids = [row.removeprefix("id: ") for row in events.splitlines() if row.startswith("id: ")]
    assert len(set(ids)) == 5
    assert events.endswith("event: end\ndata: {}\n\n")
    for seen, id_ in enumerate(ids, 1):
        rest = await platform.call("GET", path, Last_Event_ID=id_)
        assert [json.loads(row)["text"] for row in rest.text.splitlines()] == list("12345")[seen:]
    bad = await platform.call("GET", path, Last_Event_ID="x")
    assert bad.status_code == 422


async def test_lines_that_have_left_the_stream_come_from_the_archive(
    platform: Platform, service: dict[str, Any]
):
    assert isinstance(platform.gateway.build_logs, MemoryObjects)
    made = await platform.ok("POST", f"/v1/services/{service['id']}/deployments", {})
    rows = b"\n".join(line(str(n)).model_dump_json().encode() for n in range(4))
    await platform.gateway.build_logs.put(made["id"], rows)
    await platform.ok("POST", f"/v1/deployments/{made['id']}/cancel")
    await until(lambda: _has(platform, made["id"], "cancelled"))
    path = f"/v1/deployments/{made['id']}/logs"
    seen = (await platform.call("GET", path)).text.splitlines()
    texts = [json.loads(row)["text"] for row in seen]
    assert texts == [*"0123", "it was asked to stop", "cancelled"]
    rest = (await platform.call("GET", path, Last_Event_ID="0.1")).text.splitlines()
    assert [json.loads(row)["text"] for row in rest] == texts[2:]


async def test_a_deployment_s_lines_come_as_they_are_said(
    platform: Platform, service: dict[str, Any]
):
    made = await platform.ok("POST", f"/v1/services/{service['id']}/deployments", {})
    subject = build_subject(platform.organization, made["id"])
    lines = _of_deployment(
        platform.gateway, platform.organization, made["id"], position(None), True
    )
    for text in ("one", "two"):
        await platform.gateway.logs.write(subject, [line(text)])
        async with asyncio.timeout(2):
            assert (await anext(lines))[1].text == text
    await platform.ok("POST", f"/v1/deployments/{made['id']}/cancel")
    async with asyncio.timeout(5):
        texts = [item.text async for _, item in lines]
    assert texts == ["it was asked to stop", "cancelled"]


# -- what is large --------------------------------------------------------------------------------


async def test_a_body_without_a_length_has_a_limit_too(platform: Platform):
    async def endless() -> AsyncIterator[bytes]:
        yield b'{"name": "'
        for _ in range(40):
            yield b"x" * (1 << 16)

    answer = await platform.http.post(
        "/v1/projects",
        content=endless(),
        headers={"Authorization": f"Bearer {platform.token}", "Content-Type": "application/json"},
    )
    assert (answer.status_code, answer.json()["type"]) == (413, "/problems/too-large")


async def test_a_delivery_of_very_many_values_is_not_decoded(
    platform: Platform, service: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("api_gateway.webhooks.delivery.orjson.loads", pytest.fail)
    for value in ("[]", "{}", "1", '"a"'):
        body = f'{{"a": [{",".join([value] * 500_002)}]}}'.encode()
        headers = {"X-GitHub-Event": "push"}
        answer = await platform.http.post(service["webhook"]["url"], content=body, headers=headers)
        assert (answer.status_code, answer.json()["type"]) == (413, "/problems/too-large")


async def test_few_large_deliveries_come_at_once(platform: Platform, service: dict[str, Any]):
    """Small ones always do; who hung up makes room."""
    url, headers, held = service["webhook"]["url"], {"X-GitHub-Event": "push"}, asyncio.Event()
    waiting = 0

    async def slow() -> AsyncIterator[bytes]:
        nonlocal waiting
        yield b" " * (2 << 20)
        waiting += 1
        await held.wait()
        yield b"{"

    def send() -> asyncio.Task[Any]:
        return asyncio.create_task(platform.http.post(url, content=slow(), headers=headers))

    async def all_wait() -> bool:
        return waiting == 4

    four = [send() for _ in range(4)]
    await until(all_wait)
    refused = await platform.http.post(url, content=b" " * (2 << 20), headers=headers)
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "60")
    assert (await push(platform, service, "a" * 40, "d")).json()["status"] == "accepted"
    four.pop().cancel()
    await asyncio.sleep(0)
    held.set()
    assert [answer.status_code for answer in await asyncio.gather(*four)] == [400] * 3
    assert (await send()).status_code == 400


async def test_a_delivery_that_does_not_come_to_its_end_is_not_waited_for(
    platform: Platform, service: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    async def endless() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(60)

    monkeypatch.setattr("api_gateway.webhooks.delivery._WITHIN", 0.05)
    url, headers = service["webhook"]["url"], {"X-GitHub-Event": "push"}
    answer = await platform.http.post(url, content=endless(), headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/malformed")


async def test_a_push_of_many_commits_is_not_too_large(platform: Platform, service: dict[str, Any]):
    body = {"ref": "refs/heads/main", "after": "a" * 40, "commits": ["x" * 1000] * 3000}
    headers = {"X-GitHub-Event": "push", "X-GitHub-Delivery": "d"}
    answer = await platform.http.post(service["webhook"]["url"], json=body, headers=headers)
    assert answer.status_code == 202


async def test_nothing_secret_stands_in_the_log(platform: Platform):
    """Neither in the events nor in what tells one body from another."""
    token, platform.token = platform.token, ""
    body = {"email": "ada@example.org", "password": PASSWORD}
    answer = await platform.call("POST", "/v1/sessions", body, Idempotency_Key="k1")
    cookie = answer.cookies["slipway_session"]
    platform.http.cookies.clear()
    platform.token = token
    service = await platform.service(source=GIT)
    items = {"items": [{"name": "KEY", "value": "hunter2", "secret": True}]}
    path = f"/v1/services/{service['id']}"
    await platform.ok("PUT", f"{path}/variables", items, Idempotency_Key="k2")
    await platform.ok("PATCH", path, {"webhook_secret": "shared secret"}, Idempotency_Key="k3")
    hook = service["webhook"]["url"].rpartition("/")[2]
    said = ["hunter2", "shared secret", cookie, token, hook]
    bodies = [json.dumps(one, separators=(",", ":")).encode() for one in (body, items)]
    digests = [hashlib.sha256(one).hexdigest()[:32] for one in bodies]
    for commit in platform.store._log:
        text = f"{commit.events!r} {commit.meta!r}"
        assert not [one for one in (*said, *digests) if one in text]


# -- long lives and newer releases ----------------------------------------------------------------


async def test_a_write_reads_no_more_of_a_long_life(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
):
    """Only a key may stand for a request that was carried out long ago: for that one the log is
    read again."""
    path = f"/v1/projects/{(await platform.ok('POST', '/v1/projects', {'name': 'A'}))['id']}"
    reads: list[int] = []
    append = platform.store.append

    async def counted(*arguments: Any, since: int = 0) -> Any:
        expected = arguments[1]
        if expected.sequence > since:
            reads.append(expected.sequence)
        return await append(*arguments, since=since)

    for number in range(202):
        await platform.ok("PATCH", path, {"name": f"A {number}"})
    monkeypatch.setattr(platform.store, "append", counted)
    await platform.ok("PATCH", path, {"name": "B"})
    ctx = service_context(platform.gateway.clock, platform.store._log[-1], "test")
    await platform.gateway.commands.handle(ctx, PROJECT, path.rpartition("/")[2], Rename("C"))
    assert reads == []
    await platform.ok("PATCH", path, {"name": "D"}, Idempotency_Key="k1")
    assert len(reads) == 1


async def test_what_a_newer_release_wrote_is_left_out_and_takes_nothing_with_it(
    platform: Platform, service: dict[str, Any]
):
    live = await _deployed(platform, service)
    await platform.ok("GET", "/v1/services")
    path, organization = f"/v1/services/{service['id']}", platform.organization
    await platform.append(
        Subject(organization, "rollout", service["id"]), newer.event_of("rollout")
    )
    await platform.append(Subject(organization, "route", service["id"]), newer.event_of("route"))
    strange, deployment = str(uuid4()), str(uuid4())
    at = Subject(organization, "service", strange)
    await platform.append(at, newer.event_of("service"))
    leaving = ServiceDeletionRequested(
        project=service["project"], environment=service["environment"]
    )
    await platform.append(at, leaving)
    await platform.append(
        Subject(organization, "deployment", deployment), newer.event_of("deployment")
    )
    await platform.append(Subject(organization, "rollout", strange), newer.event_of("rollout"))
    platform.sequence = str(await platform.store.last_sequence())
    (shown,) = (await platform.ok("GET", "/v1/services"))["items"]
    assert (shown["id"], shown["status"]) == (service["id"], "running")
    inside = f"/v1/environments/{service['environment']}/services"
    assert [one["id"] for one in (await platform.ok("GET", inside))["items"]] == [service["id"]]
    (shown,) = (await platform.ok("GET", f"{path}/deployments"))["items"]
    assert (shown["id"], shown["status"]) == (live, "live")
    for address in (f"/v1/services/{strange}", f"/v1/deployments/{deployment}"):
        assert (await platform.call("GET", address)).status_code == 404
    project = await platform.ok("GET", f"/v1/projects/{service['project']}")
    assert len(project["environments"][0]["services"]) == 1


async def test_what_was_stopped_runs_again_when_it_serves(
    platform: Platform, service: dict[str, Any]
):
    """Not when it is only wanted: the start's deployment may fail."""
    live = await _deployed(platform, service)
    path = f"/v1/services/{service['id']}"
    await platform.ok("POST", f"{path}/stop")
    idle = RolloutState(serving=release(live), stopped=True)
    stopped = RolloutStopped(service=service["id"], kind="application", state=idle)
    await platform.append(Subject(platform.organization, "rollout", service["id"]), stopped)
    started = await platform.ok("POST", f"{path}/start")
    platform.sequence = str(await platform.store.last_sequence())
    assert (await platform.ok("GET", path))["status"] == "stopped"
    await _succeed(platform, service, started["id"], "d" * 40)
    platform.sequence = str(await platform.store.last_sequence())
    assert (await platform.ok("GET", path))["status"] == "running"


# -- refusals -------------------------------------------------------------------------------------


async def test_what_a_client_made_up_is_not_said_back_whole(platform: Platform):
    refused = await platform.call("POST", "/v1/projects", {"name": "A", "x" * 100_000: 1})
    assert refused.status_code == 422
    assert len(refused.content) < 3000


@pytest.mark.parametrize(
    ("query", "header", "pointer"),
    [("?after=no", {}, "?after"), ("", {"Last_Event_ID": "no"}, "Last-Event-ID")],
)
async def test_a_position_is_refused_where_it_stands(
    platform: Platform, query: str, header: dict[str, str], pointer: str
):
    refused = await platform.call("GET", f"/v1/events{query}", **header)
    assert [error["pointer"] for error in refused.json()["errors"]] == [pointer]


async def test_a_rollback_to_what_has_no_image_yet_says_how_it_stands(platform: Platform):
    service = await platform.service(source=GIT)
    made = await platform.ok("POST", f"/v1/services/{service['id']}/deployments", {})
    refused = await platform.call("POST", f"/v1/deployments/{made['id']}/rollback")
    assert refused.status_code == 409
    assert "it is not built yet" in refused.json()["detail"]
