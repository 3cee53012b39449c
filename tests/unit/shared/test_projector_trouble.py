"""The projector while the log is away, and at documents that can't be folded."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from slipway.eventstore.store import Commit, Damaged, OutcomeUnknown
from slipway.eventstore.stream import Silent
from slipway.readmodel.model import Away, Document

from tests.simulation.world import World, virtual
from tests.unit.shared.test_projector import House, Names, Pair, Slow


class Quiet(World):
    """While `error` is there the log does not answer."""

    error: Exception | None = None
    tells_its_end = False

    async def last_sequence(self) -> int:
        if self.error and not self.tells_its_end:
            raise self.error
        return await super().last_sequence()

    async def read(
        self, after: int = 0, until: int | None = None, pattern: str = "evt.>"
    ) -> AsyncIterator[Commit]:
        if self.error:
            raise self.error
        async for commit in super().read(after, until, pattern):
            yield commit

    async def follow(self, after: int, pattern: str = "evt.>") -> AsyncIterator[Commit]:
        while self.error:
            await asyncio.sleep(0.5)
        async for commit in super().follow(after, pattern):
            yield commit


@pytest.mark.parametrize("error", [Silent("away"), OutcomeUnknown("away")], ids=repr)
@virtual
async def test_a_log_that_is_away_is_waited_for(error: Exception):
    """For longer than the lease: it is lost, and there again."""
    house = Pair()
    house.world = world = Quiet(latency=0.0)
    one = await house.start()
    first = await house.rename("p1", "A")
    await one.wait_for(first.sequence, 2.0)
    world.error, house.leases.holder = error, None
    await asyncio.sleep(30)
    assert not house.tasks[0].done()
    world.error, house.leases.holder = None, house.holds[0]
    second = await house.rename("p1", "B")
    assert await one.wait_for(second.sequence, 5.0)
    assert await house.of("p1") == ["A", "B"]
    await house.close()


@virtual
async def test_a_log_that_is_away_does_not_end_the_first_building():
    house = House()
    house.world = world = Quiet(latency=0.0)
    commit = await house.rename("p1", "A")
    world.error = Silent("away")
    projector = house.projector()
    await asyncio.sleep(5)
    assert len(house.documents._data) == 0, "nothing is begun"
    world.tells_its_end = True
    await asyncio.sleep(1)
    assert projector.progress.error == "the event log is away"
    world.error = None
    assert await projector.wait_for(commit.sequence, 5.0)
    assert await house.of("p1") == ["A"]
    await house.close()


@virtual
async def test_a_log_that_is_away_does_not_fail_what_was_asked_for():
    house = House()
    house.world = world = Quiet(latency=0.0)
    projector = house.projector()
    commit = await house.rename("p1", "A")
    await projector.wait_for(commit.sequence, 2.0)
    world.error = Silent("away")
    projector.ask_rebuild()
    await asyncio.sleep(0.8)
    assert (await house.documents.standing()).asked
    world.error = None
    await house.world.until(lambda: projector.progress.status == "done")
    await house.close()


@virtual
async def test_other_code_that_leads_writes_only_what_it_builds():
    """Until it is built, what is live belongs to the code that made it, which may come back."""
    documents = Slow()
    house = House(documents)
    first = house.projector("v1")
    commit = await house.rename("p1", "A")
    await first.wait_for(commit.sequence, 20.0)
    await house.close()
    house.tasks.clear()
    documents.seconds = 5.0
    second = house.projector("v2")
    await asyncio.sleep(1)
    assert second.progress.status == "running"
    with pytest.raises(Away):
        await documents.put("project", [{"_id": "p1", "_seq": 9, "titles": []}])
    assert await second.wait_for(commit.sequence, 20.0)
    assert documents._writable
    await house.close()


@virtual
async def test_a_document_of_another_shape_is_built_anew():
    house = House()
    projector = house.projector()
    first = await house.rename("p1", "A")
    await projector.wait_for(first.sequence, 2.0)
    generation = (await house.documents.standing()).generation or ""
    del house.documents._data[generation]["project"]["p1"]["names"]
    second = await house.rename("p1", "B")
    assert await projector.wait_for(second.sequence, 5.0)
    assert await house.of("p1") == ["A", "B"]
    assert (await house.documents.standing()).generation != generation
    third = await house.rename("p1", "C")
    assert await projector.wait_for(third.sequence, 2.0)
    await house.close()


@virtual
async def test_what_no_code_here_folds_ends_nothing_and_is_tried_again():
    class Defect(Names):
        wrong = True

        def fold(self, document: Document | None, commit: Commit, key: str) -> Document:
            found = super().fold(document, commit, key)
            if self.wrong and "bad" in found["names"]:
                raise KeyError("bad")
            return found

    house = House()
    house.names = names = Defect()
    projector = house.projector()
    first = await house.rename("p1", "A")
    await projector.wait_for(first.sequence, 2.0)
    bad = await house.rename("p1", "bad")
    await asyncio.sleep(200)
    assert not house.tasks[0].done()
    assert (projector.progress.status, await house.of("p1")) == ("failed", ["A"])
    assert "p1 of project at sequence 2: KeyError('bad')" in projector.progress.error
    standing = await house.documents.standing()
    assert (standing.progress.status, list(house.documents._data)) == (
        "failed", [standing.generation],
    )  # fmt: skip
    names.wrong = False
    assert await projector.wait_for(bad.sequence, 65.0)
    assert await house.of("p1") == ["A", "bad"]
    await house.close()


@virtual
async def test_a_commit_that_is_damaged_is_not_gone_past():
    class Unreadable(Names):
        def fold(self, document: Document | None, commit: Commit, key: str) -> Document:
            raise Damaged("sequence 1")

    house = House()
    house.names = Unreadable()
    house.projector()
    await house.rename("p1", "A")
    with pytest.raises(Damaged):
        await asyncio.wait_for(house.tasks[0], 5)
