"""Seeded days of the whole platform: whatever the seed, what it promises holds; bugs that are put
in on purpose are found."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from api_gateway.deployments import request
from api_gateway.deployments.open import Open, OpenDeployments
from builder.build.react import Builds
from proxy_sync.routing import plan
from slipway.contracts.deployment import Limits

from tests.simulation.platform_days import PlatformDay
from tests.simulation.world import virtual

SHORT = Limits(queue=120, build=60, rollout=40, route=30)


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """What hangs is given up sooner than people would like."""
    monkeypatch.setattr(request, "limits_of", lambda *_: SHORT)


@pytest.mark.parametrize("seed", range(48))
@virtual
async def test_a_day(seed: int, tmp_path: Path):
    await PlatformDay(seed, tmp_path).run()


class ShortDay(PlatformDay):
    deployments = 6


def history(folder: Path) -> str:
    """Of one seed."""
    day: list[PlatformDay] = []

    @virtual
    async def live() -> None:
        day.append(ShortDay(3, folder))
        await day[0].run()

    live()
    return hashlib.sha256(json.dumps(day[0].history()).encode()).hexdigest()


def test_a_seed_has_one_history_in_every_process(tmp_path: Path):
    program = (
        "import sys, pathlib; from api_gateway.deployments import request;"
        "from tests.simulation import test_platform as those;"
        "request.limits_of = lambda *_: those.SHORT;"
        "print(those.history(pathlib.Path(sys.argv[1])))"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", program, str(tmp_path / hashes)],
            env={**os.environ, "PYTHONHASHSEED": hashes}, check=True,
            capture_output=True, text=True,
        ).stdout.splitlines()[-1]
        for hashes in "12"
    }  # fmt: skip
    assert len(found) == 1


# -- bugs that are put in on purpose: a few days are enough to find each -------------------------


def found(bug: Callable[[pytest.MonkeyPatch], None], folder: Path) -> str:
    """What the first day says that tells of it."""
    for seed in range(12):
        wrong: list[str] = []

        @virtual
        async def live(seed: int = seed, wrong: list[str] = wrong) -> None:
            day = ShortDay(seed, folder / str(seed))
            try:
                await day.run()
            finally:
                wrong.extend(day.wrong)

        with pytest.MonkeyPatch.context() as patch:
            bug(patch)
            try:
                live()
            except AssertionError as error:
                return "\n".join([*wrong, str(error)])
    return ""


def test_a_builder_that_builds_what_is_to_be_repeated_is_found(tmp_path: Path):
    async def nothing(*_: object) -> None:
        return None

    def bug(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(Builds, "_former", nothing)

    assert "not what it repeats" in found(bug, tmp_path)


def test_a_gateway_that_lets_an_old_request_take_the_place_of_a_new_one_is_found(tmp_path: Path):
    of = OpenDeployments.of

    async def all_are_earlier(self: OpenDeployments, service: str) -> list[Open]:
        return [replace(each, sequence=0) for each in await of(self, service)]

    def bug(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(OpenDeployments, "of", all_are_earlier)

    assert "nothing took its place" in found(bug, tmp_path)


def test_a_proxy_that_does_not_wait_for_an_answer_is_found(tmp_path: Path):
    def bug(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(plan, "_good_since", lambda view, *_: view.began)

    assert "did not answer" in found(bug, tmp_path)
