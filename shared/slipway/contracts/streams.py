"""Streams, durables and who may append what: one table, from which init makes them and the
server's permissions are rendered."""

from dataclasses import dataclass

EVENTS = "EVENTS"
LOGS = "LOGS"
TELEMETRY = "TELEMETRY"
OBJECTS = "OBJECTS"
KEYS = "KEYS"
LEASES = "LEASES"
DEAD = "DEAD"

APPENDS: dict[str, tuple[str, ...]] = {
    "api-gateway": (
        "user", "email", "session", "installation", "organization", "member", "token",
        "project", "environment", "name", "service", "host", "deployment",
    ),
    "builder": ("build",),
    "deployer": ("rollout", "network", "drift"),
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

    @property
    def filters(self) -> list[str]:
        return [f"evt.*.{category}.*" for category in self.categories]


DURABLES: tuple[Durable, ...] = (
    Durable("api-gateway", "api-gateway", (
        "deployment", "build", "rollout", "route", "network",
        "service", "environment", "project",
    )),
    Durable("builder", "builder", ("deployment",)),
    Durable("builder-control", "builder", ("deployment",)),
    Durable("deployer", "deployer", ("deployment", "build", "route", "service", "environment")),
    Durable("proxy-sync", "proxy-sync", (
        "rollout", "host", "network", "service", "environment",
    )),
)  # fmt: skip

BESIDE: dict[str, tuple[str, ...]] = {
    "api-gateway": ("key.*", "dead.>"),
    "builder": ("obj.buildlogs.>", "lease.builder"),
    "deployer": ("lease.deployer",),
    "proxy-sync": ("lease.proxy-sync",),
    "metrics": ("met.>",),
}
"""Service → the subjects beside events and logs which it may publish."""
