"""A deployment's log goes on behind its build, to the addresses or the reason."""

import asyncio
import json
from typing import Any

import pytest
from api_gateway.deployments import logs
from api_gateway.deployments.logs import _of_deployment, position
from slipway.contracts.build import BuildCancelled, BuildFailed, BuildStarted, BuildSucceeded
from slipway.contracts.deployment import DeploymentExpired
from slipway.contracts.logs import LogLine, build_subject, job_log
from slipway.contracts.rollout import (
    Job,
    Reverting,
    RolloutFailed,
    RolloutJobEnded,
    RolloutJobStarted,
    RolloutReady,
    RolloutReverting,
    RolloutStarted,
    RolloutState,
    RolloutSucceeded,
    Task,
)
from slipway.contracts.route import Binding, RouteActivated, RouteState
from slipway.contracts.values import Failure
from slipway.contracts.workload import MAIN
from slipway.eventstore.objects import Damaged
from slipway.kernel.envelope import Subject
from slipway.testing.releases import BUILT, SEALED, release

from tests.contract.test_api import Platform, bare, platform
from tests.contract.test_api_promises import _has, _quiet, service, until

_fixtures = (bare, platform, service)
WHOLE = [
    "built",
    "creating the release slipway-web-1",
    "waiting until its tasks run and are healthy (port 8000)",
    "1 task is ready",
    "asking each through the proxy where a domain leads to it, settling for 5 s",
    "it answered and has settled; the routes lead to it",
    "live at http://a.example.org/",
]


class Deploying:
    """Builder, deployer and proxy-sync, as far as the log hears of them."""

    def __init__(self, platform: Platform, service: dict[str, Any], deployment: str) -> None:
        self.platform, self.id = platform, deployment
        self.service, self.environment = service["id"], service["environment"]
        self.of: dict[str, Any] = {
            "service": service["id"], "kind": "application", "deployment": deployment
        }  # fmt: skip
        self.release = release(deployment, swarm_service="slipway-web-1", port=8000)

    async def append(self, category: str, event: Any) -> None:
        of = self.id if category in ("build", "deployment") else self.service
        await self.platform.append(Subject(self.platform.organization, category, of), event)

    async def print(self, text: str) -> None:
        line = LogLine(at="2026-01-01T00:00:00Z", text=text)
        subject = build_subject(self.platform.organization, self.id)
        await self.platform.gateway.logs.write(subject, [line])

    async def build(self) -> None:
        at: dict[str, Any] = {
            "service": self.service, "kind": "application", "environment": self.environment
        }  # fmt: skip
        begun = BuildStarted(**at, attempt=1, deadline="2126-01-01T00:00:00Z")
        await self.append("build", begun)
        await self.print("built")
        await self.append("build", BuildSucceeded(**at, workloads=BUILT, sealed=SEALED))

    async def roll_out(self) -> None:
        task = Task(id="t", workload=MAIN, address="10.0.0.1")
        wanted = RolloutState(wanted=self.release, tasks=(task,))
        await self.append("rollout", RolloutStarted(**self.of, state=wanted))
        await self.append("rollout", RolloutReady(**self.of, state=wanted))

    async def route(self) -> None:
        bound = Binding(domain="x", host="a.example.org", path="/", workload=MAIN, port=8000)
        state = RouteState(deployment=self.id, bindings=(bound,))
        await self.append("route", RouteActivated(**self.of, state=state))
        serving = RolloutState(serving=self.release)
        await self.append("rollout", RolloutSucceeded(**self.of, state=serving))
        await until(lambda: _has(self.platform, self.id, "live"))


async def deploying(platform: Platform, service: dict[str, Any]) -> Deploying:
    made = await platform.ok("POST", f"/v1/services/{service['id']}/deployments", {})
    return Deploying(platform, service, made["id"])


async def read(platform: Platform, deployment: str, last: str = "") -> list[tuple[str, str]]:
    """(id, text) of what there is."""
    headers = {"Accept": "text/event-stream"} | ({"Last_Event_ID": last} if last else {})
    path = f"/v1/deployments/{deployment}/logs?follow=false"
    answer = await platform.call("GET", path, **headers)
    parts = [part.splitlines() for part in answer.text.split("\n\n") if part.startswith("id: ")]
    return [
        (id_.removeprefix("id: "), json.loads(data.removeprefix("data: "))["text"])
        for id_, data in parts
    ]


async def _follow(platform: Platform, deployment: str) -> list[str]:
    lines = _of_deployment(
        platform.gateway, platform.organization, deployment, position(None), follow=True
    )
    return [line.text async for _, line in lines]


