"""Deployments over HTTP."""

from typing import Annotated

from fastapi import Body as Given
from fastapi.responses import Response
from slipway.contracts.deployment import Repeats, Trigger
from slipway.contracts.reached import names as reached_names
from slipway.contracts.rollout import RolloutEvent
from slipway.contracts.service import ServiceStarted
from slipway.contracts.values import GitCommit, Specification
from slipway.kernel import ids
from slipway.kernel.envelope import Subject
from slipway.kernel.errors import NotFound
from slipway.readmodel.model import Document

from api_gateway import names, ports
from api_gateway.deployments import carried, domain, read
from api_gateway.deployments.history import Former, former, last_live, newest_images, still_there
from api_gateway.deployments.open import OpenDeployments
from api_gateway.deployments.request import Living, NothingToRunAgain, living, request
from api_gateway.gateway import Gateway
from api_gateway.http.answers import Cursor, Id, Limit, answer, checked_id, listed, owned, page
from api_gateway.http.context import Ctx, Gate
from api_gateway.http.routing import router as feature
from api_gateway.http.schema import Body, Listed
from api_gateway.request_context import RequestContext
from api_gateway.services.domain import SERVICE, Start, git_source

router = feature("deployments")
_ENDED = {
    "none": "not known to this release", "open": "not built yet", "succeeded": "live",
    "failed": "failed", "cancelled": "cancelled", "superseded": "superseded", "expired": "expired",
}  # fmt: skip


class NewDeployment(Body):
    build: bool = True
    """False: the newest images again, as the service is configured now."""


async def _accepted(gateway: Gateway, ctx: RequestContext, document: Document) -> Response:
    found = (await read.deployments(gateway.documents, [document]))[0]
    return answer(ctx, found, 202, version=document["version"])


async def _repeat(gateway: Gateway, ctx: RequestContext) -> Document | None:
    """The deployment that this very request made before."""
    made = ids.derived(ctx.id, "deployment")
    if await gateway.commands.replayed(ctx, domain.DEPLOYMENT, made):
        return await owned(gateway.documents, ctx, "deployment", made, "deployment")
    return None


async def _make(
    gateway: Gateway,
    ctx: RequestContext,
    service: Living,
    trigger: Trigger,
    again: tuple[Repeats, GitCommit | None] | None = None,
    wanted: Specification | None = None,
) -> Response:
    """What was stopped is started first: a repeat of a request that was cut off finds that done.
    Raises NameTaken where a workload that is there no more was reached by what is another's now,
    ImagesSwept and PortTaken."""
    if again is not None:
        await still_there(gateway, ctx.organization, again[0])
    if wanted is not None:
        state, reach = service.state, carried.reach(gateway, ctx.organization)
        own, again_ = (reached_names(state.name, each.settings) for each in (state, wanted))
        await names.claim_all(
            gateway.commands, ctx, state.environment, again_, SERVICE, service.id, reach, kept=own
        )
        await _claim_ports(gateway, ctx, service, wanted)
    if service.state.stopped:
        await gateway.commands.handle(ctx, SERVICE, service.id, Start(), step="start")
    repeats, commit = again or (None, None)
    made = await request(
        gateway, ctx, service, trigger, wanted=wanted, repeats=repeats, commit=commit
    )
    shown = read.deployment(made.document, None, None)
    return answer(ctx, shown, 202, version=made.head.version)


async def _claim_ports(
    gateway: Gateway, ctx: RequestContext, service: Living, wanted: Specification
) -> None:
    """Those that it had then. Raises PortTaken."""
    again = [(None, port) for port in wanted.settings.published]
    holds, own = carried.port_holders(gateway), gateway.settings.own_ports
    claims = await ports.free(gateway.commands, ctx, service.id, again, holds, own)
    await ports.claim(gateway.commands, ctx, claims)


@router.post("/v1/services/{id}/deployments", status_code=202, response_model=read.Deployment)
async def deploy(
    id_: Id, gateway: Gate, ctx: Ctx, body: Annotated[NewDeployment | None, Given()] = None
) -> Response:
    """Of the service as it is configured now. One that is stopped is started by it, as it is by a
    rollback and a restart."""
    if (made := await _repeat(gateway, ctx)) is not None:
        return await _accepted(gateway, ctx, made)
    service = await living(gateway.commands, ctx.organization, checked_id(id_, "service"))
    ctx.precondition(service.head.version)
    built = body is None or body.build
    again = None if built else await newest_images(gateway, ctx.organization, id_)
    return await _make(gateway, ctx, service, Trigger(kind="manual"), again)


@router.get("/v1/services/{id}/deployments", response_model=Listed[read.ListedDeployment])
async def list_deployments(
    id_: Id, gateway: Gate, ctx: Ctx, limit: Limit = 50, cursor: Cursor = None
) -> Response:
    """Newest first, each without its steps and without the lines of its error."""
    await owned(gateway.documents, ctx, "service", id_, "service")
    found = await page(
        gateway.documents, "deployment", {"state.service": id_}, cursor, limit,
        sort="first", descending=True,
    )  # fmt: skip
    items = map(read.listed, await read.deployments(gateway.documents, found.items))
    return answer(ctx, listed(list(items), found.next))


