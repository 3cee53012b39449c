"""All that is private of nats-py and used here: `Client._process_msg`, `Client._parse_header_lines`
and `Subscription._id`.

nats-py has no public way to a message before it has made an object, a dictionary and two queues'
entries of it and looked at every letter of every header in Python, which is half of what reading
costs. The event store's contract suite fails with a version that has these no longer.
"""

from collections.abc import Callable

from nats.aio.client import Client
from nats.aio.subscription import Subscription

type Taker = Callable[[bytes, bytes, bytes, bytes], None]
"""Is given subject, reply, headers and data as they came."""


class DirectClient(Client):
    """Hands the messages of some subscriptions over as they came."""

    def __init__(self) -> None:
        super().__init__()
        self._takers: dict[int, Taker] = {}

    async def take(self, subject: str, taker: Taker) -> Subscription:
        """Subscribe; `taker` has each message before any later answer is read."""
        subscription = await self.subscribe(subject)
        self._takers[subscription._id] = taker  # noqa: SLF001
        return subscription

    async def leave(self, subscription: Subscription) -> None:
        try:
            await subscription.unsubscribe()
        finally:
            self._takers.pop(subscription._id, None)  # noqa: SLF001

    async def _process_msg(
        self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes
    ) -> None:
        taker = self._takers.get(sid)
        if taker is None:
            await super()._process_msg(sid, subject, reply, data, headers)
        else:
            taker(subject, reply, headers or b"", data)  # it says None where there are none

    @staticmethod
    def _parse_header_lines(raw: bytes) -> dict[str, str]:
        found = {}
        for line in raw.decode("utf-8", "replace").split("\r\n"):
            name, colon, value = line.partition(":")
            if colon:
                found[name] = value.strip()
        return found