async def test_what_has_ended_is_told_to_the_end_and_resumed_anywhere(
    platform: Platform, service: dict[str, Any]
):
    one = await deploying(platform, service)
    await one.build()
    await one.roll_out()
    await one.route()
    another = await deploying(platform, service)
    await another.roll_out()
    lines = await read(platform, one.id)
    assert [text for _, text in lines] == WHOLE
    assert len({id_ for id_, _ in lines}) == len(lines)
    for seen, (id_, _) in enumerate(lines, 1):
        assert await read(platform, one.id, id_) == lines[seen:]


async def test_what_is_followed_is_told_as_it_happens(platform: Platform, service: dict[str, Any]):
    one = await deploying(platform, service)
    of = (platform.gateway, platform.organization, one.id)
    lines = _of_deployment(*of, position(None), follow=True)

    async def next_(count: int) -> list[str]:
        async with asyncio.timeout(5):
            return [(await anext(lines))[1].text for _ in range(count)]

    await one.build()
    assert await next_(1) == WHOLE[:1]
    await one.roll_out()
    assert await next_(4) == WHOLE[1:5]
    assert [text for _, text in await read(platform, one.id)] == WHOLE[:5]
    await one.route()
    async with asyncio.timeout(5):
        assert [line.text async for _, line in lines] == WHOLE[5:]


