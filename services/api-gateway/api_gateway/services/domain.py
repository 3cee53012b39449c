"""Services: what is wanted of them. What runs is the deployer's to say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal, assert_never

from pydantic import Field
from slipway.contracts.desired import wanted_replicas
from slipway.contracts.event import Event, Value
from slipway.contracts.reached import names as reached_names
from slipway.contracts.service import (
    ServiceConfigured,
    ServiceCreated,
    ServiceDeleted,
    ServiceDeletionRequested,
    ServicePushKept,
    ServiceRenamed,
    ServiceScaled,
    ServiceStarted,
    ServiceStopped,
    ServiceVariablesSet,
    WebhookSecretSet,
)
from slipway.contracts.values import (
    ApplicationSettings,
    Build,
    GitSource,
    ImageSource,
    RawProgram,
    RawSettings,
    Sealed,
    Settings,
    Source,
    Variable,
)
from slipway.kernel.decider import Decider
from slipway.kernel.errors import Invalid, NotFound

from api_gateway.projects.domain import BeingDeleted
from api_gateway.services import consistent


class ServiceState(Value):
    phase: Literal["none", "active", "deleting", "deleted"] = "none"
    project: str = ""
    environment: str = ""
    name: str = ""
    settings: Settings | None = None
    webhook_token: Sealed | None = None
    webhook_hash: str = ""
    webhook_secret: Sealed | None = None
    replicas: dict[str, int] = Field(default_factory=dict)
    """By workload, of those that somebody has scaled."""
    stopped: bool = False
    kept_push: str | None = None
    """The commit of the last push that came since it was stopped last."""
    variables: tuple[Variable, ...] = ()


@dataclass(frozen=True, slots=True)
class Create:
    project: str
    environment: str
    name: str
    settings: Settings
    webhook_token: Sealed
    webhook_hash: str


class Keep(Enum):
    """Told apart from None, which takes away what may be absent."""

    KEEP = "keep"


KEEP = Keep.KEEP


@dataclass(frozen=True, slots=True)
class ApplicationChange:
    """`runtime` holds the changed fields of Runtime."""

    source: Source | Keep = KEEP
    build: Build | Keep | None = KEEP
    runtime: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class RawChange:
    """All workloads anew; None keeps them."""

    workloads: tuple[RawProgram, ...] | None = None


type SettingsChange = ApplicationChange | RawChange


@dataclass(frozen=True, slots=True)
class Configure:
    """Only what is given changes."""

    name: str | Keep = KEEP
    settings: SettingsChange | None = None
    replicas: int | Keep = KEEP
    workload: str | None = None
    """Whose replicas; None: the only one's."""
    webhook_secret: Sealed | Keep | None = KEEP


@dataclass(frozen=True, slots=True)
class Stop:
    pass


@dataclass(frozen=True, slots=True)
class Start:
    pass


@dataclass(frozen=True, slots=True)
class KeepPush:
    """For its start. Nothing is kept of one that is not stopped."""

    commit: str


@dataclass(frozen=True, slots=True)
class SetVariables:
    items: tuple[Variable, ...]


@dataclass(frozen=True, slots=True)
class RequestDeletion:
    pass


@dataclass(frozen=True, slots=True)
class FinishDeletion:
    pass


type Command = (
    Create | Configure | Stop | Start | KeepPush | SetVariables | RequestDeletion | FinishDeletion
)


def present(state: ServiceState) -> None:
    """Raises NotFound for what is not there, BeingDeleted for what soon will not be."""
    if state.phase in ("none", "deleted"):
        raise NotFound("there is no such service")
    if state.phase == "deleting":
        raise BeingDeleted(f"the service {state.name} is being deleted")


def decide(command: Command, state: ServiceState) -> tuple[Event, ...]:
    match command, state.phase:
        case Create(), "none":
            return (
                ServiceCreated(
                    project=command.project,
                    environment=command.environment,
                    name=command.name,
                    settings=command.settings,
                    webhook_token=command.webhook_token,
                    webhook_hash=command.webhook_hash,
                ),
            )
        case Create(), _:
            return ()
        case RequestDeletion(), "deleting":
            return ()
        case FinishDeletion(), "deleting":
            return (ServiceDeleted(project=state.project, environment=state.environment),)
        case FinishDeletion(), _:
            return ()
        case _:
            present(state)
    match command:
        case RequestDeletion():
            return (ServiceDeletionRequested(project=state.project, environment=state.environment),)
        case Configure():
            return _configured(command, state)
        case Stop():
            return () if state.stopped else (ServiceStopped(),)
        case Start():
            return (ServiceStarted(),) if state.stopped else ()
        case KeepPush(commit):
            new = state.stopped and commit != state.kept_push
            return (ServicePushKept(commit=commit),) if new else ()
        case SetVariables(items):
            return () if items == state.variables else (ServiceVariablesSet(items=items),)


def git_source(settings: Settings | None) -> GitSource | None:
    """The repository that it is built from, if any."""
    match settings:
        case ApplicationSettings(source=GitSource() as source):
            return source
        case _:
            return None


def agree(settings: Settings) -> None:
    """What is said of a service must fit together. Raises Invalid."""
    match settings:
        case ApplicationSettings(source=source, build=build, runtime=runtime):
            consistent.runs(runtime)
            if build is not None and isinstance(source, ImageSource):
                raise Invalid("an image is not built; leave build away", pointer="/build")
        case RawSettings(workloads=workloads):
            _together(workloads)
        case _:
            assert_never(settings)


