"""Rebuilds by processes of their own: what they say, and that none outlives its use."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest
from slipway.eventstore.store import Damaged
from slipway.readmodel.building import Begin, Building, Interrupted, Turn
from slipway.readmodel.model import Away, Progress, Unfoldable
from slipway.readmodel.processes import Processes
from slipway.readmodel.projector import Projector
from slipway.readmodel.rebuild import Rebuild

from tests.containers import ROOT
from tests.simulation.world import virtual
from tests.unit.shared.rebuilding import EVENTS, PROJECTS
from tests.unit.shared.test_projector import Held, House, Leases
from tests.unit.shared.test_rebuild import turn


def processes(*what: str, at_turns: Turn = turn, progress: Progress | None = None) -> Processes:
    commands = [[sys.executable, "-m", "tests.unit.shared.rebuilding", word] for word in what]
    return Processes(commands, "g1", progress or Progress(), at_turns)


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def pids(of: int = 0) -> set[int]:
    """Processes that are alive, and children of one or of this one."""
    of = of or os.getpid()
    found = Path(f"/proc/{of}/task/{of}/children").read_text().split()
    return {int(pid) for pid in found if alive(int(pid))}


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except FileNotFoundError:
        return False


async def started(count: int, but: set[int]) -> set[int]:
    async with asyncio.timeout(10):
        while len(found := pids() - but) < count:
            await asyncio.sleep(0.01)
    return found


async def test_parts_are_built_side_by_side(capfd: pytest.CaptureFixture[str]):
    before = pids()
    building = processes("names", "last")
    await building.up_to(20)
    assert (building.sequence, building.progress.of) == (20, 20)
    running = pids() - before
    assert len(running) == 2
    differing = await building.complete(EVENTS, "live")
    done = building.progress
    assert (building.sequence, done.folded, done.of) == (EVENTS, EVENTS, EVENTS)
    assert done.documents == PROJECTS + len("abcdef") == differing
    assert await building.complete(EVENTS, None) == 0
    assert pids() - before == running
    await building.close()
    assert pids() == before
    assert "this goes to the log" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("what", "error", "text"),
    [
        ("defect", Unfoldable, r"of names at sequence 1: KeyError\('bad'\)"),
        ("away", Away, "no database"),
        ("silent", Interrupted, "no log"),
        ("damaged", Damaged, "sequence 7"),
        ("full", RuntimeError, "no room"),
    ],
)
async def test_an_error_is_told_as_what_it_is(what: str, error: type[Exception], text: str):
    before = pids()
    building = processes(what)
    with pytest.raises(error, match=text):
        await building.up_to(EVENTS)
    await building.close()
    assert pids() == before


async def test_a_process_that_is_killed_interrupts():
    before = pids()
    building = processes("names", "slow")
    working = asyncio.create_task(building.up_to(EVENTS))
    running = await started(2, before)
    os.kill(max(running), signal.SIGKILL)
    with pytest.raises(Interrupted, match="ended with -9"):
        await working
    await building.close()
    assert pids() == before


async def test_a_process_that_hangs_interrupts(monkeypatch: pytest.MonkeyPatch):
    before = pids()
    building = processes("slow")
    working = asyncio.create_task(building.up_to(EVENTS))
    (pid,) = await started(1, before)
    monkeypatch.setattr("slipway.readmodel.processes._SILENT", 3.0)
    async with asyncio.timeout(20):
        while building.progress.folded < EVENTS:
            await asyncio.sleep(0.05)
    await asyncio.sleep(4)
    assert not working.done(), "one that works says so each second"
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(Interrupted, match="said nothing"):
        await working
    await building.close()
    assert pids() == before


async def test_a_process_that_can_not_be_started_interrupts():
    building = Processes([["/no/such/program"]], "g1", Progress(), turn)
    with pytest.raises(Interrupted, match="can't be started"):
        await building.up_to(1)
    await building.close()


PARENT = """
import asyncio
from slipway.readmodel.model import Progress
from tests.unit.shared.test_processes import processes
asyncio.run(processes("slow", "slow").up_to(60))
"""


async def test_none_outlives_a_parent_that_is_killed():
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", PARENT, stderr=PIPE)
    assert parent.stderr is not None
    try:
        for _ in range(2):  # each says that it is there
            assert b"to the log" in await asyncio.wait_for(parent.stderr.readline(), 20)
        children = pids(parent.pid)
        assert len(children) == 2
    finally:
        parent.kill()
    await parent.wait()
    async with asyncio.timeout(30):
        while any(map(alive, children)):
            await asyncio.sleep(0.05)


# -- the projector --------------------------------------------------------------------------------


async def shown(house: House, apart: Begin, names: str, hold: Held | None = None) -> Projector:
    """A projector that starts at a log with these names of a project."""
    for name in names:
        await house.rename("p1", name)
    projector = Projector(house.world, house.documents, (house.names,), "v1", hold, apart)
    house.tasks.append(asyncio.create_task(projector.run()))
    return projector


@pytest.mark.parametrize(("names", "begun"), [("ABCD", 0), ("ABCDE", 1)])
def test_what_is_short_is_built_by_this_process(
    names: str, begun: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("slipway.readmodel.projector.APART", 5)

    @virtual
    async def run() -> None:
        house, generations = House(), list[str]()

        def apart(generation: str, progress: Progress, turn: Turn) -> Building:
            generations.append(generation)
            return Rebuild(house.world, house.documents, [house.names], generation, progress, turn)

        projector = await shown(house, apart, names)
        assert await projector.wait_for(len(names), 5)
        assert len(generations) == begun
        projector.ask_rebuild()
        await house.world.until(lambda: projector.progress.status == "done")
        assert len(generations) == 2 * begun
        assert await house.of("p1") == list(names)
        await house.close()

    run()


class Dying(Rebuild):
    closed = 0

    async def up_to(self, end: int) -> None:
        raise Interrupted("ended with -9")

    async def close(self) -> None:
        Dying.closed += 1


@virtual
async def test_processes_that_end_again_and_again_are_not_started_for_ever():
    house, deaths = House(), list[str]()

    def apart(generation: str, progress: Progress, turn: Turn) -> Building:
        deaths.append(generation)
        return Dying(house.world, house.documents, [house.names], generation, progress, turn)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("slipway.readmodel.projector.APART", 1)
        patch.setattr(Dying, "closed", 0)
        projector = await shown(house, apart, "A")
        assert await projector.wait_for(1, 10)
        assert len(deaths) == Dying.closed == 3
        assert await house.of("p1") == ["A"]
        projector.ask_rebuild()
        await house.world.until(lambda: projector.progress.status == "failed")
        assert "3 times something interrupted it" in projector.progress.error
        assert len(deaths) == Dying.closed == 6
        assert await house.of("p1") == ["A"]
        await house.close()


async def test_who_lost_the_lease_ends_its_processes(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("slipway.readmodel.projector.APART", 1)
    before, house, leases = pids(), House(), Leases()

    def apart(generation: str, progress: Progress, turn: Turn) -> Building:
        return processes("slow", "slow", at_turns=turn, progress=progress)

    await shown(house, apart, "A", Held(leases))
    await started(2, before)
    leases.holder = Held(leases)
    async with asyncio.timeout(30):
        while pids() != before:
            await asyncio.sleep(0.05)
    await house.close()
