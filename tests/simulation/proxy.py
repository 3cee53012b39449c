"""proxy-sync in the world: its own routing, over a Traefik in memory that asks the tasks of the
Swarm in memory."""

import asyncio
from collections.abc import Iterator
from typing import Any

from proxy_sync.adapters.tasks import EngineTasks
from proxy_sync.adapters.traefik import Answer
from proxy_sync.app import key, reaction
from proxy_sync.edge.react import Edge
from proxy_sync.routing.probes import NotLoaded
from proxy_sync.routing.react import Routes
from proxy_sync.settings import ProxySettings
from slipway.contracts import labels
from slipway.contracts.host import HostRouteAdded
from slipway.eventstore.memory import MemoryDeadLetters, MemoryLease
from slipway.eventstore.store import EventStore
from slipway.kernel.envelope import INSTALLATION, NOTHING, Actor, Meta, Subject
from slipway.kernel.ids import value_id
from slipway.runtime.engine import EngineMissing
from slipway.runtime.reactor import Reactor, dead_letter

from tests.simulation.platform import ENVIRONMENT, ORGANIZATION, SwarmTransport
from tests.simulation.world import INSTANCE, Life, Seen, Swarm, World, made_for

SETTINGS = ProxySettings(instance=INSTANCE)


class Traefik:
    """Its documents stay through every process's death."""

    def __init__(self, swarm: Swarm) -> None:
        self._swarm = swarm
        self.documents: dict[str, dict[str, Any]] = {}
        self.loads = 0
        self.silent = False
        """It does not take what is written."""
        self.broken: set[str] = set()
        """Deployments whose tasks answer badly."""
        self.address = ""

    def write(self, name: str, document: dict[str, Any]) -> None:
        if document:
            self.documents[name] = document
        else:
            self.documents.pop(name, None)

    def write_static(self, document: dict[str, Any]) -> None:
        pass

    def names(self) -> set[str]:
        return set(self.documents)

    async def loaded(self, service: str, document: dict[str, Any], seconds: float = 10) -> None:
        self.loads += 1
        await asyncio.sleep(0.05)
        if self.silent:
            await asyncio.sleep(seconds)
            raise NotLoaded(service)

    async def up(self) -> bool:
        return True

    async def probe(
        self, task: str, port: int, attempt: str, host: str, path: str, seconds: float = 5
    ) -> Answer:
        await asyncio.sleep(0.01)
        routers = [
            router
            for document in self.documents.values()
            for name, router in document["http"].get("routers", {}).items()
            if name == f"p-{task}-{port}"
        ]
        if not routers:
            return Answer(404, False, "404 page not found")
        return self._answer(next(iter(self._servers(routers[0]["service"]))))

    async def public(self, host: str, path: str, seconds: float = 5) -> Answer:
        await asyncio.sleep(0.01)
        servers = self.public_servers(host)
        if servers:
            return self._answer(servers[0])
        if self._routers(host):
            return Answer(503, False, "no available server")
        return Answer(404, False, "404 page not found")

    def public_servers(self, host: str) -> list[str]:
        """The addresses to which requests for it go."""
        routers = self._routers(host)
        return [server for router in routers for server in self._servers(router["service"])]

    def _routers(self, host: str) -> list[dict[str, Any]]:
        return [
            router
            for document in self.documents.values()
            for router in document["http"].get("routers", {}).values()
            if f"Host(`{host}`)" in router["rule"]
        ]

    def _servers(self, name: str) -> Iterator[str]:
        for document in self.documents.values():
            service = document["http"].get("services", {}).get(name)
            if service is not None:
                for server in service["loadBalancer"]["servers"]:
                    yield server["url"].removeprefix("http://").partition(":")[0]

    def _answer(self, address: str) -> Answer:
        for task in self._swarm.tasks.values():
            own = [entry["Addresses"][0].partition("/")[0] for entry in task["NetworksAttachments"]]
            if address in own and task["Status"]["State"] == "running":
                if made_for(task["Spec"]) in self.broken:
                    return Answer(502, True, "Bad Gateway")
                return Answer(200, True, "hello")
        return Answer(502, True, "Bad Gateway")


class Container:
    """Traefik's container, which is there."""

    def __init__(self, swarm: Swarm) -> None:
        self._swarm, self.networks = swarm, swarm.joined

    async def control_address(self) -> str:
        return "10.1.0.253"

    async def bridge_gateways(self) -> list[str]:
        return ["172.18.0.1/32"]

    async def ensure_traefik(self, body: Any, mark: str, address: str) -> bool:
        return False

    async def joined(self) -> set[str]:
        return set(self.networks)

    async def join(self, network: str) -> None:
        if network not in self._swarm.networks:
            raise EngineMissing(network)
        self.networks.add(network)

    async def leave(self, network: str) -> None:
        self.networks.discard(network)

    async def alone_in(self, network: str) -> tuple[str, str] | None:
        marks = self._swarm.networks[network]["Labels"]
        if labels.SERVICE not in marks or self._swarm.on(network):
            return None
        return marks[labels.ORGANIZATION], marks[labels.SERVICE]


async def proxy_sync(world: World, swarm: Swarm, traefik: Traefik, life: Life) -> None:
    """One life of the service, wired as its `app.py` does."""
    store: EventStore = Seen(world, life)
    lease = MemoryLease()
    edge = Edge(store, Container(swarm), traefik, world.clock, lease, SETTINGS)
    tasks = EngineTasks(SwarmTransport(swarm, life), INSTANCE)
    routes = Routes(store, tasks, traefik, edge, world.clock, lease, instance=INSTANCE, secret="s")
    letters = MemoryDeadLetters(world.clock)
    reactor = Reactor(
        store, "proxy-sync", key, reaction(edge, routes), dead=dead_letter, letters=letters
    )
    async with asyncio.TaskGroup() as group:
        group.create_task(edge.run())
        group.create_task(routes.run())
        group.create_task(reactor.run())


async def add_domain(world: World, service: str, host: str, workload: str | None = None) -> None:
    event = HostRouteAdded(
        domain=f"domain-{host}", host=host, path="/", organization=ORGANIZATION,
        service=service, environment=ENVIRONMENT, workload=workload,
    )  # fmt: skip
    meta = Meta(f"host-{host}", world.clock.now(), Actor("service", "test"), service)
    subject = Subject(INSTALLATION, "host", value_id("host", host))
    await world.append(subject, NOTHING, [event], meta)
