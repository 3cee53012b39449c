"""A repeat of what made something that is gone since: one answer, whatever it was."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from slipway.contracts.rollout import NetworkRemoved, RolloutRemoved, RolloutState
from slipway.kernel.envelope import Subject

from tests.contract.test_api import PASSWORD, ROUTES, Platform, bare, platform

_fixtures = (bare, platform)
type Ending = Callable[[Platform, dict[str, Any]], Awaitable[None]]


async def _project(platform: Platform, made: dict[str, Any]) -> None:
    await platform.ok("DELETE", f"/v1/projects/{made['id']}")
    for environment in made["environments"]:
        await _left(platform, environment["id"])


async def _environment(platform: Platform, made: dict[str, Any]) -> None:
    await platform.ok("DELETE", f"/v1/environments/{made['id']}")
    await _left(platform, made["id"])


async def _left(platform: Platform, environment: str) -> None:
    network = Subject(platform.organization, "network", environment)
    await platform.append(network, NetworkRemoved(name="n"))


async def _service(platform: Platform, made: dict[str, Any]) -> None:
    await platform.ok("DELETE", f"/v1/services/{made['id']}")
    removed = RolloutRemoved(
        service=made["id"], kind="application", state=RolloutState(removed=True)
    )
    await platform.append(Subject(platform.organization, "rollout", made["id"]), removed)


async def _domain(platform: Platform, made: dict[str, Any]) -> None:
    await platform.ok("DELETE", f"/v1/domains/{made['id']}")


async def _with_its_service(platform: Platform, made: dict[str, Any]) -> None:
    await _service(platform, {"id": made["service"]})


async def _token(platform: Platform, made: dict[str, Any]) -> None:
    await platform.ok("DELETE", f"/v1/tokens/{made['id']}")


async def _session(platform: Platform, _made: dict[str, Any]) -> None:
    token, platform.token = platform.token, ""
    await platform.ok("DELETE", "/v1/sessions/current")
    platform.token = token


CREATING: dict[str, tuple[str, dict[str, Any], tuple[Ending, ...]]] = {
    "create_project": ("/v1/projects", {"name": "A"}, (_project,)),
    "create_environment": (
        "/v1/projects/{project}/environments",
        {"name": "Staging"},
        (_environment,),
    ),
    "create_service": (
        "/v1/environments/{environment}/services",
        {"kind": "application", "name": "b", "source": {"kind": "image", "image": "nginx"}},
        (_service,),
    ),
    "add_domain": (
        "/v1/services/{id}/domains",
        {"host": "a.example.org"},
        (_domain, _with_its_service),
    ),
    "create_token": ("/v1/tokens", {"name": "t", "role": "viewer"}, (_token,)),
    "sign_in": ("/v1/sessions", {"email": "ada@example.org", "password": PASSWORD}, (_session,)),
}
FOR_EVER = {"setup", "create_organization"}
"""Nothing ends these."""


def test_no_operation_that_creates_is_left_out():
    creating = {route.name for route in ROUTES if route.status_code == 201}
    assert creating == set(CREATING) | FOR_EVER


@pytest.mark.parametrize(
    ("name", "ending"), [(name, end) for name, (*_, ends) in CREATING.items() for end in ends]
)
async def test_a_repeat_of_what_made_something_that_is_gone(
    platform: Platform, name: str, ending: Ending
):
    service = await platform.service()
    address, body, _ = CREATING[name]
    address = address.format_map(service)
    one = await platform.call("POST", address, body, Idempotency_Key="k")
    assert one.status_code == 201, one.text
    await ending(platform, one.json())
    async with asyncio.timeout(30):  # a deletion goes on behind its answer
        while True:
            two = await platform.call("POST", address, body, Idempotency_Key="k")
            if two.status_code != 201:
                break
            assert two.json()["id"] == one.json()["id"]
            await asyncio.sleep(0.01)
    assert (two.status_code, two.json()["type"]) == (410, "/problems/gone"), two.text
    assert "another Idempotency-Key" in two.json()["hint"]


async def test_a_repeated_stop_of_a_service_that_is_gone(platform: Platform):
    service = await platform.service()
    path = f"/v1/services/{service['id']}"
    await platform.ok("POST", f"{path}/stop", Idempotency_Key="k")
    await _service(platform, service)
    async with asyncio.timeout(30):
        while (await platform.call("GET", path)).status_code != 404:
            await asyncio.sleep(0.01)
    repeated = await platform.call("POST", f"{path}/stop", Idempotency_Key="k")
    assert (repeated.status_code, repeated.json()["type"]) == (410, "/problems/gone")
    assert (await platform.call("POST", f"{path}/stop")).status_code == 404
