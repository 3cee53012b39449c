"""Who gets in while somebody waits for nobody to be inside."""

import asyncio
from contextlib import suppress

import pytest
from builder.registry.gate import Busy, Gate

from tests.simulation.world import virtual


def now() -> float:
    return asyncio.get_running_loop().time()


class Site:
    """`waited`: the longest time that one of an organization waited for. `closed`: when it was."""

    def __init__(self) -> None:
        self.gate, self.waited, self.closed = Gate(), dict[str, float](), list[float]()
        self.gate.open()

    async def build(self, organization: str, seconds: float) -> None:
        asked = now()
        async with self.gate.passed(organization):
            waited = max(self.waited.get(organization, 0.0), now() - asked)
            self.waited[organization] = waited
            assert self.closed[1::2] == self.closed[::2], "nobody is inside meanwhile"
            await asyncio.sleep(seconds)

    async def builds(self, organization: str, seconds: float) -> None:
        while True:
            await self.build(organization, seconds)

    async def close(self, patience: float) -> None:
        async with self.gate.closed(patience):
            self.closed += [now()]
            await asyncio.sleep(5)
            self.closed += [self.closed[-1]]


@virtual
async def test_whoever_wakes_looks_whether_it_is_still_open():
    """It was opened and closed again before anybody who waited came to its turn."""
    gate, inside = Gate(), list[str]()

    async def passes() -> None:
        async with gate.passed("one"):
            inside.append("one")

    passing = asyncio.create_task(passes())
    await asyncio.sleep(1)
    gate.open()
    async with gate.closed(0.0):
        await asyncio.sleep(1)
        assert not inside
    await passing
    assert inside == ["one"]


@virtual
async def test_it_closes_only_where_nobody_is_inside():
    site = Site()
    going = asyncio.create_task(site.build("one", 100))
    await asyncio.sleep(1)
    with pytest.raises(Busy):
        await site.close(0.0)
    await site.build("two", 1)
    assert site.waited["two"] == 0
    await going
    await site.close(0.0)


@virtual
async def test_builds_that_never_stop_hold_up_themselves_and_others_for_a_moment():
    """One of two that take turns is always inside, for far longer than all are held back."""
    site = Site()
    going = [asyncio.create_task(site.builds("one", 1700))]
    await asyncio.sleep(850)
    going += [asyncio.create_task(site.builds(name, n)) for name, n in (("two", 1700), ("x", 7))]
    await asyncio.sleep(1)
    async with asyncio.timeout(2 * 3600):
        await site.close(600)
    await asyncio.sleep(10)
    for each in going:
        each.cancel()
        with suppress(asyncio.CancelledError):
            await each
    assert site.waited["x"] <= 600 + 5
    assert site.waited["one"] > 600


@virtual
async def test_who_is_inside_for_hours_holds_up_nobody_so_long():
    site = Site()
    going = [asyncio.create_task(site.build("one", 6 * 3600)) for _ in range(2)]
    await asyncio.sleep(1)
    going += [asyncio.create_task(site.builds(name, 7)) for name in ("one", "x")]
    with pytest.raises(Busy):
        await site.close(600)
    await asyncio.sleep(10)
    assert 600 < site.waited["one"] <= 3 * 600
    assert site.waited["x"] <= 600
    for each in going:
        each.cancel()


@virtual
async def test_nobody_is_held_longer_than_the_time_of_a_build_stands_still():
    """Others come in between, whom nobody held."""
    site = Site()
    going = list[asyncio.Task[None]]()

    async def more() -> None:
        for number in range(20):
            going.append(asyncio.create_task(site.build(f"{number}", 1150)))
            await asyncio.sleep(300)

    going += [asyncio.create_task(each) for each in (more(), site.builds("one", 700))]
    await asyncio.sleep(750)  # its second one has begun
    began = now()
    with pytest.raises(Busy):
        await site.close(600)
    assert now() - began <= 1800
    await asyncio.sleep(200)
    assert 600 < site.waited["one"] <= 1800
    for each in going:
        each.cancel()


@virtual
async def test_where_it_does_not_close_all_are_let_in_again():
    site = Site()

    async def more() -> None:
        """Each an organization of its own, so none has kept it from closing before."""
        for number in range(100):
            going.append(asyncio.create_task(site.build(f"{number}", 1000)))
            await asyncio.sleep(300)

    going = list[asyncio.Task[None]]()
    coming = asyncio.create_task(more())
    await asyncio.sleep(1000)
    with pytest.raises(Busy):
        await site.close(100)
    for number in range(3):
        await asyncio.wait_for(site.build(f"{number}", 0), 1)
    for each in (coming, *going):
        each.cancel()