def _together(workloads: Sequence[RawProgram]) -> None:
    """Raises Invalid."""
    names: set[str] = set()
    taken: set[str] = set()
    for index, workload in enumerate(workloads):
        at = f"/workloads/{index}"
        if workload.name in names:
            raise Invalid("two workloads have this name", pointer=f"{at}/name")
        consistent.fits(workload, at, replicas=workload.replicas)
        held = consistent.held(workload)
        for what, pointer in held.items():
            if what in taken:
                raise Invalid(f"another workload has {what}", pointer=f"{at}{pointer}")
        names.add(workload.name)
        taken |= held.keys()
    if all(workload.job for workload in workloads):
        raise Invalid("one at least has to go on running", pointer="/workloads")
    _in_order(workloads)


def reached(name: str, settings: Settings | None) -> tuple[str, ...]:
    """The names in its environment, of which each is a DNS label. Raises Invalid."""
    names = reached_names(name, settings)
    if len(longest := max(names, key=len)) > 63:
        raise Invalid(
            f"a workload would be reached by {longest}: {len(longest)} letters, 63 at most",
            pointer="/workloads",
        )
    return names


def _in_order(workloads: Sequence[RawProgram]) -> None:
    """None starts after what there is not, or, by whatever way, after itself. Raises Invalid."""
    left = {workload.name: {after.workload for after in workload.after} for workload in workloads}
    jobs = {workload.name for workload in workloads if workload.job}
    for index, workload in enumerate(workloads):
        for number, after in enumerate(workload.after):
            at = f"/workloads/{index}/after/{number}"
            if after.workload not in left:
                raise Invalid(f"there is no workload {after.workload}", pointer=f"{at}/workload")
            if (after.workload in jobs) != (after.condition == "completed"):
                raise Invalid(
                    "a job is waited for until it has completed, and nothing else is",
                    pointer=f"{at}/condition",
                )
    while free := {name for name, others in left.items() if not others & left.keys()}:
        left = {name: others for name, others in left.items() if name not in free}
    if left:
        raise Invalid(f"they wait for each other: {', '.join(sorted(left))}", pointer="/workloads")


def changed(settings: Settings, change: SettingsChange) -> Settings:
    """Raises Invalid for what does not fit together, or is of another kind."""
    match settings, change:
        case ApplicationSettings(), ApplicationChange():
            source = settings.source if change.source is KEEP else change.source
            build = change.build
            if build is KEEP:
                build = None if isinstance(source, ImageSource) else settings.build
            runtime = settings.runtime.model_copy(update=dict(change.runtime))
            after = ApplicationSettings(source=source, build=build, runtime=runtime)
        case RawSettings(), RawChange(workloads):
            after = settings if workloads is None else RawSettings(workloads=workloads)
        case _:
            raise Invalid("this is no setting of its kind")
    agree(after)
    return after


def _configured(command: Configure, state: ServiceState) -> tuple[Event, ...]:
    facts: list[Event] = []
    if command.name is not KEEP and command.name != state.name:
        facts.append(ServiceRenamed(name=command.name))
    settings = state.settings
    if command.settings is not None and settings is not None:
        settings = changed(settings, command.settings)
        if settings != state.settings:
            facts.append(ServiceConfigured(settings=settings))
    if settings is not None:
        now = wanted_replicas(settings.model_dump(), state.replicas)
        if command.replicas is not KEEP:
            name = _scaled(command.workload, now)
            if command.replicas != now[name]:
                facts.append(ServiceScaled(workload=name, replicas=command.replicas))
            now[name] = command.replicas
        if facts:
            consistent.once(settings, now, scaled=command.replicas is not KEEP)
    if command.webhook_secret is not KEEP and command.webhook_secret != state.webhook_secret:
        facts.append(WebhookSecretSet(secret=command.webhook_secret))
    return tuple(facts)


def _scaled(workload: str | None, replicas: Mapping[str, int]) -> str:
    """Raises Invalid."""
    names = ", ".join(replicas)
    if workload is None and len(replicas) > 1:
        raise Invalid(f"say which workload; there are: {names}", pointer="/workload")
    if workload is not None and workload not in replicas:
        raise Invalid(f"there is no such workload; there are: {names}", pointer="/workload")
    return workload or next(iter(replicas))


def evolve(state: ServiceState, event: Event) -> ServiceState:
    match event:
        case ServiceCreated():
            return ServiceState(
                phase="active",
                project=event.project,
                environment=event.environment,
                name=event.name,
                settings=event.settings,
                webhook_token=event.webhook_token,
                webhook_hash=event.webhook_hash,
            )
        case ServiceRenamed():
            return state.model_copy(update={"name": event.name})
        case ServiceConfigured():
            return state.model_copy(update={"settings": event.settings})
        case ServiceScaled():
            scaled = {**state.replicas, event.workload: event.replicas}
            return state.model_copy(update={"replicas": scaled})
        case WebhookSecretSet():
            return state.model_copy(update={"webhook_secret": event.secret})
        case ServiceStopped():
            return state.model_copy(update={"stopped": True, "kept_push": None})
        case ServiceStarted():
            return state.model_copy(update={"stopped": False})
        case ServicePushKept():
            return state.model_copy(update={"kept_push": event.commit})
        case ServiceVariablesSet():
            return state.model_copy(update={"variables": event.items})
        case ServiceDeletionRequested():
            return state.model_copy(update={"phase": "deleting"})
        case ServiceDeleted():
            return state.model_copy(update={"phase": "deleted"})
        case _:
            return state


SERVICE = Decider("service", ServiceState(), decide, evolve, lambda state: state.phase == "deleted")
