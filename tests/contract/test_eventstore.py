"""One behaviour, two stores; and what only the real one can show."""

import asyncio
import secrets
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any, Literal

import nats
import nats.errors
import orjson
import pytest
from slipway.contracts import streams
from slipway.contracts.logs import LogLine
from slipway.contracts.observation import Count, Observation
from slipway.contracts.permissions import SERVICES
from slipway.eventstore import codec
from slipway.eventstore.dead_letters import DeadLetter, DeadLetters, ask_again
from slipway.eventstore.init import make
from slipway.eventstore.jetstream import Connection, JetStreamStore, connect
from slipway.eventstore.memory import MemoryDeadLetters, MemoryStore
from slipway.eventstore.objects import StreamObjects
from slipway.eventstore.reaction import _Settle
from slipway.eventstore.store import Commit, OutcomeUnknown
from slipway.eventstore.stream import Inbox, Message
from slipway.kernel.envelope import NOTHING, Head, Subject
from slipway.runtime import retry
from slipway.runtime.clock import SystemClock
from slipway.runtime.reactor import Reactor, dead_letter
from slipway.testing.dead_letters_suite import DeadLettersSuite, letter
from slipway.testing.store_suite import StoreSuite, created, meta, subject

from tests.contract.conftest import NatsServer


class TestMemory(StoreSuite):
    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore()

    async def test_an_unknown_outcome_is_resolved_by_the_same_commit(self, store: MemoryStore):
        for fault in ("unknown_before", "unknown_after"):
            at, once = subject(), meta()
            store.faults.append(fault)
            with pytest.raises(OutcomeUnknown):
                await store.append(at, NOTHING, [created()], once)
            commit = await store.append(at, NOTHING, [created()], once)
            assert await store.load(at) == [commit]


@pytest.fixture
async def admin(nats_server: NatsServer) -> AsyncIterator[Connection]:
    connection = await connect(nats_server.url, "admin", nats_server.passwords["admin"])
    yield connection
    await connection.close()


@pytest.mark.engine
@pytest.mark.parametrize(("start", "seen"), [("all", 2), ("new", 1)])
async def test_a_durable_begins_where_its_feature_says(
    admin: Connection, monkeypatch: pytest.MonkeyPatch, start: Literal["all", "new"], seen: int
):
    """And stays where it is when what it follows changes."""
    name, js = f"t{uuid.uuid4().hex[:6]}", admin.client.jetstream()
    category = f"c{uuid.uuid4().hex[:6]}"

    async def follows(*categories: str) -> list[str]:
        durable = streams.Durable(name, "builder", categories, start)
        monkeypatch.setattr(streams, "DURABLES", (durable,))
        return await make(js)

    async def append() -> Commit:
        return await admin.store.append(subject("o", category), NOTHING, [created()], meta())

    commits = [await append()]
    assert await follows(category) == [f"consumer {name} made"]
    commits.append(await append())
    assert await follows(category, "other") == [f"consumer {name} changed"]
    assert await follows("other", category) == []
    async with admin.store.reaction(name) as reaction, asyncio.timeout(10):
        deliveries = reaction.deliveries()
        for commit in commits[-seen:]:
            delivery = await anext(deliveries)
            assert delivery.commit == commit
            await delivery.settle.ack()
    await js.delete_consumer(streams.EVENTS, name)


@asynccontextmanager
async def ids_are_known_for(admin: Connection, seconds: float) -> AsyncIterator[None]:
    js = admin.client.jetstream()
    config = (await js.stream_info(streams.EVENTS)).config
    await js.update_stream(config.evolve(duplicate_window=seconds))
    try:
        yield
    finally:
        await js.update_stream(config)


@asynccontextmanager
async def comes_again_after(admin: Connection, seconds: float) -> AsyncIterator[None]:
    """What a builder doesn't acknowledge."""
    js = admin.client.jetstream()
    config = (await js.consumer_info(streams.EVENTS, "builder")).config
    await js.add_consumer(streams.EVENTS, config.evolve(ack_wait=seconds))
    try:
        yield
    finally:
        await js.add_consumer(streams.EVENTS, config)


