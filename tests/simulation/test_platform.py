"""Seeded days of the whole platform."""

from pathlib import Path

import pytest
from api_gateway.deployments import request
from slipway.contracts.deployment import Limits

from tests.simulation.platform_days import PlatformDay
from tests.simulation.world import virtual

SHORT = Limits(queue=120, build=60, rollout=40, route=30)


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """What hangs is given up sooner than people would like."""
    monkeypatch.setattr(request, "limits_of", lambda _: SHORT)


@pytest.mark.parametrize("seed", range(2))
@virtual
async def test_a_day(seed: int, tmp_path: Path):
    await PlatformDay(seed, tmp_path).run()
