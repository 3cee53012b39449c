"""Services over HTTP: kinds, and the list of a whole organization."""

from typing import Any
from uuid import uuid4

import pytest
from api_gateway.http.schema import NAMED_KINDS, kinds_of
from slipway.contracts.rollout import RolloutState, RolloutSucceeded
from slipway.contracts.values import Build
from slipway.kernel.envelope import Subject
from slipway.testing.releases import release

from tests.contract.test_api import PASSWORD, Platform, bare, platform
from tests.contract.test_api_promises import pages

_fixtures = (bare, platform)
IMAGE = {"kind": "image", "image": "nginx"}
KINDS = ", ".join(NAMED_KINDS)
BUILDS = ", ".join(kinds_of(Build))


async def _environment(platform: Platform) -> str:
    project = await platform.ok("POST", "/v1/projects", {"name": "Shop"})
    return project["environments"][0]["id"]


@pytest.mark.parametrize(
    ("body", "pointer", "detail"),
    [
        ({}, "/kind", f"has to say what kind of service it is; there are: {KINDS}"),
        (
            {"kind": "database"},
            "/kind",
            f"names no kind of service that there is; there are: {KINDS}",
        ),
        ({"kind": None}, "/kind", f"names no kind of service that there is; there are: {KINDS}"),
        (
            {"kind": ["application"]},
            "/kind",
            f"names no kind of service that there is; there are: {KINDS}",
        ),
        (
            {"kind": "application", "source": {"url": "https://a.example/a.git"}},
            "/source/kind",
            "has to say what kind of source it is; there are: git, image",
        ),
        (
            {"kind": "application", "source": IMAGE, "build": {"kind": "magic"}},
            "/build/kind",
            f"names no kind of build that there is; there are: {BUILDS}",
        ),
    ],
)
async def test_a_kind_is_told_in_plain_words(
    platform: Platform, body: dict[str, Any], pointer: str, detail: str
):
    path = f"/v1/environments/{await _environment(platform)}/services"
    end = await platform.store.last_sequence()
    refused = await platform.call("POST", path, {"name": "web", **body})
    assert refused.status_code == 422
    assert {"pointer": pointer, "detail": detail} in refused.json()["errors"]
    assert await platform.store.last_sequence() == end


async def test_the_kind_is_shown_and_stays(platform: Platform):
    service = await platform.service()
    path = f"/v1/services/{service['id']}"
    assert (await platform.ok("GET", path))["kind"] == "application"
    project = await platform.ok("GET", f"/v1/projects/{service['project']}")
    assert project["environments"][0]["services"][0]["kind"] == "application"
    assert (await platform.ok("PATCH", path, {"kind": "application"}))["kind"] == "application"
    assert (await platform.call("PATCH", path, {"kind": "database"})).status_code == 422


async def test_the_former_addresses_are_gone(platform: Platform):
    service = await platform.service()
    for method, path in [
        ("GET", f"/v1/applications/{service['id']}"),
        ("GET", f"/v1/environments/{service['environment']}/applications"),
        ("POST", f"/v1/environments/{service['environment']}/applications"),
    ]:
        assert (await platform.call(method, path, {})).status_code == 404


async def _serves(platform: Platform, service: dict[str, Any]) -> None:
    state = RolloutState(environment=service["environment"], serving=release(str(uuid4())))
    await platform.append(
        Subject(platform.organization, "rollout", service["id"]),
        RolloutSucceeded(service=service["id"], kind="application", state=state),
    )


async def test_services_of_an_organization_are_listed_and_filtered(platform: Platform):
    first = await platform.service(name="api")
    second = await platform.service(name="web")
    path = f"/v1/environments/{second['environment']}/services"
    third = await platform.ok("POST", path, {"kind": "application", "name": "api", "source": IMAGE})
    await platform.ok("POST", f"/v1/services/{second['id']}/stop")
    await _serves(platform, first)

    async def ids(query: str) -> list[str]:
        for limit in (1, 2, 100):
            items = await pages(platform, f"/v1/services?{query}", limit)
        return [item["id"] for item in items]

    everything = [first["id"], second["id"], third["id"]]
    assert await ids("") == everything
    assert await ids("kind=application") == everything
    assert await ids("name=api") == [first["id"], third["id"]]
    assert await ids(f"project={second['project']}") == [second["id"], third["id"]]
    assert await ids(f"environment={first['environment']}") == [first["id"]]
    assert await ids("status=stopped") == [second["id"]]
    assert await ids("status=running") == [first["id"]]
    assert await ids("status=not%20deployed") == [third["id"]]
    assert await ids(f"name=api&project={second['project']}") == [third["id"]]
    assert await ids("name=nobody") == []
    assert await ids(f"project={uuid4()}") == []
    await platform.ok("DELETE", f"/v1/services/{third['id']}")
    assert third["id"] not in await ids("status=running")


@pytest.mark.parametrize(
    ("query", "pointer"),
    [("kind=database", "?kind"), ("status=fine", "?status"), (f"name={'x' * 101}", "?name")],
)
async def test_a_filter_that_fits_nothing_there_can_be_is_refused(
    platform: Platform, query: str, pointer: str
):
    refused = await platform.call("GET", f"/v1/services?{query}")
    assert refused.status_code == 422
    assert [error["pointer"] for error in refused.json()["errors"]] == [pointer]


async def test_nothing_of_another_organization_is_listed(platform: Platform):
    service = await platform.service()
    token, platform.token = platform.token, ""
    await platform.ok("POST", "/v1/sessions", {"email": "ada@example.org", "password": PASSWORD})
    other = await platform.ok("POST", "/v1/organizations", {"name": "Other"})
    platform.extra = {"Slipway-Organization": other["id"]}
    for query in ("", f"?project={service['project']}", f"?environment={service['environment']}"):
        assert (await platform.ok("GET", f"/v1/services{query}"))["items"] == []
    platform.token = token


async def test_a_key_is_of_one_domain_whatever_the_host(platform: Platform):
    service = await platform.service()
    path = f"/v1/services/{service['id']}/domains"
    one = {"host": "one.example.org"}
    made = await platform.ok("POST", path, one, Idempotency_Key="k")
    assert await platform.ok("POST", path, one, Idempotency_Key="k") == made
    reused = await platform.call("POST", path, {"host": "two.example.org"}, Idempotency_Key="k")
    assert (reused.status_code, reused.json()["type"]) == (422, "/problems/idempotency-key-reused")
    assert [item["id"] for item in await pages(platform, path, 10)] == [made["id"]]
    again = await platform.ok("POST", path, {"host": "two.example.org"}, Idempotency_Key="l")
    assert again["id"] != made["id"]
