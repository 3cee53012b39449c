"""A process that projects, for `test_projector_lease`: it is told what to do on standard input, a
JSON list in a line, and answers with a line. `python -m tests.contract.projecting`; with a number
and the name of a generation behind it, one that builds a part of it."""

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from typing import Any

import structlog
from slipway.eventstore.jetstream import connect
from slipway.readmodel import part
from slipway.readmodel import projector as projector_module
from slipway.readmodel.building import Turn
from slipway.readmodel.model import Document, Progress
from slipway.readmodel.mongo import MongoDocuments
from slipway.readmodel.processes import Processes
from slipway.readmodel.projector import Projector
from slipway.readmodel.rebuild import Rebuild
from slipway.runtime.clock import SystemClock

from tests.contract.test_readmodel import Names


class SlowDocuments(MongoDocuments):
    seconds = 0.0

    async def insert(self, generation: str, collection: str, documents: Sequence[Document]) -> None:
        await super().insert(generation, collection, documents)
        await asyncio.sleep(self.seconds)


class Titles(Names):
    collection = "title"


PROJECTIONS = [Names(), Titles()]


def apart(generation: str, progress: Progress, turn: Turn) -> Processes:
    commands = [[sys.executable, "-m", "tests.contract.projecting", part] for part in "01"]
    return Processes(commands, generation, progress, turn)


async def opened() -> Rebuild:
    _, nats, password, mongo, database, slow = json.loads(os.environ["PROJECTING"])
    connection = await connect(nats, "api-gateway", password)
    documents = SlowDocuments(mongo, database)
    documents.seconds = float(slow)
    projection, generation = PROJECTIONS[int(sys.argv[1])], sys.argv[2]
    return Rebuild(connection.store, documents, [projection], generation, Progress(), part.anyway)


async def main(holder: str, nats: str, password: str, mongo: str, database: str, slow: str) -> None:
    connection = await connect(nats, "api-gateway", password)
    documents = SlowDocuments(mongo, database)
    documents.seconds = float(slow)
    lease = connection.lease("projector", holder, SystemClock(), ttl=4.0)
    if by_processes := holder.startswith("apart"):
        projector_module.APART = 0
    projector = Projector(
        connection.store, documents, PROJECTIONS, "v1", lease, apart if by_processes else None
    )
    heard: list[int] = []
    projector.listeners.append(lambda commit: heard.append(commit.sequence))

    async def answer(word: str, *values: Any) -> Any:
        match word:
            case "wait":
                return await projector.wait_for(values[0], 2.0)
            case "name":
                document = await documents.get("project", values[0])
                return document and document["state"]["name"]
            case "rebuild":
                projector.ask_rebuild()
            case "heard":
                return heard
            case _:
                pass
        return [projector.leads, projector.caught_up, projector.progress.status]

    running = asyncio.create_task(projector.run())
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async for line in reader:
        sys.stdout.write(json.dumps(await answer(*json.loads(line))) + "\n")
        sys.stdout.flush()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await connection.close()


if __name__ == "__main__" and len(sys.argv) > 1:
    part.run(opened)
if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    asyncio.run(main(*json.loads(os.environ["PROJECTING"])))