@router.get("/v1/deployments/{id}", response_model=read.Deployment)
async def get_deployment(id_: Id, gateway: Gate, ctx: Ctx) -> Response:
    document = await owned(gateway.documents, ctx, "deployment", id_, "deployment")
    found = (await read.deployments(gateway.documents, [document]))[0]
    return answer(ctx, found, version=document["version"])


@router.post("/v1/deployments/{id}/cancel", status_code=202, response_model=read.Deployment)
async def cancel_deployment(id_: Id, gateway: Gate, ctx: Ctx) -> Response:
    """One that still waits ends at once; otherwise whoever does the work stops it."""
    stop = domain.RequestStop("cancelled", strict=True)
    outcome = await gateway.commands.handle(
        ctx, domain.DEPLOYMENT, checked_id(id_, "deployment"), stop
    )
    return await _accepted(gateway, ctx, outcome.document)


@router.post("/v1/deployments/{id}/rollback", status_code=202, response_model=read.Deployment)
async def roll_back(id_: Id, gateway: Gate, ctx: Ctx) -> Response:
    """That whole specification again (variables, limits, images), without a build, under the name
    that the service has now."""
    if (made := await _repeat(gateway, ctx)) is not None:
        return await _accepted(gateway, ctx, made)
    found = await former(gateway, ctx.organization, checked_id(id_, "deployment"))
    if found.state.phase == "none":
        raise NotFound("there is no such deployment")
    ctx.precondition(found.version)
    service = await living(gateway.commands, ctx.organization, found.state.service)
    return await _repeat_of(gateway, ctx, service, Trigger(kind="rollback", of=id_), found)


async def _repeat_of(
    gateway: Gateway, ctx: RequestContext, service: Living, trigger: Trigger, found: Former
) -> Response:
    """Raises NothingToRunAgain."""
    wanted, repeats = found.state.specification, found.repeats
    if repeats is None or wanted is None:
        raise NothingToRunAgain(
            f"this deployment never had an image (it is {_ENDED[found.state.phase]})",
            hint="roll back to one that was live",
        )
    if wanted.name != service.state.name:  # its names in the network are others now
        repeats = repeats.model_copy(update={"whole": False})
    return await _make(gateway, ctx, service, trigger, (repeats, found.commit), wanted)


async def _again(gateway: Gateway, ctx: RequestContext, id_: str, trigger: Trigger) -> Response:
    if (made := await _repeat(gateway, ctx)) is not None:
        return await _accepted(gateway, ctx, made)
    service = await living(gateway.commands, ctx.organization, checked_id(id_, "service"))
    ctx.precondition(service.head.version)
    if trigger.kind == "start" and (push := await _kept_push(gateway, ctx, service)):
        return await _make(gateway, ctx, service, Trigger(kind="start", commit=push))
    found = await last_live(gateway, ctx.organization, id_)
    return await _repeat_of(gateway, ctx, service, trigger, found)


async def _kept_push(gateway: Gateway, ctx: RequestContext, service: Living) -> str | None:
    """The commit of a push that came while it was stopped, or whose deployment the stop is about to
    end. Of one that was started since: where what serves was requested before; a start that was cut
    off behind its first fact is asked for again."""
    if git_source(service.state.settings) is None:
        return None
    push = service.state.kept_push
    if service.state.stopped:
        return push or await _announced(gateway, ctx, service.id)
    if push is None:
        return None
    head = await gateway.store.head(Subject(ctx.organization, "rollout", service.id))
    last = head.events[-1] if head else None
    serving = last.state.serving if isinstance(last, RolloutEvent) else None
    started = await _started(gateway, Subject(ctx.organization, "service", service.id))
    return push if serving is None or serving.sequence < started else None


async def _announced(gateway: Gateway, ctx: RequestContext, service: str) -> str | None:
    """The newest commit that is being deployed."""
    for found in reversed(await gateway.memory(OpenDeployments).of(service)):
        asked = await gateway.commands.state(domain.DEPLOYMENT, ctx.organization, found.id)
        if (commit := domain.coming(asked)) is not None:
            return commit
    return None


async def _started(gateway: Gateway, service: Subject) -> int:
    """The sequence at which it was started last; 0 when it never was stopped."""
    commits = await gateway.store.load(service)
    return max(
        (
            commit.sequence
            for commit in commits
            if any(isinstance(event, ServiceStarted) for event in commit.events)
        ),
        default=0,
    )


@router.post("/v1/services/{id}/restart", status_code=202, response_model=read.Deployment)
async def restart_service(id_: Id, gateway: Gate, ctx: Ctx) -> Response:
    """The live specification and images in new containers; without a gap, unless it stops first."""
    return await _again(gateway, ctx, id_, Trigger(kind="restart"))


@router.post("/v1/services/{id}/start", status_code=202, response_model=read.Deployment)
async def start_service(id_: Id, gateway: Gate, ctx: Ctx) -> Response:
    """The specification and images that served last; after a push that came while it was stopped,
    its branch as a new deployment."""
    return await _again(gateway, ctx, id_, Trigger(kind="start"))
