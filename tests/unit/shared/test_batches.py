"""Batches of the log as JetStream gives them: a gap is seen also where nobody folds."""

from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from slipway.eventstore import codec
from slipway.eventstore.jetstream import JetStreamStore
from slipway.eventstore.store import Damaged
from slipway.eventstore.stream import Message
from slipway.kernel.envelope import NOTHING
from slipway.testing.store_suite import created, meta

DATA = codec.to_bytes(NOTHING, [created()], meta())


class Pages:
    def __init__(self, *pages: list[Message]) -> None:
        self._pages = pages

    async def pages(self, *_: Any) -> AsyncIterator[list[Message]]:
        for page in self._pages:
            yield page


def message(sequence: int, category: str, data: bytes = DATA) -> Message:
    return Message(f"evt.org.{category}.a", sequence, data, 1)


async def read(*pages: list[Message]) -> list[int]:
    store = JetStreamStore(cast(Any, None), cast(Any, Pages(*pages)))
    batches = [batch async for batch in store.batches(3, 9, {"project"})]
    assert [batch.end for batch in batches] == [page[-1].sequence for page in pages]
    return [commit.sequence for batch in batches for commit in batch.commits]


async def test_what_nobody_asks_for_is_not_decoded():
    assert await read(
        [message(4, "project"), message(5, "other", b"no commit")], [message(6, "project")]
    ) == [4, 6]


@pytest.mark.parametrize(
    "pages",
    [
        [[message(5, "project")]],
        [[message(4, "other"), message(6, "other")]],
        [[message(4, "other")], [message(6, "project")]],
    ],
)
async def test_a_gap_is_damage(pages: list[list[Message]]):
    with pytest.raises(Damaged, match=r"after sequence [34] the log goes on with [56]"):
        await read(*pages)
