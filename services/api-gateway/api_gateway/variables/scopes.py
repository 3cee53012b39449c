"""The four levels of variables and how they hang together."""

import asyncio
from typing import Any

from slipway.contracts.values import Scope, ScopedVariables
from slipway.kernel.decider import Decider

from api_gateway.commands import Commands
from api_gateway.organizations.domain import ORGANIZATION
from api_gateway.projects.domain import ENVIRONMENT, PROJECT
from api_gateway.services.domain import SERVICE

LEVELS: dict[Scope, Decider[Any, Any, Any]] = {
    "organization": ORGANIZATION,
    "project": PROJECT,
    "environment": ENVIRONMENT,
    "service": SERVICE,
}


async def reachable(
    commands: Commands, organization: str, scope: Scope, state: Any
) -> tuple[ScopedVariables, ...]:
    """The scopes farther than this one, as the log has them now, the farthest first."""
    farther: dict[Scope, str] = {}
    if scope != "organization":
        farther["organization"] = organization
    if scope in ("environment", "service"):
        farther["project"] = state.project
    if scope == "service":
        farther["environment"] = state.environment
    states = await asyncio.gather(
        *(commands.state(LEVELS[level], organization, id_) for level, id_ in farther.items())
    )
    return tuple(
        ScopedVariables(scope=level, items=found.variables)
        for level, found in zip(farther, states, strict=True)
    )
