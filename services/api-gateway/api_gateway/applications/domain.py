"""Applications: what is wanted of them. What runs is the deployer's to say."""

from dataclasses import dataclass
from typing import Literal

from slipway.contracts.application import (
    ApplicationCreated,
    ApplicationDeleted,
    ApplicationDeletionRequested,
    ApplicationScaled,
    ApplicationStarted,
    ApplicationStopped,
    ApplicationVariablesSet,
    BuildSet,
    RuntimeSet,
    SourceSet,
    WebhookSecretSet,
)
from slipway.contracts.event import Event, Value
from slipway.contracts.values import Build, Runtime, Sealed, Source, Variable
from slipway.kernel.decider import Decider
from slipway.kernel.errors import NotFound, Refused


class BeingDeleted(Refused):
    slug = "being-deleted"


class ApplicationState(Value):
    phase: Literal["none", "active", "deleting", "deleted"] = "none"
    project: str = ""
    environment: str = ""
    name: str = ""
    source: Source | None = None
    build: Build | None = None
    runtime: Runtime = Runtime()
    webhook_token: Sealed | None = None
    webhook_hash: str = ""
    webhook_secret: Sealed | None = None
    replicas: int = 1
    stopped: bool = False
    variables: tuple[Variable, ...] = ()


@dataclass(frozen=True, slots=True)
class Create:
    project: str
    environment: str
    name: str
    source: Source
    build: Build | None
    runtime: Runtime
    webhook_token: Sealed
    webhook_hash: str


@dataclass(frozen=True, slots=True)
class Configure:
    """None leaves a part as it is."""

    source: Source | None = None
    build: Build | None = None
    runtime: Runtime | None = None
    replicas: int | None = None
    webhook_secret: Sealed | None = None


@dataclass(frozen=True, slots=True)
class Stop:
    pass


@dataclass(frozen=True, slots=True)
class Start:
    pass


@dataclass(frozen=True, slots=True)
class SetVariables:
    items: tuple[Variable, ...]


@dataclass(frozen=True, slots=True)
class RequestDeletion:
    pass


@dataclass(frozen=True, slots=True)
class FinishDeletion:
    pass


type Command = Create | Configure | Stop | Start | SetVariables | RequestDeletion | FinishDeletion


def decide(command: Command, state: ApplicationState) -> tuple[Event, ...]:
    match command, state.phase:
        case Create(), "none":
            return (
                ApplicationCreated(
                    project=command.project,
                    environment=command.environment,
                    name=command.name,
                    source=command.source,
                    build=command.build,
                    runtime=command.runtime,
                    webhook_token=command.webhook_token,
                    webhook_hash=command.webhook_hash,
                ),
            )
        case Create(), _:
            return ()
        case _, "none" | "deleted":
            if isinstance(command, FinishDeletion):
                return ()
            raise NotFound("there is no such application")
        case RequestDeletion(), "deleting":
            return ()
        case FinishDeletion(), "deleting":
            return (ApplicationDeleted(project=state.project, environment=state.environment),)
        case FinishDeletion(), _:
            return ()
        case _, "deleting":
            raise BeingDeleted(f"the application {state.name} is being deleted")
        case RequestDeletion(), _:
            return (
                ApplicationDeletionRequested(project=state.project, environment=state.environment),
            )
        case Configure(), _:
            return _configured(command, state)
        case Stop(), _:
            return () if state.stopped else (ApplicationStopped(),)
        case Start(), _:
            return (ApplicationStarted(),) if state.stopped else ()
        case SetVariables(items), _:
            return () if items == state.variables else (ApplicationVariablesSet(items=items),)


def _configured(command: Configure, state: ApplicationState) -> tuple[Event, ...]:
    facts: list[Event] = []
    if command.source is not None and command.source != state.source:
        facts.append(SourceSet(source=command.source))
    if command.build is not None and command.build != state.build:
        facts.append(BuildSet(build=command.build))
    if command.runtime is not None and command.runtime != state.runtime:
        facts.append(RuntimeSet(runtime=command.runtime))
    if command.replicas is not None and command.replicas != state.replicas:
        facts.append(ApplicationScaled(replicas=command.replicas))
    if command.webhook_secret is not None:
        facts.append(WebhookSecretSet(secret=command.webhook_secret))
    return tuple(facts)


def evolve(state: ApplicationState, event: Event) -> ApplicationState:
    match event:
        case ApplicationCreated():
            return ApplicationState(
                phase="active",
                project=event.project,
                environment=event.environment,
                name=event.name,
                source=event.source,
                build=event.build,
                runtime=event.runtime,
                webhook_token=event.webhook_token,
                webhook_hash=event.webhook_hash,
            )
        case SourceSet():
            return state.model_copy(update={"source": event.source})
        case BuildSet():
            return state.model_copy(update={"build": event.build})
        case RuntimeSet():
            return state.model_copy(update={"runtime": event.runtime})
        case ApplicationScaled():
            return state.model_copy(update={"replicas": event.replicas})
        case WebhookSecretSet():
            return state.model_copy(update={"webhook_secret": event.secret})
        case ApplicationStopped():
            return state.model_copy(update={"stopped": True})
        case ApplicationStarted():
            return state.model_copy(update={"stopped": False})
        case ApplicationVariablesSet():
            return state.model_copy(update={"variables": event.items})
        case ApplicationDeletionRequested():
            return state.model_copy(update={"phase": "deleting"})
        case ApplicationDeleted():
            return state.model_copy(update={"phase": "deleted"})
        case _:
            return state


APPLICATION = Decider("application", ApplicationState(), decide, evolve)
