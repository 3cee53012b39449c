"""Log lines: history, then live; as server-sent events or NDJSON.

Of a deployment: what its build printed, then what the events of its rollout and its route tell,
before the end of a job what that printed. The event log has the events, so nothing is stored of
them here."""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, NamedTuple

import orjson
from fastapi import Request
from fastapi.responses import Response, StreamingResponse
from slipway.contracts.build import BuildCancelled, BuildFailed, BuildSucceeded
from slipway.contracts.deployment import DeploymentRequested
from slipway.contracts.event import Event
from slipway.contracts.logs import LogLine, build_subject, job_log, run_subject
from slipway.contracts.rollout import RolloutJobEnded, RolloutReverting
from slipway.eventstore.objects import Damaged
from slipway.eventstore.store import Commit
from slipway.kernel.envelope import Subject
from slipway.kernel.errors import Invalid
from slipway.runtime.clock import iso

from api_gateway.deployments.open import ENDS
from api_gateway.deployments.render import Story
from api_gateway.gateway import Gateway
from api_gateway.http.answers import Id, owned
from api_gateway.http.context import Ctx, Gate
from api_gateway.http.routing import router as feature
from api_gateway.http.streaming import HEADERS, beating

router = feature("logs")

type Lines = AsyncIterator[tuple[str, LogLine]]
_POSITION = re.compile(r"(e?)([0-9]{1,18})(?:\.([0-9]{1,9}))?")
_BUILT = (BuildSucceeded, BuildFailed, BuildCancelled)
_EVERY = 0.2
"""Seconds between two looks."""
_LAST = 20
"""Lines of a job of which is known that they were told: a failure has no more of them."""
_LINES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Lines, as server-sent events where `Accept` asks for them, else NDJSON",
        "content": {
            "application/x-ndjson": {"schema": LogLine.model_json_schema()},
            "text/event-stream": {"schema": {"type": "string"}},
        },
    }
}


class Position(NamedTuple):
    """Of a line; in the order in which lines come. `told`: one that events tell, behind all of the
    build's. `at`: the sequence of the commit, or of the batch in the stream of logs."""

    told: bool
    at: int
    line: int

    def __str__(self) -> str:
        return f"{'e' if self.told else ''}{self.at}.{self.line}"


_BEGINNING = Position(told=False, at=0, line=-1)


def position(last: str | None, *, told: bool = False) -> Position:
    """Of the last line that was seen: `<batch>.<line>`, with an `e` before it where events tell it
    (`told`: there may be such lines). Raises Invalid."""
    if not last:
        return _BEGINNING
    match = _POSITION.fullmatch(last)
    if match is None or (match[1] and not told):
        raise Invalid("not the id of a line of this log", pointer="Last-Event-ID")
    return Position(bool(match[1]), int(match[2]), int(match[3] or 0))


async def _batches(gateway: Gateway, subject: str, last: Position, follow: bool) -> Lines:
    async for sequence, lines in gateway.logs.read(subject, max(0, last.at - 1), follow):
        for index, item in enumerate(lines):
            if (at := Position(told=False, at=sequence, line=index)) > last:
                yield str(at), item


async def _of_deployment(
    gateway: Gateway, organization: str, id_: str, last: Position, follow: bool
) -> Lines:
    """Ends by itself when the deployment has ended and every line is out."""
    if not last.told:
        async for line in _of_build(gateway, organization, id_, last, follow):
            yield line
    if await _build_over(gateway, organization, id_):
        async for line in _behind_build(gateway, organization, id_, last, follow):
            yield line


async def _of_build(
    gateway: Gateway, organization: str, id_: str, last: Position, follow: bool
) -> Lines:
    """Until nothing more comes of it. Lines that are no longer in the stream come from the archive,
    numbered from 0.0 on."""
    subject = build_subject(organization, id_)
    archived = last.at == 0
    while True:
        over = await _build_over(gateway, organization, id_)
        async for at, line in _batches(gateway, subject, last, follow=False):
            archived = False
            last = position(at)
            yield at, line
        if over or not follow:
            break
        await asyncio.sleep(_EVERY)
    if archived:
        rows = (await gateway.build_logs.get(id_) or b"").splitlines()
        for index, row in enumerate(rows):
            if index > last.line:
                yield f"0.{index}", _line(row)


async def _build_over(gateway: Gateway, organization: str, id_: str) -> bool:
    """It has an outcome, before which its log is stored; or the deployment has ended without."""
    for category, ends in (("build", _BUILT), ("deployment", ENDS)):
        head = await gateway.store.head(Subject(organization, category, id_))
        if head is not None and isinstance(head.events[-1], ends):
            return True
    return False


async def _outcome(gateway: Gateway, build: Subject) -> Commit | None:
    """The commit with it: that its images were swept may stand behind it."""
    commits = await gateway.store.load(build)
    return next((each for each in commits if isinstance(each.events[-1], _BUILT)), None)


