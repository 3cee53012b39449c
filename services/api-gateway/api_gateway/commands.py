"""The one way to change anything: load, fold, decide, append, and tell who keeps it in memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from slipway.contracts.event import Event
from slipway.eventstore.store import Commit, Conflict, Damaged, EventStore, OutcomeUnknown, TooLarge
from slipway.kernel import ids
from slipway.kernel.decider import Decider
from slipway.kernel.envelope import Head, Meta, Subject
from slipway.kernel.errors import Gone, Invalid, Refused, Unavailable
from slipway.readmodel.model import Document

from api_gateway.aggregates import Aggregate, AggregateCache
from api_gateway.listener import Listener
from api_gateway.request_context import RequestContext

_TRIES = 5


@dataclass(frozen=True, slots=True)
class Outcome[S]:
    """`document` is what is read of the aggregate from now on."""

    state: S
    head: Head
    document: Document


def gone(what: str) -> Gone:
    """Of what this very request made before."""
    return Gone(
        f"this request was carried out before, and its {what} is gone since",
        hint="to make another one send it with another Idempotency-Key",
    )


def still_there[S](decider: Decider[S, Any, Any], state: S) -> None:
    """Asked of what a request made before. Raises Gone."""
    if decider.gone(state):
        raise gone(decider.category)


class Commands:
    def __init__(
        self, store: EventStore, listeners: Sequence[Listener], cache: AggregateCache | None = None
    ) -> None:
        self._store = store
        self._listeners = listeners
        self._cache = cache or AggregateCache()

    async def _loaded(self, subject: Subject, decider: Decider[Any, Any, Any]) -> Aggregate:
        cached = self._cache.get(subject) or Aggregate(decider.initial)
        fresh = await self._store.load(subject, cached.head.sequence)
        return self._kept(subject, cached.followed_by(fresh, decider)) if fresh else cached

    def _kept(self, subject: Subject, aggregate: Aggregate) -> Aggregate:
        self._cache.keep(subject, aggregate)
        return aggregate

    async def load[S](
        self, decider: Decider[S, Any, Any], organization: str, id_: str
    ) -> tuple[S, Head]:
        """The aggregate as the log has it now (not as the views have it)."""
        found = await self._loaded(Subject(organization, decider.category, id_), decider)
        return found.state, found.head

    async def last_seen[S](
        self, decider: Decider[S, Any, Any], organization: str, id_: str
    ) -> tuple[S, Head]:
        """As it was when it was last looked at here: for a parent whose end in the meantime ends
        what is made in it as well."""
        cached = self._cache.get(Subject(organization, decider.category, id_))
        if cached is None:
            return await self.load(decider, organization, id_)
        return cached.state, cached.head

    async def state[S](self, decider: Decider[S, Any, Any], organization: str, id_: str) -> S:
        return (await self.load(decider, organization, id_))[0]

    async def changed_at(
        self, decider: Decider[Any, Any, Any], organization: str, id_: str
    ) -> datetime | None:
        """When it was changed last; None where there is nothing."""
        found = await self._loaded(Subject(organization, decider.category, id_), decider)
        return found.updated_at

    async def begin[S](
        self, ctx: RequestContext, decider: Decider[S, Any, Any], id_: str
    ) -> tuple[S, Head]:
        """The aggregate that a request is about, before anything else is done for it. Raises
        PreconditionFailed, unless it is not there, or this very request changed it before."""
        found = await self._loaded(Subject(ctx.organization, decider.category, id_), decider)
        if found.head.version and not await self.repeated(ctx, decider, id_):
            ctx.precondition(found.head.version)
        return found.state, found.head

    async def repeated(
        self,
        ctx: RequestContext,
        decider: Decider[Any, Any, Any],
        id_: str,
        *,
        step: str = "",
        organization: str | None = None,
    ) -> bool:
        """True when this very request changed the aggregate before."""
        subject = Subject(organization or ctx.organization, decider.category, id_)
        found = await self._loaded(subject, decider)
        return ids.commit_id(ctx.id, str(subject), step) in found.requests

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
            nothing = Aggregate(decider.initial)
            events = decider.decide(command, nothing.state)
            if events and (commit := await self._append(ctx, subject, nothing, events, commit_id)):
                return await self._appended(ctx, subject, decider, nothing, commit)
        for _ in range(_TRIES):
            found = await self._loaded(subject, decider)
            if commit_id in found.requests:
                ctx.same_request(found.requests[commit_id])
                return await self._repeated(ctx, subject, found)
            if not step and found.head.version:
                ctx.precondition(found.head.version)
            events = decider.decide(command, found.state)
            if not events:
                ctx.reached(found.head.sequence)
                return Outcome(found.state, found.head, found.document(subject))
            if commit := await self._append(ctx, subject, found, events, commit_id):
                return await self._appended(ctx, subject, decider, found, commit)
        raise Refused("others keep changing the same thing", hint="try again")

    async def _append(
        self,
        ctx: RequestContext,
        subject: Subject,
        expected: Aggregate,
        events: tuple[Event, ...],
        commit_id: str,
    ) -> Commit | None:
        """None when somebody else was first."""
        meta = Meta(
            commit=commit_id,
            at=ctx.at,
            actor=ctx.actor,
            correlation=ctx.id,
            request=ctx.request,
        )
        head, since = expected.head, max(expected.remembered_to, ctx.since)
        try:
            return await self._store.append(subject, head, events, meta, since=since)
        except Conflict:
            return None
        except TooLarge as error:
            raise Invalid(str(error)) from error
        except OutcomeUnknown as error:
            raise Unavailable(
                "the log did not answer; it is not known whether this was stored",
                hint="send the same request with the same Idempotency-Key again",
            ) from error

    async def _appended(
        self,
        ctx: RequestContext,
        subject: Subject,
        decider: Decider[Any, Any, Any],
        before: Aggregate,
        commit: Commit,
    ) -> Outcome[Any]:
        if commit.prev == before.head.hash and commit.version == before.head.version + 1:
            after = self._kept(subject, before.followed_by([commit], decider))
            return self._told(ctx, subject, after, commit)
        # an earlier try of this commit: others may have followed it
        ctx.same_request(commit.meta.request)
        return await self._repeated(ctx, subject, await self._loaded(subject, decider))

    async def _repeated(
        self, ctx: RequestContext, subject: Subject, found: Aggregate
    ) -> Outcome[Any]:
        """Told once more: the process that appended it may have died before."""
        commit = await self._store.at(found.head.sequence)
        if commit is None:
            raise Damaged(f"{subject}: nothing is at {found.head.sequence}")
        return self._told(ctx, subject, found, commit)

    def _told(
        self, ctx: RequestContext, subject: Subject, after: Aggregate, commit: Commit
    ) -> Outcome[Any]:
        """The writer's own view of its write does not wait for the projector."""
        ctx.reached(after.head.sequence)
        document = after.document(subject)
        for listener in self._listeners:
            listener.written(commit, document)
        return Outcome(after.state, after.head, document)

    async def replayed(
        self,
        ctx: RequestContext,
        decider: Decider[Any, Any, Any],
        id_: str,
        *,
        organization: str | None = None,
    ) -> bool:
        """True when this very request made the aggregate before. Raises KeyReused, and Gone where
        it is not there any more."""
        if not ctx.keyed:
            return False
        found = await self._store.load(
            Subject(organization or ctx.organization, decider.category, id_)
        )
        if not found or found[0].meta.correlation != ctx.id:
            return False
        ctx.same_request(found[0].meta.request)
        ctx.reached(found[0].sequence)
        still_there(decider, decider.fold(event for commit in found for event in commit.events))
        return True
