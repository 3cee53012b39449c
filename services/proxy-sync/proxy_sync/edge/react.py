"""The edge: Traefik's container is kept beside this service, in the networks of what it routes."""

import asyncio
import contextlib
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Protocol

from slipway.contracts import labels
from slipway.contracts.event import NewerRelease, readable
from slipway.contracts.project import EnvironmentDeletionRequested
from slipway.contracts.rollout import RolloutEvent
from slipway.contracts.route import NetworkLeft
from slipway.eventstore.lease import Lease
from slipway.eventstore.store import Commit, EventStore
from slipway.kernel.clock import Clock
from slipway.kernel.envelope import Subject
from slipway.runtime.actor import insist, woken
from slipway.runtime.append import Appender
from slipway.runtime.engine import EngineAway, EngineMissing
from slipway.runtime.logging import logger
from slipway.runtime.trouble import Trouble

from proxy_sync.edge import render
from proxy_sync.settings import ProxySettings

_EVERY = 10.0
_UNTOLD = 10.0
"""Seconds after which it is looked whether an environment is empty, though nothing was told."""


class Container(Protocol):
    """Traefik's container, on the engine."""

    async def control_address(self) -> str: ...
    async def bridge_gateways(self) -> list[str]: ...
    async def ensure_traefik(self, body: Mapping[str, Any], mark: str, address: str) -> bool:
        """True when it was started or made anew."""
        ...

    async def joined(self) -> set[str]:
        """The networks that it is in."""
        ...

    async def join(self, network: str) -> None:
        """Raises EngineMissing while there is no such network."""
        ...

    async def leave(self, network: str) -> None: ...
    async def alone_in(self, network: str) -> tuple[str, str] | None:
        """(organization, service) of a network of a service's own, where nothing else on this node
        is in it."""
        ...


class Proxy(Protocol):
    """Traefik itself."""

    address: str

    def write(self, name: str, document: dict[str, Any]) -> None: ...
    def write_static(self, document: dict[str, Any]) -> None: ...
    async def up(self) -> bool: ...


