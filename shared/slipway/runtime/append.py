"""How a reaction appends: a commit derived from its cause, so that twice is once."""

from collections.abc import Callable, Sequence

from slipway.contracts.event import Event
from slipway.eventstore.store import Commit, Conflict, EventStore
from slipway.kernel.clock import Clock
from slipway.kernel.envelope import NOTHING, Actor, Meta, Subject
from slipway.kernel.ids import commit_id
from slipway.runtime import retry


class Appender:
    """Appends as one service. `cause` is the commit which made it act."""

    def __init__(self, store: EventStore, clock: Clock, service: str) -> None:
        self._store = store
        self._clock = clock
        self._actor = Actor("service", service)

    async def append(
        self,
        subject: Subject,
        step: str,
        decide: Callable[[Commit | None], Sequence[Event]],
        *,
        cause: str,
        correlation: str,
        attempt: int = 0,
        since: int = 0,
        traceparent: str | None = None,
    ) -> Commit | None:
        """Decide on the aggregate's head and append; on a conflict decide again. Nothing decided:
        None. `step` and `attempt` make the commit's id together with `cause`. The same id again
        appends nothing, whenever that is: the aggregate is looked through above `since`, the
        sequence of the cause, which is nothing most often; without it, from its beginning."""
        meta = Meta(
            commit=commit_id(cause, str(subject), step, attempt),
            at=self._clock.now(),
            actor=self._actor,
            correlation=correlation,
            cause=cause,
            traceparent=traceparent,
        )
        return await retry.CONFLICT.run(lambda: self._once(subject, decide, meta, since), Conflict)

    async def behind(
        self, planned: int, subject: Subject, step: str, event: Event, *, correlation: str
    ) -> Commit | None:
        """Only behind the state that it was planned from, whose last commit has this sequence (0:
        there is none). Whatever came meanwhile makes nothing of it (None): plan again."""

        def decide(now: Commit | None) -> tuple[Event, ...]:
            return (event,) if (now.sequence if now else 0) == planned else ()

        cause = f"{correlation}/{planned}"
        return await self.append(
            subject, step, decide, cause=cause, correlation=correlation, since=planned
        )

    async def _once(
        self,
        subject: Subject,
        decide: Callable[[Commit | None], Sequence[Event]],
        meta: Meta,
        since: int,
    ) -> Commit | None:
        head = await self._store.head(subject)
        if head is not None and head.meta.commit == meta.commit:
            return head
        events = decide(head)
        if not events:
            return None
        expected = head.head if head else NOTHING
        return await self._store.append(subject, expected, events, meta, since=since)
