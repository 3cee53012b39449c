"""The behaviour of an event store, inherited by a test class for each implementation.

A subclass has a fixture `store`. Aggregates are new in each test, as a real log is never emptied.
"""

import asyncio
import uuid
from datetime import UTC, datetime

import pytest

from slipway.contracts.project import ProjectCreated, ProjectRenamed
from slipway.eventstore.store import Commit, Conflict, Delivery, EventStore, TooLarge
from slipway.kernel.envelope import NOTHING, Actor, Head, Meta, Subject

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def subject(organization: str = "org-a", category: str = "project") -> Subject:
    return Subject(organization, category, str(uuid.uuid4()))


def meta(commit: str | None = None) -> Meta:
    return Meta(commit or str(uuid.uuid4()), AT, Actor("user", "u1"), "corr", "cause", "req")


def created(name: str = "Shop") -> ProjectCreated:
    return ProjectCreated(name=name, environment="e1")


class StoreSuite:
    async def forget(self) -> None:
        """Wait until the store no longer knows the ids of its last commits by itself."""

    async def test_what_is_appended_is_read_again(self, store: EventStore):
        at = subject()
        events = (created(), ProjectRenamed(name="Shop 2"))
        commit = await store.append(at, NOTHING, events, meta())
        assert (await store.load(at)) == [commit]
        assert commit.events == events
        assert commit.head.version == 1
        assert await store.head(at) == commit
        assert await store.at(commit.sequence) == commit
        assert commit.meta.actor == Actor("user", "u1")
        assert await store.last_sequence() >= commit.sequence

    async def test_nothing_is_there_before(self, store: EventStore):
        at = subject()
        assert await store.load(at) == []
        assert await store.head(at) is None
        assert await store.at(10**9) is None

    async def test_commits_are_chained(self, store: EventStore):
        at = subject()
        first = await store.append(at, NOTHING, [created()], meta())
        second = await store.append(at, first.head, [ProjectRenamed(name="B")], meta())
        assert (second.head.version, second.prev) == (2, first.head.hash)
        assert await store.load(at, first.sequence) == [second]

    async def test_the_first_to_append_wins(self, store: EventStore):
        at = subject()
        await store.append(at, NOTHING, [created()], meta())
        with pytest.raises(Conflict):
            await store.append(at, NOTHING, [created("other")], meta())
        assert len(await store.load(at)) == 1

    async def test_of_many_at_once_one_wins(self, store: EventStore):
        at = subject()
        tries = (store.append(at, NOTHING, [created(str(n))], meta()) for n in range(16))
        done = await asyncio.gather(*tries, return_exceptions=True)
        assert sum(isinstance(result, Conflict) for result in done) == 15
        assert len(await store.load(at)) == 1

    async def test_the_same_commit_twice_is_once(self, store: EventStore):
        at, once = subject(), meta()
        first = await store.append(at, NOTHING, [created()], once)
        assert await store.append(at, NOTHING, [created()], once) == first
        assert await store.load(at) == [first]

    async def test_the_same_commit_is_known_behind_others(self, store: EventStore):
        """A retry after an unknown outcome, when others have appended since."""
        at, once = subject(), meta()
        first = await store.append(at, NOTHING, [created()], once)
        await store.append(at, first.head, [ProjectRenamed(name="B")], meta())
        assert await store.append(at, NOTHING, [created()], once) == first
        assert len(await store.load(at)) == 2

    @pytest.mark.parametrize("forgotten", [False, True])
    @pytest.mark.parametrize("others", [0, 1, 3])
    async def test_a_repeat_with_a_fresh_head_appends_nothing(
        self, store: EventStore, others: int, forgotten: bool
    ):
        """A retry long after, by one who has read the aggregate again."""
        at, once = subject(), meta()
        head = (await store.append(at, NOTHING, [created()], meta())).head
        first = await store.append(at, head, [ProjectRenamed(name="A")], once)
        head = first.head
        for _ in range(others):
            head = (await store.append(at, head, [ProjectRenamed(name="B")], meta())).head
        if forgotten:
            await self.forget()
        for _ in range(2):
            assert await store.append(at, head, [ProjectRenamed(name="A")], once) == first
        assert len(await store.load(at)) == 2 + others

    async def test_what_is_looked_for_is_above_what_the_caller_knows(self, store: EventStore):
        at, once = subject(), meta()
        cause = await store.append(at, NOTHING, [created()], meta())
        first = await store.append(at, cause.head, [ProjectRenamed(name="A")], once)
        last = await store.append(at, first.head, [ProjectRenamed(name="B")], meta())
        await self.forget()
        again = await store.append(
            at, last.head, [ProjectRenamed(name="A")], once, since=cause.sequence
        )
        assert again == first
        new = await store.append(
            at, last.head, [ProjectRenamed(name="C")], meta(), since=last.sequence
        )
        assert await store.load(at) == [cause, first, last, new]

    async def test_an_id_used_elsewhere_is_no_success(self, store: EventStore):
        once = meta()
        await store.append(subject(), NOTHING, [created()], once)
        other = subject()
        try:
            commit = await store.append(other, NOTHING, [created()], once)
        except Conflict:
            assert await store.load(other) == []
        else:
            assert await store.load(other) == [commit]

    async def test_too_large_is_refused(self, store: EventStore):
        at = subject()
        with pytest.raises(TooLarge):
            await store.append(at, NOTHING, [created("x" * 600_000)], meta())
        assert await store.load(at) == []

    async def test_a_wrong_expectation_is_a_conflict(self, store: EventStore):
        at = subject()
        first = await store.append(at, NOTHING, [created()], meta())
        ahead = Head(first.sequence + 1000, 2, "")
        with pytest.raises(Conflict):
            await store.append(at, ahead, [ProjectRenamed(name="B")], meta())

    async def test_the_log_is_read_in_order_without_gaps(self, store: EventStore):
        before = await store.last_sequence()
        mine = [await store.append(subject(), NOTHING, [created()], meta()) for _ in range(30)]
        read = [commit async for commit in store.read(before)]
        assert read[: len(mine)] == mine
        middle = [commit async for commit in store.read(before, mine[9].sequence)]
        assert middle == mine[:10]

    async def test_batches_have_what_is_asked_for_and_reach_to_the_end(self, store: EventStore):
        before = await store.last_sequence()
        mine = [await store.append(subject(), NOTHING, [created()], meta()) for _ in range(3)]
        other = await store.append(subject(category="service"), NOTHING, [created()], meta())
        end = other.sequence
        batches = [batch async for batch in store.batches(before, end, ["project"])]
        found = [commit for batch in batches for commit in batch.commits]
        assert [commit for commit in found if commit in mine] == mine
        assert other not in found
        assert batches[-1].end == end
        first = [batch async for batch in store.batches(before, mine[1].sequence, ["project"])]
        assert first[-1].end == mine[1].sequence
        assert [commit for batch in first for commit in batch.commits][-1] == mine[1]

    async def test_a_pattern_reads_some(self, store: EventStore):
        organization = f"org-{uuid.uuid4().hex[:8]}"
        before = await store.last_sequence()
        mine = await store.append(subject(organization), NOTHING, [created()], meta())
        await store.append(subject("org-b"), NOTHING, [created()], meta())
        read = [c async for c in store.read(before, None, f"evt.{organization}.>")]
        assert read == [mine]

    async def test_heads_are_the_last_commits(self, store: EventStore):
        organization = f"org-{uuid.uuid4().hex[:8]}"
        last: set[int] = set()
        for _ in range(12):
            at = subject(organization)
            first = await store.append(at, NOTHING, [created()], meta())
            second = await store.append(at, first.head, [ProjectRenamed(name="B")], meta())
            last.add(second.sequence)
        assert {c.sequence for c in await store.heads(organization, "project")} == last

    async def test_a_follower_sees_what_comes(self, store: EventStore):
        before = await store.last_sequence()
        seen: list[Commit] = []

        async def follow() -> None:
            async for commit in store.follow(before):
                seen.append(commit)
                if len(seen) == 20:
                    return

        follower = asyncio.create_task(follow())
        mine = []
        for number in range(20):
            mine.append(await store.append(subject(), NOTHING, [created()], meta()))
            if number % 5 == 0:
                await asyncio.sleep(0.02)
        await asyncio.wait_for(follower, 10)
        assert seen == mine

    async def test_a_reaction_gets_what_is_not_acknowledged_again(self, store: EventStore):
        at = Subject("org-a", "deployment", str(uuid.uuid4()))
        commit = await store.append(at, NOTHING, [created()], meta())

        async def handed_out() -> Delivery:
            async with store.reaction("builder") as reaction, asyncio.timeout(20):
                async for delivery in reaction.deliveries():
                    if delivery.commit == commit:
                        return delivery
                    await delivery.settle.ack()
            raise AssertionError("ended")

        await handed_out()
        again = await handed_out()
        await again.settle.ack()
