"""The one way to change anything: load, fold, decide, append, and show it at once."""

import hashlib
import hmac
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
from slipway.readmodel.model import Away, Document, Documents
from slipway.readmodel.projector import Projector

from api_gateway.credentials import Credentials
from api_gateway.projections import SHOWN, document_of, key_of
from api_gateway.projects.tree import Trees
from api_gateway.settings import GatewaySettings

_TRIES = 5
_CACHED = 5000


@dataclass(slots=True)
class RequestContext:
    """Who asks for what. `id` is derived from the Idempotency-Key where there is one; `digest`
    is of the body then. `sequence` becomes the highest sequence that the request appended, or
    found that nothing was left to append."""

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


@dataclass(slots=True)
class _Entry:
    """An aggregate as far as it is known here."""

    state: Any
    head: Head = NOTHING
    first: Commit | None = None
    last: Commit | None = None
    requests: dict[str, str | None] = field(default_factory=dict)
    """Commit → the request that it was appended for."""

    def followed_by(self, commits: list[Commit], decider: Decider[Any, Any, Any]) -> "_Entry":
        return replace(
            self,
            state=decider.fold((e for c in commits for e in c.events), self.state),
            head=commits[-1].head,
            first=self.first or commits[0],
            last=commits[-1],
            requests={**self.requests, **{c.meta.commit: c.meta.request for c in commits}},
        )


