"""New work is refused on a disk with little room; a build that takes too much is ended."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from builder.adapters.disk import Disk
from builder.build.failures import BuildError
from builder.build.job import Job
from builder.build.room import Room, within
from builder.sources.image import again
from slipway.contracts.logs import build_subject
from slipway.contracts.values import GitSource, ImageSource
from slipway.runtime.engine import EngineAway

from tests.simulation.world import VirtualClock, virtual
from tests.unit.builder.parts import MADE, Played, image_of, why

GIT, IMAGE = GitSource(url="http://127.0.0.1/a.git"), ImageSource(image="web:1")


@pytest.fixture
def played(tmp_path: Path) -> Played:
    return Played(tmp_path)


def job(played: Played, source: GitSource | ImageSource = IMAGE) -> Job:
    made = played.job(source)
    settings = made.settings.model_copy(update={"allow_private_sources": True})
    return replace(made, settings=settings)


@virtual
async def test_a_copy_is_refused_on_a_disk_with_little_room(played: Played):
    played.disk.free = 9.9
    failure = await why(job(played))
    assert failure.reason == "disk-full"
    assert "/engine" in failure.detail
    assert "9.9 %" in failure.detail
    assert "free space" in failure.hint
    assert (played.programs.ran, played.kits.taken_by) == ([], [])
    assert asyncio.get_running_loop().time() < 30


@virtual
async def test_a_clone_is_refused_too(played: Played):
    played.disk.free = 1
    assert (await why(job(played, GIT))).reason == "disk-full"
    assert played.programs.ran == []


@virtual
async def test_it_goes_on_by_itself_once_there_is_room(played: Played):
    played.disk.free = 9.9
    asyncio.get_running_loop().call_later(10, lambda: setattr(played.disk, "free", 10.1))
    made = job(played)
    assert await image_of(made) == MADE.model_copy(update={"source": "web:1"})
    await made.log.close()
    subject = build_subject("org", "d1")
    said = [line.text async for _, lines in played.logs.read(subject) for line in lines]
    waiting = [text for text in said if text.startswith("waiting for room: ")]
    assert len(waiting) == 1
    assert "the engine's disk (/engine) has 9.9 % free" in waiting[0]


@virtual
async def test_what_is_here_is_run_again_on_a_full_disk(played: Played):
    """A rollback adds nothing; one that would fetch is refused."""
    played.disk.free = 0
    with pytest.raises(BuildError):
        await again(job(played), MADE)
    played.engine.here[MADE.reference] = MADE
    assert await again(job(played), MADE) == MADE


# -- what builds take -----------------------------------------------------------------------------


@dataclass
class Growing:
    """A build that writes at that rate from a moment on; `told`: whether it can be counted."""

    rate: float
    after: float = 0.0
    told: bool = True
    away: bool = False
    freed: float = 0.0
    """By somebody else, each second."""
    counted: int = 0

    def _taken(self) -> float:
        return max(0.0, VirtualClock().monotonic() - self.after) * self.rate

    async def room(self) -> Room:
        if self.away:
            raise EngineAway
        freed = VirtualClock().monotonic() * self.freed
        return Room("/engine", int((500 - self._taken() + freed) * 2**30), 1000 << 30)

    async def taken(self, container: str, folder: str) -> int | None:
        assert (container, folder) == ("kit", "/state")
        await asyncio.sleep(0.5)
        self.counted += 1
        return int(self._taken() * 2**30) if self.told else None


async def ended_after(growing: Growing, seconds: float = 600) -> float | None:
    """Seconds from the limit of 20 GiB on, None where the build ended by itself."""
    clock = VirtualClock()
    try:
        await within(growing, "kit", "/state", 20 << 30, clock, asyncio.sleep(seconds))
    except BuildError as error:
        told = "20480 MiB" in error.failure.detail and error.failure.reason == "build-disk-limit"
        return clock.monotonic() - growing.after - 20 / growing.rate if told else -1
    return None


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("rate", [0.1, 0.4, 1.0, 3.0])
@virtual
async def test_it_is_ended_within_five_seconds(rate: float, told: bool):
    late = await ended_after(Growing(rate, after=33, told=told))
    assert late is not None
    assert 0 <= late <= 5


@virtual
async def test_one_that_stays_below_is_not_counted_all_the_time():
    growing = Growing(0.03)
    assert await ended_after(growing, 600) is None
    assert growing.counted < 80


@virtual
async def test_what_others_free_hides_it_for_a_minute_at_most():
    late = await ended_after(Growing(0.5, freed=0.6))
    assert late is not None
    assert late < 65


@virtual
async def test_an_engine_that_is_away_ends_no_build():
    assert await ended_after(Growing(1.0, away=True)) is None


@virtual
async def test_the_program_is_ended_before_that_is_said():
    ended: list[float] = []

    async def program() -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            await asyncio.sleep(1)
            ended.append(VirtualClock().monotonic())

    with pytest.raises(BuildError):
        await within(Growing(1.0), "kit", "/state", 20 << 30, VirtualClock(), program())
    assert ended


@virtual
async def test_a_build_that_takes_too_much_is_told_so(played: Played):
    played.disk.takes = 21
    played.programs.hangs = True
    failure = await why(job(played))
    assert failure.reason == "build-disk-limit"
    assert "21504 MiB" in failure.detail
    assert played.left() == []


async def test_the_least_room_of_all_folders_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    @dataclass
    class Usage:
        used: int
        free: int

    found: Mapping[Path, Usage] = {Path("/a"): Usage(50, 50), Path("/b"): Usage(95, 5)}
    monkeypatch.setattr("shutil.disk_usage", found.__getitem__)

    class Engine:
        async def query(self, path: str) -> Any:
            return {"DockerRootDir": "/var/lib/docker"}

    disk = Disk(Engine(), Path("/a"), Path("/b"))  # pyright: ignore[reportArgumentType]
    room = await disk.room()
    assert (room.disk, room.percent) == ("/var/lib/docker", 5.0)
