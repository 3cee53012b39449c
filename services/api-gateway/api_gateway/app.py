"""Everything of the gateway, built by hand."""

import asyncio
import socket
import sys
from typing import NamedTuple

from slipway.contracts.build import BuildCancelled, BuildFailed, BuildStarted, BuildSucceeded
from slipway.contracts.deployment import DeploymentRequested
from slipway.eventstore.former import FormerFormat
from slipway.eventstore.jetstream import connect
from slipway.eventstore.store import Commit
from slipway.readmodel.building import Turn
from slipway.readmodel.model import Progress, Projection
from slipway.readmodel.mongo import MongoDocuments
from slipway.readmodel.processes import Processes
from slipway.readmodel.projector import Projector
from slipway.runtime.clock import SystemClock
from slipway.runtime.logging import logger
from slipway.runtime.process import until
from slipway.runtime.reactor import Reactor

from api_gateway.admin.manifest import FEATURE as ADMIN
from api_gateway.deployments.manifest import FEATURE as DEPLOYMENTS
from api_gateway.domains.manifest import FEATURE as DOMAINS
from api_gateway.events.manifest import FEATURE as EVENTS
from api_gateway.feature import Features
from api_gateway.gateway import Gateway
from api_gateway.health.manifest import FEATURE as HEALTH
from api_gateway.http.application import build
from api_gateway.http.refusing import refusing
from api_gateway.identity.manifest import FEATURE as IDENTITY
from api_gateway.organizations.manifest import FEATURE as ORGANIZATIONS
from api_gateway.projects.manifest import FEATURE as PROJECTS
from api_gateway.services.manifest import FEATURE as SERVICES
from api_gateway.serving import serve
from api_gateway.settings import GatewaySettings
from api_gateway.variables.manifest import FEATURE as VARIABLES
from api_gateway.webhooks.manifest import FEATURE as WEBHOOKS

FEATURES = Features(
    IDENTITY, ORGANIZATIONS, DEPLOYMENTS, PROJECTS, SERVICES, VARIABLES, DOMAINS,
    WEBHOOKS, EVENTS, ADMIN, HEALTH,
)  # fmt: skip


class Part(NamedTuple):
    """What a process of its own rebuilds, and how many bytes of documents it holds meanwhile."""

    projections: tuple[Projection, ...]
    budget: int


_RELEASED = {"deployment", "newest", "rollout", "route"}
"""Collections whose documents leave soon, or follow from one commit alone: little of them is held.
All others take about as long, while those of 5,000 services need not leave and come back."""
PARTS = (
    Part(tuple(item for item in FEATURES.projections if item.collection in _RELEASED), 5 << 20),
    Part(
        tuple(item for item in FEATURES.projections if item.collection not in _RELEASED), 14 << 20
    ),
)


def key(commit: Commit) -> str:
    """What is about one service is handled in order."""
    for event in commit.events:
        if isinstance(
            event,
            DeploymentRequested | BuildStarted | BuildSucceeded | BuildFailed | BuildCancelled,
        ):
            return event.service
    return commit.subject.id


def apart(generation: str, progress: Progress, turn: Turn) -> Processes:
    commands = [
        [sys.executable, "-m", "api_gateway.rebuilding", str(part)] for part in range(len(PARTS))
    ]
    return Processes(commands, generation, progress, turn)


def reactor(gateway: Gateway, features: Features) -> Reactor:
    async def react(commit: Commit) -> None:
        await features.react(gateway, commit)

    async def dead(commit: Commit, error: Exception) -> None:
        await features.dead(gateway, commit, error)

    return Reactor(
        gateway.store, "api-gateway", key, react, dead=dead, letters=gateway.dead_letters
    )


async def main(stopping: asyncio.Event) -> None:
    settings = GatewaySettings()
    try:
        connection = await connect(
            settings.nats_url, settings.nats_user, settings.nats_password.get_secret_value()
        )
    except FormerFormat as error:
        logger().error(str(error), hint=error.hint)
        app = refusing("former-log", str(error), error.hint)
        await serve(app, settings.listen_port, stopping)
        return
    documents = MongoDocuments(settings.mongo_url)
    clock = SystemClock()
    lease = connection.lease("projector", socket.gethostname(), clock)
    projector = Projector(
        connection.store, documents, FEATURES.projections, FEATURES.version, lease, apart
    )
    gateway = Gateway(
        store=connection.store,
        documents=documents,
        projector=projector,
        logs=connection.logs,
        build_logs=connection.build_logs,
        job_logs=connection.job_logs,
        keys=connection.keys,
        dead_letters=connection.dead_letters,
        clock=clock,
        settings=settings,
        projections=FEATURES.projections,
        memories=FEATURES.memories,
        ready=lambda: connection.connected and projector.caught_up,
    )
    drain = asyncio.Event()
    serving = asyncio.create_task(serve(build(gateway, FEATURES), settings.listen_port, drain))
    try:
        await until(
            stopping,
            projector.run(),
            reactor(gateway, FEATURES).run(),
            gateway.observed.follow(connection.observations),
            *(work(gateway) for work in FEATURES.work),
        )
    finally:
        drain.set()
        await serving
        await connection.close()
