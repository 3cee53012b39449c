"""Everything of proxy-sync, built by hand."""

import asyncio
import socket

from slipway.contracts.project import EnvironmentCreated, EnvironmentDeletionRequested
from slipway.contracts.rollout import RolloutEvent, RolloutRemoved
from slipway.contracts.service import (
    ServiceCreated,
    ServiceDeletionRequested,
    ServiceScaled,
)
from slipway.eventstore.jetstream import connect
from slipway.eventstore.store import Commit
from slipway.runtime.clock import SystemClock
from slipway.runtime.engine import EngineApi
from slipway.runtime.process import until
from slipway.runtime.reactor import Handle, Reactor, dead_letter

from proxy_sync.adapters.tasks import EngineTasks
from proxy_sync.adapters.traefik import Traefik
from proxy_sync.adapters.traefik_container import TraefikContainer
from proxy_sync.edge.react import Edge
from proxy_sync.routing.react import Routes
from proxy_sync.settings import ProxySettings


def key(commit: Commit) -> str | None:
    """Nothing is to be done for what was made, and is not deployed yet."""
    made = isinstance(commit.events[0], ServiceCreated | EnvironmentCreated)
    return None if made else commit.subject.id


def reaction(edge: Edge, routes: Routes) -> Handle:
    """It only wakes: what fails is the actors', and told by them."""

    async def react(commit: Commit) -> None:
        organization, id_ = commit.subject.organization, commit.subject.id
        for event in commit.events:
            match event:
                case EnvironmentDeletionRequested():
                    edge.leave(organization, id_)
                case ServiceDeletionRequested() | RolloutEvent():
                    routes.ensure(organization, id_)
                    if isinstance(event, RolloutRemoved):
                        edge.removed(event.state.environment)
                case ServiceScaled():
                    routes.scaling()
                    routes.outdated(id_)
                case _:
                    routes.outdated(id_)

    return react


async def main(stopping: asyncio.Event) -> None:
    settings = ProxySettings()
    clock = SystemClock()
    connection = await connect(
        settings.nats_url, settings.nats_user, settings.nats_password.get_secret_value()
    )
    engine = EngineApi()
    traefik = Traefik(
        settings.configuration,
        settings.traefik_password.get_secret_value(),
        settings.probe_key.get_secret_value(),
    )
    await traefik.open()
    lease = connection.lease("proxy-sync", socket.gethostname(), clock)
    store = connection.store
    container = TraefikContainer(engine, settings.instance)
    edge = Edge(store, container, traefik, clock, lease, settings)
    tasks = EngineTasks(engine, settings.instance)
    secret = settings.probe_key.get_secret_value()
    routes = Routes(
        store, tasks, traefik, edge, clock, lease, instance=settings.instance, secret=secret
    )
    reactor = Reactor(
        store,
        "proxy-sync",
        key,
        reaction(edge, routes),
        dead=dead_letter,
        letters=connection.dead_letters,
    )
    await lease.acquire()
    try:
        await until(
            stopping,
            edge.run(),
            routes.run(),
            reactor.run(),
        )
    finally:
        await lease.release()
        await traefik.close()
        await engine.close()
        await connection.close()
