"""Two processes on one log and one database: one projects and rebuilds, and may be killed."""

import asyncio
import json
import os
import signal
import sys
import uuid
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from slipway.contracts.project import ProjectRenamed
from slipway.eventstore.jetstream import Connection, connect
from slipway.eventstore.store import Commit
from slipway.kernel.envelope import NOTHING
from slipway.readmodel.mongo import MongoDocuments
from slipway.testing.store_suite import created, meta, subject

from tests.containers import ROOT
from tests.contract.conftest import NatsServer
from tests.unit.shared.test_processes import alive, pids

pytestmark = pytest.mark.engine


class Process:
    def __init__(self, child: asyncio.subprocess.Process) -> None:
        self.child = child

    async def ask(self, *words: Any) -> Any:
        assert self.child.stdin is not None
        assert self.child.stdout is not None
        self.child.stdin.write(json.dumps(words).encode() + b"\n")
        return json.loads(await self.child.stdout.readline())

    async def kill(self) -> None:
        self.child.kill()
        await self.child.wait()


class Site:
    """A log with some projects, and a database."""

    def __init__(self, server: NatsServer, mongo_url: str, connection: Connection) -> None:
        self.server, self.mongo_url, self.store = server, mongo_url, connection.store
        self.database = f"t{uuid.uuid4().hex[:10]}"
        self.documents = MongoDocuments(mongo_url, self.database)
        self.children: list[Process] = []

    async def process(self, holder: str, slow: float = 0.0) -> Process:
        password = self.server.passwords["api-gateway"]
        given = [holder, self.server.url, password, self.mongo_url, self.database, str(slow)]
        environment = {**os.environ, "PROJECTING": json.dumps(given)}
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.contract.projecting",
            env=environment, cwd=ROOT, stdin=PIPE, stdout=PIPE, stderr=sys.stderr,
        )  # fmt: skip
        self.children.append(Process(child))
        return self.children[-1]

    async def create(self, name: str) -> Commit:
        return await self.store.append(subject(), NOTHING, [created(name)], meta())

    async def rename(self, commit: Commit, name: str) -> Commit:
        return await self.store.append(
            commit.subject, commit.head, [ProjectRenamed(name=name)], meta()
        )

    async def generations(self) -> set[str]:
        names = await self.documents._database.list_collection_names()
        return {name.partition(".")[0] for name in names} - {"meta"}

    async def building(self) -> str | None:
        state = await self.documents._meta.find_one({"_id": "state"})
        return state.get("building") if state else None


async def until(what: Callable[[], Awaitable[Any]], seconds: float = 40) -> Any:
    async with asyncio.timeout(seconds):
        while not (found := await what()):
            await asyncio.sleep(0.05)
    return found


@asynccontextmanager
async def running(server: NatsServer, mongo_url: str) -> AsyncIterator[Site]:
    connection = await connect(server.url, "admin", server.passwords["admin"])
    site = Site(server, mongo_url, connection)
    try:
        yield site
    finally:
        for process in site.children:
            if process.child.returncode is None:
                await process.kill()
        await site.documents._client.drop_database(site.database)
        site.documents._client.close()
        await connection.close()


async def leads(process: Process) -> bool:
    return (await process.ask("state"))[0]


async def test_a_holder_that_is_killed_while_it_rebuilds_is_replaced(
    nats_server: NatsServer, mongo_url: str
):
    async with running(nats_server, mongo_url) as site:
        made = await site.create("A")
        one = await site.process("one", slow=60)
        await until(lambda: leads(one))
        half = await until(site.building)
        two = await site.process("two")
        await until(lambda: _is(two, [False, False, "none"]))
        await asyncio.sleep(1)
        assert (await site.building()) == half, "what another builds is left alone"
        await one.kill()

        await until(lambda: leads(two))
        await until(lambda: two.ask("wait", made.sequence))
        assert await two.ask("name", made.subject.id) == "A"
        live = (await site.documents.standing()).generation
        assert live != half
        await until(lambda: _only(site, live))


