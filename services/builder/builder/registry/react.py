"""The registry and its door are kept beside the builder."""

import asyncio
from collections.abc import Mapping
from typing import Any, Protocol

from slipway.contracts import labels
from slipway.contracts.registry import PLATFORM, account
from slipway.kernel.clock import Clock
from slipway.runtime.actor import woken
from slipway.runtime.logging import logger
from slipway.runtime.trouble import Trouble

from builder.adapters.containers import MADE, Found, NotReady, mark
from builder.registry import render
from builder.settings import BuilderSettings

_EVERY = 10.0
_PATIENCE = 60.0
"""Seconds in which a build waits for the registry."""


class Engine(Protocol):
    """See `adapters.containers`."""

    async def found(self, name: str) -> Found | None: ...
    async def make(self, name: str, body: Mapping[str, Any], files: Mapping[str, str]) -> None: ...
    async def remove(self, name: str, grace: int = 0) -> None: ...
    async def put_files(self, name: str, files: Mapping[str, str]) -> None: ...
    async def ensure_network(self, body: Mapping[str, Any]) -> None: ...
    async def join(self, container: str, network: str, alias: str) -> None: ...


class Registry:
    def __init__(self, engine: Engine, clock: Clock, settings: BuilderSettings) -> None:
        self._engine, self._clock, self._settings = engine, clock, settings
        self._instance = settings.instance
        self._door = labels.registry_door(self._instance)
        self._up, self._look = asyncio.Event(), asyncio.Event()
        self._why = "it has not been started yet"
        self._known: set[tuple[str, str]] = set()
        """(container, organization) whose password is in that container."""

    async def run(self) -> None:
        """For ever: whatever fails is tried again."""
        trouble = Trouble(longest=5.0)
        while True:
            self._look.clear()
            try:
                await self._ensure()
                self._up.set()
                trouble.forget()
            except Exception as error:
                self._up.clear()
                self._why = str(error)[:300]
                trouble.met("registry")
                if trouble.worth_saying("registry"):
                    logger().warning("the registry can't be kept now", error=repr(error)[:300])
                await self._clock.sleep(trouble.wait("registry"))
                continue
            await woken(self._look, _EVERY)

    async def let_in(self, organization: str, network: str) -> None:
        """The door knows the organization, and is in the network. Raises NotReady, EngineAway,
        EngineRefused."""
        try:
            async with asyncio.timeout(_PATIENCE):
                door = await self._running_door()
        except TimeoutError as error:
            raise NotReady(f"the registry is not up: {self._why}") from error
        if (door.id, organization) not in self._known:
            master = self._settings.master_private.get_secret_value()
            line = render.user_file(account(master, organization))
            await self._engine.put_files(self._door, {f"{render.USERS}/{organization}": line})
            self._known = {known for known in self._known if known[0] == door.id}
            self._known.add((door.id, organization))
        if network not in door.networks:
            await self._engine.join(self._door, network, render.ALIAS)

    async def whole(self, network: str) -> bool:
        """Both run, and the door is in the network."""
        door = await self._engine.found(self._door)
        inner = await self._engine.found(labels.registry_container(self._instance))
        if door is None or inner is None:
            return False
        return door.runs and inner.runs and network in door.networks

    async def begin_anew(self) -> None:
        """What runs in it ends. Raises EngineAway, EngineRefused."""
        self._up.clear()
        await self._engine.remove(labels.registry_container(self._instance))
        self._look.set()

    async def _running_door(self) -> Found:
        while True:
            await self._up.wait()
            door = await self._engine.found(self._door)
            if door is not None and door.runs:
                return door
            self._up.clear()
            self._look.set()

    async def _ensure(self) -> None:
        settings, instance = self._settings, self._instance
        network = labels.registry_network(instance)
        await self._engine.ensure_network(
            {"Name": network, "Driver": "bridge", "Labels": {labels.INSTANCE: instance}}
        )
        master = settings.master_private.get_secret_value()
        await self._keep(
            labels.registry_container(instance),
            render.registry(instance, settings.registry_image),
            render.registry_files(account(master, "uploads").password),
        )
        await self._keep(
            self._door,
            render.door(instance, settings.door_image, settings.registry_port),
            render.door_files(instance, [account(master, PLATFORM)]),
        )

    async def _keep(self, name: str, body: dict[str, Any], files: Mapping[str, str]) -> None:
        """One that runs and was made of the same stays as it is."""
        made = mark(body, files)
        there = await self._engine.found(name)
        if there is not None and there.runs and there.made == made:
            return
        await self._engine.remove(name)
        await self._engine.make(name, body | {"Labels": {**body["Labels"], MADE: made}}, files)
        logger().info("made", container=name, anew=there is not None)
