"""Deciding and appending once, and what is seen of it at once."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import orjson
import pytest
from api_gateway import names
from api_gateway.ahead import Ahead
from api_gateway.app import FEATURES
from api_gateway.deployments.domain import DEPLOYMENT
from api_gateway.gateway import Gateway
from api_gateway.identity import domain as identity
from api_gateway.listener import Listener
from api_gateway.names import NameTaken
from api_gateway.projects import domain
from api_gateway.projects.domain import ENVIRONMENT, PROJECT
from api_gateway.projects.tree import Tree, Trees
from api_gateway.request_context import KeyReused, RequestContext
from api_gateway.services import domain as services
from api_gateway.services.domain import SERVICE
from api_gateway.settings import GatewaySettings
from slipway.contracts.rollout import RolloutState, RolloutStopped, RolloutSucceeded
from slipway.eventstore import codec
from slipway.eventstore.memory import (
    MemoryDeadLetters,
    MemoryKeys,
    MemoryLogs,
    MemoryObjects,
    MemoryStore,
)
from slipway.eventstore.store import Commit
from slipway.kernel.decider import Decider
from slipway.kernel.envelope import NOTHING, Actor, Head, Meta, Subject
from slipway.kernel.errors import PreconditionFailed, Unavailable
from slipway.readmodel import cursor as cursors
from slipway.readmodel.memory import MemoryDocuments
from slipway.readmodel.model import Away, Document, Progress
from slipway.readmodel.projector import Projector
from slipway.runtime.clock import SystemClock
from slipway.testing.releases import release

from tests.unit.api_gateway.test_deployments import REQUEST
from tests.unit.api_gateway.test_services import CREATE

ORGANIZATION = str(uuid4())


class Documents(MemoryDocuments):
    """Counts what is asked, and can be slow to store, or away."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.away = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def get(self, collection: str, id_: str) -> Document | None:
        self.asked.append(collection)
        return await super().get(collection, id_)

    async def find(self, collection: str, where: Any, **options: Any) -> Any:
        self.asked.append(collection)
        return await super().find(collection, where, **options)

    async def put(self, collection: str, documents: Any) -> None:
        await self.gate.wait()
        if self.away:
            raise Away
        await super().put(collection, documents)


class Forgetful(MemoryStore):
    """What stands below what is expected is only found where it is looked for."""

    def forgotten(self, commit: Commit, expected: Head, since: int) -> bool:
        return commit.sequence <= min(since, expected.sequence)


@pytest.fixture
async def documents() -> Documents:
    documents = Documents()
    generation = await documents.create()
    await documents.make_live(generation, "v1", Progress("done"))
    documents.adopt(generation, writable=True)
    return documents


@pytest.fixture
def gateway(documents: Documents) -> Gateway:
    """Without a projector that runs: what is seen is what the gateway itself shows."""
    store = Forgetful()
    return Gateway(
        store=store,
        documents=documents,
        projector=Projector(store, documents, FEATURES.projections, "v1"),
        logs=MemoryLogs(),
        build_logs=MemoryObjects(),
        job_logs=MemoryObjects(),
        keys=MemoryKeys(),
        dead_letters=MemoryDeadLetters(SystemClock()),
        clock=SystemClock(),
        settings=GatewaySettings(),
        projections=FEATURES.projections,
        memories=FEATURES.memories,
    )


@pytest.fixture
async def projecting(gateway: Gateway) -> AsyncIterator[Gateway]:
    running = asyncio.create_task(gateway.projector.run())
    yield gateway
    running.cancel()


def context(gateway: Gateway, key: str | None = None, digest: str = "") -> RequestContext:
    return RequestContext(
        id=key or str(uuid4()),
        actor=Actor("user", "u1"),
        at=gateway.clock.now(),
        organization=ORGANIZATION,
        keyed=key is not None,
        digest=digest,
    )


async def project(gateway: Gateway, ctx: RequestContext, id_: str, name: str = "Shop") -> Any:
    command = domain.CreateProject(name, "e1")
    return await gateway.commands.handle(ctx, PROJECT, id_, command, step="create", new=True)


async def test_a_repeated_request_is_carried_out_once(gateway: Gateway):
    id_ = str(uuid4())
    first = await project(gateway, context(gateway, "k1", "body"), id_)
    again = context(gateway, "k1", "body")
    assert await project(gateway, again, id_) == first
    assert again.sequence == first.head.sequence
    with pytest.raises(KeyReused):
        await project(gateway, context(gateway, "k1", "other body"), id_)
    assert await gateway.store.last_sequence() == 1


