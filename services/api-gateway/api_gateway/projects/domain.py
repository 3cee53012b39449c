"""Projects and their environments."""

from dataclasses import dataclass
from typing import Literal

from slipway.contracts.event import Event, Value
from slipway.contracts.project import (
    EnvironmentCreated,
    EnvironmentDeleted,
    EnvironmentDeletionRequested,
    EnvironmentRenamed,
    EnvironmentVariablesSet,
    ProjectCreated,
    ProjectDeleted,
    ProjectDeletionRequested,
    ProjectRenamed,
    ProjectVariablesSet,
)
from slipway.contracts.values import Variable
from slipway.kernel.decider import Decider
from slipway.kernel.errors import NotFound, Refused

type Phase = Literal["none", "active", "deleting", "deleted"]


class BeingDeleted(Refused):
    slug = "being-deleted"


class ProjectState(Value):
    phase: Phase = "none"
    name: str = ""
    environment: str = ""
    variables: tuple[Variable, ...] = ()


@dataclass(frozen=True, slots=True)
class CreateProject:
    name: str
    environment: str


@dataclass(frozen=True, slots=True)
class Rename:
    name: str


@dataclass(frozen=True, slots=True)
class SetVariables:
    items: tuple[Variable, ...]


@dataclass(frozen=True, slots=True)
class RequestDeletion:
    pass


@dataclass(frozen=True, slots=True)
class FinishDeletion:
    pass


type ProjectCommand = CreateProject | Rename | SetVariables | RequestDeletion | FinishDeletion


def alive(what: str, phase: Phase) -> None:
    """Raises NotFound for what is not there, BeingDeleted for what soon will not be."""
    if phase in ("none", "deleted"):
        raise NotFound(f"there is no such {what}")
    if phase == "deleting":
        raise BeingDeleted(f"the {what} is being deleted")


def decide_project(command: ProjectCommand, state: ProjectState) -> tuple[Event, ...]:
    match command, state.phase:
        case CreateProject(name, environment), "none":
            return (ProjectCreated(name=name, environment=environment),)
        case CreateProject(), _:
            return ()
        case RequestDeletion(), "active":
            return (ProjectDeletionRequested(),)
        case RequestDeletion(), "deleting":
            return ()
        case FinishDeletion(), "deleting":
            return (ProjectDeleted(),)
        case FinishDeletion(), _:
            return ()
        case Rename(name), _:
            alive("project", state.phase)
            return () if name == state.name else (ProjectRenamed(name=name),)
        case SetVariables(items), _:
            alive("project", state.phase)
            return () if items == state.variables else (ProjectVariablesSet(items=items),)
        case RequestDeletion(), _:
            raise NotFound("there is no such project")


def evolve_project(state: ProjectState, event: Event) -> ProjectState:
    match event:
        case ProjectCreated():
            return ProjectState(phase="active", name=event.name, environment=event.environment)
        case ProjectRenamed():
            return state.model_copy(update={"name": event.name})
        case ProjectVariablesSet():
            return state.model_copy(update={"variables": event.items})
        case ProjectDeletionRequested():
            return state.model_copy(update={"phase": "deleting"})
        case ProjectDeleted():
            return state.model_copy(update={"phase": "deleted"})
        case _:
            return state


class EnvironmentState(Value):
    phase: Phase = "none"
    project: str = ""
    name: str = ""
    variables: tuple[Variable, ...] = ()


@dataclass(frozen=True, slots=True)
class CreateEnvironment:
    project: str
    name: str


type EnvironmentCommand = (
    CreateEnvironment | Rename | SetVariables | RequestDeletion | FinishDeletion
)


def decide_environment(command: EnvironmentCommand, state: EnvironmentState) -> tuple[Event, ...]:
    match command, state.phase:
        case CreateEnvironment(project, name), "none":
            return (EnvironmentCreated(project=project, name=name),)
        case CreateEnvironment(), _:
            return ()
        case RequestDeletion(), "active":
            return (EnvironmentDeletionRequested(project=state.project),)
        case RequestDeletion(), "deleting":
            return ()
        case FinishDeletion(), "deleting":
            return (EnvironmentDeleted(project=state.project),)
        case FinishDeletion(), _:
            return ()
        case Rename(name), _:
            alive("environment", state.phase)
            return () if name == state.name else (EnvironmentRenamed(name=name),)
        case SetVariables(items), _:
            alive("environment", state.phase)
            return () if items == state.variables else (EnvironmentVariablesSet(items=items),)
        case RequestDeletion(), _:
            raise NotFound("there is no such environment")


def evolve_environment(state: EnvironmentState, event: Event) -> EnvironmentState:
    match event:
        case EnvironmentCreated():
            return EnvironmentState(phase="active", project=event.project, name=event.name)
        case EnvironmentRenamed():
            return state.model_copy(update={"name": event.name})
        case EnvironmentVariablesSet():
            return state.model_copy(update={"variables": event.items})
        case EnvironmentDeletionRequested():
            return state.model_copy(update={"phase": "deleting"})
        case EnvironmentDeleted():
            return state.model_copy(update={"phase": "deleted"})
        case _:
            return state


def _deleted(state: ProjectState | EnvironmentState) -> bool:
    return state.phase == "deleted"


PROJECT = Decider("project", ProjectState(), decide_project, evolve_project, _deleted)
ENVIRONMENT = Decider(
    "environment", EnvironmentState(), decide_environment, evolve_environment, _deleted
)
