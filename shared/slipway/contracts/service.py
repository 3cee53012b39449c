"""Category service: what is wanted of one, whatever its kind. Written by the gateway."""

from slipway.contracts.event import Event
from slipway.contracts.values import Sealed, Settings, Variable
from slipway.contracts.workload import MAIN


class ServiceCreated(Event):
    type = "service.created"
    public = frozenset({"project", "environment", "name", "settings"})
    project: str
    environment: str
    name: str
    settings: Settings
    webhook_token: Sealed
    """Sealed to the gateway's key, so that the address can be shown again."""
    webhook_hash: str
    """SHA-256 of the webhook's token: how a delivery finds its service."""


class ServiceRenamed(Event):
    type = "service.renamed"
    public = frozenset({"name"})
    name: str


class ServiceConfigured(Event):
    """The settings as they are from now on, whole; they act with the next deployment."""

    type = "service.configured"
    public = frozenset({"settings"})
    settings: Settings


class WebhookSecretSet(Event):
    type = "service.webhook_secret_set"
    secret: Sealed | None = None


class ServiceScaled(Event):
    type = "service.scaled"
    public = frozenset({"workload", "replicas"})
    workload: str = MAIN
    replicas: int


class ServiceStopped(Event):
    type = "service.stopped"


class ServiceStarted(Event):
    type = "service.started"


class ServicePushKept(Event):
    """A push came while it was stopped, or a deployment for one was ended by the stop: nothing is
    built of it until the service is started. The last one of them counts."""

    type = "service.push_kept"
    public = frozenset({"commit"})
    commit: str


class ServiceVariablesSet(Event):
    type = "service.variables_set"
    items: tuple[Variable, ...]


class ServiceDeletionRequested(Event):
    type = "service.deletion_requested"
    public = frozenset({"project", "environment"})
    project: str
    environment: str


class ServiceDeleted(Event):
    type = "service.deleted"
    public = frozenset({"project", "environment"})
    project: str
    environment: str
