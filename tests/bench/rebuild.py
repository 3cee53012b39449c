"""The read models from nothing, and anew while they are read and written, by a process of its own
(`python -m tests.bench.rebuild`) and those which it starts for that. Their memory is measured ten
times a second, as the sum of what is each one's alone and its share of what they share (`Pss`)."""

import asyncio
import json
import logging
import os
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import structlog
import uvloop
from api_gateway.app import FEATURES, apart
from slipway.contracts.project import ProjectCreated
from slipway.eventstore.jetstream import Connection, connect
from slipway.kernel.envelope import NOTHING, Meta, Subject
from slipway.kernel.ids import derived
from slipway.readmodel.mongo import MongoDocuments
from slipway.readmodel.projector import Projector

from tests.bench.history import USER, History, Use
from tests.bench.servers import Server, database, log_server
from tests.containers import ROOT

MOST = 400.0
"""MiB that a gateway which rebuilds may take."""
_PAUSE = 0.02


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """`peak`: MiB of memory that all processes had together at most. `read` and `shown`: seconds
    that all but one in a hundred reads, and writes until they can be read, took meanwhile."""

    events: int
    documents: int
    seconds: float
    peak: float
    differing: int
    read: float = 0.0
    shown: float = 0.0

    @property
    def rate(self) -> float:
        return self.events / self.seconds


async def fill(connection: Connection, use: Use) -> int:
    """Without waiting for each answer: this is not what is measured."""
    number = 0
    for number, message in enumerate(History().written(use), 1):
        await connection.client.publish(message.subject, message.data)
        if number % 500 == 0:
            await connection.client.flush(30)
    deadline = time.monotonic() + 60
    while (stored := await connection.store.last_sequence()) < number:
        if time.monotonic() > deadline:
            raise RuntimeError(f"{stored} of {number} events were stored")
        await asyncio.sleep(0.1)
    return number


async def measured(use: Use) -> list[Rebuilt]:
    """From nothing, and then anew beside what is live."""
    async with log_server(synced=False) as server, database() as url:
        connection = await connect(server.url, "admin", server.password)
        await fill(connection, use)
        await connection.close()
        return await by_a_process(server, url)


async def by_a_process(server: Server, url: str) -> list[Rebuilt]:
    host, password = url.rpartition("@")[2], url.rpartition("@")[0].rpartition(":")[2]
    environment = {
        **os.environ,
        "BENCH_SERVERS": json.dumps([server.url, server.password, url]),
        "SLIPWAY_NATS_URL": server.url,
        "SLIPWAY_NATS_USER": "admin",
        "SLIPWAY_NATS_PASSWORD": server.password,
        "SLIPWAY_MONGO_HOST": host,
        "SLIPWAY_MONGO_PASSWORD": password,
    }
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.rebuild", env=environment, cwd=ROOT, stdout=PIPE
    )
    said, _ = await child.communicate()
    if child.returncode:
        raise RuntimeError(f"the process that rebuilds ended with {child.returncode}")
    return [Rebuilt(**row) for row in json.loads(said)]


# -- the process ----------------------------------------------------------------------------------


def _memory() -> float:
    """MiB, of this process and its children, now."""
    own = os.getpid()
    children = Path(f"/proc/{own}/task/{own}/children").read_text().split()
    return sum(map(_share, [str(own), *children])) / 1024


def _share(pid: str) -> int:
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:  # it has ended
        return 0
    line = next((line for line in rollup.splitlines() if line.startswith("Pss:")), "Pss: 0 kB")
    return int(line.split()[1])


async def _ended(projector: Projector) -> float:
    """The most memory that was seen."""
    most = 0.0
    while projector.progress.status not in ("done", "failed"):
        most = max(most, _memory())
        await asyncio.sleep(0.1)
    if projector.progress.status == "failed":
        raise RuntimeError(projector.progress.error)
    return most


async def _again(times: list[float], work: Callable[[int], Awaitable[object]]) -> None:
    number = 0
    while True:
        began = time.perf_counter()
        await work(number)
        times.append(time.perf_counter() - began)
        number += 1
        await asyncio.sleep(_PAUSE)


def _most(times: list[float]) -> float:
    return sorted(times)[len(times) * 99 // 100] if times else 0.0


async def _rebuilt(projector: Projector) -> Rebuilt:
    began = time.perf_counter()
    most = await _ended(projector)
    done, seconds = projector.progress, time.perf_counter() - began
    return Rebuilt(done.folded, done.documents, seconds, most, done.differing)


async def _process(nats_url: str, password: str, mongo_url: str) -> list[Rebuilt]:
    connection = await connect(nats_url, "admin", password)
    documents = MongoDocuments(mongo_url)
    projector = Projector(
        connection.store, documents, FEATURES.projections, FEATURES.version, apart=apart
    )

    async def read(number: int) -> None:
        organization = derived("organization", number % 10)
        if number % 2:
            await documents.find("service", {"org": organization}, sort="created_at", limit=50)
        else:
            await documents.get("deployment", derived("deployment", number))

    async def write(number: int) -> None:
        """A project, until it can be read."""
        id_ = derived("written", number)
        meta = Meta(derived("commit", number), datetime.now(UTC), USER, id_)
        event = ProjectCreated(name="Written", environment=id_)
        subject = Subject(derived("organization", 0), "project", id_)
        commit = await connection.store.append(subject, NOTHING, [event], meta)
        if not await projector.wait_for(commit.sequence, 10) or not await documents.get(
            "project", id_
        ):
            raise RuntimeError("what was written is not shown")

    running = asyncio.create_task(projector.run())
    first = await _rebuilt(projector)
    await projector.wait_for(first.events, 10)
    reads: list[float] = []
    shown: list[float] = []
    others = [asyncio.create_task(_again(reads, read)), asyncio.create_task(_again(shown, write))]
    projector.ask_rebuild()
    again = await _rebuilt(projector)
    for task in (*others, running):
        if task.done():
            task.result()
        task.cancel()
    await asyncio.gather(*others, running, return_exceptions=True)
    await connection.close()
    return [first, replace(again, read=_most(reads), shown=_most(shown))]


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    rows = uvloop.run(_process(*json.loads(os.environ["BENCH_SERVERS"])))  # as the gateway runs
    sys.stdout.write(json.dumps([asdict(row) for row in rows]))
