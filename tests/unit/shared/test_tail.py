"""How much of the log is held before it is folded."""

import asyncio

import pytest
from slipway.eventstore import codec
from slipway.eventstore.store import Commit
from slipway.readmodel.tail import AHEAD, Tail

from tests.simulation.platform import end
from tests.simulation.world import virtual
from tests.unit.shared.test_projector import House, Pair


@virtual
async def test_so_many_bytes_are_read_ahead_and_no_more():
    house = House()
    for _ in range(30):
        await house.rename("p1", "x" * 300_000)
    async with Tail(house.world, 0) as tail:
        await asyncio.sleep(1)
        assert AHEAD <= tail._size < AHEAD + codec.LIMIT
        got: list[int] = []
        while batch := await tail.batch(1.0):
            assert sum(len(commit.data) for commit in batch) < AHEAD + codec.LIMIT
            got += [commit.sequence for commit in batch]
        assert got == list(range(1, 31))
        assert (tail._size, len(tail._held)) == (0, 0)


@virtual
async def test_who_follows_holds_so_many_bytes_and_no_more():
    """The holder of the lease is slow, and much comes."""
    house = Pair()
    one, two = await house.start(), await house.start()
    first = await house.rename("p1", "A")
    await one.wait_for(first.sequence, 2.0)
    await house.world.until(lambda: two.caught_up)
    await end(house.tasks[0])  # it is held up: nothing is folded
    house.leases.holder = house.holds[0]
    taken: list[Commit] = []
    batch = Tail.batch

    async def counted(self: Tail, seconds: float) -> list[Commit]:
        found = await batch(self, seconds)
        taken.extend(found)
        return found

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Tail, "batch", counted)
        for _ in range(60):
            await house.rename("p1", "x" * 300_000)
        await asyncio.sleep(10)
        assert sum(len(commit.data) for commit in taken) < 2 * AHEAD + codec.LIMIT
    await house.close()