@pytest.mark.engine
class TestJetStream(StoreSuite):
    @pytest.fixture
    async def store(self, admin: Connection) -> AsyncIterator[JetStreamStore]:
        async with ids_are_known_for(admin, 0.3), comes_again_after(admin, 1):
            yield admin.store

    async def forget(self) -> None:
        await asyncio.sleep(0.6)

    async def test_a_delivery_that_waits_does_not_hold_its_commit(self, store: JetStreamStore):
        at = Subject("org-a", "deployment", str(uuid.uuid4()))
        await store.append(at, NOTHING, [created("x" * 100_000)], meta())
        async with store.reaction("builder") as reaction, asyncio.timeout(10):
            async for delivery in reaction.deliveries():
                settle = delivery.settle
                assert isinstance(settle, _Settle)
                assert not settle._message.data
                await settle.ack()
                if delivery.commit.subject == at:
                    break

    async def test_the_server_itself_forgets_a_commit(self, store: JetStreamStore):
        """Or the suite would show nothing of repeats that come late."""
        at, once = subject(), meta()
        first = await store.append(at, NOTHING, [created()], once)
        await self.forget()
        again = await store.append(at, first.head, [created()], once, since=first.sequence)
        assert await store.load(at) == [first, again]

    async def test_heads_cost_as_many_messages_as_there_are_aggregates(
        self, store: JetStreamStore, admin: Connection, monkeypatch: pytest.MonkeyPatch
    ):
        """2,600 with four commits each; some so large that the server cuts its answers."""
        organization, count = f"org-{uuid.uuid4().hex[:8]}", 2600
        subjects = [Subject(organization, "project", f"{n:06}") for n in range(count)]
        for version in range(1, 5):
            for number, at in enumerate(subjects):
                large = version == 4 and number % 26 == 0
                name = "x" * (300_000 if large else 10)
                data = codec.to_bytes(Head(1, version - 1, ""), [created(name)], meta())
                if number % 100 == 99:  # acknowledged, and so are those before it
                    await admin.client.jetstream().publish(str(at), data)
                else:
                    await admin.client.publish(str(at), data)
        answered = 0
        ask = Inbox.ask

        async def counting(self: Inbox, *given: Any) -> list[Message]:
            nonlocal answered
            answers = await ask(self, *given)
            answered += len(answers)
            return answers

        monkeypatch.setattr(Inbox, "ask", counting)
        heads = await store.heads(organization, "project")
        assert {head.subject for head in heads} == set(subjects)
        assert {head.version for head in heads} == {4}
        assert count <= answered < 1.5 * count

    async def test_what_was_acknowledged_survives_a_kill(
        self, store: JetStreamStore, nats_server: NatsServer
    ):
        acknowledged = []
        killed = asyncio.Event()

        async def write() -> None:
            while not killed.is_set() or len(acknowledged) < 200:
                acknowledged.append(await store.append(subject(), NOTHING, [created()], meta()))

        writers = [asyncio.create_task(write()) for _ in range(4)]
        await asyncio.sleep(0.3)
        await asyncio.to_thread(nats_server.kill)
        await asyncio.to_thread(nats_server.start)
        killed.set()
        await asyncio.wait_for(asyncio.gather(*writers), 60)
        for commit in acknowledged:
            assert await store.load(commit.subject) == [commit]

    async def test_a_follower_outlives_the_server(
        self, store: JetStreamStore, nats_server: NatsServer
    ):
        before = await store.last_sequence()
        follower = store.follow(before)
        first = await store.append(subject(), NOTHING, [created()], meta())
        assert await anext(follower) == first
        await asyncio.to_thread(nats_server.kill)
        await asyncio.to_thread(nats_server.start)
        second = await store.append(subject(), NOTHING, [created()], meta())
        assert await asyncio.wait_for(anext(follower), 20) == second


class TestMemoryDeadLetters(DeadLettersSuite):
    @pytest.fixture
    def letters(self) -> DeadLetters:
        return MemoryDeadLetters(SystemClock())


@pytest.mark.engine
class TestStreamDeadLetters(DeadLettersSuite):
    @pytest.fixture
    def letters(self, admin: Connection) -> DeadLetters:
        return admin.dead_letters

    async def test_what_another_release_wrote_ends_nobody(self, admin: Connection):
        number = uuid.uuid4().int % 10**12
        more = {**asdict(letter()), "sequence": number, "severity": "new in a later release"}
        js = admin.client.jetstream()
        for name, data in ((f"{number}", orjson.dumps(more)), ("0", b"{"), ("1", b'{"state": 1}')):
            await js.publish(f"dead.builder.{name}", data)
        assert (
            len([found for found in await admin.dead_letters.list() if found.sequence == number])
            == 1
        )


