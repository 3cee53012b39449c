"""Places at which a test makes a process die, stop or fail."""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from slipway.runtime import failpoints


@pytest.fixture(autouse=True)
def unarmed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLIPWAY_FAILPOINTS", raising=False)
    monkeypatch.delenv("SLIPWAY_FAILPOINTS_FILE", raising=False)


async def test_nothing_happens_when_nothing_is_armed():
    await failpoints.hit("any.point")


@pytest.mark.parametrize(
    ("armed", "hit"),
    [("a=error", True), ("b=delay:0,a=error", True), (" a = error ", True),
     ("b=error", False), ("a", False), ("", False), ("aa=error", False)],
)  # fmt: skip
async def test_armed_by_the_environment(monkeypatch: pytest.MonkeyPatch, armed: str, hit: bool):
    monkeypatch.setenv("SLIPWAY_FAILPOINTS", armed)
    if hit:
        with pytest.raises(failpoints.Injected, match="a"):
            await failpoints.hit("a")
    else:
        await failpoints.hit("a")


async def test_armed_and_disarmed_by_a_file_while_it_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    file = tmp_path / "points"
    monkeypatch.setenv("SLIPWAY_FAILPOINTS_FILE", str(file))
    await failpoints.hit("a")
    file.write_text("b=error\na=error\n")
    with pytest.raises(failpoints.Injected):
        await failpoints.hit("a")
    file.unlink()
    await failpoints.hit("a")


async def test_a_delay_lets_others_go_on(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SLIPWAY_FAILPOINTS", "a=delay:0.05")
    began = time.monotonic()
    await asyncio.gather(*(failpoints.hit("a") for _ in range(5)))
    assert 0.05 <= time.monotonic() - began < 0.2


def test_kill_fires_once(tmp_path: Path):
    file = tmp_path / "points"
    file.write_text("a=kill b=error\nc=kill")
    program = "import asyncio; from slipway.runtime.failpoints import hit; asyncio.run(hit('a'))"
    env = {**os.environ, "SLIPWAY_FAILPOINTS_FILE": str(file)}
    died = subprocess.run([sys.executable, "-c", program], env=env, check=False)
    assert died.returncode == 137
    assert file.read_text().split() == ["b=error", "c=kill"]
    lived = subprocess.run([sys.executable, "-c", program], env=env, check=False)
    assert lived.returncode == 0


def test_the_registry_knows_the_services_points():
    import builder.build.react
    import deployer.rollout.react

    assert builder.build.react
    assert deployer.rollout.react
    prefixes = {name.split(".")[0] for name in failpoints.REGISTRY}
    assert {"builder", "deployer"} <= prefixes
