"""The read models from nothing: 100,000 events of a log into MongoDB."""

import asyncio
import time
from dataclasses import dataclass

from api_gateway.app import FEATURES
from slipway.contracts import streams
from slipway.eventstore.jetstream import Connection
from slipway.readmodel.mongo import MongoDocuments
from slipway.readmodel.projector import Projector

from tests.bench.history import History
from tests.bench.servers import database, event_store

EVENTS = 100_000


@dataclass(frozen=True, slots=True)
class Rebuilt:
    events: int
    documents: int
    seconds: float

    @property
    def rate(self) -> float:
        return self.events / self.seconds


async def fill(connection: Connection, events: int) -> None:
    """With the headers that the store sends, but without waiting for each answer: this is not
    what is measured."""
    number = 0
    for number, message in enumerate(History().written(events=events), 1):
        headers = {
            "Nats-Expected-Stream": streams.EVENTS,
            "Nats-Expected-Last-Subject-Sequence": str(message.expected),
            "Nats-Msg-Id": message.commit,
        }
        await connection.client.publish(message.subject, message.data, headers=headers)
        if number % 500 == 0:
            await connection.client.flush(30)
    deadline = time.monotonic() + 60
    while (stored := await connection.store.last_sequence()) < number:
        if time.monotonic() > deadline:
            raise RuntimeError(f"{stored} of {number} events were stored")
        await asyncio.sleep(0.1)


async def rebuild(connection: Connection, url: str) -> Rebuilt:
    projector = Projector(
        connection.store, MongoDocuments(url), FEATURES.projections, FEATURES.version
    )
    began = time.perf_counter()
    running = asyncio.create_task(projector.run())
    while projector.progress.status not in ("done", "failed"):
        await asyncio.sleep(0.02)
    seconds = time.perf_counter() - began
    running.cancel()
    if projector.progress.status == "failed":
        raise RuntimeError(projector.progress.error)
    return Rebuilt(projector.progress.of, projector.progress.documents, seconds)


async def measured(events: int = EVENTS) -> Rebuilt:
    async with event_store(synced=False) as connection, database() as url:
        await fill(connection, events)
        return await rebuild(connection, url)
