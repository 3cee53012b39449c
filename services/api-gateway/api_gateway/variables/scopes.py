"""The four levels of variables and how they hang together."""

from typing import Any

from slipway.contracts.values import Scope, ScopedVariables
from slipway.kernel.decider import Decider

from api_gateway.applications.domain import APPLICATION
from api_gateway.gateway import Gateway
from api_gateway.organizations.domain import ORGANIZATION
from api_gateway.projects.domain import ENVIRONMENT, PROJECT

LEVELS: dict[str, tuple[Scope, Decider[Any, Any, Any]]] = {
    "organizations": ("organization", ORGANIZATION),
    "projects": ("project", PROJECT),
    "environments": ("environment", ENVIRONMENT),
    "applications": ("application", APPLICATION),
}


async def reachable(
    gateway: Gateway, organization: str, scope: Scope, id_: str
) -> tuple[ScopedVariables, ...]:
    """The scopes seen from there, as the log has them now, the farthest first."""
    found: list[ScopedVariables] = []
    level: Scope | None = scope
    while level is not None:
        decider = next(decider for name, decider in LEVELS.values() if name == level)
        state = await gateway.state(decider, organization, id_)
        found.append(ScopedVariables(scope=level, items=state.variables))
        match level:
            case "application":
                level, id_ = "environment", state.environment
            case "environment":
                level, id_ = "project", state.project
            case "project":
                level, id_ = "organization", organization
            case _:
                level = None
    return tuple(reversed(found))
