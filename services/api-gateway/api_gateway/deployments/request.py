"""Making a deployment of a service, as it is wanted now or as it was."""

import asyncio
from dataclasses import dataclass

from slipway.contracts.deployment import Limits, Repeats, Trigger
from slipway.contracts.values import GitCommit, ScopedVariables, Specification
from slipway.kernel import ids
from slipway.kernel.envelope import Head
from slipway.kernel.errors import Gone, Invalid, NotFound, Refused

from api_gateway.commands import Commands, Outcome
from api_gateway.deployments.domain import DEPLOYMENT, DeploymentState, Request
from api_gateway.gateway import Gateway
from api_gateway.organizations.limits import limits_of_builds
from api_gateway.projects.domain import ENVIRONMENT, PROJECT, alive
from api_gateway.request_context import RequestContext
from api_gateway.services.domain import SERVICE, ServiceState, present
from api_gateway.variables.scopes import reachable

_LARGEST = 256 * 1024
_BESIDES = 120.0
"""Seconds of a rollout besides its health check: containers are made, and begin."""


class NothingToRunAgain(Refused):
    slug = "nothing-to-run-again"


class ImagesSwept(Gone):
    slug = "images-swept"


@dataclass(frozen=True, slots=True)
class Living:
    """A service that can be deployed, as the log has it."""

    id: str
    state: ServiceState
    head: Head
    variables: tuple[ScopedVariables, ...]

    @property
    def specification(self) -> Specification:
        if self.state.settings is None:
            raise NotFound("there is no such service")
        return Specification(
            name=self.state.name, settings=self.state.settings, variables=self.variables
        )


def limits_of(specification: Specification, build: float) -> Limits:
    """A rollout lasts as long as is said, else at least as long as its health checks let it: it's
    for them to judge. Those of several workloads follow each other, as these may start one after
    another. What served before may have to end first, and has as long for that as is said now.
    `build`: seconds of a build."""
    limits, settings = Limits(build=build), specification.settings
    if settings.rollout_seconds is not None:
        return limits.model_copy(update={"rollout": settings.rollout_seconds})
    allowed = settings.stop_seconds + sum(
        check.start_period + check.retries * (check.interval + check.timeout)
        for check in settings.health_checks
    )
    return limits.model_copy(update={"rollout": max(limits.rollout, allowed + _BESIDES)})


async def living(commands: Commands, organization: str, service: str) -> Living:
    """Raises NotFound or BeingDeleted, for its parents too."""
    state, head = await commands.load(SERVICE, organization, service)
    present(state)
    environment, project, farther = await asyncio.gather(
        commands.last_seen(ENVIRONMENT, organization, state.environment),
        commands.last_seen(PROJECT, organization, state.project),
        reachable(commands, organization, "service", state),
    )
    alive("environment", environment[0].phase)
    alive("project", project[0].phase)
    own = ScopedVariables(scope="service", items=state.variables)
    return Living(service, state, head, (*farther, own))


async def request(
    gateway: Gateway,
    ctx: RequestContext,
    service: Living,
    trigger: Trigger,
    *,
    wanted: Specification | None = None,
    repeats: Repeats | None = None,
    commit: GitCommit | None = None,
) -> Outcome[DeploymentState]:
    """Of the specification as it is now, or of `wanted` under the name that the service has now:
    the former one may be another's. Raises Invalid when it is too large."""
    specification = wanted or service.specification
    if wanted is not None:
        specification = wanted.model_copy(update={"name": service.state.name})
    size = len(specification.model_dump_json().encode())
    if size > _LARGEST:
        raise Invalid(
            f"the specification has {size} bytes with its variables, {_LARGEST} at most",
            hint="put large values in a file of the image or a volume",
        )
    allowed = await limits_of_builds(gateway, str(ctx.organization))
    command = Request(
        project=service.state.project,
        environment=service.state.environment,
        service=service.id,
        specification=specification,
        trigger=trigger,
        repeats=repeats,
        commit=commit,
        stops_earlier=trigger.kind in ("rollback", "restart", "start"),
        limits=limits_of(specification, allowed.seconds),
    )
    id_ = ids.derived(ctx.id, "deployment")
    return await gateway.commands.handle(ctx, DEPLOYMENT, id_, command, step="request", new=True)
