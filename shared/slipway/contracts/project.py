"""Categories project, environment, and name (unique in its scope). Written by the gateway."""

from slipway.contracts.event import Event
from slipway.contracts.values import Variable


class ProjectCreated(Event):
    type = "project.created"
    public = frozenset({"name", "environment"})
    name: str
    environment: str
    """The id of the environment Production, made with it."""


class ProjectRenamed(Event):
    type = "project.renamed"
    public = frozenset({"name"})
    name: str


class ProjectVariablesSet(Event):
    type = "project.variables_set"
    items: tuple[Variable, ...]


class ProjectDeletionRequested(Event):
    type = "project.deletion_requested"


class ProjectDeleted(Event):
    type = "project.deleted"


class EnvironmentCreated(Event):
    type = "environment.created"
    public = frozenset({"project", "name"})
    project: str
    name: str


class EnvironmentRenamed(Event):
    type = "environment.renamed"
    public = frozenset({"name"})
    name: str


class EnvironmentVariablesSet(Event):
    type = "environment.variables_set"
    items: tuple[Variable, ...]


class EnvironmentDeletionRequested(Event):
    type = "environment.deletion_requested"
    public = frozenset({"project"})
    project: str


class EnvironmentDeleted(Event):
    type = "environment.deleted"
    public = frozenset({"project"})
    project: str


class NameClaimed(Event):
    """A name in an environment belongs to `owner`: a service's (or environment's) id."""

    type = "name.claimed"
    scope: str
    name: str
    owner: str


class NameReleased(Event):
    type = "name.released"
    owner: str
