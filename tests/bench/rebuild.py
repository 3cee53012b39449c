"""The read models from nothing, and anew while they are read and written, by a process of its own
whose memory is measured (`python -m tests.bench.rebuild`)."""

import asyncio
import gc
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
from api_gateway.app import FEATURES
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
    """`peak`: MiB of memory that the process had at most. `read` and `shown`: seconds that all but
    one in a hundred reads, and writes until they can be read, took meanwhile."""

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
    environment = {**os.environ, "BENCH_SERVERS": json.dumps([server.url, server.password, url])}
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.rebuild", env=environment, cwd=ROOT, stdout=PIPE
    )
    said, _ = await child.communicate()
    if child.returncode:
        raise RuntimeError(f"the process that rebuilds ended with {child.returncode}")
    return [Rebuilt(**row) for row in json.loads(said)]


# -- the process ----------------------------------------------------------------------------------


def _peak() -> float:
    """MiB, since it was last asked for."""
    status = Path("/proc/self/status").read_text()
    Path("/proc/self/clear_refs").write_text("5")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


async def _ended(projector: Projector) -> None:
    while projector.progress.status not in ("done", "failed"):
        await asyncio.sleep(0.02)
    if projector.progress.status == "failed":
        raise RuntimeError(projector.progress.error)


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
    await _ended(projector)
    done, seconds = projector.progress, time.perf_counter() - began
    return Rebuilt(done.folded, done.documents, seconds, _peak(), done.differing)


async def _process(nats_url: str, password: str, mongo_url: str) -> list[Rebuilt]:
    connection = await connect(nats_url, "admin", password)
    documents = MongoDocuments(mongo_url)
    projector = Projector(connection.store, documents, FEATURES.projections, FEATURES.version)

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

    gc.collect()
    _peak()
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
