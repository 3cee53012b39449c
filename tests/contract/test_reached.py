"""No other service of an environment has a name by which a workload of one is reached."""

from typing import Any

from api_gateway.names import NAME, name_id
from slipway.contracts.rollout import RolloutRemoved, RolloutState
from slipway.kernel.envelope import Subject

from tests.contract.test_api import Platform, bare, platform
from tests.contract.test_api_promises import _deployed, _succeed
from tests.contract.test_raw import DB, STACK, WEB, _path, _stack, tested

_fixtures = (bare, platform, tested)
WORKER = {"name": "worker", "image": "app:1"}
APPLICATION = {"kind": "application", "source": {"kind": "image", "image": "nginx"}}


async def _create(tested: Platform, stack: dict[str, Any], name: str) -> Any:
    path = f"/v1/environments/{stack['environment']}/services"
    return await tested.call("POST", path, {**APPLICATION, "name": name})


async def test_what_a_workload_is_reached_by_is_taken(tested: Platform):
    stack = await _stack(tested)
    refused = await _create(tested, stack, "shop-db")
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/name-taken")
    assert (await _create(tested, stack, "shop-migrate")).status_code == 201, "a job has no name"
    other = (await _create(tested, stack, "blog")).json()
    refused = await tested.call("PATCH", f"/v1/services/{other['id']}", {"name": "shop-web"})
    assert refused.status_code == 409


async def test_what_is_taken_no_workload_is_reached_by(tested: Platform):
    path = await _path(tested)
    await tested.ok("POST", path, {**APPLICATION, "name": "shop-db"})
    refused = await tested.call("POST", path, {"kind": "raw", "name": "shop", "workloads": STACK})
    assert refused.status_code == 409
    assert "'shop-db'" in refused.json()["detail"]
    assert "<service>-<workload>" in refused.json()["hint"]
    await tested.ok("POST", path, {**APPLICATION, "name": "shop-web"})
    made = await tested.ok("POST", path, {"kind": "raw", "name": "shop", "workloads": [WORKER]})
    change = {"workloads": [WORKER, {**WORKER, "name": "db"}]}
    refused = await tested.call("PATCH", f"/v1/services/{made['id']}", change)
    assert refused.status_code == 409


async def test_one_that_has_aliases_takes_no_other_name(tested: Platform):
    workloads = [WEB, {**DB, "aliases": ["store"]}]
    body = {"kind": "raw", "name": "shop", "workloads": workloads}
    stack = await tested.ok("POST", await _path(tested), body)
    assert (await _create(tested, stack, "shop-db")).status_code == 201


async def test_a_renamed_one_has_the_new_names(tested: Platform):
    stack = await _stack(tested)
    await tested.ok("PATCH", f"/v1/services/{stack['id']}", {"name": "store"})
    assert (await _create(tested, stack, "shop-db")).status_code == 201
    assert (await _create(tested, stack, "store-db")).status_code == 409


async def test_a_workload_that_still_runs_keeps_its_name(tested: Platform):
    stack = await _stack(tested)
    path = f"/v1/services/{stack['id']}"
    first = await _deployed(tested, stack)
    await tested.ok("PATCH", path, {"workloads": [WEB]})
    refused = await _create(tested, stack, "shop-db")
    assert refused.status_code == 409
    assert "what runs of it still has the name 'shop-db'" in refused.json()["detail"]
    second = await tested.ok("POST", f"{path}/deployments", {})
    await _succeed(tested, stack, second["id"], "d" * 40)
    other = await _create(tested, stack, "shop-db")
    assert other.status_code == 201
    refused = await tested.call("POST", f"/v1/deployments/{first}/rollback")
    assert refused.status_code == 409
    await tested.ok("PATCH", f"/v1/services/{other.json()['id']}", {"name": "blog"})
    await tested.ok("POST", f"/v1/deployments/{first}/rollback")
    assert (await _create(tested, stack, "shop-db")).status_code == 409, "it comes back"


async def test_a_name_is_a_label(tested: Platform):
    body = {"kind": "raw", "name": "s" * 40, "workloads": [{**WEB, "name": "w" * 23}]}
    refused = await tested.call("POST", await _path(tested), body)
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/workloads")
    assert "64 letters" in refused.json()["errors"][0]["detail"]


async def test_what_is_gone_has_none(tested: Platform):
    stack = await _stack(tested)
    await tested.ok("DELETE", f"/v1/services/{stack['id']}")
    removed = RolloutRemoved(service=stack["id"], kind="raw", state=RolloutState(removed=True))
    await tested.append(Subject(tested.organization, "rollout", stack["id"]), removed)
    tested.sequence = str(await tested.store.last_sequence())
    for name in ("shop", "shop-web", "shop-db"):
        id_ = name_id(stack["environment"], name)
        while (await tested.gateway.commands.state(NAME, tested.organization, id_)).owner:
            await tested.call("GET", "/v1/services")