@pytest.mark.engine
async def test_a_service_gives_up_and_the_gateway_asks_again(
    nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
):
    """With the rights of each, over what the server forgets nothing of."""
    monkeypatch.setattr(retry, "REACTION", retry.Policy(0.01, 0.02, 3))
    mended = False

    async def handle(commit: Commit) -> None:
        if commit.subject == at and not mended:
            raise RuntimeError("not yet")

    async def letter_of(commit: Commit, state: str) -> DeadLetter:
        async with asyncio.timeout(20):
            while True:
                for found in await gateway.dead_letters.list():
                    if (found.sequence, found.state) == (commit.sequence, state):
                        return found
                await asyncio.sleep(0.05)

    async def run() -> None:
        def key(commit: Commit) -> str:
            return commit.subject.id

        letters = builder.dead_letters
        await Reactor(
            builder.store, "builder", key, handle, dead=dead_letter, letters=letters
        ).run()

    passwords = nats_server.passwords
    builder = await connect(nats_server.url, "builder", passwords["builder"])
    gateway = await connect(nats_server.url, "api-gateway", passwords["api-gateway"])
    at = subject("o", "deployment")
    commit = await gateway.store.append(at, NOTHING, [created()], meta())
    running = asyncio.create_task(run())
    try:
        dead = await letter_of(commit, "dead")
        assert (dead.durable, dead.attempts, dead.error) == ("builder", 3, "RuntimeError: not yet")
        await ask_again(gateway.dead_letters, dead)
        dead = await letter_of(commit, "dead")
        while dead.attempts < 6:
            dead = await letter_of(commit, "dead")
        mended = True
        await ask_again(gateway.dead_letters, dead)
        assert (await letter_of(commit, "done")).attempts == 6
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await builder.close()
        await gateway.close()


@pytest.mark.engine
async def test_a_lease_has_one_holder(admin: Connection):
    clock, name = SystemClock(), f"t{uuid.uuid4().hex[:6]}"

    one, two = (admin.lease(name, holder, clock, ttl=2.0) for holder in ("one", "two"))
    await one.acquire()
    assert one.held
    waiting = asyncio.create_task(two.acquire())
    await asyncio.sleep(0.6)
    assert not two.held
    await one.release()
    await asyncio.wait_for(waiting, 5)
    assert two.held
    assert not one.held
    await two.release()


@pytest.mark.engine
async def test_logs_objects_and_keys(admin: Connection):
    name = uuid.uuid4().hex
    lines = (LogLine(at="2026-01-01T00:00:00Z", text="hello"),)
    await admin.logs.write(f"log.org.build.{name}", lines)
    read = [item async for item in admin.logs.read(f"log.org.build.{name}")]
    assert [batch for _, batch in read] == [lines]
    data = bytes(range(256)) * 8000
    assert await admin.build_logs.get(name) is None
    await admin.build_logs.put(name, data)
    assert await admin.build_logs.get(name) == data
    await admin.keys.put(name, b"wrapped")
    await admin.keys.put(name, b"wrapped")
    assert await admin.keys.get(name) == b"wrapped"
    with pytest.raises(ValueError, match="another key"):
        await admin.keys.put(name, b"other")


@pytest.mark.engine
async def test_an_object_is_kept_for_its_time_and_what_goes_is_counted(admin: Connection):
    stream, name = admin.stream(streams.OBJECTS), uuid.uuid4().hex
    data = secrets.token_bytes(900_000)
    shortly, long = (StreamObjects(stream, "buildlogs", seconds) for seconds in (3, 3600))
    for_ever = StreamObjects(stream, "workloads")
    await long.put(f"{name}-long", data)
    await for_ever.put(name, data)
    await shortly.put(name, data)
    assert await shortly.get(name) == data
    before = await stream.extent()
    async with asyncio.timeout(30):
        while (await stream.extent()).gone < before.gone + 4:  # three chunks and their number
            await asyncio.sleep(0.2)
    assert await shortly.get(name) is None
    assert await long.get(f"{name}-long") == data
    assert await for_ever.get(name) == data
    assert (await stream.extent()).messages == before.messages - 4


@pytest.mark.engine
async def test_what_is_removed_leaves_nothing_in_the_stream(admin: Connection):
    stream, service = admin.stream(streams.OBJECTS), uuid.uuid4().hex
    for deployment in ("d1", "d2"):
        await admin.workloads.put(f"{service}.{deployment}.1", secrets.token_bytes(900_000))
    await admin.workloads.put(f"{service}0.d3.1", b"another's")
    await admin.workloads.remove(service)
    assert await admin.workloads.get(f"{service}.d1.1") is None
    async with asyncio.timeout(30):
        while await stream.subjects(f"obj.workloads.{service}.>"):
            await asyncio.sleep(0.2)
    assert await admin.workloads.get(f"{service}0.d3.1") == b"another's"


