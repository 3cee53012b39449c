"""Making a deployment of an application, as it is wanted now or as it was."""

from slipway.contracts.deployment import Trigger
from slipway.contracts.values import BuiltImage, GitCommit, Specification
from slipway.kernel import ids
from slipway.kernel.errors import Invalid, NotFound, Refused
from slipway.readmodel.model import Document

from api_gateway.applications.domain import APPLICATION, ApplicationState, BeingDeleted
from api_gateway.deployments.domain import DEPLOYMENT, DeploymentState, Request
from api_gateway.gateway import Gateway, Outcome, RequestContext
from api_gateway.projects.domain import ENVIRONMENT, PROJECT, alive
from api_gateway.variables.scopes import reachable

_LARGEST = 256 * 1024


class NothingToRunAgain(Refused):
    slug = "nothing-to-run-again"


async def living(gateway: Gateway, organization: str, application: str) -> ApplicationState:
    """The application as the log has it. Raises NotFound or BeingDeleted, for its parents too."""
    state = await gateway.state(APPLICATION, organization, application)
    if state.phase in ("none", "deleted"):
        raise NotFound("there is no such application")
    if state.phase == "deleting":
        raise BeingDeleted(f"the application {state.name} is being deleted")
    environment = await gateway.state(ENVIRONMENT, organization, state.environment)
    alive("environment", environment.phase)
    project = await gateway.state(PROJECT, organization, state.project)
    alive("project", project.phase)
    return state


async def specification(
    gateway: Gateway, organization: str, id_: str, state: ApplicationState
) -> Specification:
    assert state.source is not None  # noqa: S101 - it has one since it was made
    return Specification(
        name=state.name,
        source=state.source,
        build=state.build,
        runtime=state.runtime,
        variables=await reachable(gateway, organization, "application", id_),
    )


async def request(
    gateway: Gateway,
    ctx: RequestContext,
    application: str,
    state: ApplicationState,
    wanted: Specification,
    trigger: Trigger,
    *,
    image: BuiltImage | None = None,
    commit: GitCommit | None = None,
) -> tuple[str, Outcome[DeploymentState]]:
    """(deployment's id, outcome). Raises Invalid when the specification is too large."""
    size = len(wanted.model_dump_json())
    if size > _LARGEST:
        raise Invalid(
            f"the specification has {size} bytes with its variables, {_LARGEST} at most",
            hint="put large values in a file of the image or a volume",
        )
    id_ = ids.derived(ctx.id, "deployment")
    command = Request(
        project=state.project,
        environment=state.environment,
        application=application,
        specification=wanted,
        trigger=trigger,
        image=image,
        commit=commit,
        stops_earlier=trigger.kind in ("rollback", "restart", "start"),
    )
    return id_, await gateway.handle(ctx, DEPLOYMENT, id_, command, step="request")


async def image_of(
    gateway: Gateway, document: Document
) -> tuple[BuiltImage | None, GitCommit | None]:
    """What a deployment ran, or would have run had its rollout not failed."""
    timeline = await gateway.documents.get("timeline", document["_id"]) or {}
    state = document["state"]
    image = state["image"] or timeline.get("image")
    commit = state["commit"] or timeline.get("commit")
    return (
        BuiltImage.model_validate(image) if image else None,
        GitCommit.model_validate(commit) if commit else None,
    )


async def newest_image(gateway: Gateway, application: str) -> tuple[BuiltImage, GitCommit | None]:
    """Of the newest deployment that has one. Raises NothingToRunAgain."""
    cursor = None
    while True:
        part = await gateway.documents.find(
            "deployment", {"state.application": application},
            sort="first", descending=True, cursor=cursor, limit=20,
        )  # fmt: skip
        for document in part.items:
            image, commit = await image_of(gateway, document)
            if image is not None:
                return image, commit
        if (cursor := part.next) is None:
            raise NothingToRunAgain("nothing was built yet", hint="deploy with a build first")


async def last_live(gateway: Gateway, application: str) -> Document:
    """The deployment that serves, or served last. Raises NothingToRunAgain."""
    rollout = await gateway.documents.get("rollout", application)
    serving = rollout["state"]["serving"] if rollout else None
    document = await gateway.documents.get("deployment", serving["deployment"]) if serving else None
    if document is None:
        raise NothingToRunAgain("no deployment of it was ever live", hint="deploy it first")
    return document
