"""The one way to change anything: load, fold, decide, append, and show it at once."""

import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice
from typing import Any

from slipway.contracts.event import Event
from slipway.contracts.organization import Role
from slipway.eventstore.keys import Keys
from slipway.eventstore.log_store import LogStore
from slipway.eventstore.objects import Objects
from slipway.eventstore.store import Commit, Conflict, EventStore, OutcomeUnknown, TooLarge
from slipway.kernel import ids
from slipway.kernel.clock import Clock
from slipway.kernel.decider import Decider
from slipway.kernel.envelope import NOTHING, Actor, Head, Meta, Subject
from slipway.kernel.errors import Invalid, PreconditionFailed, Refused, Unavailable
from slipway.readmodel.model import Away, Document, Documents
from slipway.readmodel.projector import Projector

from api_gateway.ahead import Ahead
from api_gateway.credentials import Credentials
from api_gateway.deployments.open import OpenDeployments
from api_gateway.projections import SHOWN, document_of, key_of, plain
from api_gateway.projects.tree import Trees
from api_gateway.settings import GatewaySettings

_TRIES = 5
_CACHED = 5000
_REMEMBERED = 200


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
    """Commit → the request that it was appended for; of the last ones."""

    def followed_by(self, commits: list[Commit], decider: Decider[Any, Any, Any]) -> "_Entry":
        requests = {**self.requests, **{c.meta.commit: c.meta.request for c in commits}}
        return replace(
            self,
            state=decider.fold((e for c in commits for e in c.events), self.state),
            head=commits[-1].head,
            first=self.first or commits[0],
            last=commits[-1],
            requests=dict(islice(requests.items(), max(0, len(requests) - _REMEMBERED), None)),
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
    ahead: Ahead = field(init=False)
    credentials: Credentials = field(init=False)
    trees: Trees = field(init=False)
    open_deployments: OpenDeployments = field(init=False)
    _cache: OrderedDict[Subject, _Entry] = field(default_factory=OrderedDict)
    _rebuilds: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.documents = self.projector.known = self.ahead = Ahead(self.documents)
        self.credentials = Credentials(self.documents, self.projector)
        self.trees = Trees(self.documents, self.projector)
        self.open_deployments = OpenDeployments(self.store, self.documents, self.projector)
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

    async def known[S](
        self, decider: Decider[S, Any, Any], organization: str, id_: str
    ) -> tuple[S, Head]:
        """As it was when it was last looked at here: for a parent whose end in the meantime ends
        what is made in it as well."""
        entry = self._cache.get(Subject(organization, decider.category, id_))
        if entry is None:
            return await self.load(decider, organization, id_)
        return entry.state, entry.head

    async def state[S](self, decider: Decider[S, Any, Any], organization: str, id_: str) -> S:
        return (await self.load(decider, organization, id_))[0]

    async def begin[S](
        self, ctx: RequestContext, decider: Decider[S, Any, Any], id_: str
    ) -> tuple[S, Head]:
        """The aggregate that a request is about, before anything else is done for it. Raises
        PreconditionFailed, unless it is not there, or this very request changed it before."""
        subject = Subject(ctx.organization, decider.category, id_)
        entry = await self._entry(subject, decider)
        repeated = ids.commit_id(ctx.id, str(subject)) in entry.requests
        if entry.head.version and not repeated:
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
        new: bool = False,
    ) -> Outcome[S]:
        """Decide on the command and append what follows from it, once per request and step.

        `new`: most likely there is nothing yet. That is tried first, without looking: the log
        refuses to append where something is.

        Raises what `decide` raises, PreconditionFailed when If-Match names another version,
        Unavailable when it is not known whether the log has it.
        """
        subject = Subject(organization or ctx.organization, decider.category, id_)
        commit_id = ids.commit_id(ctx.id, str(subject), step)
        if new and not ctx.keyed and subject not in self._cache:
            nothing = _Entry(decider.initial)
            after = await self._decided(ctx, subject, decider, nothing, command, commit_id)
            if after is not None and after is not nothing:
                return self._shown(ctx, subject, after)
        for _ in range(_TRIES):
            entry = await self._entry(subject, decider)
            if commit_id in entry.requests:
                self._same_body(ctx, entry.requests[commit_id])
                return self._shown(ctx, subject, entry)
            if not step and entry.head.version:
                self.precondition(ctx, entry.head)
            after = await self._decided(ctx, subject, decider, entry, command, commit_id)
            if after is entry:
                ctx.sequence = max(ctx.sequence, entry.head.sequence)
                return self._outcome(subject, entry)
            if after is not None:
                return self._shown(ctx, subject, after)
        raise Refused("others keep changing the same thing", hint="try again")

    async def _decided(
        self,
        ctx: RequestContext,
        subject: Subject,
        decider: Decider[Any, Any, Any],
        entry: _Entry,
        command: Any,
        commit_id: str,
    ) -> _Entry | None:
        """The aggregate after the command, `entry` when nothing follows from it, None when
        somebody else was first."""
        events: tuple[Event, ...] = decider.decide(command, entry.state)
        if not events:
            return entry
        meta = Meta(
            commit=commit_id,
            at=ctx.at,
            actor=ctx.actor,
            correlation=ctx.id,
            request=ctx.request,
        )
        # `requests` has every commit until there are more than it remembers.
        since = entry.head.sequence if entry.head.version <= _REMEMBERED else 0
        try:
            commit = await self.store.append(subject, entry.head, events, meta, since=since)
        except Conflict:
            return None
        except TooLarge as error:
            raise Invalid(str(error)) from error
        except OutcomeUnknown as error:
            raise Unavailable(
                "the log did not answer; it is not known whether this was stored",
                hint="send the same request with the same Idempotency-Key again",
            ) from error
        if commit.prev == entry.head.hash and commit.version == entry.head.version + 1:
            return self._keep(subject, entry.followed_by([commit], decider))
        self._same_body(ctx, commit.meta.request)
        return await self._entry(subject, decider)  # an earlier try of this commit

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
        document = plain(document_of(subject, entry.state, entry.first, entry.last))
        numbered = {**document, "_id": key_of(subject), "_seq": entry.head.sequence}
        return Outcome(entry.state, entry.head, numbered)

    def _shown(self, ctx: RequestContext, subject: Subject, entry: _Entry) -> Outcome[Any]:
        """The writer's own view of its write does not wait for the projector."""
        ctx.sequence = max(ctx.sequence, entry.head.sequence)
        outcome = self._outcome(subject, entry)
        if subject.category in SHOWN:
            self.ahead.store(subject.category, outcome.document)
        self.trees.put(subject, outcome.document)
        if entry.last is not None:
            self.credentials.changed(entry.last)
        return outcome

    def ask_rebuild(self, ctx: RequestContext) -> None:
        """Not in the log, as views are not: what an Idempotency-Key was used for is known as long
        as this process lives. Raises KeyReused."""
        ctx.sequence = self.projector.sequence
        if ctx.keyed:
            if (before := self._rebuilds.get(ctx.id)) is not None:
                self._same_body(ctx, before)
                return
            self._rebuilds[ctx.id] = ctx.request
        self.projector.ask_rebuild()

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
        return self.secret_of(body)[:32]

    def secret_of(self, text: bytes) -> str:
        """64 characters that always follow from the text, and that nobody else can tell."""
        key = self.settings.gateway_key.get_secret_value().encode()
        return hmac.new(key, text, hashlib.sha256).hexdigest()


class KeyReused(Invalid):
    slug = "idempotency-key-reused"
