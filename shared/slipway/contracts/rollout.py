"""Category rollout; the aggregate's id is the service's id. Written by the deployer.

Every event carries the whole state, so the head alone tells all."""

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field

from slipway.contracts.build import WorkloadsObject
from slipway.contracts.clipping import Clipped, at_most, only
from slipway.contracts.event import Event, Value
from slipway.contracts.values import After, BuiltImage, Failure, GitCommit, Kind
from slipway.contracts.workload import place


def at_once(replicas: int, holds: Iterable[str]) -> int:
    """How many tasks may run where so many are wanted: one at most of what has a volume or a port
    of the host. The settings that were scaled may be others than those that run."""
    alone = any(held.startswith(("volume:", "port:")) for held in holds)
    return min(replicas, 1) if alone else replicas


class Released(Value):
    """A workload in a release: a Swarm service of its own, whose name is `swarm_service`. `port` is
    where it listens, None where it has none. `carried`: it is the former release's, which goes on.
    `health_path`, `health_command`: what its own health check asks. `stop_seconds`: what its
    program has to end. `networks`: the names of the service's own that it is in. `holds`, `after`,
    `job`, `replicas`: see `Workload`."""

    name: str
    swarm_service: str
    image: BuiltImage
    digest: str
    port: int | None = None
    settle_seconds: float = 5.0
    stop_seconds: float = 30.0
    health_path: str | None = None
    health_command: bool = False
    carried: bool = False
    job: bool = False
    after: tuple[After, ...] = ()
    holds: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    replicas: int = 1

    @property
    def occupies(self) -> frozenset[str]:
        """What another can't hold beside it: what it holds, and its place whatever its strategy."""
        return frozenset((*self.holds, place(self.name)))


class Release(Value):
    """One deployment on the engine. `sequence` is that of its `deployment.requested`; `sealed` has
    its workloads whole."""

    deployment: str
    sequence: int
    workloads: tuple[Released, ...]
    sealed: WorkloadsObject
    attempt: int = 1
    commit: GitCommit | None = None

    @property
    def programs(self) -> tuple[Released, ...]:
        """What goes on running."""
        return tuple(workload for workload in self.workloads if not workload.job)

    def program(self, name: str | None) -> Released | None:
        """The one of that name; None means the only one."""
        if name is None:
            return self.programs[0] if len(self.programs) == 1 else None
        return next((each for each in self.programs if each.name == name), None)

    @property
    def names(self) -> frozenset[str]:
        """Of its Swarm services: by these alone it is known what belongs to it."""
        return frozenset(workload.swarm_service for workload in self.workloads)

    def ends_for(self, wanted: "Release") -> tuple[Released, ...]:
        """Its programs that end before those of the wanted one begin: they have what those hold."""
        held = {held for each in wanted.workloads if not each.carried for held in each.holds}
        return tuple(
            each
            for each in self.programs
            if each.swarm_service not in wanted.names and not held.isdisjoint(each.occupies)
        )


class Pending(Value):
    """Built, waiting for its turn."""

    deployment: str
    sequence: int


class Task(Value):
    """A task of the wanted release: Swarm's id, the workload that it is of, and its address on the
    environment's network."""

    id: str
    workload: str
    address: str


class Job(Value):
    """A job of the wanted release that was started; `exit` is its code once it has ended."""

    workload: str
    exit: int | None = None


class Waiting(Clipped):
    """What the wanted release waits for, as it was said last: a node, or the end of what has to end
    first; empty once it waits no more. `times`: so often something was said."""

    words: Annotated[str, at_most(600)]
    times: int = 1


class Reverting(Value):
    """The wanted release is being undone. `paused` are the Swarm services of the serving one that
    were stopped for its sake and are to run again before `deadline` (ISO 8601)."""

    outcome: Literal["failed", "cancelled"]
    failure: Failure | None = None
    paused: tuple[str, ...] = ()
    deadline: str


MOST_TASKS = 200


