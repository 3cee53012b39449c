"""The deployments that a service had, as the log has them now. The views tell which there were, as
far as they hold the log; of what came later the log itself tells."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

from slipway.contracts.build import BuildFailed, BuildSucceeded, BuildSwept
from slipway.contracts.deployment import DeploymentRequested, Repeats
from slipway.contracts.rollout import RolloutEvent
from slipway.contracts.values import GitCommit
from slipway.eventstore.store import Commit
from slipway.kernel.envelope import Subject

from api_gateway.deployments.domain import DEPLOYMENT, DeploymentState
from api_gateway.deployments.request import ImagesSwept, NothingToRunAgain
from api_gateway.gateway import Gateway


@dataclass(frozen=True, slots=True)
class Former:
    """`repeats` gives again what it ran, or would have run had its rollout not failed; `commit` is
    what that was made of. None: nothing was built."""

    id: str
    state: DeploymentState
    version: int
    repeats: Repeats | None
    commit: GitCommit | None


async def former(gateway: Gateway, organization: str, id_: str) -> Former:
    """Its phase is `none` where there is no such deployment, or none that this release knows."""
    state, head = await gateway.commands.load(DEPLOYMENT, organization, id_)
    build = await gateway.store.head(Subject(organization, "build", id_))
    match build.events[-1] if build else None:
        case BuildSucceeded(commit=commit):
            repeats = Repeats(deployment=id_)
        case BuildSwept():
            repeats, commit = Repeats(deployment=id_), None
        case BuildFailed(commit=commit):
            repeats = None
        case _:  # one that repeats another has what that one had
            repeats, commit = state.repeats, None
    return Former(id_, state, head.version, repeats, state.commit or commit)


async def newest_first(gateway: Gateway, organization: str, service: str) -> AsyncIterator[Former]:
    """Raises Away."""
    held = await gateway.projector.held()
    later = [
        commit.subject.id
        async for commit in gateway.store.read(held, None, f"evt.{organization}.deployment.*")
        if _requests(commit, service)
    ]
    for id_ in reversed(later):
        yield await former(gateway, organization, id_)
    cursor = None
    while True:
        part = await gateway.documents.find(
            "deployment", {"state.service": service},
            sort="first", descending=True, cursor=cursor, limit=20,
        )  # fmt: skip
        for document in part.items:
            if document["_id"] not in later:
                yield await former(gateway, organization, document["_id"])
        if (cursor := part.next) is None:
            return


def _requests(commit: Commit, service: str) -> bool:
    return any(
        isinstance(event, DeploymentRequested) and event.service == service
        for event in commit.events
    )


async def newest_images(
    gateway: Gateway, organization: str, service: str
) -> tuple[Repeats, GitCommit | None]:
    """Those of the newest deployment that has some. Raises NothingToRunAgain, and ImagesSwept where
    all that were there are kept no longer."""
    swept: ImagesSwept | None = None
    async for found in newest_first(gateway, organization, service):
        if found.repeats is None:
            continue
        try:
            await still_there(gateway, organization, found.repeats)
        except ImagesSwept as error:
            swept = swept or error
        else:
            return found.repeats.model_copy(update={"whole": False}), found.commit
    raise swept or NothingToRunAgain("nothing was built yet", hint="deploy with a build first")


async def last_live(gateway: Gateway, organization: str, service: str) -> Former:
    """The deployment that serves, or served last: it was built. Raises NothingToRunAgain."""
    head = await gateway.store.head(Subject(organization, "rollout", service))
    last = head.events[-1] if head else None
    serving = last.state.serving if isinstance(last, RolloutEvent) else None
    if serving is None:
        raise NothingToRunAgain("no deployment of it was ever live", hint="deploy it first")
    found = await former(gateway, organization, serving.deployment)
    return replace(found, repeats=Repeats(deployment=found.id), commit=serving.commit)


async def still_there(gateway: Gateway, organization: str, repeats: Repeats) -> None:
    """The images that it would run are kept. Raises ImagesSwept."""
    head = await gateway.store.head(Subject(organization, "build", repeats.deployment))
    match head.events[-1] if head else None:
        case BuildSwept(kept=kept):
            raise ImagesSwept(
                f"the images of the deployment {repeats.deployment} are not kept any more: only"
                f" those of the last {kept} deployments of a service are",
                hint="roll back to a later one, or deploy the service as it was set then, which"
                " makes its images anew: a git source's commit can be set",
            )
        case _:
            pass
