"""The stream TELEMETRY, as far as metrics writes it: `met.<organization>.<service>`
and `met._.<stream>`."""

from slipway.eventstore.jetstream import Connection


class Telemetry:
    """Sent without waiting for an acknowledgement: a sample that is lost is followed by another,
    and one that waited until the server is back is of no use."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def publish(self, subject: str, data: bytes) -> None:
        if self._connection.connected:
            await self._connection.client.publish(subject, data)
