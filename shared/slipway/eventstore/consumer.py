"""A long piece of the stream from a consumer of a fixed name, for who reads much of it: no message
carries headers that say where it stands, and the server keeps its place, so it costs both sides
about half of what direct gets do.

It is made for one reading. Who makes another of its name ends it: a process that was given up reads
nothing more. So nobody removes it when it is done, which might be another's by now: the server
does, after a minute. Nothing is acknowledged; what is lost on the way ends the reading.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Any

from slipway.eventstore.client import DirectClient
from slipway.eventstore.stream import UNANSWERED, Message, Silent

_PAGE = 500
"""Messages that are asked for at once; two requests are open while there is more."""
_BYTES = 4_000_000
_PATIENCE = 5.0
_UNUSED = 60.0
"""Seconds after which the server removes a consumer that nobody asks."""
_NOT_FOUND = 404
_PENDING = re.compile(rb"\r\nNats-Pending-Messages: ?(\d+)")


class _Reading:
    """What has come, and how much of what was asked for has not."""

    def __init__(self) -> None:
        self.here: list[Message] = []
        self.asked = 0
        self.woken = asyncio.Event()
        self._number = 0
        self._broken = ""

    def arrived(self, subject: bytes, reply: bytes, headers: bytes, data: bytes) -> None:
        if headers.startswith(b"NATS/1.0 "):
            self._said(headers)
            return
        # $JS.ACK.<stream>.<consumer>.<deliveries>.<sequence>.<number of the consumer>.<time>.<left>
        _, sequence, number, _, left = reply.rsplit(b".", 4)
        self._number += 1
        if int(number) != self._number:
            self._broken = f"message {self._number} of a consumer was lost on the way"
        self.here.append(Message(subject.decode(), int(sequence), bytes(data), int(left)))
        self.asked -= 1
        if len(self.here) >= _PAGE or self.asked == 0:
            self.woken.set()

    def _said(self, headers: bytes) -> None:
        """A request is over before all that it asked for has come: so at its largest size."""
        code, _, text = headers[9:].partition(b"\r\n")[0].partition(b" ")
        pending = _PENDING.search(headers)
        if pending and (code == b"408" or text.endswith((b"MaxBytes", b"Completed"))):
            self.asked -= int(pending[1])
        else:
            self._broken = f"{code.decode()} {text.decode()}"
        self.woken.set()

    async def page(self) -> list[Message]:
        """What has come, which is much of it or all that was asked for. Raises Silent."""
        while len(self.here) < _PAGE and self.asked and not self._broken:
            there = len(self.here)
            self.woken.clear()
            try:
                async with asyncio.timeout(_PATIENCE):
                    await self.woken.wait()
            except TimeoutError:
                if len(self.here) == there:
                    raise Silent("a consumer hands nothing out") from None
        if self._broken or not self.here:
            raise Silent(self._broken or "a consumer has no more")
        page, self.here = self.here, []
        return page


class Consumer:
    """Of the stream `stream`; the name is this process's alone. See `streams.READERS`."""

    def __init__(self, client: DirectClient, stream: str, name: str) -> None:
        self._client, self._stream = client, stream
        self._place = f"{stream}.{name}"
        self._name = name

    async def pages(self, after: int, until: int) -> AsyncIterator[list[Message]]:
        """Messages above `after` up to `until`, which is there. Raises Silent."""
        if after >= until:
            return
        reading, inbox = _Reading(), self._client.new_inbox()
        subscription = await self._client.take(inbox, reading.arrived)
        try:
            await self._make(after + 1)
            left = until - after
            while after < until:
                while left and reading.asked <= _PAGE:
                    count = min(_PAGE, left)
                    await self._ask(inbox, count)
                    reading.asked += count
                    left -= count
                page = await reading.page()
                after = page[-1].sequence
                # What a request was over before is asked for again.
                left = until - after - reading.asked - len(reading.here)
                yield page
        finally:
            await self._client.leave(subscription)

    async def _ask(self, inbox: str, count: int) -> None:
        body = {"batch": count, "max_bytes": _BYTES, "expires": int(_PATIENCE * 1e9)}
        try:
            await self._client.publish(
                f"$JS.API.CONSUMER.MSG.NEXT.{self._place}", json.dumps(body).encode(), reply=inbox
            )
        except UNANSWERED as error:
            raise Silent(f"the consumer {self._place} can't be asked") from error

    async def _make(self, start: int) -> None:
        await self._remove()
        config = {
            "name": self._name,
            "deliver_policy": "by_start_sequence",
            "opt_start_seq": start,
            "ack_policy": "none",
            "mem_storage": True,
            "inactive_threshold": int(_UNUSED * 1e9),
        }
        body = {"stream_name": self._stream, "config": config, "action": "create"}
        error = await self._asked("CREATE", body)
        if error:
            raise Silent(f"the consumer {self._place} can't be made: {error['description']}")

    async def _remove(self) -> None:
        error = await self._asked("DELETE", {})
        if error and error["code"] != _NOT_FOUND:
            raise Silent(f"the consumer {self._place} can't be removed: {error['description']}")

    async def _asked(self, verb: str, body: dict[str, Any]) -> dict[str, Any]:
        """The error that was answered, or nothing."""
        try:
            answer = await self._client.request(
                f"$JS.API.CONSUMER.{verb}.{self._place}", json.dumps(body).encode(), timeout=5.0
            )
        except UNANSWERED as error:
            raise Silent(
                f"no answer to {verb} of the consumer {self._place}: the log server is away, or"
                " gives no right to it"
            ) from error
        return json.loads(answer.data).get("error") or {}
