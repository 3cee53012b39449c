"""Builds and clones that take all processes are ended, and nothing of them is left running."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from builder.adapters.containers import Containers
from builder.build import failures
from builder.build.failures import BuildError
from builder.build.watched import crowded, watched
from builder.cloning.order import Order
from slipway.contracts.values import DockerfileBuild, GitSource
from slipway.runtime.engine import EngineAway, EngineMissing, EngineRefused

from tests.simulation.world import VirtualClock, virtual
from tests.unit.builder.parts import Played, why
from tests.unit.builder.site import CLONE, KIT, Site

SOURCE = GitSource(url="http://140.82.121.4/shop/app.git")


@pytest.fixture
def played(tmp_path: Any) -> Played:
    return Played(tmp_path)


# -- who is ended ---------------------------------------------------------------------------------


async def ended_after(
    look: Callable[[], Awaitable[int | None]], limit: int = 2048, seconds: float = 30
) -> float | None:
    began = VirtualClock().monotonic()
    looks = crowded(look, limit, VirtualClock(), failures.process_limit)
    try:
        await watched(asyncio.sleep(seconds), looks)
    except BuildError:
        return VirtualClock().monotonic() - began
    return None


def telling(*counts: int | Exception | None, seconds: float = 0.01) -> Callable[[], Any]:
    """One after another, then the last."""
    left = list(counts)

    async def look() -> int | None:
        await asyncio.sleep(seconds)
        told = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(told, Exception):
            raise told
        return told

    return look


@pytest.mark.parametrize("taken", [2048, 2016, 2049])
@virtual
async def test_one_that_takes_all_processes_is_ended_in_the_second_look(taken: int):
    late = await ended_after(telling(20, taken))
    assert late is not None
    assert late < 3


@virtual
async def test_one_that_takes_many_or_all_for_a_moment_goes_on():
    assert await ended_after(telling(2015)) is None
    assert await ended_after(telling(*[2048, 1000] * 20)) is None


@virtual
async def test_looks_follow_one_another_where_the_engine_is_slow():
    late = await ended_after(telling(2048, seconds=4))
    assert late is not None
    assert late < 8.2


@pytest.mark.parametrize(
    "trouble", [EngineAway(), EngineRefused("busy"), EngineMissing(), OSError(11, ""), None]
)
@virtual
async def test_a_look_that_tells_nothing_ends_nobody_and_hides_nothing(trouble: Exception | None):
    assert await ended_after(telling(trouble)) is None
    late = await ended_after(telling(2048, trouble, 2048))
    assert late is not None
    assert late < 4


@virtual
async def test_a_build_that_takes_all_processes_is_told_so(played: Played):
    played.programs.hangs = True
    played.kits.there = [20, 2040]
    failure = await why(played.job(SOURCE, DockerfileBuild()))
    assert failure.reason == "build-process-limit"
    assert "2040 of the 2048" in failure.detail
    assert "/limits" in failure.hint
    assert asyncio.get_running_loop().time() < 4
    assert played.left() == []


@virtual
async def test_clones_too(played: Played):
    played.clones.hangs = True
    played.kits.there = [20, 256]
    failure = await why(played.job(SOURCE, DockerfileBuild()))
    assert failure.reason == "git-process-limit"
    assert "256 of the 256" in failure.detail
    assert [order for _, order in played.clones.orders] == [Order(SOURCE.url)]


# -- what is left ---------------------------------------------------------------------------------


async def cancelled(site: Site, place: str = KIT) -> float:
    """Seconds from the cancel of what works there to its end."""
    entered = asyncio.Event()

    async def working() -> None:
        async with site.taken() if place == KIT else site.cloning():
            entered.set()
            await asyncio.sleep(1000)

    task = asyncio.create_task(working())
    await entered.wait()
    began = VirtualClock().monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    return VirtualClock().monotonic() - began


@virtual
async def test_what_ends_by_itself_leaves_the_container(site: Site):
    async with site.running():
        assert await cancelled(site) < 0.1
        assert await cancelled(site, CLONE) < 0.1
        site.engine.crowds[KIT] = 1000
        asyncio.get_running_loop().call_later(1.5, site.engine.crowds.clear)
        assert await cancelled(site) < 2
        assert not [word for word in site.engine.said if word.startswith("killed")]


@pytest.mark.parametrize(("place", "limit"), [(KIT, 2048), (CLONE, 256)])
@virtual
async def test_where_all_processes_are_taken_it_is_killed_at_once(
    site: Site, place: str, limit: int
):
    async with site.running():
        site.engine.crowds[place] = limit
        assert await cancelled(site, place) < 0.1
        assert f"killed {place}" in site.engine.said
        site.engine.crowds.clear()
        async with site.taken(), site.cloning():
            assert site.engine.there[place].runs, "the next one has another"
        assert place in site.engine.volumes or place == CLONE, "what it knows stays"


@virtual
async def test_a_build_that_was_ended_for_a_limit_is_cleared_too(site: Site):
    async with site.running():
        site.engine.crowds[KIT] = 2048
        with pytest.raises(BuildError):
            async with site.taken():
                raise BuildError(failures.process_limit(2048, 2048))
        assert f"killed {KIT}" in site.engine.said


@virtual
async def test_another_build_is_begun_once_more_when_it_is_killed(site: Site):
    async with site.running(), site.taken() as other:
        site.engine.crowds[KIT] = 2048
        await cancelled(site)
        assert await site.buildkits.ended(other) == "gone"


@pytest.mark.parametrize("slow", [0.01, 60.0])
@virtual
async def test_a_crowd_that_goes_on_is_killed_after_two_seconds(site: Site, slow: float):
    """Or one of which a busy engine says nothing."""
    async with site.running():
        site.engine.crowds[KIT], site.engine.slow = 1000, slow
        assert 1.9 < await cancelled(site) < 2.5
        assert f"killed {KIT}" in site.engine.said


@virtual
async def test_but_not_while_another_build_works_there(site: Site):
    async with site.running(), site.taken():
        site.engine.crowds[KIT] = 1000
        assert await cancelled(site) < 2.5
        assert f"killed {KIT}" not in site.engine.said


@virtual
async def test_killing_is_tried_again(site: Site):
    async with site.running():
        site.engine.crowds[KIT] = 2048
        site.engine.unkillable = [EngineAway(), EngineRefused("timeout"), TimeoutError()]
        await cancelled(site)
        assert f"killed {KIT}" in site.engine.said
        site.engine.unkillable = [EngineAway()] * 100
        assert await cancelled(site) < 60, "and given up some time"


@virtual
async def test_one_that_was_made_anew_meanwhile_is_not_killed(site: Site):
    """The engine killed the former one late, and another build has begun."""
    async with site.running():
        site.engine.crowds[KIT] = 2048
        site.engine.unkillable = [TimeoutError()] * 3
        loop, made = asyncio.get_running_loop(), asyncio.Event()

        def anew() -> None:
            site.engine.alter(KIT, id="fresh", runs=True)
            made.set()

        loop.call_later(1.5, anew)
        await cancelled(site)
        await asyncio.sleep(10)
        assert made.is_set()
        assert site.engine.there[KIT].id == "fresh"
        assert f"killed {KIT}" not in site.engine.said


@virtual
async def test_all_taken_for_a_moment_ends_no_other_build(site: Site):
    async with site.running(), site.taken():
        site.engine.crowds[KIT] = 2048
        asyncio.get_running_loop().call_later(0.1, site.engine.crowds.clear)
        assert await cancelled(site) < 1
        assert f"killed {KIT}" not in site.engine.said


@virtual
async def test_a_second_cancel_does_not_keep_it_from_being_killed(site: Site):
    async with site.running():
        site.engine.crowds[KIT] = 1000
        entered = asyncio.Event()

        async def working() -> None:
            async with site.taken():
                entered.set()
                await asyncio.sleep(1000)

        task = asyncio.create_task(working())
        await entered.wait()
        for _ in range(2):
            task.cancel()
            await asyncio.sleep(0.1)
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(3)
        assert f"killed {KIT}" in site.engine.said


async def test_how_the_engine_is_asked():
    asked: list[tuple[str, str, Any]] = []

    class Engine:
        async def query(self, path: str, method: str = "GET", **more: Any) -> Any:
            asked.append((method, path, more))
            return {"NCPU": 2} if path == "info" else {"pids_stats": {"current": 7, "limit": 9}}

    engine: Any = Engine()
    containers = Containers(engine, "slipway")
    assert await containers.processes("kit") == 7
    assert [await containers.processors() for _ in range(2)] == [2, 2]
    await containers.kill("kit")
    await containers.change("kit", {"PidsLimit": 5})
    assert asked == [
        ("GET", "containers/kit/stats", {"params": {"stream": "false", "one-shot": "true"}}),
        ("GET", "info", {}),
        ("POST", "containers/kit/kill", {}),
        ("POST", "containers/kit/update", {"data": {"PidsLimit": 5}}),
    ]
