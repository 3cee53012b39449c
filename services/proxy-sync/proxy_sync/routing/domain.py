"""What is routed of a service, and what a plan looks at. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from slipway.contracts.host import Bound
from slipway.contracts.rollout import RolloutState
from slipway.contracts.route import Binding, RouteState, Served
from slipway.contracts.values import Kind


@dataclass(frozen=True, slots=True)
class TaskAddress:
    """A task that Swarm wants to run, of the Swarm service of that name; `running` when it does
    (and is healthy)."""

    id: str
    swarm_service: str
    address: str
    running: bool


@dataclass(frozen=True, slots=True)
class Probe:
    """One task asked through the proxy, by a router that only the secret header matches."""

    task: str
    workload: str
    address: str
    port: int
    attempt: str


@dataclass(frozen=True, slots=True)
class Routing:
    """The proxy's part for one service: bindings lead to the addresses; probes stand beside,
    unseen by others. Bindings without an address answer 503."""

    service: str
    bindings: tuple[Binding, ...] = ()
    addresses: tuple[tuple[str, str], ...] = ()
    """(workload, address of one of its tasks)."""
    deployment: str | None = None
    served: tuple[Served, ...] = ()
    probes: tuple[Probe, ...] = ()
    standing: tuple[str, ...] = ()
    """Workloads that stand still for a moment: who asks for them is told to come again soon."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What one port of one task has answered so far. Times are monotonic seconds; `good_since`
    None while it has not answered well yet; `bad` counts the bad answers in a row."""

    good_since: float | None = None
    last: float = 0.0
    bad: int = 0
    text: str = ""


@dataclass(frozen=True, slots=True)
class View:
    """`began`: when the candidate was first asked; `waited`: the seconds since the wanted release
    became ready, which a restart does not begin anew; `route_failed`: the deployment which the last
    route event failed, with its attempt; `loaded`: what the proxy is known to have (None after a
    start); `confirmed`: the deployment that answered at its public addresses after the switch."""

    service: str
    now: float
    rollout: RolloutState
    route: RouteState
    route_event: str = ""
    route_failed: tuple[str, int] | None = None
    bound: tuple[Bound, ...] = ()
    tasks: tuple[TaskAddress, ...] = ()
    kind: Kind = "application"
    stopped: bool = False
    deleting: bool = False
    asked: Mapping[tuple[str, int], Answers] = field(default_factory=dict[tuple[str, int], Answers])
    began: float = 0.0
    waited: float = 0.0
    loaded: Routing | None = None
    confirmed: str | None = None


def resting(rollout: RolloutState, route: RouteState, route_event: str) -> bool:
    """Nothing is routed or to be routed until something new is asked for."""
    if rollout.removed:
        return route_event in ("", "route.withdrawn")
    idle = rollout.wanted is None and not rollout.queue
    return idle and (rollout.serving is None or rollout.stopped) and not route.named
