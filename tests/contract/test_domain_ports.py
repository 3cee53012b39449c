"""A domain leads to a port, or says why it leads nowhere."""

from typing import Any

import pytest
from slipway.contracts.rollout import RolloutFailed, RolloutState, RolloutSucceeded
from slipway.contracts.route import Refusal, RouteFailed, RouteState, exposed
from slipway.contracts.values import BuiltImage, Failure
from slipway.contracts.workload import MAIN
from slipway.kernel.envelope import Subject
from slipway.testing.releases import release

from tests.contract.test_api import Platform, bare, platform

_fixtures = (bare, platform)
HOST = {"host": "shop.example.org"}


async def serves(
    platform: Platform, service: dict[str, Any], *exposes: int, port: int | None = None
) -> None:
    serving = release("d", port=port, image=BuiltImage(reference="sha256:1", ports=exposes))
    state = RolloutState(serving=serving, replicas={MAIN: 1})
    said = RolloutSucceeded(service=service["id"], kind="application", state=state)
    await platform.append(Subject(platform.organization, "rollout", service["id"]), said)
    platform.sequence = str(await platform.store.last_sequence())


@pytest.mark.parametrize(
    ("exposes", "said"), [((80, 443), "exposes 80 and 443"), ((), "exposes no port")]
)
async def test_a_domain_that_would_lead_nowhere_is_refused(
    platform: Platform, exposes: tuple[int, ...], said: str
):
    service = await platform.service()
    await serves(platform, service, *exposes)
    path = f"/v1/services/{service['id']}/domains"
    refused = await platform.call("POST", path, HOST)
    assert refused.status_code == 422
    (error,) = refused.json()["errors"]
    assert error["pointer"] == "/port"
    assert said in error["detail"]
    made = await platform.ok("POST", path, {**HOST, "port": 80})
    assert made["problem"] is None


async def test_one_that_the_release_has_a_port_for_is_not(platform: Platform):
    service = await platform.service()
    await serves(platform, service, 80, port=80)
    made = await platform.ok("POST", f"/v1/services/{service['id']}/domains", HOST)
    assert made["problem"] is None


async def test_a_repeat_is_answered_as_the_first_was(platform: Platform):
    service = await platform.service()
    path = f"/v1/services/{service['id']}/domains"
    made = await platform.ok("POST", path, HOST, Idempotency_Key="k")
    assert "not known yet" in made["problem"]
    await serves(platform, service, 80, 443)
    again = await platform.ok("POST", path, HOST, Idempotency_Key="k")
    assert again["id"] == made["id"]
    assert "exposes 80 and 443" in again["problem"]


async def test_what_is_known_later_is_shown(platform: Platform):
    """Its first deployment fails for that, and nothing serves."""
    service = await platform.service()
    path = f"/v1/services/{service['id']}"
    made = await platform.ok("POST", f"{path}/domains", HOST)
    (listed,) = (await platform.ok("GET", f"{path}/domains"))["items"]
    assert made["problem"] == listed["problem"]
    assert "deploy the service" in listed["problem"]
    failure = Failure(reason="port-unknown", detail="no port is known", hint="set port")
    of: dict[str, Any] = {"service": service["id"], "kind": "application", "deployment": "d"}
    refused = RouteState(refused=Refusal(deployment="d", attempt=1, failure=failure))
    organization = platform.organization
    await platform.append(
        Subject(organization, "route", service["id"]),
        RouteFailed(**of, state=refused, failure=failure),
    )
    await platform.append(
        Subject(organization, "rollout", service["id"]),
        RolloutFailed(**of, state=RolloutState(), failure=failure),
    )
    platform.sequence = str(await platform.store.last_sequence())
    (listed,) = (await platform.ok("GET", f"{path}/domains"))["items"]
    assert listed["problem"] == "no port is known; set port"
    assert (await platform.ok("GET", path))["domains"] == [listed]
    await platform.ok("PATCH", path, {"port": 80})
    (listed,) = (await platform.ok("GET", f"{path}/domains"))["items"]
    assert listed["problem"] is None


@pytest.mark.parametrize(("own", "service_has"), [({"port": 80}, {}), ({}, {"port": 80})])
async def test_where_the_port_is_said_nothing_is_wrong_before_a_deployment(
    platform: Platform, own: dict[str, int], service_has: dict[str, int]
):
    service = await platform.service(**service_has)
    made = await platform.ok("POST", f"/v1/services/{service['id']}/domains", {**HOST, **own})
    assert made["problem"] is None


async def test_a_port_that_was_set_since_needs_a_deployment(platform: Platform):
    service = await platform.service()
    await serves(platform, service, 80, 443)
    path = f"/v1/services/{service['id']}"
    await platform.ok("PATCH", path, {"port": 443})
    made = await platform.ok("POST", f"{path}/domains", HOST)
    assert "deploy it" in made["problem"]
    await serves(platform, service, 80, 443, port=443)
    (listed,) = (await platform.ok("GET", f"{path}/domains"))["items"]
    assert listed["problem"] is None


async def test_what_was_stopped_is_shown_as_that(platform: Platform):
    service = await platform.service()
    await serves(platform, service, 80, port=80)
    path = f"/v1/services/{service['id']}"
    assert (await platform.ok("GET", path))["status"] == "running"
    head = await platform.store.head(Subject(platform.organization, "rollout", service["id"]))
    assert head is not None
    state = head.events[-1].state.model_copy(update={"stopped": True})  # pyright: ignore
    stopped = RolloutSucceeded(service=service["id"], kind="application", state=state)
    await platform.append(head.subject, stopped)
    platform.sequence = str(await platform.store.last_sequence())
    assert (await platform.ok("GET", path))["status"] == "stopped"


def test_of_many_ports_some_are_named():
    assert exposed(()) == "exposes no port"
    assert exposed((80,)) == "exposes 80"
    assert exposed((80, 443, 8080)) == "exposes 80, 443 and 8080"
    assert exposed(tuple(range(1, 12))) == "exposes 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more"
