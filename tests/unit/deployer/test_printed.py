"""What programs print comes into the log without secrets, and of a job bounded. In virtual time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest
from deployer.adapters.output import Outputs
from deployer.rollout.masks import Masks
from deployer.rollout.printed import MOST
from slipway.contracts.logs import LogLine
from slipway.contracts.rollout import RolloutFailed
from slipway.contracts.values import Failure
from slipway.contracts.workload import MAIN, Workload
from slipway.runtime.engine import EngineRefused

from tests.simulation.platform import Site, SwarmOutputs, platform
from tests.simulation.world import Behaviour, virtual

DONE = Behaviour(ends_after=0.5, exit_code=0)
KEY = "-----BEGIN-----\n{\nMIIEpA\n-----END-----\n"


async def with_job(site: Site, deployment: str, how: Behaviour = DONE) -> None:
    job = Workload(name="migrate", job=True, image=site.image(f"{deployment}/migrate", how))
    main = Workload(name=MAIN, port=8080, image=site.image(deployment, Behaviour()))
    await site.request(deployment)
    await site.made(deployment, job, main)


async def kept(site: Site, deployment: str = "d1") -> list[LogLine] | None:
    """What is stored of its job."""
    data = await site.world.job_logs.get(f"{deployment}.migrate")
    return None if data is None else [LogLine.model_validate_json(row) for row in data.split(b"\n")]


def failure(site: Site) -> Failure:
    event = site.last()
    assert isinstance(event, RolloutFailed)
    return event.failure


@virtual
async def test_what_a_job_printed_is_kept_before_its_end_is_told():
    async with platform() as site:
        site.hidden = ("hunter2", KEY)
        site.swarm.printed = ["with hunter2", "{", " MIIEpA", "a \x1b[1mhunter2"]
        await with_job(site, "d1")
        await site.world.until(lambda: "job_started d1" in site.rollout())
        assert await kept(site) is None
        await site.world.until(lambda: "job_ended d1" in site.rollout())
        lines = await kept(site)
        assert lines is not None
        assert [line.text for line in lines] == ["with ***", "{", " ***", "a ***"]
        assert {(line.step, line.stream) for line in lines} == {("migrate", "stdout")}
        assert await site.ended("d1") == "rollout.succeeded"


@virtual
async def test_of_one_that_is_given_up_it_is_kept_too():
    async with platform() as site:
        site.hidden = ("hunter2",)
        site.swarm.printed = ["still at it: hunter2"]
        await with_job(site, "d1", Behaviour(ends_after=600))
        await site.world.until(lambda: "job_started d1" in site.rollout())
        await asyncio.sleep(3)
        await site.stop("d1")
        await site.world.until(lambda: "reverting d1" in site.rollout(), 2)
        lines = await kept(site)
        assert [line.text for line in lines or ()] == ["still at it: ***"]
        assert await site.ended("d1") == "rollout.cancelled"


@virtual
async def test_of_what_a_job_prints_a_part_is_kept_and_that_is_said():
    async with platform() as site:
        site.swarm.printed = ["x" * 9000] * 200
        await with_job(site, "d1")
        await site.world.until(lambda: "job_ended d1" in site.rollout())
        lines = await kept(site)
        assert lines is not None
        assert len(lines) == MOST // 9000 + 1
        assert all(len(line.text.encode()) <= 4000 for line in lines)
        assert "1 MiB are kept" in lines[-1].text


@virtual
async def test_a_job_whose_output_cant_be_kept_goes_on():
    async with platform() as site:

        async def put(name: str, data: bytes) -> None:
            raise OSError("no room")

        site.world.job_logs.put = put
        await with_job(site, "d1")
        assert await site.ended("d1") == "rollout.succeeded"


@virtual
async def test_a_store_that_hangs_holds_a_job_up_for_seconds():
    async with platform() as site:

        async def put(name: str, data: bytes) -> None:
            await asyncio.Event().wait()

        site.world.job_logs.put = put
        await with_job(site, "d1")
        assert await site.ended("d1", 20) == "rollout.succeeded"


@virtual
async def test_what_is_kept_of_a_job_is_not_written_anew():
    async with platform() as site:
        await with_job(site, "d1")
        await site.world.job_logs.put("d1.migrate", b"before")
        assert await site.ended("d1") == "rollout.succeeded"
        assert await site.world.job_logs.get("d1.migrate") == b"before"


@virtual
async def test_an_engine_that_says_no_lines_holds_a_failure_up_for_seconds(
    monkeypatch: pytest.MonkeyPatch,
):
    async def last(_self: object, _container: str, _count: int) -> list[str]:
        await asyncio.Event().wait()
        return []

    monkeypatch.setattr(SwarmOutputs, "last", last)
    async with platform() as site:
        await site.deploy("d1", Behaviour(ends_after=0.2))
        assert await site.ended("d1", 20) == "rollout.failed"
        assert failure(site).reason == "exited"
        assert failure(site).lines == ()


@virtual
async def test_the_last_lines_of_what_failed_are_masked():
    async with platform() as site:
        site.hidden = ("hunter2", KEY)
        site.swarm.printed = ["no user hunter2", "key MIIEpA"]
        await site.request("d1")
        image = site.image("d1", Behaviour(ends_after=0.2))
        await site.made("d1", Workload(name=MAIN, port=8080, image=image))
        assert await site.ended("d1", 10) == "rollout.failed"
        assert failure(site).lines == ("no user ***", "key ***")


@virtual
async def test_what_a_health_check_says_is_masked_before_it_is_cut():
    answers = "x" * 495 + " hunter2"
    async with platform() as site:
        site.hidden = ("hunter2",)
        await site.request("d1")
        how = Behaviour(boot=None, answers=answers, unhealthy_after=15)
        await site.made("d1", Workload(name=MAIN, port=8080, image=site.image("d1", how)))
        assert await site.ended("d1", 60) == "rollout.failed"
        assert failure(site).reason == "unhealthy"
        assert "xxx ***" in failure(site).detail
        assert "hunt" not in failure(site).detail


@virtual
async def test_when_its_turn_is_over_its_secrets_are_let_go(monkeypatch: pytest.MonkeyPatch):
    dropped = list[str]()
    monkeypatch.setattr(Masks, "drop", lambda _, deployment: dropped.append(deployment))
    async with platform() as site:
        for deployment in ("d1", "d2"):
            await site.deploy(deployment)
            assert await site.ended(deployment) == "rollout.succeeded"
            await asyncio.sleep(2)
            assert dropped[-1:] == [deployment]


@virtual
async def test_what_lifeline_says_itself_is_told_whatever_is_secret():
    said = "nothing listens on port 8080 (tried 127.0.0.1); the program listens on 80"
    async with platform() as site:
        site.hidden = None
        await site.request("d1")
        how = Behaviour(boot=None, answers=said, unhealthy_after=15)
        await site.made("d1", Workload(name=MAIN, port=8080, image=site.image("d1", how)))
        assert await site.ended("d1", 60) == "rollout.failed"
        assert failure(site).reason == "not-listening"
        assert failure(site).detail.endswith(said)


@virtual
async def test_where_secrets_cant_be_read_nothing_printed_is_shown():
    async with platform() as site:
        site.swarm.printed = ["hunter2", "", "more"]
        await with_job(site, "d1", Behaviour(ends_after=5, exit_code=3))
        await site.world.until(lambda: "job_started d1" in site.rollout())
        await asyncio.sleep(1)
        await site.world.workloads.put("d1.1", b"another")
        assert await site.ended("d1", 60) == "rollout.failed"
        lines = await kept(site)
        assert [line.text for line in lines or ()] == ["***", "", "***"]
        assert failure(site).lines == ("***", "", "***")


# -- the engine's answer --------------------------------------------------------------------------


def frame(text: bytes) -> bytes:
    message = b"2026-01-02T03:04:05.000000001Z " + text
    return b"\x01\0\0\0" + len(message).to_bytes(4) + message


def outputs(*chunks: bytes) -> tuple[Outputs, list[str]]:
    """Of an engine that answers so, and what it was asked."""
    asked: list[str] = []

    class Api:
        @asynccontextmanager
        async def stream(self, path: str, /, **params: str) -> AsyncIterator[Any]:
            asked.append(path)
            left = [*chunks, b""]

            async def readany() -> bytes:
                return left.pop(0)

            yield SimpleNamespace(content=SimpleNamespace(readany=readany))

    return Outputs(cast("Any", Api())), asked


async def test_all_that_was_printed_is_read():
    data = frame(b"one\n") + frame(b"two\n") + frame(b"three")
    out, asked = outputs(data[:50], data[50:])
    lines, whole = await out.first("c1", 1000)
    assert [line.text for line in lines] == ["one", "two", "three"]
    assert (whole, asked) == (True, ["containers/c1/logs"])


async def test_of_much_the_beginning_is_read():
    """Empty lines have their price too."""
    out, _ = outputs(*[frame(b"\n")] * 1000)
    lines, whole = await out.first("c1", 1250)
    assert (len(lines), whole) == (10, False)


async def test_what_is_no_log_is_refused():
    out, _ = outputs(b"configured logging driver does not support reading")
    with pytest.raises(EngineRefused):
        await out.first("c1", 1000)