async def test_who_only_reads_is_as_fresh_and_takes_over(nats_server: NatsServer, mongo_url: str):
    async with running(nats_server, mongo_url) as site:
        made = await site.create("A")
        one = await site.process("one")
        await until(lambda: one.ask("wait", made.sequence))
        two = await site.process("two")
        await until(lambda: _is(two, [False, True, "done"]))

        made = await site.rename(made, "B")
        assert await two.ask("wait", made.sequence)
        assert await two.ask("name", made.subject.id) == "B"
        assert await two.ask("heard") == [made.sequence]

        before = (await site.documents.standing()).generation
        await two.ask("rebuild")
        await until(lambda: _other(site, before))
        made = await site.rename(made, "C")
        assert await two.ask("wait", made.sequence)
        assert await two.ask("name", made.subject.id) == "C"
        assert await leads(one)

        await one.kill()
        made = await site.rename(made, "D")
        await until(lambda: two.ask("wait", made.sequence))
        assert await two.ask("name", made.subject.id) == "D"
        assert (await two.ask("heard"))[-2:] == [made.sequence - 1, made.sequence]
        assert await leads(two)


async def test_a_rebuild_outlives_who_was_asked_and_who_did_it(
    nats_server: NatsServer, mongo_url: str
):
    async with running(nats_server, mongo_url) as site:
        made = await site.create("A")
        first = await site.process("zero")
        await until(lambda: first.ask("wait", made.sequence))
        before = (await site.documents.standing()).generation
        await first.kill()
        one = await site.process("one", slow=60)
        await until(lambda: leads(one))
        await one.ask("rebuild")
        await until(site.building)
        two = await site.process("two")
        await until(lambda: two.ask("wait", made.sequence))
        await one.kill()
        await until(lambda: _other(site, before))
        standing = await site.documents.standing()
        assert not standing.asked
        assert standing.progress.differing == 0
        assert await two.ask("name", made.subject.id) == "A"


async def test_processes_that_rebuild_may_be_killed_and_end_with_who_started_them(
    nats_server: NatsServer, mongo_url: str
):
    async with running(nats_server, mongo_url) as site:
        made = await site.create("A")
        one = await site.process("apart one", slow=60)
        first = await until(lambda: _builders(one))
        half = await until(lambda: _half_built(site))
        os.kill(min(first), signal.SIGKILL)
        again = await until(lambda: _builders(one, but=first))
        assert await until(lambda: _half_built(site)) != half, "it is begun anew"
        assert not any(map(alive, first)), "the other one has ended with it"
        await one.kill()
        await until(lambda: _gone(again), 5)

        two = await site.process("apart two")
        await until(lambda: two.ask("wait", made.sequence))
        assert await two.ask("name", made.subject.id) == "A"
        live = (await site.documents.standing()).generation
        site.documents.adopt(live, writable=False)
        assert await site.documents.get("title", made.subject.id)
        assert not await _builders(two)
        await two.ask("rebuild")
        await until(lambda: _other(site, live))
        progress = (await site.documents.standing()).progress
        assert (progress.differing, progress.documents % 2) == (0, 0)
        await until(lambda: _only_live(site))


async def _builders(process: Process, but: set[int] | None = None) -> set[int]:
    """Both, or none."""
    found = pids(process.child.pid) - (but or set())
    return found if len(found) == 2 else set()


async def _half_built(site: Site) -> str | None:
    """The generation in which both have stored something. How much other tests left in the log,
    and so whether that is all of it, does not matter."""
    building = await site.building()
    for collection in ("project", "title"):
        stored = site.documents._database[f"{building}.{collection}"]
        if building and not await stored.find_one():
            return None
    return building


async def _gone(pids: set[int]) -> bool:
    return not any(map(alive, pids))


async def _only_live(site: Site) -> bool:
    return await site.generations() == {(await site.documents.standing()).generation}


async def _is(process: Process, state: list[Any]) -> bool:
    return await process.ask("state") == state


async def _only(site: Site, generation: str | None) -> bool:
    return await site.generations() == {generation}


async def _other(site: Site, generation: str | None) -> bool:
    return (await site.documents.standing()).generation != generation
