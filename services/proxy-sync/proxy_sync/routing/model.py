"""What is routed of one service, and what a plan looks at. Plain values."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from slipway.contracts.rollout import RolloutState
from slipway.contracts.route import Binding, RouteState

from proxy_sync.routing.domain import Bound


@dataclass(frozen=True, slots=True)
class TaskAddress:
    """A task of a release that Swarm wants to run; `running` when it does (and is healthy)."""

    id: str
    deployment: str
    address: str
    running: bool


@dataclass(frozen=True, slots=True)
class Probe:
    """One task asked through the proxy, by a router that only the secret header matches."""

    task: str
    address: str
    port: int
    attempt: str


@dataclass(frozen=True, slots=True)
class Routing:
    """The proxy's part for one service: bindings lead to the addresses; probes stand beside,
    unseen by others. Bindings without an address answer 503."""

    service: str
    bindings: tuple[Binding, ...] = ()
    addresses: tuple[str, ...] = ()
    deployment: str | None = None
    probes: tuple[Probe, ...] = ()


@dataclass(frozen=True, slots=True)
class Asked:
    """What one port of one task has answered so far. Times are monotonic seconds; `good_since`
    None while it has not answered well yet; `bad` counts the bad answers in a row."""

    good_since: float | None = None
    last: float = 0.0
    bad: int = 0
    text: str = ""


@dataclass(frozen=True, slots=True)
class View:
    """`began`: when the candidate was first asked; `route_failed`: the deployment which the last
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
    stopped: bool = False
    deleting: bool = False
    asked: Mapping[tuple[str, int], Asked] = field(default_factory=dict)
    began: float = 0.0
    loaded: Routing | None = None
    confirmed: str | None = None