@dataclass(frozen=True, slots=True)
class Outcome[S]:
    """`document` is what is read of the aggregate from now on."""

    state: S
    head: Head
    document: Document


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
    credentials: Credentials = field(init=False)
    trees: Trees = field(init=False)
    _cache: OrderedDict[Subject, _Entry] = field(default_factory=OrderedDict)

    def __post_init__(self) -> None:
        self.credentials = Credentials(self.documents, self.projector)
        self.trees = Trees(self.documents, self.projector)
        self.projector.listeners += [self.credentials.changed, self.trees.changed]

    async def _entry(self, subject: Subject, decider: Decider[Any, Any, Any]) -> _Entry:
        known = self._cache.get(subject) or _Entry(decider.initial)
        fresh = await self.store.load(subject, known.head.sequence)
        return self._keep(subject, known.followed_by(fresh, decider)) if fresh else known

    def _keep(self, subject: Subject, entry: _Entry) -> _Entry:
        known = self._cache.get(subject)
        if known is None or known.head.sequence < entry.head.sequence:
            self._cache[subject] = entry
        self._cache.move_to_end(subject)
        if len(self._cache) > _CACHED:
            self._cache.popitem(last=False)
        return entry

    async def load[S](
        self, decider: Decider[S, Any, Any], organization: str, id_: str
    ) -> tuple[S, Head]:
        """The aggregate as the log has it now (not as the views have it)."""
        entry = await self._entry(Subject(organization, decider.category, id_), decider)
        return entry.state, entry.head

    async def state[S](self, decider: Decider[S, Any, Any], organization: str, id_: str) -> S:
        return (await self.load(decider, organization, id_))[0]

    async def begin[S](
        self, ctx: RequestContext, decider: Decider[S, Any, Any], id_: str
    ) -> tuple[S, Head]:
        """The aggregate that a request is about, before anything else is done for it. Raises
        PreconditionFailed, unless it is a repeat of a request that was carried out."""
        subject = Subject(ctx.organization, decider.category, id_)
        entry = await self._entry(subject, decider)
        if ids.commit_id(ctx.id, str(subject)) not in entry.requests:
            self.precondition(ctx, entry.head)
        return entry.state, entry.head

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
            if commit_id in entry.requests:
                self._same_body(ctx, entry.requests[commit_id])
                return await self._shown(ctx, subject, entry)
            if not step:
                self.precondition(ctx, entry.head)
            events: tuple[Event, ...] = decider.decide(command, entry.state)
            if not events:
                ctx.sequence = max(ctx.sequence, entry.head.sequence)
                return self._outcome(subject, entry)
            meta = Meta(
                commit=commit_id,
                at=ctx.at,
                actor=ctx.actor,
                correlation=ctx.id,
                request=ctx.request,
            )
            try:
                commit = await self.store.append(subject, entry.head, events, meta)
            except Conflict:
                continue
            except TooLarge as error:
                raise Invalid(str(error)) from error
            except OutcomeUnknown as error:
                raise Unavailable(
                    "the log did not answer; it is not known whether this was stored",
                    hint="send the same request with the same Idempotency-Key again",
                ) from error
            if commit.prev == entry.head.hash and commit.head.version == entry.head.version + 1:
                entry = self._keep(subject, entry.followed_by([commit], decider))
            else:
                entry = await self._entry(subject, decider)  # an earlier try of this commit
            return await self._shown(ctx, subject, entry)
        raise Refused("others keep changing the same thing", hint="try again")

    @staticmethod
    def precondition(ctx: RequestContext, head: Head) -> None:
        """Raises PreconditionFailed when If-Match names another version."""
        if ctx.if_match is not None and ctx.if_match != head.version:
            raise PreconditionFailed(
                f"it is at version {head.version} by now, not {ctx.if_match}",
                hint="read it again and send its ETag",
            )

    @staticmethod
    def _same_body(ctx: RequestContext, request: str | None) -> None:
        if ctx.keyed and request not in (None, ctx.request):
            raise KeyReused("this Idempotency-Key was used for another request body")

    async def replayed(self, ctx: RequestContext, subject: Subject) -> bool:
        """True when this very request made the aggregate before. Raises KeyReused."""
        if not ctx.keyed:
            return False
        found = await self.store.load(subject)
        if not found or found[0].meta.correlation != ctx.id:
            return False
        self._same_body(ctx, found[0].meta.request)
        ctx.sequence = max(ctx.sequence, found[0].sequence)
        return True

    @staticmethod
    def _outcome(subject: Subject, entry: _Entry) -> Outcome[Any]:
        if entry.first is None or entry.last is None:
            return Outcome(entry.state, entry.head, {})
        document = document_of(subject, entry.state, entry.first, entry.last)
        numbered = {**document, "_id": key_of(subject), "_seq": entry.head.sequence}
        return Outcome(entry.state, entry.head, numbered)

    async def _shown(self, ctx: RequestContext, subject: Subject, entry: _Entry) -> Outcome[Any]:
        """The writer's own view of its write does not wait for the projector."""
        ctx.sequence = max(ctx.sequence, entry.head.sequence)
        outcome = self._outcome(subject, entry)
        try:
            if subject.category in SHOWN:
                await self.documents.put(subject.category, [outcome.document])
        except Away:
            pass  # the log has it, the projector will bring it
        self.trees.put(subject, outcome.document)
        if entry.last is not None:
            self.credentials.changed(entry.last)
        return outcome

    async def views_hold(self, cause: Commit) -> None:
        """A reaction that looks for what there is must not miss what was there before its cause.
        Raises Away when the views are too far behind; the reaction is tried again."""
        if not await self.projector.wait_for(cause.sequence, 30):
            raise Away("the views are behind")

    def service_context(self, cause: Commit, step: str = "") -> RequestContext:
        """For what the gateway does of itself in consequence of a commit."""
        id_ = ids.derived("reaction", cause.meta.commit, step)
        return RequestContext(
            id=id_,
            actor=Actor("service", "api-gateway"),
            at=self.clock.now(),
            organization=cause.subject.organization,
        )

    def digest(self, body: bytes) -> str:
        """Tells bodies apart, and tells nothing of what stands in them to who reads the log."""
        key = self.settings.gateway_key.get_secret_value().encode()
        return hmac.new(key, body, hashlib.sha256).hexdigest()[:32]


class KeyReused(Invalid):
    slug = "idempotency-key-reused"
