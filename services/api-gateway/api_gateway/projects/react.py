"""The sagas of deleting: services, then their environment's network, then the project. What is
made in a parent that is already going, goes with it. And a project's first environment, when its
making was cut off."""

from slipway.contracts.event import Event
from slipway.contracts.project import (
    EnvironmentCreated,
    EnvironmentDeleted,
    EnvironmentDeletionRequested,
    ProjectCreated,
    ProjectDeletionRequested,
)
from slipway.contracts.rollout import NetworkRemoved, RolloutRemoved
from slipway.contracts.service import (
    ServiceCreated,
    ServiceDeleted,
    ServiceDeletionRequested,
)
from slipway.eventstore.store import Commit
from slipway.kernel.envelope import INSTALLATION, Subject

from api_gateway import names
from api_gateway.documents import everything, views_hold
from api_gateway.domains.domain import HOST, RemoveRoute
from api_gateway.gateway import Gateway
from api_gateway.projects.domain import (
    ENVIRONMENT,
    PROJECT,
    CreateEnvironment,
    FinishDeletion,
    RequestDeletion,
)
from api_gateway.request_context import service_context
from api_gateway.services.domain import SERVICE
from api_gateway.services.domain import FinishDeletion as ServiceGone
from api_gateway.services.domain import RequestDeletion as DeleteService

_GOING = ("deleting", "deleted")


async def react(gateway: Gateway, commit: Commit) -> None:
    for event in commit.events:
        await _react(gateway, commit, event)


async def _react(gateway: Gateway, commit: Commit, event: Event) -> None:
    id_ = commit.subject.id
    match event:
        case ProjectCreated():
            await _first_environment(gateway, commit, event)
        case EnvironmentCreated():
            await _late_environment(gateway, commit, event)
        case ServiceCreated():
            await _late_service(gateway, commit, event)
        case ServiceDeletionRequested():
            await _remove_domains(gateway, commit, id_)
        case RolloutRemoved():
            await _service_gone(gateway, commit, id_)
        case EnvironmentDeletionRequested():
            await _delete_services(gateway, commit, id_)
            await _environment_gone(gateway, commit, id_)
        case ServiceDeleted():
            await _environment_gone(gateway, commit, event.environment)
        case NetworkRemoved():
            await _environment_gone(gateway, commit, id_)
        case ProjectDeletionRequested():
            await _delete_environments(gateway, commit, id_)
            await _project_gone(gateway, commit, id_)
        case EnvironmentDeleted():
            await _project_gone(gateway, commit, event.project)
        case _:
            pass


async def _first_environment(gateway: Gateway, commit: Commit, event: ProjectCreated) -> None:
    organization = commit.subject.organization
    state, _ = await gateway.commands.last_seen(ENVIRONMENT, organization, event.environment)
    if state.phase == "none":
        ctx, project = service_context(gateway.clock, commit), commit.subject.id
        await names.claim(
            gateway.commands, ctx, project, "Production", ENVIRONMENT, event.environment
        )
        command = CreateEnvironment(project, "Production")
        await gateway.commands.handle(
            ctx, ENVIRONMENT, event.environment, command, step="environment"
        )


async def _late_environment(gateway: Gateway, commit: Commit, event: EnvironmentCreated) -> None:
    project = await gateway.commands.state(PROJECT, commit.subject.organization, event.project)
    if project.phase in _GOING:
        ctx = service_context(gateway.clock, commit, "late")
        await gateway.commands.handle(
            ctx, ENVIRONMENT, commit.subject.id, RequestDeletion(), step="d"
        )


async def _late_service(gateway: Gateway, commit: Commit, event: ServiceCreated) -> None:
    environment = await gateway.commands.state(
        ENVIRONMENT, commit.subject.organization, event.environment
    )
    if environment.phase in _GOING:
        ctx = service_context(gateway.clock, commit, "late")
        await gateway.commands.handle(ctx, SERVICE, commit.subject.id, DeleteService(), step="d")


async def _remove_domains(gateway: Gateway, commit: Commit, service: str) -> None:
    ctx = service_context(gateway.clock, commit, "domains")
    for host in await everything(gateway.documents, "host", {"state.routes.service": service}):
        for route in host["state"]["routes"]:
            if route["service"] == service:
                command = RemoveRoute(route["domain"], ctx.at)
                state = await gateway.commands.state(HOST, INSTALLATION, host["_id"])
                if any(r.domain == route["domain"] for r in state.routes):
                    await gateway.commands.handle(
                        ctx, HOST, host["_id"], command,
                        step=route["domain"], organization=INSTALLATION,
                    )  # fmt: skip


async def _service_gone(gateway: Gateway, commit: Commit, service: str) -> None:
    organization = commit.subject.organization
    state = await gateway.commands.state(SERVICE, organization, service)
    if state.phase != "deleting":
        return
    await _remove_domains(gateway, commit, service)  # one may have been added meanwhile
    ctx = service_context(gateway.clock, commit, "gone")
    name = names.name_id(state.environment, state.name)
    await gateway.commands.handle(ctx, names.NAME, name, names.Release(service), step="release")
    await gateway.commands.handle(ctx, SERVICE, service, ServiceGone(), step="gone")


async def _delete_services(gateway: Gateway, commit: Commit, environment: str) -> None:
    await views_hold(gateway.projector, commit)
    ctx = service_context(gateway.clock, commit, "services")
    for document in await everything(
        gateway.documents, "service", {"state.environment": environment}
    ):
        if document["state"]["phase"] == "active":
            await gateway.commands.handle(ctx, SERVICE, document["_id"], DeleteService(), step="d")


async def _environment_gone(gateway: Gateway, commit: Commit, environment: str) -> None:
    """Once no service is left and the network has gone."""
    organization = commit.subject.organization
    state = await gateway.commands.state(ENVIRONMENT, organization, environment)
    if state.phase != "deleting":
        return
    await views_hold(gateway.projector, commit)
    for document in await everything(
        gateway.documents, "service", {"state.environment": environment}
    ):
        if document["state"]["phase"] != "deleted":
            return
    network = await gateway.store.head(Subject(organization, "network", environment))
    if network is None or not isinstance(network.events[-1], NetworkRemoved):
        return
    ctx = service_context(gateway.clock, commit, "environment-gone")
    name = names.name_id(state.project, state.name)
    await gateway.commands.handle(ctx, names.NAME, name, names.Release(environment), step="release")
    await gateway.commands.handle(ctx, ENVIRONMENT, environment, FinishDeletion(), step="gone")


async def _delete_environments(gateway: Gateway, commit: Commit, project: str) -> None:
    await views_hold(gateway.projector, commit)
    ctx = service_context(gateway.clock, commit, "environments")
    for document in await everything(gateway.documents, "environment", {"state.project": project}):
        if document["state"]["phase"] == "active":
            await gateway.commands.handle(
                ctx, ENVIRONMENT, document["_id"], RequestDeletion(), step="d"
            )


async def _project_gone(gateway: Gateway, commit: Commit, project: str) -> None:
    state = await gateway.commands.state(PROJECT, commit.subject.organization, project)
    if state.phase != "deleting":
        return
    await views_hold(gateway.projector, commit)
    for document in await everything(gateway.documents, "environment", {"state.project": project}):
        if document["state"]["phase"] != "deleted":
            return
    ctx = service_context(gateway.clock, commit, "project-gone")
    await gateway.commands.handle(ctx, PROJECT, project, FinishDeletion(), step="gone")
