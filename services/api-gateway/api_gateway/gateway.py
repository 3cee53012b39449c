"""The one way to change anything: load, fold, decide, append, and show it at once."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from slipway.contracts.event import Event
from slipway.contracts.organization import Role
from slipway.eventstore.logs import Keys, LogStore, Objects
from slipway.eventstore.store import Commit, Conflict, EventStore, OutcomeUnknown, TooLarge
from slipway.kernel import ids
from slipway.kernel.clock import Clock
from slipway.kernel.decider import Decider
from slipway.kernel.envelope import NOTHING, Actor, Head, Meta, Subject
from slipway.kernel.errors import Invalid, PreconditionFailed, Refused, Unavailable
from slipway.readmodel.model import Away, Documents
from slipway.readmodel.projector import Projector

from api_gateway.projections import document_of, key_of
from api_gateway.settings import GatewaySettings

_TRIES = 5
_CACHED = 5000


@dataclass(slots=True)
class RequestContext:
    """Who asks for what. `id` is derived from the Idempotency-Key where there is one; `digest`
    is of the body. `sequence` becomes the highest sequence that the request appended."""

    id: str
    actor: Actor
    at: datetime
    organization: str = "_"
    role: Role | None = None
    user: str | None = None
    operator: bool = False
    if_match: int | None = None
    digest: str = ""
    keyed: bool = False
    sequence: int = 0

    @property
    def request(self) -> str:
        return f"{self.id}:{self.digest}"


@dataclass(frozen=True, slots=True)
class Outcome[S]:
    state: S
    head: Head
    commit: Commit | None
    """What was appended, or what the same request appended before; None when nothing was."""


@dataclass(slots=True)
class _Entry:
    state: Any
    head: Head
    commits: dict[str, Commit] = field(default_factory=dict)


@dataclass(slots=True)
class Gateway:
    store: EventStore
    documents: Documents
    projector: Projector
    logs: LogStore
    build_logs: Objects
    keys: Keys
    clock: Clock
    settings: GatewaySettings
    ready: Callable[[], bool] = lambda: True
    _cache: OrderedDict[Subject, _Entry] = field(default_factory=OrderedDict)

    async def _entry(self, subject: Subject, decider: Decider[Any, Any, Any]) -> _Entry:
        known = self._cache.get(subject)
        entry = replace(known) if known else _Entry(decider.initial, NOTHING)
        fresh = await self.store.load(subject, entry.head.sequence)
        if fresh:
            entry.commits = {**entry.commits, **{c.meta.commit: c for c in fresh}}
            entry.head = fresh[-1].head
            entry.state = decider.fold((e for c in fresh for e in c.events), entry.state)
            self._cache[subject] = entry
            self._cache.move_to_end(subject)
            if len(self._cache) > _CACHED:
                self._cache.popitem(last=False)
        return entry

    async def state[S](self, decider: Decider[S, Any, Any], organization: str, id_: str) -> S:
        """The aggregate as the log has it now (not as the views have it)."""
        subject = Subject(organization, decider.category, id_)
        return (await self._entry(subject, decider)).state

    async def handle[S, C](
        self,
        ctx: RequestContext,
        decider: Decider[S, C, Any],
        id_: str,
        command: C,
        *,
        step: str = "",
        organization: str | None = None,
    ) -> Outcome[S]:
        """Decide on the command and append what follows from it, once per request and step.

        Raises what `decide` raises, PreconditionFailed when If-Match names another version,
        Unavailable when it is not known whether the log has it.
        """
        subject = Subject(organization or ctx.organization, decider.category, id_)
        commit_id = ids.commit_id(ctx.id, str(subject), step)
        for _ in range(_TRIES):
            entry = await self._entry(subject, decider)
            if (done := entry.commits.get(commit_id)) is not None:
                self._same_body(ctx, done)
                await self._show(ctx, done, decider, entry)
                return Outcome(entry.state, entry.head, done)
            if ctx.if_match is not None and not step and ctx.if_match != entry.head.version:
                raise PreconditionFailed(
                    f"it is at version {entry.head.version} by now, not {ctx.if_match}",
                    hint="read it again and send its ETag",
                )
            events: tuple[Event, ...] = decider.decide(command, entry.state)
            if not events:
                return Outcome(entry.state, entry.head, None)
            meta = Meta(
                commit=commit_id,
                at=ctx.at,
                actor=ctx.actor,
                correlation=ctx.id,
                request=ctx.request,
            )
            try:
                await self.store.append(subject, entry.head, events, meta)
            except Conflict:
                continue
            except TooLarge as error:
                raise Invalid(str(error)) from error
            except OutcomeUnknown as error:
                raise Unavailable(
                    "the log did not answer; it is not known whether this was stored",
                    hint="send the same request with the same Idempotency-Key again",
                ) from error
            entry = await self._entry(subject, decider)
            commit = entry.commits[commit_id]
            await self._show(ctx, commit, decider, entry)
            return Outcome(entry.state, entry.head, commit)
        raise Refused("others keep changing the same thing", hint="try again")

    @staticmethod
    def _same_body(ctx: RequestContext, done: Commit) -> None:
        if ctx.keyed and done.meta.request not in (None, ctx.request):
            raise KeyReused("this Idempotency-Key was used for another request body")

    async def replayed(self, ctx: RequestContext, subject: Subject) -> bool:
        """True when this very request made the aggregate before. Raises KeyReused."""
        if not ctx.keyed:
            return False
        found = await self.store.load(subject)
        if not found:
            return False
        self._same_body(ctx, found[0])
        ctx.sequence = max(ctx.sequence, found[0].sequence)
        return True

    async def _show(
        self, ctx: RequestContext, commit: Commit, decider: Decider[Any, Any, Any], entry: _Entry
    ) -> None:
        """The writer's own view of its write does not wait for the projector."""
        ctx.sequence = max(ctx.sequence, commit.sequence)
        commits = list(entry.commits.values())
        document = document_of(commit.subject, entry.state, commits)
        try:
            await self.documents.put(
                decider.category,
                [{**document, "_id": key_of(commit.subject), "_seq": entry.head.sequence}],
            )
        except Away:
            return  # the log has it, the projector will bring it

    def service_context(self, cause: Commit, step: str = "") -> RequestContext:
        """For what the gateway does of itself in consequence of a commit."""
        id_ = ids.derived("reaction", cause.meta.commit, step)
        return RequestContext(
            id=id_,
            actor=Actor("service", "api-gateway"),
            at=self.clock.now(),
            organization=cause.subject.organization,
        )


class KeyReused(Invalid):
    slug = "idempotency-key-reused"


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:32]
