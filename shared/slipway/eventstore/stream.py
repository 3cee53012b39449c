"""One JetStream stream over nats-py: publish with an expectation, and batched direct gets, which
nats-py has no call for (ADR-31): the request `{"seq", "next_by_subj", "batch"}` is answered by
up to `batch` messages and an end marker (status 204, or 404 when there is nothing)."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from nats.errors import NoRespondersError, OutboundBufferLimitError
from nats.errors import TimeoutError as NatsTimeout
from nats.js.errors import APIError, NoStreamResponseError

from slipway.eventstore.client import DirectClient

WRONG_LAST_SEQUENCE = 10071
_UNABLE = 500
"""From this code on an error is the server's own: no room on its disk, no leader."""
UNANSWERED = (
    NatsTimeout,
    NoRespondersError,
    NoStreamResponseError,
    OutboundBufferLimitError,  # away for so long that what waits to be sent is too much
    ConnectionError,
)
_PAGE = 1000
"""Subjects of which the last messages are asked for at once; the server takes 1,024."""
_LOOKS = (0.005, 0.002, 0.004, 0.01, 0.02, 0.05, 0.1, 0.2)
"""Seconds from one look for what was announced to the next."""


class Message(NamedTuple):
    subject: str
    sequence: int
    data: bytes
    left: int
    """How many more match after this one, as the server counted."""


class Extent(NamedTuple):
    """What a stream holds, and how many messages it held once and has no longer."""

    messages: int
    bytes: int
    gone: int


@dataclass(frozen=True, slots=True)
class Stored:
    sequence: int
    duplicate: bool


class WrongLastSequence(Exception):
    """The subject's last sequence is not the expected one."""


class Silent(Exception):
    """No answer in time, or one that the server is not able to: what was asked may have happened
    or not."""


class TooMany(Exception):
    """More than 1,024 subjects match what was asked for the last messages of."""


class _Asked:
    """The answers to one request, as they come; `over` is set by its end."""

    def __init__(self, single: bool) -> None:
        self.answers: list[Message] = []
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._single = single

    def arrived(self, headers: bytes, data: bytes) -> None:
        if self.over.done():
            return
        if not headers.startswith(b"NATS/1.0 "):
            self.answers.append(_message(headers, data))
            if self._single:
                self.over.set_result(None)
        elif headers[9:12] in (b"204", b"404"):
            self.over.set_result(None)
        elif headers[9:12] == b"413":
            self.over.set_exception(TooMany)
        else:
            self.over.set_exception(Silent(headers[9:100].decode(errors="replace").strip()))


class Inbox:
    """One wildcard subscription for all batched requests of a connection."""

    def __init__(self, client: DirectClient) -> None:
        self._client = client
        self._prefix = client.new_inbox()
        self._numbers = itertools.count()
        self._waiting: dict[bytes, _Asked] = {}

    async def open(self) -> None:
        await self._client.take(f"{self._prefix}.*", self._arrived)

    def _arrived(self, subject: bytes, _reply: bytes, headers: bytes, data: bytes) -> None:
        asked = self._waiting.get(subject.rpartition(b".")[2])
        if asked is not None:
            asked.arrived(headers, data)

    async def ask(self, subject: str, body: dict[str, Any], timeout: float = 5.0) -> list[Message]:
        """All the answers up to the end marker. Raises Silent when none comes for so long."""
        number = str(next(self._numbers))
        asked = self._waiting[number.encode()] = _Asked(body.get("batch", 1) == 1)
        try:
            await self._client.publish(
                subject, json.dumps(body).encode(), reply=f"{self._prefix}.{number}"
            )
            while True:
                there = len(asked.answers)
                await asyncio.wait([asked.over], timeout=timeout)
                if asked.over.done():
                    asked.over.result()
                    return asked.answers
                if len(asked.answers) == there:
                    raise Silent(subject)
        except OutboundBufferLimitError as error:
            raise Silent(subject) from error
        finally:
            del self._waiting[number.encode()]


def _message(headers: bytes, data: bytes) -> Message:
    """The server's own headers come last, behind those that were published, and in this order:
    stream, subject, sequence, time, what is left (in answers to a batch)."""
    own = headers[headers.rindex(b"\r\nNats-Subject: ") :].split(b"\r\n", 5)
    left = own[4] if own[4].startswith(b"Nats-Num-Pending: ") else b""
    return Message(own[1][14:].decode(), int(own[2][15:]), bytes(data), int(left[18:] or b"0"))