async def _behind_build(
    gateway: Gateway, organization: str, id_: str, last: Position, follow: bool
) -> Lines:
    own = await gateway.store.load(Subject(organization, "deployment", id_))
    built = await _outcome(gateway, Subject(organization, "build", id_))
    requested = own[0].events[0]
    if not isinstance(requested, DeploymentRequested):
        return  # a newer release's
    outcome = built.events[-1] if built else None
    failed = isinstance(outcome, BuildFailed)
    story = Story(id_, gateway.settings.public_url, failed)
    after = own[0].sequence
    # An outcome that came behind the deployment's own end is no part of it.
    late = built is not None and _ends(own[-1]) and own[-1].sequence < built.sequence
    if built is not None and not late:
        after = built.sequence
    while True:
        until, ended = await _until(gateway, Subject(organization, "deployment", id_))
        for commit in await _between(gateway, organization, id_, requested.service, after, until):
            index, seen = 0, last.told and commit.sequence < last.at
            async for line in _told(gateway, story, commit, seen=seen):
                if (at := Position(told=True, at=commit.sequence, line=index)) > last:
                    yield str(at), line
                index += 1
        if ended or not follow:
            return
        after = until
        await asyncio.sleep(_EVERY)


async def _told(
    gateway: Gateway, story: Story, commit: Commit, *, seen: bool
) -> AsyncIterator[LogLine]:
    """`seen`: its lines are not needed any more. What a job printed is stored when its end is told,
    and never changed; there may be a megabyte of it, so each line is made when it is sent."""
    at = iso(commit.meta.at)
    for event in commit.events:
        if jobs := _jobs(story.deployment, event):
            story.printed = frozenset()
        done = isinstance(event, RolloutJobEnded) and event.exit == 0
        for job in () if seen and done else jobs:
            rows = await _rows(gateway, story.deployment, job, at)
            story.printed |= {_line(row).text for row in rows[-_LAST:]}
            for row in () if seen else rows:
                yield _line(row)
        for item in story.tell(event):
            yield LogLine(at=at, stream=item.stream, step=item.step, text=item.text)


def _line(row: bytes) -> LogLine:
    return LogLine.from_stored(orjson.loads(row))


async def _rows(gateway: Gateway, deployment: str, job: str, at: str) -> list[bytes]:
    """What a job printed, or that there is nothing of it."""
    try:
        rows = await gateway.job_logs.get(job_log(deployment, job))
        why = "was not kept, or not for so long; the log of the service may have it"
    except Damaged:
        rows, why = None, "can't be read: it was being written once more"
    if rows is not None:
        return rows.splitlines()
    text = f"what the job {job} printed {why}"
    return [LogLine(at=at, stream="system", step=job, text=text).model_dump_json().encode()]


def _jobs(deployment: str, event: Event) -> list[str]:
    """Those which end with this."""
    match event:
        case RolloutJobEnded(deployment=of, workload=job) if of == deployment:
            return [job]
        case RolloutReverting(deployment=of, state=state) if of == deployment:
            return [job.workload for job in state.jobs if job.exit is None]
        case _:
            return []


async def _until(gateway: Gateway, deployment: Subject) -> tuple[int, bool]:
    """The sequence up to which the log is told now, and whether the deployment ends there."""
    present = await gateway.store.last_sequence()
    head = await gateway.store.head(deployment)
    if head is not None and _ends(head):
        return head.sequence, True
    return present, False


def _ends(commit: Commit) -> bool:
    return isinstance(commit.events[-1], ENDS)


async def _between(
    gateway: Gateway, organization: str, id_: str, service: str, after: int, until: int
) -> list[Commit]:
    """Of what a deployment's story is told, in the order of the log."""
    found: list[Commit] = []
    if until <= after:
        return found  # as most often: there may be many who look
    for category, of in (("deployment", id_), ("rollout", service), ("route", service)):
        pattern = str(Subject(organization, category, of))
        found += [commit async for commit in gateway.store.read(after, until, pattern)]
    return sorted(found, key=lambda commit: commit.sequence)


def _respond(request: Request, lines: Lines) -> Response:
    events = "text/event-stream" in request.headers.get("accept", "")

    def encode(at: str, line: LogLine) -> bytes:
        data = orjson.dumps(line.model_dump())
        return b"id: %s\ndata: %s\n\n" % (at.encode(), data) if events else data + b"\n"

    async def encoded() -> AsyncGenerator[bytes]:
        async for at, line in lines:
            yield encode(at, line)
        if events:
            yield b"event: end\ndata: {}\n\n"

    kind = "text/event-stream" if events else "application/x-ndjson"
    body = beating(encoded(), b": still here\n\n" if events else None)
    return StreamingResponse(body, media_type=kind, headers=HEADERS)


@router.get("/v1/deployments/{id}/logs", responses=_LINES)
async def get_deployment_logs(
    id_: Id, request: Request, gateway: Gate, ctx: Ctx, follow: bool = True
) -> Response:
    """What was said so far, and what comes until the deployment ends: of the build, then of the
    rollout, the route and each job that has ended, to the addresses or the reason. Secrets are
    masked. `Last-Event-ID` resumes."""
    await owned(gateway.documents, ctx, "deployment", id_, "deployment")
    last = position(request.headers.get("last-event-id"), told=True)
    return _respond(request, _of_deployment(gateway, ctx.organization, id_, last, follow))


@router.get("/v1/services/{id}/logs", responses=_LINES)
async def get_service_logs(
    id_: Id, request: Request, gateway: Gate, ctx: Ctx, follow: bool = True
) -> Response:
    """What the running containers say. `Last-Event-ID` resumes."""
    await owned(gateway.documents, ctx, "service", id_, "service")
    last = position(request.headers.get("last-event-id"))
    subject = run_subject(ctx.organization, id_)
    return _respond(request, _batches(gateway, subject, last, follow))
