"""What is read of the log by a consumer of a fixed name, with the rights of who may have one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest
from slipway.contracts import streams
from slipway.eventstore.jetstream import Connection, JetStreamStore, connect
from slipway.eventstore.stream import Silent
from slipway.kernel.envelope import NOTHING
from slipway.testing.store_suite import created, meta, subject

from tests.contract.conftest import NatsServer

NAME = streams.READERS["api-gateway"][0]

pytestmark = pytest.mark.engine


@pytest.fixture
async def gateway(nats_server: NatsServer) -> AsyncIterator[Connection]:
    password = nats_server.passwords["api-gateway"]
    connection = await connect(nats_server.url, "api-gateway", password)
    yield connection
    await connection.close()


async def written(store: JetStreamStore, *sizes: int) -> tuple[int, int]:
    """The log's sequence before and after."""
    before = await store.last_sequence()
    commits = await asyncio.gather(
        *(
            store.append(subject("o", "project"), NOTHING, [created("x" * size)], meta())
            for size in sizes
        )
    )
    return before, max(commit.sequence for commit in commits)


@pytest.mark.parametrize(
    "sizes",
    [(1,), (1,) * 1700, (400_000,) * 24, (1, *(400_000,) * 11, 1)],
    ids=["one", "many", "more than a request may bring", "a request that ends early"],
)
async def test_it_reads_what_was_written(gateway: Connection, sizes: tuple[int, ...]):
    before, end = await written(gateway.store, *sizes)
    written_ = [commit async for commit in gateway.store.read(before, end)]
    batches = [batch async for batch in gateway.reading(NAME).batches(before, end, {"project"})]
    assert [commit for batch in batches for commit in batch.commits] == written_
    assert (batches[-1].end, len(written_)) == (end, len(sizes))


async def test_another_of_its_name_ends_it(gateway: Connection):
    before, end = await written(gateway.store, *(1,) * 2200)
    async with aclosing(gateway.reading(NAME).batches(before, end, {"project"})) as former:
        await anext(former)
        await anext(former)
        async with aclosing(gateway.reading(NAME).batches(before, end, {"project"})) as newer:
            await anext(newer)
            with pytest.raises(Silent):
                async for _ in former:
                    pass


async def test_an_end_that_is_not_there_is_told(gateway: Connection):
    before, end = await written(gateway.store, 1)
    with pytest.raises(Silent):
        async for _ in gateway.reading(NAME).batches(before, end + 1000, {"project"}):
            pass
