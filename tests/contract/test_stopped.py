"""What is stopped stays so until somebody starts it; what was pushed meanwhile is not lost."""

from typing import Any
from uuid import uuid4

import pytest
from api_gateway.deployments import react as deployments
from api_gateway.deployments.domain import DEPLOYMENT
from api_gateway.deployments.react import react
from api_gateway.deployments.request import living, request
from api_gateway.request_context import RequestContext
from slipway.contracts.build import BuildStarted
from slipway.contracts.deployment import Repeats, Trigger
from slipway.contracts.service import ServiceStarted
from slipway.kernel import ids
from slipway.kernel.envelope import Actor, Subject

from tests.contract.test_api import Platform, bare, platform
from tests.contract.test_api_promises import (
    _deployed,
    _has,
    _succeed,
    push,
    service,
    until,
)

_fixtures = (bare, platform, service)


async def test_a_push_to_what_is_stopped_is_kept_for_its_start(
    platform: Platform, service: dict[str, Any]
):
    path, commit = f"/v1/services/{service['id']}", "b" * 40
    await _deployed(platform, service, "a" * 40)
    await platform.ok("POST", f"{path}/stop")
    for delivery in ("d1", "d1", "d2"):
        answer = await push(platform, service, commit, delivery)
        assert (answer.status_code, answer.json()["status"]) == (200, "kept")
        assert f"POST {path}/start" in answer.json()["reason"]
    assert len((await platform.ok("GET", f"{path}/deployments"))["items"]) == 1
    assert (await platform.ok("GET", path))["status"] == "stopped"
    started = await platform.ok("POST", f"{path}/start")
    assert started["trigger"] == {"kind": "start", "commit": commit, "delivery": None, "of": None}
    asked = await platform.gateway.commands.state(DEPLOYMENT, platform.organization, started["id"])
    assert asked.repeats is None, "its branch is built"
    await _succeed(platform, service, started["id"], commit)
    assert (await push(platform, service, commit, "d3")).json()["status"] == "ignored"
    again = await platform.ok("POST", f"{path}/start")
    assert again["trigger"]["commit"] is None, "what was deployed is not kept any more"


async def test_a_start_that_was_cut_off_finds_what_was_pushed(
    platform: Platform, service: dict[str, Any]
):
    path = f"/v1/services/{service['id']}"
    await _deployed(platform, service, "a" * 40)
    await platform.ok("POST", f"{path}/stop")
    await push(platform, service, "b" * 40, "d1")
    await platform.append(
        Subject(platform.organization, "service", service["id"]), ServiceStarted()
    )
    assert (await platform.ok("POST", f"{path}/start"))["trigger"]["commit"] == "b" * 40


async def test_a_start_without_a_push_runs_what_served(platform: Platform, service: dict[str, Any]):
    path = f"/v1/services/{service['id']}"
    await _deployed(platform, service, "a" * 40)
    await platform.ok("POST", f"{path}/stop")
    await push(platform, service, "b" * 40, "d1")
    served = (await platform.ok("POST", f"{path}/start"))["id"]
    await _succeed(platform, service, served, "b" * 40)
    await platform.ok("POST", f"{path}/stop")  # what was kept before is forgotten
    started = await platform.ok("POST", f"{path}/start")
    asked = await platform.gateway.commands.state(DEPLOYMENT, platform.organization, started["id"])
    assert (asked.repeats, started["trigger"]["commit"]) == (Repeats(deployment=served), None)


async def test_a_delivery_that_is_sent_again_after_another_stop_is_kept_again(
    platform: Platform, service: dict[str, Any]
):
    path = f"/v1/services/{service['id']}"
    await _deployed(platform, service, "a" * 40)
    await platform.ok("POST", f"{path}/stop")
    await push(platform, service, "b" * 40, "d1")
    started = await platform.ok("POST", f"{path}/start")
    await _succeed(platform, service, started["id"], "b" * 40)
    await _deployed(platform, service, "c" * 40)
    await platform.ok("POST", f"{path}/stop")
    assert (await push(platform, service, "b" * 40, "d1")).json()["status"] == "kept"
    assert (await platform.ok("POST", f"{path}/start"))["trigger"]["commit"] == "b" * 40


async def test_a_stop_ends_what_is_under_way_and_keeps_its_push(
    platform: Platform, service: dict[str, Any]
):
    path, at = f"/v1/services/{service['id']}", {"environment": service["environment"]}
    made = (await push(platform, service, "b" * 40, "d1")).json()["deployment"]
    begun = BuildStarted(
        service=service["id"], kind="application", **at, attempt=1, deadline="2126-01-01T00:00:00Z"
    )
    await platform.append(Subject(platform.organization, "build", made), begun)
    await platform.ok("POST", f"{path}/stop")

    async def stopping() -> bool:
        return (await platform.ok("GET", f"/v1/deployments/{made}"))["stopping"]

    await until(stopping)
    assert (await platform.ok("POST", f"{path}/start"))["trigger"]["commit"] == "b" * 40