class Stream:
    def __init__(self, client: DirectClient, inbox: Inbox, name: str) -> None:
        self._client = client
        self._js = client.jetstream(timeout=5.0)
        self._inbox = inbox
        self._direct = f"$JS.API.DIRECT.GET.{name}"
        self._info = f"$JS.API.STREAM.INFO.{name}"
        self.name = name

    async def publish(
        self,
        subject: str,
        data: bytes,
        *,
        expected: int | None = None,
        message_id: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> Stored:
        """Raises WrongLastSequence, and Silent when there was no answer in 5 s, or the server can't
        store it now."""
        sent = {"Nats-Expected-Stream": self.name, **(headers or {})}
        if expected is not None:
            sent["Nats-Expected-Last-Subject-Sequence"] = str(expected)
        if message_id is not None:
            sent["Nats-Msg-Id"] = message_id
        try:
            answer = await self._js.publish(subject, data, headers=sent)
        except APIError as error:
            if error.err_code == WRONG_LAST_SEQUENCE:
                raise WrongLastSequence(str(error)) from error
            if (error.code or 0) >= _UNABLE:
                raise Silent(str(error)) from error
            raise
        except UNANSWERED as error:
            raise Silent(subject) from error
        return Stored(answer.seq, bool(answer.duplicate))

    async def batch(self, sequence: int, pattern: str, count: int) -> list[Message]:
        """Up to `count` messages that match, from `sequence` on."""
        body = {"seq": sequence, "next_by_subj": pattern, "batch": count, "max_bytes": 8_000_000}
        return await self._inbox.ask(self._direct, body)

    async def last(self, subject: str) -> Message | None:
        answers = await self._inbox.ask(self._direct, {"last_by_subj": subject})
        return answers[0] if answers else None

    async def get(self, sequence: int) -> Message | None:
        answers = await self._inbox.ask(self._direct, {"seq": sequence})
        return answers[0] if answers else None

    async def lasts(self, pattern: str) -> list[Message]:
        """The last message of every subject that matches; nothing else is read."""
        try:
            answers = await self._lasts([pattern])
        except TooMany:
            answers = []
        if answers and answers[-1].left == 0:
            return answers
        names = sorted(await self.subjects(pattern))
        found: list[Message] = []
        for first in range(0, len(names), _PAGE):
            page = set(names[first : first + _PAGE])
            while page:  # the server ends an answer at some size
                answers = await self._lasts(sorted(page))
                if not answers:
                    raise Silent(f"no last message of {min(page)}")
                found += answers
                page -= {message.subject for message in answers}
        return found

    async def _lasts(self, patterns: list[str]) -> list[Message]:
        return await self._inbox.ask(self._direct, {"multi_last": patterns, "batch": _PAGE})

    async def subjects(self, pattern: str) -> list[str]:
        """Every subject that matches and has a message, in pages as large as the server gives
        them (100,000 subjects). Raises Silent."""
        found: list[str] = []
        while True:
            info = await self._asked({"subjects_filter": pattern, "offset": len(found)})
            page = info["state"].get("subjects") or {}
            found += page
            if not page or len(found) >= info["total"]:
                return found

    async def extent(self) -> Extent:
        """Raises Silent."""
        state = (await self._asked({}))["state"]
        messages = state["messages"]
        return Extent(messages, state["bytes"], state["last_seq"] - messages)

    async def _asked(self, body: dict[str, Any]) -> dict[str, Any]:
        try:
            answer = await self._client.request(self._info, json.dumps(body).encode(), timeout=5.0)
        except UNANSWERED as error:
            raise Silent(self._info) from error
        info = json.loads(answer.data)
        if "error" in info:
            raise Silent(info["error"]["description"])
        return info

    async def read(self, after: int, until: int | None, pattern: str) -> AsyncIterator[Message]:
        """Messages above `after`, up to `until` or the present end."""
        async for page in self.pages(after, until, pattern):
            for message in page:
                yield message

    async def pages(
        self, after: int, until: int | None, pattern: str = ">"
    ) -> AsyncIterator[list[Message]]:
        """The same, as many at once as the server gives: none is empty. The next ones are asked for
        while some are being handed out."""
        size = 1000

        def ask(sequence: int) -> asyncio.Task[list[Message]]:
            return asyncio.create_task(self.batch(sequence, pattern, size))

        pending = ask(after + 1)
        try:
            while True:
                messages = await pending
                if not messages:
                    return
                last = messages[-1]
                over = last.left == 0 or (until is not None and last.sequence >= until)
                if not over:
                    pending = ask(last.sequence + 1)
                elif until is not None:
                    messages = [message for message in messages if message.sequence <= until]
                if messages:
                    yield messages
                if over:
                    return
        finally:
            pending.cancel()

    async def follow(self, after: int, pattern: str) -> AsyncIterator[Message]:
        """`read`, and then what comes, for ever. A subscription sees what is published some
        milliseconds before it is stored, so it only says how many to look for: each once, most
        often. What the stream refuses is looked for in vain, and a look each second is the net."""
        announced, woken = 0, asyncio.Event()

        def announce(*_: bytes) -> None:
            nonlocal announced
            announced += 1
            woken.set()

        subscription = await self._client.take(pattern, announce)
        try:
            while True:
                for delay in (0.0, *_LOOKS):
                    await asyncio.sleep(delay)
                    async for message in self._patiently(after, pattern):
                        announced -= 1
                        yield message
                        after = message.sequence
                    if announced <= 0:
                        break
                announced = 0
                woken.clear()
                try:
                    async with asyncio.timeout(1.0):
                        await woken.wait()
                    await asyncio.sleep(_LOOKS[0])
                except TimeoutError:
                    continue
        finally:
            await self._client.leave(subscription)

    async def _patiently(self, after: int, pattern: str) -> AsyncIterator[Message]:
        """A server that is away is waited for: a follower never ends by itself. What was read
        until then is handed on, so it is no retry: the next reading begins behind it."""
        try:
            async for message in self.read(after, None, pattern):
                yield message
        except Silent:
            await asyncio.sleep(0.5)
