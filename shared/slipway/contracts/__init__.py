"""Every event of every category. Importing this package fills the registry."""

from slipway.contracts import (
    alert,
    application,
    build,
    deployment,
    host,
    organization,
    project,
    rollout,
    route,
)

__all__ = [
    "alert",
    "application",
    "build",
    "deployment",
    "host",
    "organization",
    "project",
    "rollout",
    "route",
]
