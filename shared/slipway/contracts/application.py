"""Category application. Written by the gateway."""

from slipway.contracts.event import Event
from slipway.contracts.values import Build, Runtime, Sealed, Source, Variable


class ApplicationCreated(Event):
    type = "application.created"
    public = frozenset({"project", "environment", "name", "source", "build", "runtime"})
    project: str
    environment: str
    name: str
    source: Source
    build: Build | None = None
    runtime: Runtime = Runtime()
    webhook_token: Sealed
    """Sealed to the gateway's key, so that the address can be shown again."""
    webhook_hash: str
    """SHA-256 of the webhook's token: how a delivery finds its application."""


class ApplicationRenamed(Event):
    type = "application.renamed"
    public = frozenset({"name"})
    name: str


class SourceSet(Event):
    type = "application.source_set"
    public = frozenset({"source"})
    source: Source


class BuildSet(Event):
    type = "application.build_set"
    public = frozenset({"build"})
    build: Build | None = None


class RuntimeSet(Event):
    type = "application.runtime_set"
    public = frozenset({"runtime"})
    runtime: Runtime


class WebhookSecretSet(Event):
    type = "application.webhook_secret_set"
    secret: Sealed | None = None


class ApplicationScaled(Event):
    type = "application.scaled"
    public = frozenset({"replicas"})
    replicas: int


class ApplicationStopped(Event):
    type = "application.stopped"


class ApplicationStarted(Event):
    type = "application.started"


class ApplicationVariablesSet(Event):
    type = "application.variables_set"
    items: tuple[Variable, ...]


class ApplicationDeletionRequested(Event):
    type = "application.deletion_requested"
    public = frozenset({"project", "environment"})
    project: str
    environment: str


class ApplicationDeleted(Event):
    type = "application.deleted"
    public = frozenset({"project", "environment"})
    project: str
    environment: str
