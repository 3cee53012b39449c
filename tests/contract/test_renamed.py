"""A name leads to one: it is free for another service when nothing runs under it any more."""

from typing import Any

import pytest
from api_gateway.deployments.domain import DEPLOYMENT
from slipway.contracts.deployment import Repeats
from slipway.contracts.rollout import RolloutEvent, RolloutStopped
from slipway.kernel.envelope import Subject

from tests.contract.test_api import Platform, bare, platform
from tests.contract.test_api_promises import _deployed, _succeed

_fixtures = (bare, platform)
SAME = {"kind": "application", "name": "web", "source": {"kind": "image", "image": "nginx"}}


@pytest.fixture
async def renamed(platform: Platform) -> dict[str, Any]:
    """It runs under its former name, web."""
    service = await platform.service()
    await _deployed(platform, service)
    return await platform.ok("PATCH", f"/v1/services/{service['id']}", {"name": "shop"})


def create(platform: Platform, service: dict[str, Any]) -> Any:
    return platform.call("POST", f"/v1/environments/{service['environment']}/services", SAME)


async def test_a_name_that_something_runs_under_is_taken(
    platform: Platform, renamed: dict[str, Any]
):
    refused = await create(platform, renamed)
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/name-taken")
    assert "shop was renamed" in refused.json()["detail"]
    assert "deploy or restart shop" in refused.json()["hint"]
    other = await platform.ok(
        "POST", f"/v1/environments/{renamed['environment']}/services", {**SAME, "name": "blog"}
    )
    refused = await platform.call("PATCH", f"/v1/services/{other['id']}", {"name": "web"})
    assert refused.status_code == 409
    back = await platform.ok("PATCH", f"/v1/services/{renamed['id']}", {"name": "web"})
    assert back["name"] == "web", "its own"


@pytest.mark.parametrize("how", ["deployments", "restart"])
async def test_it_is_free_once_the_other_runs_under_its_new_name(
    platform: Platform, renamed: dict[str, Any], how: str
):
    made = await platform.ok("POST", f"/v1/services/{renamed['id']}/{how}")
    asked = await platform.gateway.commands.state(DEPLOYMENT, platform.organization, made["id"])
    assert asked.specification is not None
    assert asked.specification.name == "shop"
    assert (await create(platform, renamed)).status_code == 409, "the former one serves still"
    await _succeed(platform, renamed, made["id"], "d" * 40)
    assert (await create(platform, renamed)).status_code == 201


async def test_what_is_asked_for_under_it_has_it_too(platform: Platform):
    service = await platform.service()
    made = await platform.ok("POST", f"/v1/services/{service['id']}/deployments", {})
    await platform.ok("PATCH", f"/v1/services/{service['id']}", {"name": "shop"})
    assert (await create(platform, service)).status_code == 409
    await platform.ok("POST", f"/v1/deployments/{made['id']}/cancel")
    while (await platform.ok("GET", f"/v1/deployments/{made['id']}"))["status"] != "cancelled":
        pass
    assert (await create(platform, service)).status_code == 201


async def test_what_is_stopped_frees_it_and_starts_under_the_new_one(
    platform: Platform, renamed: dict[str, Any]
):
    head = await platform.store.head(Subject(platform.organization, "rollout", renamed["id"]))
    assert head is not None
    last = head.events[-1]
    assert isinstance(last, RolloutEvent)
    idle = last.state.model_copy(update={"stopped": True})
    await platform.ok("POST", f"/v1/services/{renamed['id']}/stop")
    assert (await create(platform, renamed)).status_code == 409, "it is asked to stop, and runs"
    stopped = RolloutStopped(service=renamed["id"], kind="application", state=idle)
    await platform.append(head.subject, stopped)
    assert (await create(platform, renamed)).status_code == 201
    made = await platform.ok("POST", f"/v1/services/{renamed['id']}/start")
    asked = await platform.gateway.commands.state(DEPLOYMENT, platform.organization, made["id"])
    assert asked.specification is not None
    assert asked.specification.name == "shop"


async def test_a_rollback_takes_no_name_back(platform: Platform):
    service = await platform.service()
    first = await _deployed(platform, service)
    await platform.ok("PATCH", f"/v1/services/{service['id']}", {"name": "shop"})
    made = await platform.ok("POST", f"/v1/deployments/{first}/rollback")
    asked = await platform.gateway.commands.state(DEPLOYMENT, platform.organization, made["id"])
    assert asked.specification is not None
    assert asked.specification.name == "shop"
    assert asked.repeats == Repeats(deployment=first, whole=False), "its workloads have the former"
