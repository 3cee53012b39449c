"""Builds at once, fair across organizations."""

import asyncio

import pytest
from builder.build.slots import FairSlots


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


class Builds:
    def __init__(self, number: int) -> None:
        self.slots, self.began = FairSlots(number), []
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def start(self, name: str) -> None:
        """Its organization is its first letter; it runs until it is ended."""
        self.tasks[name] = asyncio.create_task(self._run(name))
        await settle()

    async def _run(self, name: str) -> None:
        async with self.slots.taken(name[0]):
            self.began.append(name)
            await asyncio.Event().wait()

    async def end(self, name: str) -> None:
        self.tasks[name].cancel()
        await settle()


@pytest.fixture
async def builds():
    made = Builds(1)
    yield made
    for task in made.tasks.values():
        task.cancel()
    await asyncio.gather(*made.tasks.values(), return_exceptions=True)


async def test_organizations_take_turns(builds: Builds):
    for name in ("a1", "a2", "a3", "b1", "c1"):
        await builds.start(name)
    for name in ("a1", "a2", "b1", "c1"):
        await builds.end(name)
    assert builds.began == ["a1", "a2", "b1", "c1", "a3"]


async def test_what_is_cancelled_while_it_waits_takes_no_slot(builds: Builds):
    for name in ("a1", "a2", "b1"):
        await builds.start(name)
    await builds.end("a2")
    await builds.end("a1")
    assert builds.began == ["a1", "b1"]
    await builds.end("b1")
    await builds.start("c1")
    assert builds.began == ["a1", "b1", "c1"]


async def test_a_turn_given_to_one_that_goes_away_is_passed_on(builds: Builds):
    for name in ("a1", "a2", "b1"):
        await builds.start(name)
    builds.tasks["a1"].cancel()
    await asyncio.sleep(0)
    builds.tasks["a2"].cancel()
    await settle()
    assert builds.began == ["a1", "b1"]


async def test_slots_that_are_free_are_taken_at_once(builds: Builds):
    builds.slots = FairSlots(2)
    for name in ("a1", "b1", "b2"):
        await builds.start(name)
    assert builds.began == ["a1", "b1"]


async def test_one_organization_never_has_the_last_slot(builds: Builds):
    builds.slots = FairSlots(3)
    for name in ("a1", "a2", "a3", "a4"):
        await builds.start(name)
    assert builds.began == ["a1", "a2"]
    await builds.start("b1")
    assert builds.began == ["a1", "a2", "b1"]
    await builds.end("b1")
    assert builds.began == ["a1", "a2", "b1"], "the last one is for others"
    await builds.end("a3")  # while it waits
    await builds.end("a1")
    assert builds.began == ["a1", "a2", "b1", "a4"]
