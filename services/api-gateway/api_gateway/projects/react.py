"""The sagas of deleting: services, then their environment's network, then the project. What is
made in a parent that is already going, goes with it. And a project's first environment, when its
making was cut off.

What there is in a parent is read from the views. While they can't be asked, a reaction to it ends
without having done anything: whatever is being deleted is looked at again on a timer, until it has
gone.
"""

from datetime import datetime, timedelta
from typing import Any

from slipway.contracts.event import Event
from slipway.contracts.project import (
    EnvironmentCreated,
    EnvironmentDeleted,
    EnvironmentDeletionRequested,
    ProjectCreated,
    ProjectDeletionRequested,
)
from slipway.contracts.reached import names as reached_names
from slipway.contracts.rollout import NetworkRemoved, RolloutRemoved
from slipway.contracts.service import (
    ServiceCreated,
    ServiceDeleted,
    ServiceDeletionRequested,
)
from slipway.eventstore.store import Commit
from slipway.kernel.decider import Decider
from slipway.kernel.envelope import INSTALLATION, Subject
from slipway.readmodel.model import Away, Document
from slipway.runtime.logging import logger

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
_LOOK = 15.0
_ALONE = timedelta(seconds=10)
"""So long nothing is looked at again: the reactions to it are likely on their way."""
_DELETED: tuple[Decider[Any, Any, Any], ...] = (SERVICE, ENVIRONMENT, PROJECT)
"""What is inside before what it is in."""


async def react(gateway: Gateway, commit: Commit) -> None:
    for event in commit.events:
        try:
            await _react(gateway, commit, event)
        except Away as error:
            logger().warning(
                "deleting waits for the views",
                subject=str(commit.subject), sequence=commit.sequence, why=str(error)[:200],
            )  # fmt: skip


async def look_again(gateway: Gateway) -> None:
    """For ever: what is being deleted goes on, whatever became of the reactions to it."""
    while True:
        await gateway.clock.sleep(_LOOK)
        for decider in _DELETED:
            for document in await _being_deleted(gateway, decider.category):
                try:
                    await _go_on(gateway, decider, document)
                except Exception:  # the next one goes on all the same
                    logger().exception(
                        "a deletion does not go on", what=decider.category, id=document["_id"]
                    )


async def _being_deleted(gateway: Gateway, category: str) -> list[Document]:
    try:
        found = await everything(gateway.documents, category, {"state.phase": "deleting"})
    except Away:
        return []  # the projector says so
    except Exception:
        logger().exception("deletions could not be looked at", what=category)
        return []
    before = gateway.clock.now() - _ALONE
    return [one for one in found if datetime.fromisoformat(one["updated_at"]) < before]


async def _go_on(gateway: Gateway, decider: Decider[Any, Any, Any], document: Document) -> None:
    """As if its deletion had been asked for just now: all that follows from it is done once."""
    subject = Subject(document["org"], decider.category, document["_id"])
    state = await gateway.commands.state(decider, subject.organization, subject.id)
    if state.phase == "deleting" and (last := await gateway.store.head(subject)) is not None:
        await react(gateway, last)


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
            await _service_gone(gateway, commit, id_)
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
    """Once nothing of it is left on the engine."""
    organization = commit.subject.organization
    state = await gateway.commands.state(SERVICE, organization, service)
    if state.phase != "deleting":
        return
    rollout = await gateway.store.head(Subject(organization, "rollout", service))
    if rollout is None or not isinstance(rollout.events[-1], RolloutRemoved):
        return
    await views_hold(gateway.projector, commit)
    await _remove_domains(gateway, commit, service)  # one may have been added meanwhile
    ctx = service_context(gateway.clock, commit, "gone")
    reached = reached_names(state.name, state.settings)
    ids = [names.name_id(state.environment, name) for name in reached]
    await names.release(gateway.commands, ctx, ids, service)
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
    await gateway.commands.handle(ctx, names.NAME, name, names.Free(environment), step="release")
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
