"""Retry policies, in virtual time."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable

import pytest
from slipway.runtime import retry
from slipway.runtime.retry import Policy

from tests.simulation.world import virtual


def failing(times: int, error: Exception, at: list[float]) -> Callable[[], Awaitable[str]]:
    async def do() -> str:
        at.append(asyncio.get_running_loop().time())
        if len(at) <= times:
            raise error
        return "done"

    return do


@virtual
async def test_the_pauses_double_up_to_the_longest():
    at: list[float] = []
    assert await Policy(1.0, 5.0, 6).run(failing(5, ValueError(), at)) == "done"
    assert at == [0, 1, 3, 7, 12, 17]


@virtual
async def test_the_last_error_is_raised_as_it_came():
    at: list[float] = []
    said: list[int] = []
    error = ValueError("no")
    with pytest.raises(ValueError, match="no") as raised:
        await Policy(1.0, 5.0, 3).run(failing(9, error, at), said=lambda n, _: said.append(n))
    assert raised.value is error
    assert (len(at), said) == (3, [1, 2, 3])


@virtual
async def test_only_the_named_errors_are_tried_again():
    at: list[float] = []
    with pytest.raises(ValueError):
        await Policy(1.0, 5.0, 3).run(failing(9, ValueError(), at), KeyError, OSError)
    assert at == [0]


@virtual
async def test_with_jitter_a_pause_is_never_longer():
    for _ in range(20):
        at: list[float] = []
        start = asyncio.get_running_loop().time()
        await Policy(1.0, 2.0, 5, jitter=True).run(failing(3, ValueError(), at))
        pauses = [later - sooner for sooner, later in itertools.pairwise(at)]
        assert at[0] == start
        assert all(p <= most for p, most in zip(pauses, (1, 2, 2), strict=True))


@virtual
async def test_no_number_of_tries_is_too_large():
    """2 ** 1,024 is no float."""
    at: list[float] = []
    await retry.CONNECT.run(failing(3000, ValueError(), at))
    assert at[-1] - at[-2] == retry.CONNECT.longest


@virtual
async def test_it_can_be_cancelled():
    at: list[float] = []
    task = asyncio.create_task(retry.CONNECT.run(failing(3000, ValueError(), at)))
    await asyncio.sleep(2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(at) == 3
