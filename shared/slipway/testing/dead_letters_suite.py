"""The behaviour of dead letters, inherited by a test class for each implementation, which has a
fixture `letters`."""

import asyncio
import uuid
from contextlib import aclosing
from dataclasses import replace

import pytest

from slipway.eventstore.dead_letters import Changed, DeadLetter, DeadLetters, ask_again


def letter(durable: str = "builder") -> DeadLetter:
    subject = f"evt.org.deployment.{uuid.uuid4()}"
    return DeadLetter(durable, uuid.uuid4().int % 10**12, subject, "RuntimeError: no", 8)


async def listed(letters: DeadLetters, like: DeadLetter) -> list[DeadLetter]:
    return [item for item in await letters.list() if item.sequence == like.sequence]


class DeadLettersSuite:
    async def test_what_is_put_is_listed(self, letters: DeadLetters):
        new = letter()
        stored = await letters.put(new)
        assert stored.at.endswith("+00:00")
        assert stored.revision > 0
        assert replace(stored, at="", revision=0) == new
        assert await listed(letters, new) == [stored]

    async def test_a_change_takes_the_former_ones_place(self, letters: DeadLetters):
        stored = await letters.put(letter())
        again = await ask_again(letters, stored)
        done = await letters.put(replace(again, state="done"))
        assert await listed(letters, stored) == [done]

    async def test_a_change_of_what_has_changed_is_refused(self, letters: DeadLetters):
        stored = await letters.put(letter())
        with pytest.raises(Changed):
            await letters.put(replace(stored, revision=0))
        again = await ask_again(letters, stored)
        for stale in (stored, again):
            with pytest.raises(Changed):
                await ask_again(letters, stale)
        with pytest.raises(Changed):
            await ask_again(letters, replace(letter(), revision=10**6))
        assert await listed(letters, stored) == [again]

    async def test_followers_see_their_own_from_the_beginning(self, letters: DeadLetters):
        old, other = await letters.put(letter()), await letters.put(letter("deployer"))
        async with asyncio.timeout(10), aclosing(letters.follow("builder")) as follower:
            seen = [await anext(follower)]
            while old not in seen:  # behind those of other tests
                seen.append(await anext(follower))
            again = await ask_again(letters, old)
            while again not in seen:
                seen.append(await anext(follower))
        assert other not in seen