class Edge:
    def __init__(
        self,
        store: EventStore,
        engine: Container,
        traefik: Proxy,
        clock: Clock,
        lease: Lease,
        settings: ProxySettings,
    ) -> None:
        self._store, self._engine, self._traefik = store, engine, traefik
        self._clock, self._lease, self._settings = clock, lease, settings
        self._appender = Appender(store, clock, "proxy-sync")
        self._joined: set[str] = set()
        self._lost: set[str] = set()
        """Networks that the container was in before it was made anew."""
        self._leaving: dict[str, asyncio.Event] = {}
        self._group: asyncio.TaskGroup | None = None
        self._look = asyncio.Event()
        self.up = asyncio.Event()
        """Set once Traefik has answered."""

    def look(self) -> None:
        """Something happened to Traefik's container."""
        self._look.set()

    async def run(self) -> None:
        """For ever: Traefik is there, with what it was to be made from."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            for head in await self._store.heads("*", "environment"):
                if isinstance(head.events[-1], EnvironmentDeletionRequested):
                    self.leave(head.subject.organization, head.subject.id)
            await self._keep()

    async def _keep(self) -> None:
        """Whatever fails: without Traefik nothing is public, so there is nothing to give up."""
        trouble = Trouble(longest=5.0)
        while True:
            self._look.clear()
            try:
                await self._ensure()
                trouble.forget()
            except Exception as error:
                trouble.met("ensure")
                if trouble.worth_saying("ensure"):
                    logger().warning(
                        "traefik can't be kept now; again soon", error=repr(error)[:300]
                    )
                await self._clock.sleep(trouble.wait("ensure"))
                continue
            await woken(self._look, _EVERY)

    async def _ensure(self) -> None:
        settings = self._settings
        address = await self._engine.control_address()
        static = render.static(address)
        users = render.user("slipway", settings.traefik_password.get_secret_value())
        gateways = await self._engine.bridge_gateways()
        # By its full name: a service may be called api-gateway too, and with the
        # environments' networks Traefik sees their names as well.
        gateway = f"http://{settings.instance}_api-gateway:8000"
        platform = render.platform(
            users=users, loopback=gateways, gateway=gateway, public_url=settings.public_url
        )
        body = render.container(
            instance=settings.instance,
            image=settings.traefik_image,
            http_port=settings.http_port,
            https_port=settings.https_port,
            api_port=settings.api_port,
        )
        mark = render.mark(static, body)
        body["Labels"][render.HASH] = mark
        self._traefik.address = address
        self._traefik.write_static(static)
        self._traefik.write("platform", platform)
        self._lost |= self._joined
        started = await self._engine.ensure_traefik(body, mark, address)
        self._joined = await self._engine.joined()
        for network in sorted(self._lost - self._joined):
            with suppress(EngineMissing):  # it has gone meanwhile
                await self.join(network)
        self._lost.clear()
        if started or not self.up.is_set():
            await self._wait_until_up()
            self.up.set()
            logger().info("traefik is up", address=address, made=started)
        await self._leave_unused()

    async def _leave_unused(self) -> None:
        """Networks of services' own that no release has any more."""
        instance = self._settings.instance
        own = {name for name in self._joined if labels.is_service_network(instance, name)}
        for network in own if self._lease.held else ():
            if (owner := await self._engine.alone_in(network)) is None:
                continue
            organization, service = owner
            head = await self._store.head(Subject(organization, "rollout", service))
            with contextlib.suppress(NewerRelease):
                last = readable(head.events[-1] if head else None, RolloutEvent)
                kept = last.state.networks if last else ()
                if network in {labels.service_network(instance, service, each) for each in kept}:
                    continue
                await self._engine.leave(network)
                self._joined.discard(network)

    async def _wait_until_up(self) -> None:
        """Raises EngineAway when it does not answer in 10 s."""
        for _ in range(200):
            if await self._traefik.up():
                return
            await self._clock.sleep(0.05)
        name = labels.traefik_container(self._settings.instance)
        raise EngineAway(f"{name} does not answer; see docker logs {name}")

    async def join(self, network: str) -> None:
        """Raises EngineMissing while there is no such network."""
        if network not in self._joined:
            await self._engine.join(network)
            self._joined.add(network)

    # -- an environment that is being deleted -------------------------------------------------

    def leave(self, organization: str, environment: str) -> None:
        """Let the network be left as soon as nothing of the environment can be routed any more."""
        if environment not in self._leaving and self._group is not None:
            self._leaving[environment] = asyncio.Event()
            self._group.create_task(self._leave(organization, environment))

    def removed(self, environment: str) -> None:
        """A service of it has gone."""
        if environment in self._leaving:
            self._leaving[environment].set()

    async def _leave(self, organization: str, environment: str) -> None:
        """There is nothing to fail: the environment is deleted once its network has been left, so
        it goes on whatever the engine says."""

        async def attempt() -> float | None:
            if not self._lease.held:
                return 0.5
            if not await self._empty(organization, environment):
                return _UNTOLD
            await self._left(organization, environment)
            return None

        def said(why: str) -> None:
            logger(environment=environment).warning("network not left yet", why=why)

        await insist(self._leaving[environment], attempt, said, longest=_UNTOLD)
        del self._leaving[environment]

    async def _empty(self, organization: str, environment: str) -> bool:
        """Raises NewerRelease: it may be of this environment, and not be removed."""
        heads = await self._store.heads(organization, "rollout")
        said = [readable(head.events[-1], RolloutEvent) for head in heads]
        states = [event.state for event in said if event]
        return all(state.removed for state in states if state.environment == environment)

    async def _left(self, organization: str, environment: str) -> None:
        network = labels.network(self._settings.instance, environment)
        await self._engine.leave(network)
        self._joined.discard(network)
        self._lost.discard(network)
        await self._appender.append(
            Subject(organization, "route", environment), "left",
            lambda head: _left(head, environment), cause=environment, correlation=environment,
        )  # fmt: skip


def _left(head: Commit | None, environment: str) -> tuple[NetworkLeft, ...]:
    return () if head is not None else (NetworkLeft(environment=environment),)
