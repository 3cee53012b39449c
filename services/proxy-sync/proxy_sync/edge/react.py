"""The edge: Traefik's container is kept beside this service, in the networks of what it routes."""

import asyncio

from slipway.contracts import labels
from slipway.contracts.project import EnvironmentDeletionRequested
from slipway.contracts.rollout import RolloutEvent
from slipway.contracts.route import NetworkLeft
from slipway.eventstore.lease import Lease
from slipway.eventstore.store import Commit, EventStore
from slipway.kernel.clock import Clock
from slipway.kernel.envelope import Subject
from slipway.runtime.append import Appender
from slipway.runtime.engine import EngineAway, EngineMissing, EngineRefused
from slipway.runtime.logging import logger

from proxy_sync.adapters.engine import Engine
from proxy_sync.adapters.traefik import Traefik
from proxy_sync.edge import render
from proxy_sync.settings import ProxySettings

_EVERY = 10.0


class Edge:
    def __init__(
        self,
        store: EventStore,
        engine: Engine,
        traefik: Traefik,
        clock: Clock,
        lease: Lease,
        settings: ProxySettings,
    ) -> None:
        self._store, self._engine, self._traefik = store, engine, traefik
        self._clock, self._lease, self._settings = clock, lease, settings
        self._appender = Appender(store, clock, "proxy-sync")
        self._joined: set[str] = set()
        self._leaving: set[str] = set()
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
            while True:
                self._look.clear()
                try:
                    await self._ensure()
                except (EngineAway, EngineRefused, EngineMissing) as error:
                    logger().warning("traefik can't be kept now; again soon", error=str(error))
                    await self._clock.sleep(1.0)
                    continue
                try:
                    async with asyncio.timeout(_EVERY):
                        await self._look.wait()
                except TimeoutError:
                    continue

    async def _ensure(self) -> None:
        settings = self._settings
        address = await self._engine.control_address()
        static = render.static(address)
        users = render.user("slipway", settings.traefik_password.get_secret_value())
        gateways = await self._engine.bridge_gateways()
        # By its full name: a service may be called api-gateway too, and with the
        # environments' networks Traefik sees their names as well.
        gateway = f"http://{settings.instance}_api-gateway:8000"
        platform = render.platform(users=users, loopback=gateways, gateway=gateway)
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
        before = self._joined
        started = await self._engine.ensure_traefik(body, mark, address)
        self._joined = await self._engine.joined()
        for network in before - self._joined:
            await self.join(network)
        if started or not self.up.is_set():
            await self._wait_until_up()
            self.up.set()
            logger().info("traefik is up", address=address, made=started)

    async def _wait_until_up(self) -> None:
        """Raises EngineRefused when it does not answer in 10 s."""
        for _ in range(200):
            if await self._traefik.up():
                return
            await self._clock.sleep(0.05)
        name = labels.traefik_container(self._settings.instance)
        raise EngineRefused(f"{name} does not answer; see docker logs {name}")

    async def join(self, network: str) -> None:
        """Raises EngineMissing while there is no such network."""
        if network not in self._joined:
            await self._engine.join(network)
            self._joined.add(network)

    # -- an environment that is being deleted -------------------------------------------------

    def leave(self, organization: str, environment: str) -> None:
        if environment not in self._leaving and self._group is not None:
            self._leaving.add(environment)
            self._group.create_task(self._leave(organization, environment))

    async def _leave(self, organization: str, environment: str) -> None:
        """Once nothing of the environment can be routed any more."""
        network = labels.network(self._settings.instance, environment)
        said = ""
        while True:
            try:
                if self._lease.held and await self._empty(organization, environment):
                    await self._engine.leave(network)
                    self._joined.discard(network)
                    await self._appender.append(
                        Subject(organization, "route", environment), "left",
                        lambda head: _left(head, environment),
                        cause=environment, correlation=environment,
                    )  # fmt: skip
                    self._leaving.discard(environment)
                    return
            except (EngineAway, EngineRefused) as error:
                if str(error) != said:
                    said = str(error)
                    logger(network=network).info("not left yet", why=said[:200])
            await self._clock.sleep(0.3)

    async def _empty(self, organization: str, environment: str) -> bool:
        said = [head.events[-1] for head in await self._store.heads(organization, "rollout")]
        states = [event.state for event in said if isinstance(event, RolloutEvent)]
        return all(state.removed for state in states if state.environment == environment)


def _left(head: Commit | None, environment: str) -> tuple[NetworkLeft, ...]:
    return () if head is not None else (NetworkLeft(environment=environment),)
