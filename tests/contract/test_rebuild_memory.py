"""What a process takes of memory while it rebuilds the read models of a real log."""

import pytest

from tests.bench import servers
from tests.bench.history import Use
from tests.bench.rebuild import MOST, measured

pytestmark = [pytest.mark.engine, pytest.mark.timeout(240)]

USE = Use(organizations=10, services=20, deployments=12_000, variables=35)
"""108,430 events, of them 12,000 deployments of 6 KB: all of them as models take over 600 MiB."""


async def test_a_long_history_is_rebuilt_in_bounded_memory():
    try:
        first, beside = await measured(USE)
    finally:
        servers.sweep()
    assert first.events == 108_430
    assert beside.events > first.events, "what was written meanwhile"
    assert first.documents > 24_000
    assert first.peak < MOST, "all processes together"
    assert beside.peak < MOST
    assert beside.differing == 0
