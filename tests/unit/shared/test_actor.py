"""What has nothing to fail goes on until it is done."""

import asyncio
import itertools

import pytest
from slipway.runtime.actor import insist

from tests.simulation.world import virtual


@virtual
async def test_it_goes_on_whatever_fails_and_says_so_rarely():
    tries: list[float] = []
    said: list[str] = []

    async def attempt() -> float | None:
        tries.append(asyncio.get_running_loop().time())
        if len(tries) <= 20:
            raise ValueError(f"error {len(tries)}")
        return None

    await insist(asyncio.Event(), attempt, said.append, longest=10.0)
    assert len(tries) == 21
    assert said == [f"ValueError('error {number}')" for number in (1, 2, 4, 8, 16)]
    assert max(b - a for a, b in itertools.pairwise(tries)) == pytest.approx(10.0)


@virtual
async def test_it_is_woken_before_its_time():
    wake, tries = asyncio.Event(), 0

    async def attempt() -> float | None:
        nonlocal tries
        tries += 1
        return 60.0 if tries == 1 else None

    asyncio.get_running_loop().call_later(5.0, wake.set)
    await insist(wake, attempt, lambda _: None, longest=10.0)
    assert asyncio.get_running_loop().time() == 5.0