class RolloutState(Clipped):
    environment: str = ""
    serving: Release | None = None
    """What has been confirmed by a route and serves."""
    wanted: Release | None = None
    """What is being rolled out; None when nothing is."""
    ready: bool = False
    """The wanted release's tasks run and are healthy: the proxy's turn."""
    ready_at: str | None = None
    """ISO 8601; since when it is ready."""
    deadline: str | None = None
    """ISO 8601; of the wanted release's present phase."""
    queue: tuple[Pending, ...] = ()
    highest: int = 0
    """The highest sequence of `deployment.requested` ever started; a lower one never starts."""
    replicas: dict[str, int] = Field(default_factory=dict)
    """By workload of the serving release."""
    tasks: Annotated[tuple[Task, ...], only(slice(MOST_TASKS))] = ()
    """For who reads of it, and the first of them alone: nothing follows from them."""
    jobs: tuple[Job, ...] = ()
    waiting: Waiting | None = None
    reverting: Reverting | None = None
    stopped: bool = False
    removing: str | None = None
    """ISO 8601; of a service that is being deleted: when its containers are ended by force."""
    removed: bool = False

    @property
    def networks(self) -> frozenset[str]:
        """Those of the service's own that a release has."""
        releases = [each for each in (self.serving, self.wanted) if each is not None]
        return frozenset(
            name for each in releases for workload in each.workloads for name in workload.networks
        )


class RolloutEvent(Event):
    public = frozenset({"service", "kind", "deployment"})
    service: str
    kind: Kind
    deployment: str | None = None
    """Which deployment this is about; None for what concerns the service."""
    state: RolloutState


class RolloutQueued(RolloutEvent):
    type = "rollout.queued"


class RolloutStarted(RolloutEvent):
    type = "rollout.started"


class RolloutWaiting(RolloutEvent):
    """What it waits for, in words: a node, in the engine's, or the end of what has to end first.
    Said again when these are others, and without words when it waits no more."""

    type = "rollout.waiting"
    public = frozenset({"service", "kind", "deployment", "words"})
    words: Annotated[str, at_most(600)]


class RolloutReady(RolloutEvent):
    type = "rollout.ready"


class RolloutSucceeded(RolloutEvent):
    type = "rollout.succeeded"


class RolloutJobStarted(RolloutEvent):
    """Appended before the job is: it never runs twice."""

    type = "rollout.job_started"
    public = frozenset({"service", "kind", "deployment", "workload"})
    workload: str


class RolloutJobEnded(RolloutEvent):
    type = "rollout.job_ended"
    public = frozenset({"service", "kind", "deployment", "workload", "exit"})
    workload: str
    exit: int


class RolloutReverting(RolloutEvent):
    """Appended before anything is undone; the end follows when the former release runs again."""

    type = "rollout.reverting"


type Former = Literal["none", "running", "not_running"]
"""How the release that served before is when the wanted one was given up."""


class RolloutFailed(RolloutEvent):
    type = "rollout.failed"
    public = frozenset({"service", "kind", "deployment", "failure", "former"})
    failure: Failure
    former: Former = "none"


class RolloutCancelled(RolloutEvent):
    """The deployment was asked to stop (its reason is the deployment's)."""

    type = "rollout.cancelled"
    public = frozenset({"service", "kind", "deployment", "former"})
    former: Former = "none"


class RolloutSuperseded(RolloutEvent):
    """A deployment with a higher sequence had already started, or too many waited behind it."""

    type = "rollout.superseded"


class RolloutScaled(RolloutEvent):
    type = "rollout.scaled"


class RolloutStopped(RolloutEvent):
    type = "rollout.stopped"


class RolloutRemoving(RolloutEvent):
    """The service is being deleted, and its containers are to end until then: what has not is ended
    by force."""

    type = "rollout.removing"
    public = frozenset({"service", "kind", "deployment", "until"})
    until: str
    """ISO 8601."""


class RolloutRemoved(RolloutEvent):
    """The service is being deleted; nothing of it is left on the engine."""

    type = "rollout.removed"


class NetworkCreated(Event):
    """Category network; the aggregate's id is the environment's id."""

    type = "network.created"
    name: str


class NetworkRemoved(Event):
    type = "network.removed"
    name: str


class DriftRepaired(Event):
    """Category drift; the aggregate's id is the service's id."""

    type = "drift.repaired"
    public = frozenset({"service", "kind", "what"})
    service: str
    kind: Kind
    what: str
