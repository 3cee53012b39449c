"""Streams, durables and who may append what: one table, from which init makes them and the
server's permissions are rendered."""

from dataclasses import dataclass
from typing import Literal

EVENTS = "EVENTS"
LOGS = "LOGS"
TELEMETRY = "TELEMETRY"
OBJECTS = "OBJECTS"
KEYS = "KEYS"
LEASES = "LEASES"
DEAD = "DEAD"
OBSERVED = "OBSERVED"

LIMITED = (LOGS, TELEMETRY, OBJECTS, DEAD)
"""Streams which forget: metrics counts what went."""
REPLACING = (OBJECTS, DEAD)
"""Those of them that keep the last message of each subject: of what went the server does not tell
whether it was replaced or forgotten."""
BUILD_LOGS_SECONDS = 90 * 86400
"""How long the log of a build is kept, and those of jobs. They are read when something fails, and
by who asks what ran in the last quarter; the outcome with its reason is in the event log for
ever."""

APPENDS: dict[str, tuple[str, ...]] = {
    "api-gateway": (
        "user", "email", "session", "installation", "egress", "organization", "limits", "member",
        "token",
        "project", "environment", "name", "service", "host", "port", "deployment",
    ),
    "builder": ("build",),
    "deployer": ("rollout", "network", "volume", "drift"),
    "proxy-sync": ("route",),
    "metrics": ("alert",),
}  # fmt: skip
"""Service → the categories which it alone may append to."""

LOG_KINDS: dict[str, tuple[str, ...]] = {"builder": ("build",), "metrics": ("run",)}
"""Service → the kinds of log it may write: `log.*.<kind>.*`."""


@dataclass(frozen=True, slots=True)
class Durable:
    """A durable pull consumer of EVENTS: made by init, used by `service`. `control` ones only
    stop work and are acknowledged at once."""

    name: str
    service: str
    categories: tuple[str, ...]
    start: Literal["all", "new"]
    """Where it begins when init makes it: at the log's beginning, or behind its end, for what
    should not be told or done for years that are over."""

    @property
    def filters(self) -> list[str]:
        return [f"evt.*.{category}.*" for category in self.categories]


DURABLES: tuple[Durable, ...] = (
    Durable("api-gateway", "api-gateway", (
        "deployment", "build", "rollout", "network", "service", "environment", "project",
    ), "all"),
    Durable("builder", "builder", ("deployment", "service"), "all"),
    Durable("builder-control", "builder", ("deployment",), "all"),
    Durable("deployer", "deployer", (
        "deployment", "build", "route", "service", "environment", "egress",
    ), "all"),
    Durable("proxy-sync", "proxy-sync", ("rollout", "service", "environment"), "all"),
)  # fmt: skip

READERS: dict[str, tuple[str, ...]] = {"api-gateway": ("rebuild-0", "rebuild-1")}
"""Service → the consumers of EVENTS that it may make and remove itself, for one reading each: by
exact names, for a right to any name is one to change the durables of others."""

LISTED: dict[str, tuple[str, ...]] = {"builder": (OBJECTS,), "metrics": LIMITED}
"""Service → the streams beside EVENTS of which it may know the subjects and the extent."""

BESIDE: dict[str, tuple[str, ...]] = {
    "api-gateway": ("key.*", "dead.>", "lease.projector"),
    "builder": ("obj.buildlogs.>", "obj.workloads.>"),
    "deployer": ("lease.deployer", "observed", "obj.joblogs.>"),
    "proxy-sync": ("lease.proxy-sync",),
    "metrics": ("met.>",),
}
"""Service → the subjects beside events and logs which it may publish."""
