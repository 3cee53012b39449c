"""The event store on NATS JetStream.

The only module that appends events. `connect` gives everything a service needs of NATS.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

from nats.aio.client import Client

from slipway.contracts import streams
from slipway.contracts.event import Event
from slipway.eventstore import codec
from slipway.eventstore.client import DirectClient
from slipway.eventstore.consumer import Consumer
from slipway.eventstore.dead_letters import StreamDeadLetters
from slipway.eventstore.former import refuse_former
from slipway.eventstore.keys import StreamKeys
from slipway.eventstore.lease import StreamLease
from slipway.eventstore.log_store import StreamLogs
from slipway.eventstore.objects import StreamObjects
from slipway.eventstore.observations import StreamObservations
from slipway.eventstore.reaction import JetStreamReaction
from slipway.eventstore.store import Batch, Commit, Conflict, Damaged, OutcomeUnknown
from slipway.eventstore.stream import (
    Inbox,
    Message,
    Silent,
    Stream,
    WrongLastSequence,
)
from slipway.kernel.clock import Clock
from slipway.kernel.envelope import Head, Meta, Subject
from slipway.runtime import retry
from slipway.runtime.clock import SystemClock
from slipway.runtime.logging import logger


def _commit(message: Message) -> Commit:
    return codec.from_bytes(message.subject, message.sequence, message.data)


def _gap(after: int, sequence: int) -> Damaged:
    return Damaged(f"after sequence {after} the log goes on with {sequence}")


def _commits(messages: Sequence[Message], categories: Collection[str]) -> Iterator[Commit]:
    for message in messages:
        if message.subject.split(".", 3)[2] in categories:
            yield _commit(message)


class Pages(Protocol):
    def pages(self, after: int, until: int) -> AsyncIterator[list[Message]]:
        """Messages above `after`, up to `until`. Raises Silent."""
        ...


class JetStreamStore:
    def __init__(self, client: Client, events: Stream, much: Pages | None = None) -> None:
        """`much`: what is read of the stream in `batches`, if not by itself."""
        self._client = client
        self._events = events
        self._much = events if much is None else much

    async def append(
        self,
        subject: Subject,
        expected: Head,
        events: Sequence[Event],
        meta: Meta,
        *,
        since: int = 0,
    ) -> Commit:
        data = codec.to_bytes(expected, events, meta)
        try:
            # Behind what is expected the server looks, but below it only for two minutes.
            if expected.sequence > since:
                there = await retry.APPEND.run(
                    lambda: self._find(subject, since, expected.sequence, meta.commit), Silent
                )
                if there is not None:
                    return there
            return await retry.APPEND.run(
                lambda: self._append_once(subject, expected, data, meta), Silent
            )
        except Silent as error:
            raise OutcomeUnknown(meta.commit) from error

    async def _append_once(
        self, subject: Subject, expected: Head, data: bytes, meta: Meta
    ) -> Commit:
        headers = {"traceparent": meta.traceparent} if meta.traceparent else None
        try:
            stored = await self._events.publish(
                str(subject),
                data,
                expected=expected.sequence,
                message_id=meta.commit,
                headers=headers,
            )
        except WrongLastSequence:
            # Not yet a conflict: the first try of this commit may be what stands there.
            found = await self.load(subject, expected.sequence)
            for commit in found:
                if commit.meta.commit == meta.commit:
                    return commit
            last = found[-1].sequence if found else 0
            raise Conflict(subject, expected.sequence, last) from None
        if stored.duplicate:
            # The id was seen within two minutes, maybe on another subject: look at what it was.
            there = await self.at(stored.sequence)
            if there is None or there.subject != subject or there.meta.commit != meta.commit:
                raise Conflict(subject, expected.sequence, stored.sequence)
            return there
        return codec.from_bytes(str(subject), stored.sequence, data)

    async def _find(
        self, subject: Subject, after: int, until: int | None, commit: str
    ) -> Commit | None:
        async for message in self._events.read(after, until, str(subject)):
            if codec.commit_of(message.data) == commit:
                return _commit(message)
        return None

    async def load(self, subject: Subject, after: int = 0) -> list[Commit]:
        return [_commit(m) async for m in self._events.read(after, None, str(subject))]

    async def head(self, subject: Subject) -> Commit | None:
        message = await self._events.last(str(subject))
        return _commit(message) if message else None

    async def heads(self, organization: str, category: str) -> list[Commit]:
        pattern = f"evt.{organization}.{category}.*"
        return [_commit(message) for message in await self._events.lasts(pattern)]

    async def at(self, sequence: int) -> Commit | None:
        message = await self._events.get(sequence)
        return _commit(message) if message else None

    async def last_sequence(self) -> int:
        message = await self._events.last("evt.>")
        return message.sequence if message else 0

    async def read(
        self, after: int = 0, until: int | None = None, pattern: str = "evt.>"
    ) -> AsyncIterator[Commit]:
        end = await self.last_sequence() if until is None else until
        # The stream holds nothing else; without a filter the server finds the next one quicker.
        wanted = ">" if pattern == "evt.>" else pattern
        async for commit in self._checked(self._events.read(after, end, wanted), after, pattern):
            yield commit

    async def batches(
        self, after: int, until: int, categories: Collection[str]
    ) -> AsyncGenerator[Batch, None]:
        async for messages in self._much.pages(after, until):
            for expected, message in enumerate(messages, after + 1):
                if message.sequence != expected:
                    raise _gap(expected - 1, message.sequence)
            after = messages[-1].sequence
            yield Batch(after, _commits(messages, categories))

    async def follow(self, after: int, pattern: str = "evt.>") -> AsyncIterator[Commit]:
        messages = self._events.follow(after, pattern)
        async for message in self._checked(messages, after, pattern):
            yield message

    @staticmethod
    async def _checked(
        messages: AsyncIterator[Message], after: int, pattern: str
    ) -> AsyncIterator[Commit]:
        """On a log from which nothing can be deleted a missing sequence is damage."""
        async for message in messages:
            if pattern == "evt.>" and message.sequence != after + 1:
                raise _gap(after, message.sequence)
            after = message.sequence
            yield _commit(message)

    @asynccontextmanager
    async def reaction(self, durable: str) -> AsyncIterator[JetStreamReaction]:
        reaction = JetStreamReaction(self._client, streams.EVENTS, durable)
        await reaction.open()
        try:
            yield reaction
        finally:
            await reaction.close()


class Connection:
    """One connection to NATS and what is reached over it."""

    def __init__(self, client: DirectClient, inbox: Inbox) -> None:
        self._client = client
        self._inbox = inbox
        self.store = JetStreamStore(client, self.stream(streams.EVENTS))
        self.logs = StreamLogs(self.stream(streams.LOGS))
        self.build_logs = StreamObjects(
            self.stream(streams.OBJECTS), "buildlogs", streams.BUILD_LOGS_SECONDS
        )
        self.job_logs = StreamObjects(
            self.stream(streams.OBJECTS), "joblogs", streams.BUILD_LOGS_SECONDS
        )
        self.workloads = StreamObjects(self.stream(streams.OBJECTS), "workloads")
        self.observations = StreamObservations(self.stream(streams.OBSERVED))
        self.keys = StreamKeys(self.stream(streams.KEYS))
        self.dead_letters = StreamDeadLetters(self.stream(streams.DEAD), SystemClock())

    def stream(self, name: str) -> Stream:
        """One as it stands, for what reads or writes more of it than the store tells."""
        return Stream(self._client, self._inbox, name)

    def reading(self, name: str) -> JetStreamStore:
        """The store for who reads much of the log, under a name of `streams.READERS`: `batches`
        of another process which does so under the same name end."""
        much = Consumer(self._client, streams.EVENTS, name)
        return JetStreamStore(self._client, self.stream(streams.EVENTS), much)

    def lease(self, name: str, holder: str, clock: Clock, ttl: float = 10.0) -> StreamLease:
        return StreamLease(self.stream(streams.LEASES), name, holder, clock, ttl)

    @property
    def client(self) -> DirectClient:
        """For what stands beside the log: samples, and health."""
        return self._client

    @property
    def connected(self) -> bool:
        return self._client.is_connected

    async def close(self) -> None:
        await self._client.close()


async def connect(url: str, user: str, password: str) -> Connection:
    """Waits until the server and its log answer, and reconnects for ever after. Raises
    FormerFormat."""
    log = logger(url=url, user=user)

    async def error(problem: Exception) -> None:
        # A refused publish or subscription is seen here only: the call itself just times out.
        log.error("nats", error=str(problem))

    async def disconnected() -> None:
        log.warning("nats is away; reconnecting")

    async def reconnected() -> None:
        log.info("nats is back")

    client = DirectClient()
    await client.connect(
        url,
        user=user,
        password=password,
        name=user,
        inbox_prefix=f"_INBOX_{user}".encode(),
        max_reconnect_attempts=-1,
        reconnect_time_wait=0.5,  # pyright: ignore[reportArgumentType]
        connect_timeout=5,
        error_cb=error,
        disconnected_cb=disconnected,
        reconnected_cb=reconnected,
        allow_reconnect=True,
    )
    inbox = Inbox(client)
    await inbox.open()
    events = Stream(client, inbox, streams.EVENTS)

    def said(attempt: int, problem: BaseException) -> None:
        log.warning("the log does not answer; waiting", attempt=attempt, error=str(problem))

    try:
        await retry.CONNECT.run(lambda: refuse_former(events), Silent, said=said)
    except BaseException:
        await client.close()
        raise
    return Connection(client, inbox)