async def test_a_push_whose_start_was_stopped_is_kept_again(
    platform: Platform, service: dict[str, Any]
):
    path = f"/v1/services/{service['id']}"
    await _deployed(platform, service, "a" * 40)
    await platform.ok("POST", f"{path}/stop")
    await push(platform, service, "b" * 40, "d1")
    made = await platform.ok("POST", f"{path}/start")
    await platform.ok("POST", f"{path}/stop")
    await until(lambda: _has(platform, made["id"], "cancelled"))
    assert (await platform.ok("POST", f"{path}/start"))["trigger"]["commit"] == "b" * 40


async def test_a_start_behind_a_stop_that_nobody_heard_of_yet_finds_the_push(
    platform: Platform, service: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    await _deployed(platform, service, "a" * 40)
    path = f"/v1/services/{service['id']}"

    async def unheard(*_: Any) -> None:
        pass

    monkeypatch.setattr(deployments, "_end_if_stopped", unheard)
    monkeypatch.setattr(deployments, "_end_those_of_stopped", unheard)
    await push(platform, service, "b" * 40, "d1")
    await platform.ok("POST", f"{path}/stop")
    assert (await platform.ok("POST", f"{path}/start"))["trigger"]["commit"] == "b" * 40


async def test_a_start_of_what_runs_repeats_it_whatever_was_pushed_before(
    platform: Platform, service: dict[str, Any]
):
    path = f"/v1/services/{service['id']}"
    await _deployed(platform, service, "a" * 40)
    await platform.ok("POST", f"{path}/stop")
    await push(platform, service, "b" * 40, "d1")
    started = await platform.ok("POST", f"{path}/start")
    await _succeed(platform, service, started["id"], "b" * 40)
    await platform.ok("PATCH", path, {"replicas": 2})
    again = await platform.ok("POST", f"{path}/start")
    asked = await platform.gateway.commands.state(DEPLOYMENT, platform.organization, again["id"])
    assert (asked.repeats, again["trigger"]["commit"]) == (Repeats(deployment=started["id"]), None)


async def test_a_request_that_is_heard_of_late_keeps_no_push_of_what_has_ended(
    platform: Platform, service: dict[str, Any]
):
    path = f"/v1/services/{service['id']}"
    made = (await push(platform, service, "b" * 40, "d1")).json()["deployment"]
    await _succeed(platform, service, made, "b" * 40)
    await platform.ok("POST", f"{path}/stop")
    requested = await platform.store.load(Subject(platform.organization, "deployment", made))
    await react(platform.gateway, requested[0])
    started = await platform.ok("POST", f"{path}/start")
    assert started["trigger"]["commit"] is None


async def test_a_push_that_was_cancelled_by_hand_is_not_kept(
    platform: Platform, service: dict[str, Any]
):
    await _deployed(platform, service, "a" * 40)
    path, at = f"/v1/services/{service['id']}", {"environment": service["environment"]}
    made = (await push(platform, service, "b" * 40, "d1")).json()["deployment"]
    begun = BuildStarted(
        service=service["id"], kind="application", **at, attempt=1, deadline="2126-01-01T00:00:00Z"
    )
    await platform.append(Subject(platform.organization, "build", made), begun)
    await platform.ok("POST", f"/v1/deployments/{made}/cancel")
    await platform.ok("POST", f"{path}/stop")
    stopped = await platform.store.head(Subject(platform.organization, "service", service["id"]))
    assert stopped is not None
    await react(platform.gateway, stopped)
    assert (await platform.ok("POST", f"{path}/start"))["trigger"]["commit"] is None


async def test_a_deployment_that_met_a_stop_ends(platform: Platform, service: dict[str, Any]):
    """Its service was read before the stop, its request stands behind it."""
    path = f"/v1/services/{service['id']}"
    before = await living(platform.gateway.commands, platform.organization, service["id"])
    await platform.ok("POST", f"{path}/stop")
    ctx = RequestContext(
        id=str(uuid4()), actor=Actor("webhook", "w"), at=platform.gateway.clock.now(),
        organization=platform.organization,
    )  # fmt: skip
    trigger = Trigger(kind="webhook", commit="b" * 40)
    await request(platform.gateway, ctx, before, trigger)
    await until(lambda: _has(platform, ids.derived(ctx.id, "deployment"), "cancelled"))
    assert (await platform.ok("POST", f"{path}/start"))["trigger"]["commit"] == "b" * 40


async def test_a_stop_that_is_heard_of_late_ends_no_start(
    platform: Platform, service: dict[str, Any]
):
    await _deployed(platform, service, "a" * 40)
    path = f"/v1/services/{service['id']}"
    await platform.ok("POST", f"{path}/stop")
    stopped = await platform.store.head(Subject(platform.organization, "service", service["id"]))
    started = await platform.ok("POST", f"{path}/start")
    assert stopped is not None
    await react(platform.gateway, stopped)
    asked = await platform.gateway.commands.state(DEPLOYMENT, platform.organization, started["id"])
    assert (asked.phase, asked.stop) == ("open", None)
