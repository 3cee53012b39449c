"""Everything of the gateway, built by hand."""

import asyncio

import uvicorn
from slipway.contracts.build import BuildCancelled, BuildFailed, BuildStarted, BuildSucceeded
from slipway.contracts.deployment import DeploymentRequested
from slipway.eventstore.jetstream import connect
from slipway.eventstore.store import Commit
from slipway.readmodel.mongo import MongoDocuments
from slipway.readmodel.projector import Projector
from slipway.runtime.clock import SystemClock
from slipway.runtime.process import until
from slipway.runtime.reactor import Reactor, dead_letter

from api_gateway.deployments import react as deployments
from api_gateway.gateway import Gateway
from api_gateway.http.application import build
from api_gateway.projections import PROJECTIONS, version
from api_gateway.projects import react as projects
from api_gateway.settings import GatewaySettings


def key(commit: Commit) -> str:
    """What is about one service is handled in order."""
    for event in commit.events:
        if isinstance(
            event,
            DeploymentRequested | BuildStarted | BuildSucceeded | BuildFailed | BuildCancelled,
        ):
            return event.service
    return commit.subject.id


async def main(stopping: asyncio.Event) -> None:
    settings = GatewaySettings()
    connection = await connect(
        settings.nats_url, settings.nats_user, settings.nats_password.get_secret_value()
    )
    documents = MongoDocuments(settings.mongo_url)
    projector = Projector(connection.store, documents, PROJECTIONS, version())
    gateway = Gateway(
        store=connection.store,
        documents=documents,
        projector=projector,
        logs=connection.logs,
        build_logs=connection.build_logs,
        keys=connection.keys,
        clock=SystemClock(),
        settings=settings,
        ready=lambda: connection.connected and projector.caught_up,
    )

    async def react(commit: Commit) -> None:
        await deployments.react(gateway, commit)
        await projects.react(gateway, commit)

    server = uvicorn.Server(
        uvicorn.Config(
            build(gateway),
            host="0.0.0.0",  # noqa: S104 - reached over the control network only
            port=settings.listen_port,
            access_log=False,
            log_config=None,
            lifespan="off",
            timeout_graceful_shutdown=10,
        )
    )
    server.install_signal_handlers = lambda: None  # pyright: ignore[reportAttributeAccessIssue]

    async def serve() -> None:
        await server._serve()  # noqa: SLF001 - serve() would take the signals

    serving = asyncio.create_task(serve())
    try:
        await until(
            stopping,
            projector.run(),
            Reactor(
                connection.store,
                "api-gateway",
                key,
                react,
                dead=dead_letter,
                letters=connection.dead_letters,
            ).run(),
            deployments.watch_deadlines(gateway),
        )
    finally:
        server.should_exit = True
        await serving
        await connection.close()