@pytest.mark.engine
async def test_half_an_object_is_none(admin: Connection):
    """Its chunks go one after another."""
    name = uuid.uuid4().hex
    await admin.build_logs.put(name, secrets.token_bytes(900_000))
    first = await admin.stream(streams.OBJECTS).last(f"obj.buildlogs.{name}.0")
    assert first is not None
    await admin.client.jetstream().delete_msg(streams.OBJECTS, first.sequence)
    assert await admin.build_logs.get(name) is None


@pytest.mark.engine
async def test_what_the_deployer_sees_the_gateway_hears(nats_server: NatsServer):
    names = ("deployer", "api-gateway", "admin")
    deployer, gateway, admin = [
        await connect(nats_server.url, name, nats_server.passwords[name]) for name in names
    ]
    counts = {"s-web": Count(running=2, healthy=1)}
    now = SystemClock().now()
    one, two = (Observation(at=now, services={name: counts}) for name in "ab")
    await admin.stream(streams.OBSERVED).publish("observed", b'{"at": "of a newer release"}')
    await deployer.observations.put(one)
    following = gateway.observations.follow()
    async with asyncio.timeout(10):
        assert await anext(following) == one
        heard = asyncio.ensure_future(anext(following))
        await deployer.observations.put(two)
        assert await heard == two
    await following.aclose()
    for connection in (deployer, gateway, admin):
        await connection.close()


@pytest.mark.engine
@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_may_only_what_the_table_says(service: str, nats_server: NatsServer):
    refused: list[str] = []

    async def error(problem: Exception) -> None:
        refused.append(str(problem))

    client = await nats.connect(
        nats_server.url,
        user=service,
        password=nats_server.passwords[service],
        inbox_prefix=f"_INBOX_{service}".encode(),
        error_cb=error,
    )
    js = client.jetstream(timeout=0.4)
    id_ = uuid.uuid4().hex
    owned = {c for categories in streams.APPENDS.values() for c in categories}
    mine = set(streams.APPENDS[service])
    readable = codec.to_bytes(NOTHING, [created()], meta())  # others' reactions read it too
    for category in mine:
        await js.publish(f"evt.org-x.{category}.{id_}", readable, timeout=5)
    forbidden = [f"evt.org-x.{category}.{id_}" for category in owned - mine]
    forbidden += [
        "$JS.API.STREAM.CREATE.MINE",
        "$JS.API.STREAM.UPDATE.EVENTS",
        "$JS.API.STREAM.DELETE.EVENTS",
        "$JS.API.STREAM.PURGE.EVENTS",
        "$JS.API.STREAM.MSG.DELETE.EVENTS",
        f"$JS.API.CONSUMER.CREATE.EVENTS.{service}-own",
        f"$JS.API.CONSUMER.DURABLE.CREATE.EVENTS.{service}-own",
        "$JS.API.CONSUMER.DELETE.EVENTS.builder",
        "$JS.API.CONSUMER.CREATE.EVENTS.builder",
    ]
    forbidden += [
        f"$JS.API.CONSUMER.{verb}.EVENTS.{name}"
        for reader, names in streams.READERS.items()
        for name in names
        for verb in ("CREATE", "DELETE", "MSG.NEXT")
        if reader != service
    ]
    forbidden += [
        f"$JS.API.CONSUMER.MSG.NEXT.EVENTS.{durable.name}"
        for durable in streams.DURABLES
        if durable.service != service
    ]
    # The gateway alone may touch others' dead letters: it asks for them again.
    for durable in streams.DURABLES:
        name = f"dead.{durable.name}.{uuid.uuid4().int % 10**12}"
        if service in (durable.service, "api-gateway"):
            data = orjson.dumps(asdict(letter(durable.name)))
            await js.publish(name, data, timeout=5)
        else:
            forbidden.append(name)
    forbidden += [
        f"lease.{name}"
        for name in ("projector", "builder", "deployer", "proxy-sync")
        if f"lease.{name}" not in streams.BESIDE[service]
    ]
    if service != "deployer":
        forbidden.append("observed")
    if service != "api-gateway":
        forbidden.append("$JS.API.DIRECT.GET.OBSERVED")
        await client.subscribe("observed")
    for name in forbidden:
        await client.publish(name, b"{}", reply=client.new_inbox())
    await client.flush()
    await asyncio.sleep(0.2)
    for name in forbidden:
        assert any(name.lower() in text.lower() for text in refused), f"{name} was not refused"
    heard = not any('subscription to "observed"' in text.lower() for text in refused)
    assert heard is (service == "api-gateway")
    await client.close()
