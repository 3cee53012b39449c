"""New work is refused on a disk with little room; a build that takes too much is ended."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from builder.adapters.disk import Disk
from builder.build.failures import BuildError
from builder.build.job import BuildKit, Job
from builder.build.room import Room, overflowing
from builder.build.watched import watched
from builder.sources.image import again
from slipway.contracts.logs import build_subject
from slipway.contracts.registry import Account
from slipway.contracts.values import Failure, GitSource, ImageSource
from slipway.runtime.engine import EngineAway, EngineMissing, EngineRefused

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
async def test_what_is_little_of_a_large_disk_is_enough(played: Played):
    """A hundredth of it, of 64 GiB that are enough."""
    made = job(played)
    settings = made.settings.model_copy(update={"disk_free_enough": 1 << 30})
    played.disk.free = 1.0
    assert await image_of(replace(made, settings=settings))
    played.disk.free = 0.99
    failure = await why(replace(made, settings=settings))
    assert "need 10 % or 1 GiB" in failure.detail


@virtual
async def test_what_is_here_is_run_again_on_a_full_disk(played: Played):
    """A rollback adds nothing; one that would fetch is refused."""
    played.disk.free = 0
    with pytest.raises(BuildError):
        await again(job(played), MADE)
    played.engine.here[MADE.reference] = MADE
    assert await again(job(played), MADE) == MADE


# -- what builds take -----------------------------------------------------------------------------

KIT = BuildKit("kit", "registry", Account("org", "x"), 3 << 30, 2048, 20 << 30, state="/state")


@dataclass
class Growing:
    """A build that writes at that rate from a moment on; `told`: whether it can be counted."""

    rate: float
    after: float = 0.0
    told: bool = True
    away: Exception | None = None
    left: float = 0.0
    """GiB of earlier builds,"""
    kept: float = 0.0
    """and those of them that can't be removed."""
    untold: frozenset[int] = frozenset()
    """Counts that the engine refuses."""
    freed: float = 0.0
    """By somebody else, each second."""
    counted: int = 0
    pruned: list[float] = field(default_factory=list)

    def _taken(self) -> float:
        return self.left + max(0.0, VirtualClock().monotonic() - self.after) * self.rate

    async def prune(self) -> None:
        self.pruned.append(VirtualClock().monotonic())
        await asyncio.sleep(0.5)
        self.left = self.kept

    async def room(self) -> Room:
        if self.away:
            raise self.away
        freed = VirtualClock().monotonic() * self.freed
        return Room("/engine", int((500 - self._taken() + freed) * 2**30), 1000 << 30)

    async def taken(self, container: str, folder: str) -> int | None:
        assert (container, folder) == ("kit", "/state")
        await asyncio.sleep(0.5)
        self.counted += 1
        if self.counted in self.untold:
            raise EngineRefused("busy")
        return int(self._taken() * 2**30) if self.told else None


async def ended_after(growing: Growing, seconds: float = 600) -> float | None:
    """Seconds from the limit of 20 GiB on, None where the build ended by itself."""
    clock = VirtualClock()
    if failure := await failed(growing, seconds):
        told = "20480 MiB" in failure.detail and failure.reason == "build-disk-limit"
        return clock.monotonic() - growing.after - 20 / growing.rate if told else -1
    return None


async def failed(growing: Growing, seconds: float = 600) -> Failure | None:
    try:
        looks = overflowing(growing, KIT, growing.prune, VirtualClock())
        await watched(asyncio.sleep(seconds), looks)
    except BuildError as error:
        return error.failure
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


@pytest.mark.parametrize("trouble", [EngineAway(), EngineMissing(), OSError(11, "no process")])
@virtual
async def test_a_disk_that_can_not_be_looked_at_ends_no_build(trouble: Exception):
    assert await ended_after(Growing(1.0, away=trouble)) is None


@virtual
async def test_what_earlier_builds_left_is_removed_before_one_is_judged():
    growing = Growing(0.01, left=25, kept=1)
    assert await failed(growing) is None
    assert len(growing.pruned) == 1


@virtual
async def test_what_is_left_is_not_removed_every_second_where_it_can_not_be_counted():
    growing = Growing(0.0001, left=25, kept=25, untold=frozenset({2, 4, 6}))
    failure = await failed(growing)
    assert failure is not None
    assert "left by earlier builds" in failure.detail
    assert len(growing.pruned) == 4
    assert growing.pruned[-1] >= 3 * 60


@virtual
async def test_what_a_build_wrote_itself_is_no_reason_to_remove_the_cache():
    growing = Growing(1.0)
    failure = await failed(growing)
    assert failure is not None
    assert "let the build write less" in failure.hint
    assert growing.pruned == []


@virtual
async def test_what_can_not_be_removed_is_no_fault_of_the_build():
    failure = await failed(Growing(0.0001, left=25, kept=21))
    assert failure is not None
    assert failure.reason == "build-disk-limit"
    assert "left by earlier builds" in failure.detail
    assert "docker volume rm kit" in failure.hint
    assert "write less" not in failure.hint


@virtual
async def test_what_was_not_counted_is_told_as_the_guess_that_it_is():
    failure = await failed(Growing(1.0, told=False))
    assert failure is not None
    assert "could not be counted" in failure.detail
    assert "something else" in failure.hint


@virtual
async def test_a_cancel_that_comes_while_it_is_ended_is_raised():
    """It would be swallowed, and the build go on without a deadline."""
    ended: list[float] = []

    async def program() -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            await asyncio.sleep(2)
            ended.append(VirtualClock().monotonic())

    async def look() -> Failure:
        await asyncio.sleep(1)
        return Failure(reason="r", detail="d")

    building = asyncio.create_task(watched(program(), look()))
    await asyncio.sleep(2)
    assert not building.done(), "it is being ended"
    building.cancel()
    with pytest.raises(asyncio.CancelledError):
        await building
    assert ended, "the program before"


@virtual
async def test_the_program_is_ended_before_that_is_said():
    ended: list[float] = []

    async def program() -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            await asyncio.sleep(1)
            ended.append(VirtualClock().monotonic())

    growing = Growing(1.0)
    with pytest.raises(BuildError):
        await watched(program(), overflowing(growing, KIT, growing.prune, VirtualClock()))
    assert ended


@virtual
async def test_a_build_that_takes_too_much_is_told_so(played: Played):
    played.disk.takes = 21
    played.programs.hangs = True
    failure = await why(job(played))
    assert failure.reason == "build-disk-limit"
    assert "21504 MiB" in failure.detail
    assert "left by earlier builds" in failure.detail
    assert ["buildctl", "--addr", "docker-container://slipway-build-org", "prune", "--all"] in (
        played.programs.ran
    )
    assert played.left() == []


async def test_who_counts_ends_by_itself_before_it_is_given_up(monkeypatch: pytest.MonkeyPatch):
    ran: list[Sequence[str]] = []

    async def run(argv: Sequence[str]) -> tuple[int, str]:
        ran.append(argv)
        return 0, "7\t/state\n"

    monkeypatch.setattr("builder.adapters.shell.run", run)
    engine: Any = None
    assert await Disk(engine).taken("kit", "/state") == 7 << 10
    assert ran == [["docker", "exec", "kit", "timeout", "55", "du", "-skx", "/state"]]


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