async def test_who_follows_reads_the_log_only_when_it_has_gone_on(
    platform: Platform, service: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    one = await deploying(platform, service)
    await one.build()
    looks = asyncio.Semaphore(0)
    asked, last = list[str](), platform.store.last_sequence
    read_ = platform.store.read

    def reading(after: int, until: int | None = None, pattern: str = "evt.>") -> Any:
        asked.append(pattern)
        return read_(after, until, pattern)

    async def looked() -> int:
        looks.release()
        return await last()

    monkeypatch.setattr("api_gateway.deployments.logs._EVERY", 0.01)
    follower = asyncio.create_task(_follow(platform, one.id))
    async with asyncio.timeout(5):
        await _quiet(platform)
        monkeypatch.setattr(platform.store, "last_sequence", looked)
        monkeypatch.setattr(platform.store, "read", reading)
        for _ in range(5):
            await looks.acquire()
        assert [pattern for pattern in asked if ".rollout." in pattern] == []
        await one.roll_out()
        await one.route()
        assert await follower == WHOLE


async def test_times_are_those_of_the_events(platform: Platform, service: dict[str, Any]):
    one = await deploying(platform, service)
    await one.build()
    await one.roll_out()
    head = await platform.store.head(Subject(platform.organization, "rollout", service["id"]))
    assert head is not None
    answer = await platform.call("GET", f"/v1/deployments/{one.id}/logs?follow=false")
    last = json.loads(answer.text.splitlines()[-1])
    assert (last["stream"], last["step"]) == ("system", "route")
    assert last["at"] == head.meta.at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def prints(one: Deploying, job: str, *texts: str) -> None:
    """What the deployer has kept of a job."""
    lines = [LogLine(at="2026-01-01T00:00:01Z", step=job, text=text) for text in texts]
    data = b"\n".join(line.model_dump_json().encode() for line in lines)
    await one.platform.gateway.job_logs.put(job_log(one.id, job), data)


async def test_a_job_is_told_with_what_it_printed_before_its_end(
    platform: Platform, service: dict[str, Any]
):
    one = await deploying(platform, service)
    await one.build()
    runs = RolloutState(wanted=one.release, jobs=(Job(workload="migrate"),))
    await one.append("rollout", RolloutJobStarted(**one.of, state=runs, workload="migrate"))
    assert (await read(platform, one.id))[-1][1] == "migrate: the job runs"
    await prints(one, "migrate", "table made", "no such column")
    await one.append("rollout", RolloutJobEnded(**one.of, state=runs, workload="migrate", exit=3))
    lines = await read(platform, one.id)
    said = [
        "migrate: the job runs",
        "table made",
        "no such column",
        "migrate: the job ended with 3",
    ]
    assert [text for _, text in lines[-4:]] == said
    for seen, (id_, _) in enumerate(lines, 1):
        assert await read(platform, one.id, id_) == lines[seen:]
    failure = Failure(reason="job-failed", detail="it ended with 3", lines=("no such column",))
    state = RolloutState()
    await one.append("rollout", RolloutFailed(**one.of, state=state, failure=failure))
    await until(lambda: _has(platform, one.id, "failed"))
    rest = (await read(platform, one.id))[len(lines) :]
    assert [text for _, text in rest] == ["failed: it ended with 3"], "its last lines are there"


async def test_of_a_job_that_was_given_up_is_told_what_it_had_printed(
    platform: Platform, service: dict[str, Any]
):
    one = await deploying(platform, service)
    await one.build()
    jobs = (Job(workload="seed", exit=0), Job(workload="migrate"))
    reverting = Reverting(outcome="cancelled", paused=("x",), deadline="2126-01-01T00:00:00Z")
    state = RolloutState(wanted=one.release, jobs=jobs, reverting=reverting)
    await prints(one, "seed", "told long ago")
    await prints(one, "migrate", "half way")
    await one.append("rollout", RolloutReverting(**one.of, state=state))
    said = ["half way", "undoing it, until what served before runs again"]
    assert [text for _, text in await read(platform, one.id)][-2:] == said
    assert "told long ago" not in [text for _, text in await read(platform, one.id)]


async def test_what_a_job_printed_and_nobody_has_is_said_to_be_missing(
    platform: Platform, service: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    one = await deploying(platform, service)
    await one.build()
    runs = RolloutState(wanted=one.release, jobs=(Job(workload="migrate"),))
    await one.append("rollout", RolloutJobEnded(**one.of, state=runs, workload="migrate", exit=0))
    missing = (await read(platform, one.id))[-2][1]
    assert missing.startswith("what the job migrate printed was not kept")

    async def damaged(_name: str) -> bytes:
        raise Damaged("two halves")

    monkeypatch.setattr(platform.gateway.job_logs, "get", damaged)
    lines = await read(platform, one.id)
    assert lines[-2][1].startswith("what the job migrate printed can't be read")
    assert lines[-1][1] == "migrate: the job ended with 0"


async def test_each_line_of_a_job_is_made_when_it_is_sent(
    platform: Platform, service: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    one = await deploying(platform, service)
    await one.build()
    runs = RolloutState(wanted=one.release, jobs=(Job(workload="migrate"),))
    await prints(one, "migrate", *map(str, range(1000)))
    await one.append("rollout", RolloutJobEnded(**one.of, state=runs, workload="migrate", exit=0))
    await one.roll_out()
    made, make, asked = list[bytes](), logs._line, list[str]()
    get = platform.gateway.job_logs.get

    def making(row: bytes) -> LogLine:
        made.append(row)
        return make(row)

    async def getting(name: str) -> bytes | None:
        asked.append(name)
        return await get(name)

    monkeypatch.setattr(logs, "_line", making)
    monkeypatch.setattr(platform.gateway.job_logs, "get", getting)
    of = (platform.gateway, platform.organization, one.id)
    lines = _of_deployment(*of, position(None), follow=False)
    ids = [(await anext(lines))[0] for _ in range(10)]
    assert len(made) < 50
    ids += [at async for at, _ in lines]
    asked.clear()
    assert [
        at async for at, _ in _of_deployment(*of, position(ids[-1], told=True), follow=False)
    ] == []
    assert asked == [], "what was seen is not read again"
    again = _of_deployment(*of, position(ids[5], told=True), follow=False)
    assert [at async for at, _ in again] == ids[6:]


async def test_why_its_build_failed_is_said_once(platform: Platform, service: dict[str, Any]):
    one = await deploying(platform, service)
    await one.print("failed: it did")
    failure = Failure(reason="build-failed", detail="it did")
    failed = BuildFailed(
        service=service["id"], kind="application", environment=service["environment"],
        failure=failure,
    )  # fmt: skip
    await one.append("build", failed)
    await until(lambda: _has(platform, one.id, "failed"))
    assert [text for _, text in await read(platform, one.id)] == ["failed: it did"]


async def test_why_it_expired_is_said_whatever_becomes_of_its_build(
    platform: Platform, service: dict[str, Any]
):
    one = await deploying(platform, service)
    late = Failure(reason="expired", detail="it took too long", hint="deploy again")
    expired = DeploymentExpired(service=service["id"], kind="application", failure=late)
    await one.append("deployment", expired)
    said = await read(platform, one.id)
    assert [text for _, text in said] == ["expired: it took too long", "what to do: deploy again"]
    at = {"environment": service["environment"]}
    stopped = BuildCancelled(service=service["id"], kind="application", **at)
    await one.append("build", stopped)
    assert await read(platform, one.id) == said


async def test_what_runs_has_no_line_that_events_tell(platform: Platform, service: dict[str, Any]):
    path = f"/v1/services/{service['id']}/logs?follow=false"
    assert (await platform.call("GET", path, Last_Event_ID="e1.0")).status_code == 422