@pytest.mark.parametrize("others", [3, 201])
async def test_a_repeat_behind_many_others_is_carried_out_once(gateway: Gateway, others: int):
    """More than are remembered here, long after the log's server forgot it."""
    id_ = str(uuid4())
    await project(gateway, context(gateway), id_)

    async def rename(ctx: RequestContext, name: str) -> Any:
        return await gateway.commands.handle(ctx, PROJECT, id_, domain.Rename(name))

    await rename(context(gateway, "k1", "body"), "A")
    for number in range(others):
        await rename(context(gateway), f"n{number}")
    again = await rename(context(gateway, "k1", "body"), "A")
    assert again.state.name == f"n{others - 1}"
    with pytest.raises(KeyReused):
        await rename(context(gateway, "k1", "other body"), "B")
    assert await gateway.store.last_sequence() == 2 + others


async def test_who_loses_a_race_decides_again(gateway: Gateway):
    id_ = str(uuid4())
    await project(gateway, context(gateway), id_)
    renames = [
        gateway.commands.handle(context(gateway), PROJECT, id_, domain.Rename(f"n{number}"))
        for number in range(4)
    ]
    done = await asyncio.gather(*renames)
    assert sorted(outcome.head.version for outcome in done) == [2, 3, 4, 5]


async def test_what_is_taken_for_new_may_be_there(gateway: Gateway):
    """By another process: this one's memory does not know it."""
    id_ = str(uuid4())
    made = await project(gateway, context(gateway), id_)
    gateway.commands._cache.clear()
    again = await project(gateway, context(gateway), id_, "Other")
    assert again.state == made.state
    assert await gateway.store.last_sequence() == 1


async def test_an_etag_of_before_is_refused(gateway: Gateway):
    id_ = str(uuid4())
    await project(gateway, context(gateway), id_)
    stale = context(gateway)
    stale.if_match = 3
    with pytest.raises(PreconditionFailed):
        await gateway.commands.handle(stale, PROJECT, id_, domain.Rename("B"))
    stale.if_match = 1
    await gateway.commands.handle(stale, PROJECT, id_, domain.Rename("B"))


async def test_a_lost_answer_of_the_log_is_not_called_a_success(gateway: Gateway):
    assert isinstance(gateway.store, MemoryStore)
    gateway.store.faults = ["unknown_after"]
    id_, ctx = str(uuid4()), context(gateway, "k1")
    with pytest.raises(Unavailable):
        await project(gateway, ctx, id_)
    assert (await project(gateway, context(gateway, "k1"), id_)).state.name == "Shop"
    assert await gateway.store.last_sequence() == 1


async def test_what_was_written_is_read_once_it_is_stored(documents: Documents):
    ahead = Ahead(documents, ())
    documents.gate.clear()
    ahead.store("token", {"_id": "t1", "_seq": 1, "state": {}})
    reading = asyncio.create_task(ahead.get("token", "t1"))
    await asyncio.sleep(0.01)
    assert not reading.done()
    assert await ahead.get("user", "t1") is None, "other collections do not wait"
    documents.gate.set()
    assert await reading == {"_id": "t1", "_seq": 1, "state": {}}


async def test_a_write_does_not_need_the_database(gateway: Gateway, documents: Documents):
    documents.away = True
    id_ = str(uuid4())
    await project(gateway, context(gateway), id_)
    assert (await gateway.commands.state(PROJECT, ORGANIZATION, id_)).name == "Shop"
    await asyncio.sleep(0)


async def make_token(gateway: Gateway, hash_: str) -> str:
    id_, ctx = str(uuid4()), context(gateway)
    command = identity.CreateToken("ci", "owner", hash_, "u1", None)
    await gateway.commands.handle(ctx, identity.TOKEN, id_, command, step="create")
    return id_


async def test_a_token_is_looked_up_once_until_something_changes(
    gateway: Gateway, documents: Documents
):
    id_ = await make_token(gateway, "h1")
    for _ in range(3):
        found = await gateway.credentials.token("h1")
        assert found is not None
        assert not found["state"]["revoked"]
    assert documents.asked.count("token") == 1
    await gateway.commands.handle(context(gateway), identity.TOKEN, id_, identity.Revoke())
    found = await gateway.credentials.token("h1")
    assert found is not None
    assert found["state"]["revoked"]
    assert await gateway.credentials.token("guess") is None


