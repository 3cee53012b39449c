"""Everything of proxy-sync, built by hand."""

import asyncio
import socket

from slipway.contracts.project import EnvironmentCreated, EnvironmentDeletionRequested
from slipway.contracts.rollout import RolloutEvent
from slipway.contracts.service import (
    ServiceCreated,
    ServiceDeletionRequested,
    ServiceScaled,
)
from slipway.eventstore.jetstream import connect
from slipway.eventstore.store import Commit
from slipway.runtime.clock import SystemClock
from slipway.runtime.process import until
from slipway.runtime.reactor import Reactor, dead_letter

from proxy_sync.adapters.engine import Engine
from proxy_sync.adapters.traefik import Traefik
from proxy_sync.edge.react import Edge
from proxy_sync.routing.react import Routes
from proxy_sync.settings import ProxySettings


def key(commit: Commit) -> str | None:
    """Hosts are followed by the fold of all of them; nothing is to be done for what was made, and
    is not deployed yet."""
    made = isinstance(commit.events[0], ServiceCreated | EnvironmentCreated)
    return None if made or commit.subject.category in ("host", "network") else commit.subject.id


async def main(stopping: asyncio.Event) -> None:
    settings = ProxySettings()
    clock = SystemClock()
    connection = await connect(
        settings.nats_url, settings.nats_user, settings.nats_password.get_secret_value()
    )
    engine = Engine(settings.instance)
    traefik = Traefik(
        settings.configuration,
        settings.traefik_password.get_secret_value(),
        settings.probe_key.get_secret_value(),
    )
    await traefik.open()
    lease = connection.lease("proxy-sync", socket.gethostname(), clock)
    store = connection.store
    edge = Edge(store, engine, traefik, clock, lease, settings)
    routes = Routes(store, engine, traefik, edge, clock, lease, settings)

    async def react(commit: Commit) -> None:
        organization, id_ = commit.subject.organization, commit.subject.id
        for event in commit.events:
            match event:
                case EnvironmentDeletionRequested():
                    edge.leave(organization, id_)
                case ServiceScaled():
                    routes.scaling()
                    routes.wake(id_)
                case ServiceDeletionRequested() | RolloutEvent():
                    routes.ensure(organization, id_)
                case _:
                    routes.wake(id_)

    await lease.acquire()
    try:
        await until(
            stopping,
            edge.run(),
            routes.run(),
            Reactor(
                store,
                "proxy-sync",
                key,
                react,
                dead=dead_letter,
                letters=connection.dead_letters,
            ).run(),
        )
    finally:
        await lease.release()
        await traefik.close()
        await engine.close()
        await connection.close()
