"""What the operator sees of what was given up, and has tried again."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from api_gateway.deployments.open import OpenDeployments
from api_gateway.deployments.react import _judge
from slipway.contracts.build import BuildFailed
from slipway.contracts.deployment import DeploymentRequested, DeploymentStopRequested
from slipway.contracts.rollout import (
    RolloutFailed,
    RolloutRemoved,
    RolloutState,
    RolloutSucceeded,
)
from slipway.contracts.values import Failure
from slipway.eventstore.dead_letters import DeadLetter
from slipway.kernel.envelope import Subject
from slipway.readmodel.model import Away
from slipway.runtime import retry
from slipway.runtime.clock import SystemClock
from slipway.testing.releases import release

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


async def test_a_refused_request_is_tried_by_its_repeat(platform: Platform):
    """Nothing was done for it: its key stands for nothing yet."""
    letter = await bury(platform, "builder", 7)
    path = f"{LETTERS}/builder/7/retry"
    stale = {"If_Match": f'"{letter.revision + 5}"', "Idempotency_Key": "k1"}
    assert [(await platform.call("POST", path, **stale)).status_code for _ in range(2)] == [412] * 2
    (letter,) = await platform.gateway.dead_letters.list()
    assert letter.state == "dead"
    assert (await platform.call("POST", path, Idempotency_Key="k1")).status_code == 202
    (letter,) = await platform.gateway.dead_letters.list()
    assert letter.state == "again"


async def test_a_rebuild_that_could_not_be_asked_for_is_asked_for_by_the_repeat(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
):
    asked: list[int] = []

    def ask() -> None:
        asked.append(1)
        if len(asked) == 1:
            raise Away

    monkeypatch.setattr(platform.gateway.projector, "ask_rebuild", ask)
    path = "/v1/admin/projections/rebuild"
    answers = [
        (await platform.call("POST", path, Idempotency_Key="k1")).status_code for _ in range(3)
    ]
    assert (answers, len(asked)) == ([503, 202, 202], 2)


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

    monkeypatch.setattr("api_gateway.deployments.react._begun", broken)
    await platform.append(
        Subject(platform.organization, "deployment", made),
        DeploymentStopRequested(service=str(uuid4()), kind="application", reason="cancelled"),
    )
    sequence = await platform.store.last_sequence()

    async def ended() -> Any:
        found = await platform.ok("GET", f"/v1/deployments/{made}")
        return found if found["ended_at"] else None

    shown = await until(ended)
    assert (shown["status"], shown["error"]["reason"]) == ("failed", "internal-error")
    assert "Broken while deployment.stop_requested was handled" in shown["error"]["detail"]
    assert f"commit {sequence}" in shown["error"]["detail"]
    assert "secret" not in str(shown["error"])
    assert "deploy again" in shown["error"]["hint"]
    assert await platform.gateway.dead_letters.list() == []


async def _lost(*_: Any) -> None:
    raise Broken


async def _handled(platform: Platform) -> None:
    """The reactions to all that was appended have ended."""
    end = await platform.store.last_sequence()

    async def there() -> bool:
        return end in platform.store._acknowledged.get("api-gateway", ())

    await until(there)


async def _shown(platform: Platform, deployment: str) -> Any:
    async def ended() -> Any:
        found = await platform.ok("GET", f"/v1/deployments/{deployment}")
        return found if found["ended_at"] else None

    return await until(ended)


async def test_a_given_up_outcome_is_the_end_all_the_same(
    platform: Platform, impatient: None, monkeypatch: pytest.MonkeyPatch
):
    failed = await _deployment(platform)
    await _handled(platform)
    with monkeypatch.context() as broken:
        broken.setattr("api_gateway.deployments.react.end", _lost)
        await _build_failed(platform, failed)
        shown = await _shown(platform, failed)
    assert shown["error"]["reason"] == "build-failed"
    service = shown["service"]
    live = (await platform.ok("POST", f"/v1/services/{service}/deployments"))["id"]
    await _handled(platform)
    monkeypatch.setattr("api_gateway.deployments.react.end", _lost)
    await _rolled_out(platform, service, live)
    assert (await _shown(platform, live))["status"] == "live"
    assert await platform.gateway.dead_letters.list() == []
    await _build_failed(platform, failed)
    sequence = await platform.store.last_sequence()
    (letter,) = await until(platform.gateway.dead_letters.list)
    assert letter.sequence == sequence, "it has ended: nothing else tells of this one"


async def _rolled_out(platform: Platform, service: str, deployment: str) -> None:
    serving = RolloutSucceeded(
        service=service, kind="application", deployment=deployment,
        state=RolloutState(serving=release(deployment)),
    )  # fmt: skip
    await platform.append(Subject(platform.organization, "rollout", service), serving)


@pytest.mark.parametrize("how", ["build", "rollout", "failed"])
async def test_an_end_that_could_not_be_appended_follows_after_some_minutes(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, how: str
):
    """By the outcome that the log has, not as expired."""
    made = await _deployment(platform)
    service = (await platform.ok("GET", f"/v1/deployments/{made}"))["service"]
    await _handled(platform)
    with monkeypatch.context() as broken:
        broken.setattr("api_gateway.deployments.react.end", _lost)
        broken.setattr("api_gateway.deployments.dead.end", _lost)
        for policy in ("REACTION", "OUTCOME"):
            broken.setattr(retry, policy, retry.Policy(first=0.0, longest=0.0, attempts=1))
        if how == "build":
            await _build_failed(platform, made)
        elif how == "rollout":
            await _rolled_out(platform, service, made)
        else:
            event = RolloutFailed(
                service=service, kind="application", deployment=made, state=RolloutState(),
                failure=Failure(reason="build-failed", detail="it exited with 3"),
            )  # fmt: skip
            await platform.append(Subject(platform.organization, "rollout", service), event)
        await until(platform.gateway.dead_letters.list)
    (found,) = await platform.gateway.memory(OpenDeployments).everywhere()
    clock = platform.gateway.clock
    now = clock.now()
    platform.gateway.clock = Later(now + timedelta(seconds=60))
    await _judge(platform.gateway, found, set())
    assert (await platform.ok("GET", f"/v1/deployments/{made}"))["ended_at"] is None
    platform.gateway.clock = Later(now + timedelta(days=1))
    await _judge(platform.gateway, found, set())
    shown = await _shown(platform, made)
    assert shown["status"] == ("live" if how == "rollout" else "failed")
    if how != "rollout":
        assert shown["error"]["reason"] == "build-failed"


class Later(SystemClock):
    def __init__(self, now: datetime) -> None:
        self._at = now

    def now(self) -> datetime:
        return self._at


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


EGRESS = "/v1/admin/egress"


async def test_what_the_operator_lets_out(platform: Platform):
    assert (await platform.ok("GET", EGRESS))["allow"] == []
    entries = ["10.0.0.1:5432", "10.0.0.1/32:5432", "fd00:0::/16", "[fd00::1]:53"]
    answer = await platform.call("PUT", EGRESS, {"allow": entries})
    assert answer.status_code == 200, answer.text
    wanted = ["10.0.0.1:5432", "fd00::/16", "[fd00::1]:53"]
    assert answer.json()["allow"] == wanted
    shown = await platform.call("GET", EGRESS)
    assert (shown.json()["allow"], shown.headers["etag"]) == (wanted, answer.headers["etag"])
    late = await platform.call("PUT", EGRESS, {"allow": []}, If_Match='"7"')
    assert late.status_code == 412
    assert (await platform.ok("GET", EGRESS))["allow"] == wanted
    assert (await platform.ok("PUT", EGRESS, {"allow": []}))["allow"] == []


@pytest.mark.parametrize(
    ("entries", "pointer", "word"),
    [
        (["10.0.0.1:1", "db.example.org:5432"], "/allow/1", "names are not resolved"),
        (["10.0.0.1/8"], "/allow/0", "begins with its first address"),
        (["1" * 61], "/allow/0", ""),
        ([f"10.0.{n}.1" for n in range(201)], "/allow", ""),
    ],
)
async def test_what_cannot_be_let_out_is_told(
    platform: Platform, entries: list[str], pointer: str, word: str
):
    answer = await platform.call("PUT", EGRESS, {"allow": entries})
    assert answer.status_code == 422
    assert pointer in answer.text
    assert word in answer.text
    assert (await platform.ok("GET", EGRESS))["allow"] == []


async def test_what_builds_of_an_organization_may_take(platform: Platform):
    path = f"/v1/admin/organizations/{platform.organization}/limits"
    before = await platform.ok("GET", path)
    assert set(before["own"].values()) == {None}
    assert (before["builds"]["memory"], before["builds"]["processes"]) == (3 << 30, 2048)
    said = {"memory": "4g", "cpus": 1, "slots": 1, "output": "6m", "seconds": 90}
    answer = await platform.call("PUT", path, said)
    assert answer.status_code == 200, answer.text
    assert answer.json()["own"]["memory"] == answer.json()["builds"]["memory"] == 4 << 30
    assert answer.json()["builds"]["disk"] == before["builds"]["disk"]
    shown = await platform.call("GET", path)
    assert (shown.json(), shown.headers["etag"]) == (answer.json(), answer.headers["etag"])
    service = await platform.service()
    made = await platform.ok("POST", f"/v1/services/{service['id']}/deployments")
    head = await platform.store.head(Subject(platform.organization, "deployment", made["id"]))
    assert head is not None
    assert isinstance(asked := head.events[0], DeploymentRequested)
    assert (asked.limits.build, asked.limits.queue) == (90, 3600)
    late = await platform.call("PUT", path, {}, If_Match='"7"')
    assert late.status_code == 412
    assert (await platform.ok("PUT", path, {})) == before


@pytest.mark.parametrize(
    ("said", "pointer", "word"),
    [
        ({"memory": "65g"}, "/memory", "more than the installation allows, which is 68719476736"),
        ({"seconds": 86400}, "/seconds", "21600"),
        ({"disk": "10m"}, "/disk", "at least"),
        ({"memory": "much"}, "/memory", "such as 512m"),
        ({"slots": 0}, "/slots", ""),
        ({"cpus": 0}, "/cpus", ""),
    ],
)
async def test_limits_that_are_none_are_refused(
    platform: Platform, said: dict[str, Any], pointer: str, word: str
):
    path = f"/v1/admin/organizations/{platform.organization}/limits"
    answer = await platform.call("PUT", path, said)
    assert answer.status_code == 422
    assert pointer in answer.text
    assert word in answer.text


async def test_an_organization_that_is_none_has_no_limits(platform: Platform):
    for id_ in (str(uuid4()), "x"):
        path = f"/v1/admin/organizations/{id_}/limits"
        assert (await platform.call("GET", path)).status_code == 404
        assert (await platform.call("PUT", path, {})).status_code == 404