async def test_a_look_up_that_met_a_change_is_not_kept(gateway: Gateway, documents: Documents):
    id_ = await make_token(gateway, "h1")
    await gateway.credentials.token("other")  # everything is stored by now
    documents.gate.clear()
    await gateway.commands.handle(context(gateway), identity.TOKEN, id_, identity.Revoke())
    looking = asyncio.create_task(gateway.credentials.token("h1"))
    await asyncio.sleep(0.01)
    documents.gate.set()
    await looking
    found = await gateway.credentials.token("h1")
    assert found is not None
    assert found["state"]["revoked"]


async def test_a_tree_has_what_was_written_and_what_others_say(projecting: Gateway):
    gateway = projecting
    ctx, id_, environment = context(gateway), str(uuid4()), str(uuid4())
    assert (await gateway.memory(Trees).of(ORGANIZATION)).project(id_) is None
    await gateway.commands.handle(
        ctx, ENVIRONMENT, environment, domain.CreateEnvironment(id_, "Production"), step="e"
    )
    await project(gateway, ctx, id_)
    shown = (await gateway.memory(Trees).of(ORGANIZATION)).project(id_)
    assert shown is not None
    assert [one["name"] for one in shown["environments"]] == ["Production"]
    await gateway.commands.handle(ctx, PROJECT, id_, domain.Rename("B"))
    tree = await gateway.memory(Trees).of(ORGANIZATION)
    assert tree.page(None, 10) == ([tree._json(id_)], None)
    assert b'"name":"B"' in tree._json(id_)


async def test_a_tree_is_read_again_where_others_changed_it(projecting: Gateway):
    """Another process renames, and the deployer says that something serves."""
    gateway, environment, service = projecting, str(uuid4()), str(uuid4())
    ctx, id_ = context(gateway), str(uuid4())
    await project(gateway, ctx, id_)
    await gateway.commands.handle(
        ctx, ENVIRONMENT, environment, domain.CreateEnvironment(id_, "Production"), step="e"
    )
    create = replace(CREATE, project=id_, environment=environment)
    await gateway.commands.handle(ctx, SERVICE, service, create, step="a")
    before = (await gateway.memory(Trees).of(ORGANIZATION)).environment(environment)
    assert before is not None
    assert before["services"][0]["status"] == "not deployed"
    serving = RolloutSucceeded(
        service=service,
        kind="application",
        deployment="d1",
        state=RolloutState(serving=release("d1")),
    )
    at = Subject(ORGANIZATION, "rollout", service)
    meta = Meta("c1", gateway.clock.now(), Actor("service", "deployer"), "d1")
    commit = await gateway.store.append(at, NOTHING, [serving], meta)
    assert await gateway.projector.wait_for(commit.sequence, 5)
    after = (await gateway.memory(Trees).of(ORGANIZATION)).environment(environment)
    assert after is not None
    assert after["services"][0]["status"] == "running"


async def test_what_comes_and_goes_while_nobody_looks_is_not_remembered(projecting: Gateway):
    gateway = projecting
    trees = gateway.memory(Trees)
    await project(gateway, context(gateway), id_ := str(uuid4()))
    before = await trees.of(ORGANIZATION)
    meta = Meta("c1", gateway.clock.now(), Actor("service", "deployer"), "d1")
    for number in range(2500):
        at, event = Subject(ORGANIZATION, "rollout", f"s{number}"), RolloutState()
        said = RolloutStopped(service=at.id, kind="application", state=event)
        stored = codec.to_bytes(NOTHING, [said], meta)
        trees.folded(codec.from_bytes(str(at), number + 1, stored))
        assert len(before.stale) <= 1001
    after = await trees.of(ORGANIZATION)
    assert after is not before
    assert after.project(id_) is not None
    assert (await trees.of(ORGANIZATION), after.stale) == (after, set())


