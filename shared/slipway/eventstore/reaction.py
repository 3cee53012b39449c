"""A durable pull consumer as an endless run of deliveries.

One long pull request is always open, so a delivery comes within milliseconds and waiting costs
nothing. The consumer was made by init under its exact name; services may not create any.
"""

import asyncio
import json
from collections.abc import AsyncIterator

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from slipway.eventstore import codec
from slipway.eventstore.store import Delivery
from slipway.runtime.logging import logger

_EXPIRES = 30.0
_BATCH = 256


class JetStreamReaction:
    def __init__(self, client: Client, stream: str, durable: str) -> None:
        self._client = client
        self._next = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{durable}"
        self._queue: asyncio.Queue[Msg] = asyncio.Queue()
        self._inbox = client.new_inbox()
        self._subscription: Subscription | None = None
        self._log = logger(durable=durable)

    async def open(self) -> None:
        self._subscription = await self._client.subscribe(self._inbox, cb=self._queue.put)

    async def close(self) -> None:
        if self._subscription is not None and not self._client.is_closed:
            await self._subscription.unsubscribe()

    async def _pull(self) -> None:
        body = {"batch": _BATCH, "expires": int(_EXPIRES * 1e9), "idle_heartbeat": int(5e9)}
        await self._client.publish(self._next, json.dumps(body).encode(), reply=self._inbox)

    async def deliveries(self) -> AsyncIterator[Delivery]:
        await self._pull()
        left = _BATCH
        while True:
            try:
                async with asyncio.timeout(12):  # two heartbeats missed: ask again
                    message = await self._queue.get()
            except TimeoutError:
                if self._client.is_connected:
                    await self._pull()
                    left = _BATCH
                continue
            status = (message.headers or {}).get("Status")
            if status == "100":
                continue
            if status is not None:
                if status not in ("408", "409", "404"):
                    self._log.error("pull", status=status, headers=message.headers)
                if status == "409":
                    await asyncio.sleep(0.5)
                await self._pull()
                left = _BATCH
                continue
            metadata = message.metadata
            left -= 1
            if left == 0:
                await self._pull()
                left = _BATCH
            commit = codec.from_bytes(message.subject, metadata.sequence.stream, message.data)
            message.data = b""  # it is kept until it is settled
            yield Delivery(commit, _Settle(message))


class _Settle:
    def __init__(self, message: Msg) -> None:
        self._message = message

    async def ack(self) -> None:
        await self._message.ack()

    async def in_progress(self) -> None:
        await self._message.in_progress()
