"""A deployment whose reaction was given up ends as failed: nobody waits for it in vain."""

from slipway.contracts.values import Failure
from slipway.eventstore.store import Commit
from slipway.runtime.reactor import NoFact

from api_gateway.deployments.domain import DEPLOYMENT, Fail
from api_gateway.gateway import Gateway
from api_gateway.request_context import service_context


async def dead(gateway: Gateway, commit: Commit, error: Exception) -> None:
    """Raises NoFact for what is about no open deployment."""
    organization = commit.subject.organization
    for id_ in _about(commit):
        state = await gateway.commands.state(DEPLOYMENT, organization, id_)
        if state.phase != "open":
            continue
        failure = Failure(
            reason="internal-error",
            detail=f"{type(error).__name__} while {commit.stored[-1].type} was handled"
            f" (request {commit.meta.correlation}, commit {commit.sequence})",
            hint="deploy again; if it happens again, the log of api-gateway has the whole error",
        )
        ctx = service_context(gateway.clock, commit, "dead")
        await gateway.commands.handle(ctx, DEPLOYMENT, id_, Fail(failure), step="dead")
        return
    raise NoFact


def _about(commit: Commit) -> list[str]:
    if commit.subject.category in ("deployment", "build"):
        return [commit.subject.id]
    return [about for event in commit.stored if (about := event.data.get("deployment"))]
