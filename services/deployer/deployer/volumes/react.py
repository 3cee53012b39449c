"""Volumes of services: said before the first task that mounts one, and removed a while after the
service was."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

from slipway.contracts import labels
from slipway.contracts.event import Event, readable
from slipway.contracts.service import ServiceDeleted
from slipway.contracts.volume import VolumeCreated, VolumeEvent, VolumeRemoved, volume_id
from slipway.eventstore.lease import Lease
from slipway.eventstore.store import Commit, EventStore
from slipway.kernel.clock import Clock
from slipway.kernel.envelope import Subject
from slipway.runtime.actor import woken
from slipway.runtime.append import Appender
from slipway.runtime.logging import logger
from slipway.runtime.trouble import Trouble

_SELDOM, _ASIDE, _DAY = 600.0, 5.0, 86400.0
_STEP = "remove"


class VolumeEngine(Protocol):
    async def node(self) -> str:
        """Swarm's id of the node that is asked."""
        ...

    async def remove_volume(self, name: str, service: str) -> None:
        """Of this node; it is gone then. Raises EngineRefused where it is in use, or is none of
        that service."""
        ...


class Volumes:
    """`keep`: seconds for which a volume outlives its service."""

    def __init__(
        self,
        store: EventStore,
        engine: VolumeEngine,
        clock: Clock,
        lease: Lease,
        instance: str,
        keep: float,
    ) -> None:
        self._store, self._engine, self._clock = store, engine, clock
        self._lease, self._instance = lease, instance
        self._keep = timedelta(seconds=keep)
        self._wake = asyncio.Event()
        self._appender = Appender(store, clock, "deployer")
        self._trouble: dict[str, Trouble] = {}
        """By volume: of one that could not be removed."""

    async def made(
        self, organization: str, service: str, names: Sequence[str], node: str | None
    ) -> Sequence[str]:
        """The node of the service's volumes of these names, which are facts now. `node`: the one
        that alone has the image. Where they are on several, all of these, and nothing is made."""
        subjects = {
            name: Subject(organization, "volume", volume_id(service, name)) for name in names
        }
        there = {name: await self._node_of(subject) for name, subject in subjects.items()}
        nodes = sorted({found for found in (node, *there.values()) if found is not None})
        if len(nodes) > 1:
            return nodes
        chosen = nodes[0] if nodes else await self._engine.node()
        for name, subject in subjects.items():
            if there[name] is None:
                await self._created(subject, VolumeCreated(service=service, name=name, node=chosen))
        return (chosen,)

    async def _node_of(self, subject: Subject) -> str | None:
        head = await self._store.head(subject)
        last = readable(head.events[-1] if head else None, VolumeEvent)
        return last.node if isinstance(last, VolumeCreated) else None

    async def _created(self, subject: Subject, event: VolumeCreated) -> None:
        def decide(head: Commit | None) -> tuple[Event, ...]:
            there = head is not None and isinstance(head.events[-1], VolumeCreated)
            return () if there else (event,)

        await self._appender.append(
            subject, "created", decide, cause=event.service, correlation=event.service
        )

    # -- those of services that are gone ------------------------------------------------------

    def wake(self) -> None:
        """A service was deleted."""
        self._wake.set()

    async def run(self) -> None:
        """For ever, whatever the engine says: there is nothing to fail."""
        trouble = Trouble(longest=_SELDOM)
        while True:
            self._wake.clear()
            try:
                wait = await self._sweep() if self._lease.held else _ASIDE
                trouble.forget()
            except Exception as error:
                trouble.met(_STEP)
                if trouble.worth_saying(_STEP):
                    logger().warning("volumes could not be looked at", error=repr(error)[:300])
                wait = trouble.wait(_STEP)
            await woken(self._wake, wait)

    async def _sweep(self) -> float:
        """Seconds until the next has been kept for long enough, or is tried again."""
        waits = [_DAY]
        for head in await self._store.heads("*", "volume"):
            last = head.events[-1]
            if not isinstance(last, VolumeCreated):
                continue
            trouble = self._trouble.setdefault(head.subject.id, Trouble(longest=_SELDOM))
            try:
                waits.append(await self._remove(head.subject, last))
            except Exception as error:  # the next one goes all the same
                trouble.met(_STEP)
                if trouble.worth_saying(_STEP):
                    name = labels.volume(self._instance, last.service, last.name)
                    why = repr(error)[:300]
                    logger(service=last.service).warning("volume not removed", name=name, why=why)
                waits.append(trouble.wait(_STEP))
            else:
                del self._trouble[head.subject.id]
        return min(waits)

    async def _remove(self, subject: Subject, volume: VolumeCreated) -> float:
        """Removed first, then said: after a death in between there is nothing to remove. Seconds
        for which it is still kept."""
        organization, service = subject.organization, volume.service
        last = await self._store.head(Subject(organization, "service", service))
        if last is None or not isinstance(last.events[-1], ServiceDeleted):
            return _DAY
        if (left := last.meta.at + self._keep - self._clock.now()) > timedelta():
            return left.total_seconds()
        if (here := await self._engine.node()) != volume.node:
            raise RuntimeError(f"it is on the node {volume.node}, and this is {here}")
        name = labels.volume(self._instance, service, volume.name)
        await self._engine.remove_volume(name, service)
        gone = VolumeRemoved(service=service, name=volume.name, node=volume.node)

        def decide(head: Commit | None) -> tuple[Event, ...]:
            there = head is not None and isinstance(head.events[-1], VolumeCreated)
            return (gone,) if there else ()

        await self._appender.append(
            subject, "removed", decide, cause=last.meta.commit, correlation=service
        )
        return _DAY