async def test_a_tree_outlives_a_rebuild(projecting: Gateway):
    gateway, ctx, first = projecting, context(projecting), str(uuid4())
    await project(gateway, ctx, first)
    before = (await gateway.memory(Trees).of(ORGANIZATION)).page(None, 10)
    gateway.projector.ask_rebuild()
    later, second = context(gateway), str(uuid4())
    later.at += timedelta(seconds=1)  # what is made in one millisecond is in the order of its ids
    await project(gateway, later, second)
    during, _ = (await gateway.memory(Trees).of(ORGANIZATION)).page(None, 10)
    assert during[: len(before[0])] == before[0]
    assert len(during) == 2
    async with asyncio.timeout(10):
        while gateway.projector.progress.status != "done":
            await asyncio.sleep(0.01)
    after, _ = (await gateway.memory(Trees).of(ORGANIZATION)).page(None, 10)
    assert after == during


async def test_projects_come_in_pages_in_the_order_of_their_making(gateway: Gateway):
    await gateway.memory(Trees).of(ORGANIZATION)
    made = [str(uuid4()) for _ in range(5)]
    for number in (3, 0, 4, 1, 2):  # others' clocks differ
        ctx = context(gateway)
        ctx.at += timedelta(seconds=number)
        await project(gateway, ctx, made[number], f"p{number}")
    tree = await gateway.memory(Trees).of(ORGANIZATION)
    seen: list[str] = []
    cursor = None
    while True:
        items, cursor = tree.page(cursors.decode(cursor) if cursor else None, 2)
        seen += [orjson.loads(item)["id"] for item in items]
        if cursor is None:
            break
    assert seen == made
    await gateway.commands.handle(context(gateway), PROJECT, made[1], domain.RequestDeletion())
    await gateway.commands.handle(context(gateway), PROJECT, made[1], domain.FinishDeletion())
    items, _ = (await gateway.memory(Trees).of(ORGANIZATION)).page(None, 10)
    assert [orjson.loads(item)["id"] for item in items] == [made[0], *made[2:]]


async def test_a_claim_that_nobody_took_up_is_taken_over_after_a_minute(gateway: Gateway):
    lost, owner = str(uuid4()), str(uuid4())
    await names.claim(gateway.commands, context(gateway), "p1", "Staging", ENVIRONMENT, lost)
    soon = context(gateway)
    soon.at += timedelta(seconds=30)
    with pytest.raises(NameTaken):
        await names.claim(gateway.commands, soon, "p1", "staging", ENVIRONMENT, owner)
    late = context(gateway)
    late.at += timedelta(seconds=61)
    await names.claim(gateway.commands, late, "p1", "staging", ENVIRONMENT, owner)


async def test_a_name_in_use_is_never_taken_over(gateway: Gateway):
    owner, ctx = str(uuid4()), context(gateway)
    await names.claim(gateway.commands, ctx, "p1", "Staging", ENVIRONMENT, owner)
    command = domain.CreateEnvironment("p1", "Staging")
    await gateway.commands.handle(ctx, ENVIRONMENT, owner, command, step="environment")
    late = context(gateway)
    late.at += timedelta(days=1)
    with pytest.raises(NameTaken):
        await names.claim(gateway.commands, late, "p1", "Staging", ENVIRONMENT, str(uuid4()))
    await gateway.commands.handle(ctx, ENVIRONMENT, owner, domain.Rename("Other"), step="rename")
    await names.claim(gateway.commands, late, "p1", "Staging", ENVIRONMENT, str(uuid4()))


async def test_a_refused_rename_frees_the_new_name(gateway: Gateway):
    owner, ctx = str(uuid4()), context(gateway)
    with pytest.raises(PreconditionFailed):
        async with names.moved(gateway.commands, ctx, "p1", "Old", "New", ENVIRONMENT, owner):
            raise PreconditionFailed("changed since")
    await names.claim(gateway.commands, context(gateway), "p1", "New", ENVIRONMENT, str(uuid4()))


async def made(gateway: Gateway) -> tuple[str, str, str]:
    """A project with an environment with a service."""
    ctx, id_, environment, service = context(gateway), str(uuid4()), str(uuid4()), str(uuid4())
    await project(gateway, ctx, id_)
    await gateway.commands.handle(
        ctx, ENVIRONMENT, environment, domain.CreateEnvironment(id_, "Production"), step="e"
    )
    create = replace(CREATE, project=id_, environment=environment)
    await gateway.commands.handle(ctx, SERVICE, service, create, step="a")
    return id_, environment, service


