"""A deletion ends, whatever becomes of the reactions to it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from api_gateway import documents as readers
from api_gateway.app import FEATURES, reactor
from api_gateway.gateway import Gateway
from api_gateway.projects import domain, react
from api_gateway.projects.domain import ENVIRONMENT, PROJECT
from api_gateway.request_context import RequestContext
from api_gateway.services import domain as services
from api_gateway.services.domain import SERVICE
from api_gateway.settings import GatewaySettings
from slipway.contracts.event import Event
from slipway.contracts.rollout import NetworkRemoved, RolloutRemoved, RolloutState
from slipway.eventstore.memory import (
    MemoryDeadLetters,
    MemoryKeys,
    MemoryLogs,
    MemoryObjects,
    MemoryStore,
)
from slipway.kernel.envelope import NOTHING, Actor, Meta, Subject
from slipway.readmodel.memory import MemoryDocuments
from slipway.readmodel.model import Away, Document, Page, Standing
from slipway.readmodel.projector import Projector
from slipway.runtime.clock import SystemClock

from tests.unit.api_gateway.test_services import CREATE

ORGANIZATION, PARENT, INNER, LEAF = (str(uuid4()) for _ in range(4))


class Documents(MemoryDocuments):
    away = False

    def _there(self) -> None:
        if self.away:
            raise Away("nobody answers")

    async def standing(self) -> Standing:
        self._there()
        return await super().standing()

    async def get(self, collection: str, id_: str) -> Document | None:
        self._there()
        return await super().get(collection, id_)

    async def get_many(self, collection: str, ids: Sequence[str]) -> dict[str, Document]:
        self._there()
        return await super().get_many(collection, ids)

    async def find(self, collection: str, where: Any, **options: Any) -> Page:
        self._there()
        return await super().find(collection, where, **options)

    async def put(self, collection: str, documents: Sequence[Document]) -> None:
        self._there()
        await super().put(collection, documents)


class Stage:
    def __init__(self) -> None:
        self.store, self.documents = MemoryStore(), Documents()
        self.projector = Projector(self.store, self.documents, FEATURES.projections, "v1")
        self.letters = MemoryDeadLetters(SystemClock())
        self.gateway = Gateway(
            store=self.store, documents=self.documents, projector=self.projector,
            logs=MemoryLogs(), build_logs=MemoryObjects(), job_logs=MemoryObjects(),
            keys=MemoryKeys(), dead_letters=self.letters, clock=SystemClock(),
            settings=GatewaySettings(), projections=FEATURES.projections,
            memories=FEATURES.memories,
        )  # fmt: skip

    async def handle(self, decider: Any, id_: str, command: Any) -> None:
        ctx = RequestContext(
            str(uuid4()), Actor("user", "u1"), self.gateway.clock.now(), ORGANIZATION
        )
        await self.gateway.commands.handle(ctx, decider, id_, command, step="test")

    async def say(self, category: str, id_: str, event: Event) -> None:
        """As another service says it."""
        subject = Subject(ORGANIZATION, category, id_)
        head = await self.store.head(subject)
        meta = Meta(str(uuid4()), self.gateway.clock.now(), Actor("service", "t"), "c")
        await self.store.append(subject, head.head if head else NOTHING, [event], meta)

    async def phase(self, decider: Any, id_: str) -> str:
        return (await self.gateway.commands.state(decider, ORGANIZATION, id_)).phase

    async def until(self, decider: Any, id_: str, phase: str) -> None:
        async with asyncio.timeout(10):
            while await self.phase(decider, id_) != phase:
                await asyncio.sleep(0.01)

    async def until_handled(self) -> None:
        end = await self.store.last_sequence()
        async with asyncio.timeout(10):
            while end not in self.store._acknowledged.get("api-gateway", ()):
                await asyncio.sleep(0.01)


@pytest.fixture
async def stage(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    """A project with an environment and a service in it."""
    monkeypatch.setattr(readers, "_BEHIND", 0.05)
    monkeypatch.setattr(react, "_LOOK", 0.02)
    monkeypatch.setattr(react, "_ALONE", timedelta(0))
    stage = Stage()
    running = [
        asyncio.create_task(stage.projector.run()),
        asyncio.create_task(reactor(stage.gateway, FEATURES).run()),
    ]
    await stage.handle(PROJECT, PARENT, domain.CreateProject("Shop", INNER))
    await stage.handle(ENVIRONMENT, INNER, domain.CreateEnvironment(PARENT, "Production"))
    create = services.Create(PARENT, INNER, "web", *_rest())
    await stage.handle(SERVICE, LEAF, create)
    assert await stage.projector.wait_for(await stage.store.last_sequence(), 5)
    yield stage
    for task in running:
        task.cancel()


def _rest() -> tuple[Any, ...]:
    return CREATE.settings, CREATE.webhook_token, CREATE.webhook_hash


async def looking(stage: Stage) -> "asyncio.Task[None]":
    return asyncio.create_task(react.look_again(stage.gateway))


async def test_a_deletion_ends_though_the_views_were_away_all_the_time(stage: Stage):
    """From when it was asked for until long after its reactions have been handled."""
    stage.documents.away = True
    await stage.handle(PROJECT, PARENT, domain.RequestDeletion())
    await stage.until_handled()
    assert await stage.phase(ENVIRONMENT, INNER) == "active"
    looks = await looking(stage)
    await asyncio.sleep(0.1)
    stage.documents.away = False
    await stage.until(SERVICE, LEAF, "deleting")
    stage.documents.away = True
    removed = RolloutRemoved(service=LEAF, kind="application", state=RolloutState(removed=True))
    await stage.say("rollout", LEAF, removed)
    await stage.say("network", INNER, NetworkRemoved(name="n"))
    await stage.until_handled()
    assert await stage.phase(PROJECT, PARENT) == "deleting"
    stage.documents.away = False
    await stage.until(PROJECT, PARENT, "deleted")
    assert await stage.phase(SERVICE, LEAF) == await stage.phase(ENVIRONMENT, INNER) == "deleted"
    assert await stage.letters.list() == []
    looks.cancel()


async def test_nothing_is_finished_before_it_has_gone(stage: Stage):
    """However often it is looked at."""
    await stage.handle(PROJECT, PARENT, domain.RequestDeletion())
    await stage.until(SERVICE, LEAF, "deleting")
    looks = await looking(stage)
    await stage.until_handled()
    end = await stage.store.last_sequence()
    await asyncio.sleep(0.3)
    assert await stage.store.last_sequence() == end
    for decider, id_ in ((SERVICE, LEAF), (ENVIRONMENT, INNER), (PROJECT, PARENT)):
        assert await stage.phase(decider, id_) == "deleting"
    looks.cancel()


async def test_one_deletion_that_fails_keeps_no_other(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
):
    other = str(uuid4())
    await stage.handle(PROJECT, other, domain.CreateProject("Other", str(uuid4())))
    going, seen = react._go_on, []

    async def broken(gateway: Gateway, decider: Any, document: Document) -> None:
        seen.append(document["_id"])
        if document["_id"] == LEAF:
            raise RuntimeError
        await going(gateway, decider, document)

    monkeypatch.setattr(react, "_go_on", broken)
    await stage.handle(SERVICE, LEAF, services.RequestDeletion())
    stage.documents.away = True
    await stage.handle(PROJECT, other, domain.RequestDeletion())
    await stage.until_handled()
    looks = await looking(stage)
    stage.documents.away = False
    async with asyncio.timeout(10):
        while {LEAF, other} - set(seen):
            await asyncio.sleep(0.01)
    looks.cancel()
