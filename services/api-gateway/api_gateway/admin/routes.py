"""For the installation's operator: the views anew, and what was given up once more."""

from typing import Annotated, Any, Literal

from fastapi import Path
from fastapi.responses import Response
from pydantic import Field
from slipway.egress.policy import MOST, NotAnEntry, allowed
from slipway.eventstore.dead_letters import Changed, ask_again
from slipway.eventstore.dead_letters import DeadLetter as Letter
from slipway.kernel.envelope import INSTALLATION
from slipway.kernel.errors import Invalid, NotFound, Refused
from slipway.readmodel import cursor as cursors

from api_gateway.admin.carried_out import CarriedOut
from api_gateway.admin.domain import EGRESS, SetEgress
from api_gateway.gateway import Gateway
from api_gateway.http.answers import Cursor, Limit, answer, decoded, listed
from api_gateway.http.context import Ctx, Gate
from api_gateway.http.routing import router as feature
from api_gateway.http.schema import Body, Listed, Shown

router = feature("admin")
Durable = Annotated[str, Path(max_length=64)]
_EGRESS = "main"
Sequence = Annotated[int, Path(ge=1, le=10**18)]


class Projections(Shown):
    """Of the newest rebuild. `differing` documents were not as the log has them; `sequence` is
    how far the living views hold the log."""

    status: Literal["none", "running", "done", "failed"]
    folded: int
    of: int
    documents: int
    differing: int
    error: str | None
    sequence: int


class DeadLetter(Shown):
    """An event that a service could not handle. `subject` is its aggregate, `sequence` its place
    in the log; `attempts` counts all failed ones. `state`: `dead` was given up, `again` is about
    to be handled once more, `done` was handled."""

    durable: str
    sequence: int
    subject: str
    error: str
    attempts: int
    state: Literal["dead", "again", "done"]
    at: str


class NotDead(Refused):
    slug = "not-dead"


def _progress(gateway: Gateway) -> dict[str, Any]:
    progress = gateway.projector.progress
    return {
        "status": progress.status,
        "folded": progress.folded,
        "of": progress.of,
        "documents": progress.documents,
        "differing": progress.differing,
        "error": progress.error or None,
        "sequence": gateway.projector.sequence,
    }


class Entries(Body):
    allow: Annotated[list[Annotated[str, Field(max_length=60)]], Field(max_length=MOST)]


class Egress(Shown):
    """`allow`: `10.0.0.1:5432`, `[fd00::1]:5432`, `10.0.0.0/8`, `10.0.0.0/8:443`. One address with
    a port is open whatever it is; a range opens private addresses, but none of the machine, of its
    containers and of the swarm's nodes, and no link-local ones."""

    allow: list[str]


@router.get("/v1/admin/egress", response_model=Egress)
async def get_egress(gateway: Gate, ctx: Ctx) -> Response:
    """What workloads and builds may call beyond public addresses. What `make up` allows, by
    SLIPWAY_EGRESS_ALLOW too, is not in it."""
    state, head = await gateway.commands.load(EGRESS, INSTALLATION, _EGRESS)
    return answer(ctx, {"allow": list(state.allow)}, version=head.version)


@router.put("/v1/admin/egress", response_model=Egress)
async def set_egress(body: Entries, gateway: Gate, ctx: Ctx) -> Response:
    """All of it. It holds on every node a few seconds later, for connections that are open too."""
    allow: list[str] = []
    for index, text in enumerate(body.allow):
        try:
            allow.append(str(allowed(text)))
        except NotAnEntry as error:
            raise Invalid(str(error), pointer=f"/allow/{index}") from None
    _, head = await gateway.commands.load(EGRESS, INSTALLATION, _EGRESS)
    if not head.version:  # nothing was ever set, and there is an ETag of that
        ctx.precondition(0)
    outcome = await gateway.commands.handle(
        ctx, EGRESS, _EGRESS, SetEgress(tuple(dict.fromkeys(allow))), organization=INSTALLATION
    )
    shown = {"allow": list(outcome.state.allow)}
    return answer(ctx, shown, version=outcome.head.version)


@router.post("/v1/admin/projections/rebuild", status_code=202, response_model=Projections)
async def rebuild_projections(gateway: Gate, ctx: Ctx) -> Response:
    """All views anew from the log, beside the living ones."""
    ctx.sequence = gateway.projector.sequence
    carried_out = gateway.memory(CarriedOut)
    if not carried_out.holds(ctx):
        gateway.projector.ask_rebuild()
        carried_out.note(ctx)
    return answer(ctx, _progress(gateway), 202)


@router.get("/v1/admin/projections", response_model=Projections)
async def get_projections(gateway: Gate, ctx: Ctx) -> Response:
    return answer(ctx, _progress(gateway))


def _letter(letter: Letter) -> dict[str, Any]:
    return {
        "durable": letter.durable,
        "sequence": letter.sequence,
        "subject": letter.subject,
        "error": letter.error,
        "attempts": letter.attempts,
        "state": letter.state,
        "at": letter.at,
    }


@router.get("/v1/admin/dead-letters", response_model=Listed[DeadLetter])
async def list_dead_letters(
    gateway: Gate, ctx: Ctx, limit: Limit = 50, cursor: Cursor = None
) -> Response:
    """What was given up, of every service, in the order of the log."""
    after = decoded(cursor, int)
    letters = sorted(
        ((letter.sequence, letter.durable), letter) for letter in await gateway.dead_letters.list()
    )
    part = [item for item in letters if after is None or item[0] > after][: limit + 1]
    next_ = cursors.encode(*part[limit - 1][0]) if len(part) > limit else None
    return answer(ctx, listed([_letter(letter) for _, letter in part[:limit]], next_))


@router.post(
    "/v1/admin/dead-letters/{durable}/{sequence}/retry", status_code=202, response_model=DeadLetter
)
async def retry_dead_letter(
    durable: Durable, sequence: Sequence, gateway: Gate, ctx: Ctx
) -> Response:
    """Its service handles the event once more. If-Match takes the ETag of the last answer."""
    letter = await _found(gateway, durable, sequence)
    carried_out = gateway.memory(CarriedOut)
    if not carried_out.holds(ctx):
        ctx.precondition(letter.revision)
        try:
            letter = await ask_again(gateway.dead_letters, letter)
        except Changed:
            state = (await _found(gateway, durable, sequence)).state
            raise NotDead(
                f"only what is dead is tried again, and this is {state}",
                hint="GET /v1/admin/dead-letters shows what became of it",
            ) from None
        carried_out.note(ctx)
    return answer(ctx, _letter(letter), 202, version=letter.revision)


async def _found(gateway: Gateway, durable: str, sequence: int) -> Letter:
    for letter in await gateway.dead_letters.list():
        if (letter.durable, letter.sequence) == (durable, sequence):
            return letter
    raise NotFound("there is no such dead letter")
