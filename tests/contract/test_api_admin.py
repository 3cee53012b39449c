"""What the operator sees of what was given up, and has tried again."""

import asyncio
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from slipway.contracts.build import BuildFailed
from slipway.contracts.rollout import RolloutRemoved, RolloutState
from slipway.contracts.values import Failure
from slipway.eventstore.dead_letters import DeadLetter
from slipway.kernel.envelope import Subject
from slipway.runtime import retry

from tests.contract.test_api import Platform, bare, platform

_fixtures = (bare, platform)
LETTERS = "/v1/admin/dead-letters"


async def bury(platform: Platform, durable: str, sequence: int, **fields: Any) -> DeadLetter:
    letter = DeadLetter(durable, sequence, "evt.o.build.b", "ValueError: no", 8, **fields)
    return await platform.gateway.dead_letters.put(letter)


async def test_what_was_given_up_is_listed_in_the_order_of_the_log(platform: Platform):
    for sequence, durable in ((9, "builder"), (7, "deployer"), (9, "api-gateway"), (8, "builder")):
        await bury(platform, durable, sequence)
    seen: list[tuple[int, str]] = []
    query = "?limit=3"
    while True:
        page = await platform.ok("GET", LETTERS + query)
        seen += [(item["sequence"], item["durable"]) for item in page["items"]]
        if page["next"] is None:
            break
        query = f"?limit=3&cursor={page['next']}"
    assert seen == [(7, "deployer"), (8, "builder"), (9, "api-gateway"), (9, "builder")]
    one = (await platform.ok("GET", f"{LETTERS}?limit=1"))["items"][0]
    assert (one["error"], one["attempts"], one["state"]) == ("ValueError: no", 8, "dead")
    assert one["subject"] == "evt.o.build.b"


async def test_it_is_tried_again_once(platform: Platform):
    await bury(platform, "builder", 7)
    path = f"{LETTERS}/builder/7/retry"
    answer = await platform.call("POST", path, Idempotency_Key="k1")
    assert (answer.status_code, answer.json()["state"]) == (202, "again")
    assert (await platform.call("POST", path, Idempotency_Key="k1")).status_code == 202
    refused = await platform.call("POST", path)
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/not-dead")
    assert "again" in refused.json()["detail"]
    (letter,) = await platform.gateway.dead_letters.list()
    assert letter.state == "again"


async def test_only_what_was_seen_is_tried_again(platform: Platform):
    letter = await bury(platform, "builder", 7)
    path = f"{LETTERS}/builder/7/retry"
    stale = await platform.call("POST", path, If_Match=f'"{letter.revision + 5}"')
    assert stale.status_code == 412
    assert (await platform.call("POST", path, If_Match=f'"{letter.revision}"')).is_success


@pytest.mark.parametrize(
    "which", ["builder/8", "deployer/7", "x'.%3E*/7", "builder/0", "builder/x"]
)
async def test_what_was_not_given_up_is_404(platform: Platform, which: str):
    await bury(platform, "builder", 7)
    assert (await platform.call("POST", f"{LETTERS}/{which}/retry")).status_code == 404


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reactions are given up without the pauses between their tries."""
    monkeypatch.setattr(retry, "REACTION", replace(retry.REACTION, first=0.0, longest=0.0))


async def until(check: Any) -> Any:
    async with asyncio.timeout(20):
        while not (found := await check()):
            await asyncio.sleep(0.01)
    return found


class Broken(Exception):
    pass


async def _deployment(platform: Platform) -> str:
    service = await platform.service()
    return (await platform.ok("POST", f"/v1/services/{service['id']}/deployments"))["id"]


async def _build_failed(platform: Platform, deployment: str) -> None:
    failure = Failure(reason="build-failed", detail="it exited with 3")
    event = BuildFailed(
        service=str(uuid4()), environment=str(uuid4()), kind="application", failure=failure
    )
    await platform.append(Subject(platform.organization, "build", deployment), event)


async def test_a_deployment_whose_reaction_is_given_up_has_failed(
    platform: Platform, impatient: None, monkeypatch: pytest.MonkeyPatch
):
    made = await _deployment(platform)

    async def broken(*_: Any) -> None:
        raise Broken("with somebody's secret")

    monkeypatch.setattr("api_gateway.deployments.react._end", broken)
    await _build_failed(platform, made)
    sequence = await platform.store.last_sequence()

    async def ended() -> Any:
        found = await platform.ok("GET", f"/v1/deployments/{made}")
        return found if found["ended_at"] else None

    shown = await until(ended)
    assert (shown["status"], shown["error"]["reason"]) == ("failed", "internal-error")
    assert "Broken while build.failed was handled" in shown["error"]["detail"]
    assert f"commit {sequence}" in shown["error"]["detail"]
    assert "secret" not in str(shown["error"])
    assert "deploy again" in shown["error"]["hint"]
    assert await platform.gateway.dead_letters.list() == []
    await _build_failed(platform, made)
    (letter,) = await until(platform.gateway.dead_letters.list)
    assert letter.sequence > sequence, "it has ended: nothing else tells of this one"


async def test_what_ends_no_deployment_is_a_dead_letter_and_done_when_tried_again(
    platform: Platform, impatient: None, monkeypatch: pytest.MonkeyPatch
):
    seen: list[int] = []

    async def broken(_gateway: Any, commit: Any, _service: str) -> None:
        seen.append(commit.sequence)
        if len(seen) <= 8:
            raise Broken

    monkeypatch.setattr("api_gateway.projects.react._service_gone", broken)
    gone = RolloutRemoved(
        service=(service := str(uuid4())), kind="application", state=RolloutState(removed=True)
    )
    await platform.append(Subject(platform.organization, "rollout", service), gone)
    letters = platform.gateway.dead_letters
    (letter,) = await until(letters.list)
    assert (letter.durable, letter.sequence, letter.state) == ("api-gateway", seen[0], "dead")
    await platform.ok("POST", f"{LETTERS}/api-gateway/{letter.sequence}/retry")

    async def done() -> bool:
        return (await letters.list())[0].state == "done"

    assert await until(done)
    assert len(seen) == 9
