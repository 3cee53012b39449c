"""A deployment whose reaction was given up ends all the same: by the outcome that is in the commit,
where there is one, else as failed. Nobody waits for it in vain."""

from slipway.contracts.values import Failure
from slipway.eventstore.store import Commit
from slipway.runtime.reactor import NoFact

from api_gateway.deployments.domain import DEPLOYMENT, Fail
from api_gateway.deployments.react import Ending, end, ending_of
from api_gateway.gateway import Gateway


async def dead(gateway: Gateway, commit: Commit, error: Exception) -> None:
    """Raises NoFact for what is about no open deployment."""
    said = [found for event in commit.events if (found := ending_of(commit, event))]
    for found in said or [Ending(id_, _failed(commit, error)) for id_ in _about(commit)]:
        organization = commit.subject.organization
        state = await gateway.commands.state(DEPLOYMENT, organization, found.deployment)
        if state.phase == "open":
            await end(gateway, commit, found)
            return
    raise NoFact


def _failed(commit: Commit, error: Exception) -> Fail:
    return Fail(
        Failure(
            reason="internal-error",
            detail=f"{type(error).__name__} while {commit.stored[-1].type} was handled"
            f" (request {commit.meta.correlation}, commit {commit.sequence})",
            hint="deploy again; if it happens again, the log of api-gateway has the whole error",
        )
    )


def _about(commit: Commit) -> list[str]:
    if commit.subject.category in ("deployment", "build"):
        return [commit.subject.id]
    return [about for event in commit.stored if (about := event.data.get("deployment"))]
