"""How a reaction appends: twice is once, a conflict is decided again."""

import asyncio
from collections.abc import Sequence

import pytest
from slipway.contracts.event import Event
from slipway.contracts.project import ProjectCreated, ProjectRenamed
from slipway.eventstore.store import Commit, Conflict, OutcomeUnknown
from slipway.kernel.envelope import Head, Meta, Subject
from slipway.runtime.append import Appender

from tests.simulation.platform import fact
from tests.simulation.world import World, virtual

SUBJECT = Subject("org", "project", "p1")


def renames(world: World) -> list[str]:
    return [e.name for e in world.events("project", "p1") if isinstance(e, ProjectRenamed)]


async def append(
    world: World, name: str, *, step: str = "s", cause: str = "c", attempt: int = 0
) -> Commit | None:
    appender = Appender(world, world.clock, "tester")
    events = (ProjectRenamed(name=name),)
    return await appender.append(
        SUBJECT, step, lambda _: events, cause=cause, correlation="corr", attempt=attempt
    )


@virtual
async def test_the_same_step_twice_is_once():
    world = World()
    first = await append(world, "A")
    assert await append(world, "A") == first
    assert renames(world) == ["A"]


@virtual
async def test_the_same_step_at_the_same_time_is_once():
    world = World(latency=0.01)
    done = await asyncio.gather(*(append(world, "A") for _ in range(5)))
    assert len({commit.meta.commit for commit in done if commit}) == 1
    assert renames(world) == ["A"]


@virtual
async def test_another_cause_step_or_attempt_is_another_commit():
    world = World()
    await append(world, "A")
    await append(world, "B", cause="c2")
    await append(world, "C", step="t")
    await append(world, "D", attempt=1)
    assert renames(world) == ["A", "B", "C", "D"]


@virtual
async def test_it_says_who_when_and_why():
    commit = await append(World(), "A", cause="because")
    assert commit is not None
    assert (commit.meta.actor.kind, commit.meta.actor.id) == ("service", "tester")
    assert (commit.meta.cause, commit.meta.correlation) == ("because", "corr")


@virtual
async def test_nothing_decided_is_nothing_appended():
    world = World()
    appender = Appender(world, world.clock, "tester")
    assert await appender.append(SUBJECT, "s", lambda _: (), cause="c", correlation="c") is None
    assert renames(world) == []


@virtual
async def test_of_two_different_ones_the_second_decides_on_what_the_first_said():
    world = World(latency=0.01)
    seen: list[int] = []

    async def one(name: str) -> None:
        def decide(head: Commit | None) -> Sequence[Event]:
            seen.append(head.head.version if head else 0)
            return (ProjectRenamed(name=name),)

        appender = Appender(world, world.clock, "tester")
        await appender.append(SUBJECT, name, decide, cause="c", correlation="c")

    await asyncio.gather(one("A"), one("B"))
    assert sorted(renames(world)) == ["A", "B"]
    assert seen == [0, 0, 1]


@virtual
async def test_a_conflict_that_ends_in_nothing_is_fine():
    world = World()
    created = ProjectCreated(name="A", environment="e")

    def decide(head: Commit | None) -> Sequence[Event]:
        return () if head else (created,)

    world.faults.append("conflict")
    appender = Appender(world, world.clock, "tester")
    made = await appender.append(SUBJECT, "s", decide, cause="c", correlation="c")
    assert made is not None
    again = await appender.append(SUBJECT, "other", decide, cause="c", correlation="c")
    assert again is None


@pytest.mark.parametrize("fault", ["unknown_before", "unknown_after"])
@virtual
async def test_an_unknown_outcome_is_the_callers_and_may_be_repeated(fault: str):
    world = World()
    world.faults.append(fault)  # pyright: ignore[reportArgumentType]
    with pytest.raises(OutcomeUnknown):
        await append(world, "A")
    await append(world, "A")
    assert renames(world) == ["A"]


@pytest.mark.parametrize("since", [0, 1])
@virtual
async def test_a_repeat_long_after_and_behind_others_is_once(since: int):
    """The server forgets ids after two minutes, and decides by what the deliverer says."""
    world = World()
    cause = await fact(world, "deployment", "d1", ProjectRenamed(name="cause"))
    assert cause.sequence == 1
    appender = Appender(world, world.clock, "tester")
    events = (ProjectRenamed(name="A"),)
    for _ in range(3):
        await appender.append(
            SUBJECT,
            "s",
            lambda _: events,
            cause=cause.meta.commit,
            correlation="c",
            since=since,
        )
        await append(world, "other", cause=str(world.clock.now()))
        await asyncio.sleep(300)
    assert renames(world) == ["A", "other", "other", "other"]


@virtual
async def test_what_is_said_to_be_known_is_not_looked_for():
    """The simulator's log forgets as the server does."""
    world = World()
    first = await append(world, "A")
    assert first is not None
    meta = first.meta
    for after in (0, 300):
        await asyncio.sleep(after)
        head = (await world.load(SUBJECT))[-1].head
        events = (ProjectRenamed(name="A"),)
        await world.append(SUBJECT, head, events, meta, since=head.sequence)
    assert renames(world) == ["A", "A"]


@virtual
async def test_a_conflict_without_end_is_told():
    class Stubborn(World):
        tries = 0

        async def append(
            self,
            subject: Subject,
            expected: Head,
            events: Sequence[Event],
            meta: Meta,
            *,
            since: int = 0,
        ) -> Commit:
            self.tries += 1
            raise Conflict(subject, expected.sequence, 99)

    world = Stubborn()
    with pytest.raises(Conflict):
        await append(world, "A")
    assert world.tries == 20
