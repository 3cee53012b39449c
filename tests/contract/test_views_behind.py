"""What is decided while the views are behind the log is decided from the log."""

import asyncio
from typing import Any

import pytest
from slipway.contracts.build import BuildStarted, BuildSucceeded
from slipway.contracts.deployment import DeploymentRequested, Repeats
from slipway.contracts.values import GitCommit
from slipway.kernel.envelope import Subject
from slipway.readmodel.model import Page
from slipway.testing.releases import BUILT, SEALED

from tests.contract.test_api import Platform, bare, platform

_fixtures = (bare, platform)
GIT = {"kind": "git", "url": "https://git.example.org/a.git", "branch": "main"}


@pytest.fixture
async def service(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The views know nothing of what is requested from now on."""
    service = await platform.service(source=GIT)
    end = await platform.store.last_sequence()
    documents = platform.gateway.documents
    find = documents.find

    async def stale(collection: str, *args: Any, **more: Any) -> Page:
        page = await find(collection, *args, **more)
        await asyncio.sleep(0.01)  # the views take their time: others ask meanwhile
        return Page([item for item in page.items if item.get("first", 0) <= end], page.next)

    async def held() -> int:
        return end

    monkeypatch.setattr(documents, "find", stale)
    monkeypatch.setattr(platform.gateway.projector, "held", held)
    return service


async def push(platform: Platform, service: dict[str, Any], commit: str, delivery: str) -> Any:
    body = {"ref": "refs/heads/main", "after": commit * 40}
    headers = {"X-GitHub-Event": "push", "X-GitHub-Delivery": delivery}
    return (await platform.http.post(service["webhook"]["url"], json=body, headers=headers)).json()


async def built(platform: Platform, service: dict[str, Any], id_: str, commit: str) -> None:
    here = {"service": service["id"], "environment": service["environment"], "kind": "application"}
    of = Subject(platform.organization, "build", id_)
    await platform.append(of, BuildStarted(**here, attempt=1, deadline="2126-01-01T00:00:00Z"))
    found = GitCommit(hash=commit * 40)
    await platform.append(of, BuildSucceeded(**here, workloads=BUILT, sealed=SEALED, commit=found))


async def test_a_commit_that_was_announced_is_not_deployed_again(
    platform: Platform, service: dict[str, Any]
):
    first = await push(platform, service, "a", "d1")
    again = await push(platform, service, "a", "d2")
    assert (first["status"], again["status"]) == ("accepted", "ignored")
    assert again["deployment"] == first["deployment"]


async def test_of_many_deliveries_of_a_commit_at_once_one_is_accepted(
    platform: Platform, service: dict[str, Any]
):
    answers = await asyncio.gather(*(push(platform, service, "b", f"e{n}") for n in range(5)))
    assert sorted(answer["status"] for answer in answers) == ["accepted", *["ignored"] * 4]


async def test_nor_is_one_that_was_built(platform: Platform, service: dict[str, Any]):
    """The branch had a newer commit by then; its own push comes later."""
    first = await push(platform, service, "a", "d1")
    await built(platform, service, first["deployment"], "b")
    again = await push(platform, service, "b", "d2")
    assert (again["status"], again["deployment"]) == ("ignored", first["deployment"])
    assert (await push(platform, service, "c", "d3"))["status"] == "accepted"


async def test_one_that_was_cancelled_for_a_newer_is_deployed_again(
    platform: Platform, service: dict[str, Any]
):
    await push(platform, service, "a", "d1")
    await push(platform, service, "b", "d2")
    assert (await push(platform, service, "a", "d3"))["status"] == "accepted"


async def test_the_newest_image_is_that_of_the_log(platform: Platform, service: dict[str, Any]):
    path = f"/v1/services/{service['id']}/deployments"
    nothing = await platform.call("POST", path, {"build": False})
    assert nothing.json()["type"] == "/problems/nothing-to-run-again"
    newest = ""
    for commit in "ab":
        made = await platform.ok("POST", path, {})
        await built(platform, service, made["id"], commit)
        newest = made["id"]
    await platform.ok("POST", path, {})  # which is not built yet
    await platform.ok("POST", path, {"build": False})  # which is not built either
    made = await platform.ok("POST", path, {"build": False})
    head = await platform.store.load(Subject(platform.organization, "deployment", made["id"]))
    requested = head[0].events[0]
    assert isinstance(requested, DeploymentRequested)
    assert requested.repeats == Repeats(deployment=newest, whole=False)
    assert requested.commit == GitCommit(hash="b" * 40)
