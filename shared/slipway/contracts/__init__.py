"""Every event of every category. Importing this package fills the registry."""

from slipway.contracts import (
    alert,
    build,
    deployment,
    host,
    limits,
    organization,
    port,
    project,
    rollout,
    route,
    service,
    volume,
)

__all__ = [
    "alert",
    "build",
    "deployment",
    "host",
    "limits",
    "organization",
    "port",
    "project",
    "rollout",
    "route",
    "service",
    "volume",
]