async def serves(gateway: Gateway, service: str) -> int:
    """Somebody else says so; the sequence of it."""
    at = Subject(ORGANIZATION, "rollout", service)
    head = await gateway.store.head(at)
    meta = Meta(str(uuid4()), gateway.clock.now(), Actor("service", "deployer"), "d1")
    event = RolloutSucceeded(
        service=service, kind="application", deployment="d1", state=RolloutState()
    )
    return (await gateway.store.append(at, head.head if head else NOTHING, [event], meta)).sequence


async def deleted(gateway: Gateway, decider: Decider[Any, Any, Any], rules: Any, id_: str) -> None:
    for command in (rules.RequestDeletion(), rules.FinishDeletion()):
        await gateway.commands.handle(context(gateway), decider, id_, command)


def held(tree: Tree) -> int:
    inside = sum(map(len, tree._inside.values())) + len(tree._inside)
    return sum(map(len, tree._parts.values())) + inside + len(tree._order) + len(tree._rendered)


async def test_a_tree_forgets_what_is_deleted(projecting: Gateway):
    gateway = projecting
    tree = await gateway.memory(Trees).of(ORGANIZATION)
    for _ in range(3):
        id_, environment, service = await made(gateway)
        await gateway.projector.wait_for(await serves(gateway, service), 5)
        tree = await gateway.memory(Trees).of(ORGANIZATION)
        assert tree.page(None, 10)[0]
        await deleted(gateway, SERVICE, services, service)
        await deleted(gateway, ENVIRONMENT, domain, environment)
        await deleted(gateway, PROJECT, domain, id_)
        await gateway.projector.wait_for(await serves(gateway, service), 5)
        tree = await gateway.memory(Trees).of(ORGANIZATION)
        assert held(tree) == 0


async def test_a_tree_asks_for_the_rollouts_of_what_is_there(
    projecting: Gateway, documents: Documents
):
    gateway = projecting
    _, environment, service = await made(gateway)
    for other in (service, str(uuid4()), str(uuid4())):
        await gateway.projector.wait_for(await serves(gateway, other), 5)
    documents.asked.clear()
    tree = await gateway.memory(Trees).of(ORGANIZATION)
    assert list(tree._parts["rollout"]) == [service]
    assert "rollout" not in documents.asked, "those of gone services are not looked through"
    assert tree.environment(environment) is not None


async def test_the_newest_deployment_is_stored_by_who_asks_for_it(gateway: Gateway):
    """The projector does not run."""
    service, id_ = str(uuid4()), str(uuid4())
    wanted = replace(REQUEST, service=service)
    ctx = context(gateway, "k1")
    await gateway.commands.handle(ctx, DEPLOYMENT, id_, wanted, step="request", new=True)
    newest = await gateway.documents.get("newest", service)
    assert newest is not None
    assert (newest["deployment"], newest["org"]) == (id_, ORGANIZATION)
    assert await gateway.documents.get("deployment", id_) is not None


class Ears(Listener):
    def __init__(self) -> None:
        self.heard: list[tuple[str, int, int]] = []

    def written(self, commit: Commit, document: Document) -> None:
        self.heard.append(("written", commit.sequence, document["version"]))

    def folded(self, commit: Commit) -> None:
        self.heard.append(("folded", commit.sequence, 0))


async def test_who_listens_hears_of_every_write_and_fold(documents: Documents):
    store = MemoryStore()
    projector = Projector(store, documents, FEATURES.projections, "v1")
    ears = Ears()
    gateway = Gateway(
        store=store, documents=documents, projector=projector, logs=MemoryLogs(),
        build_logs=MemoryObjects(), job_logs=MemoryObjects(), keys=MemoryKeys(),
        dead_letters=MemoryDeadLetters(SystemClock()), clock=SystemClock(),
        settings=GatewaySettings(), projections=FEATURES.projections, memories=(lambda *_: ears,),
    )  # fmt: skip
    running = asyncio.create_task(projector.run())
    id_ = str(uuid4())
    await project(gateway, context(gateway, "k1"), id_)
    assert ears.heard == [("written", 1, 1)], "before anybody folds"
    await gateway.commands.handle(context(gateway), PROJECT, id_, domain.Rename("B"))
    assert await projector.wait_for(2, 5)
    running.cancel()
    assert ears.heard[1:] == [("written", 2, 2), ("folded", 1, 0), ("folded", 2, 0)]
    await project(gateway, context(gateway, "k1"), id_)
    assert ears.heard[4:] == [("written", 2, 2)], "a repeat tells it once more"
