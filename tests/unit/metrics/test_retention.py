"""What goes from the streams that forget is counted."""

import asyncio
import json
from typing import Any

from metrics.retention.react import Retention
from slipway.contracts import streams
from slipway.eventstore.init import stream_settings
from slipway.eventstore.stream import Extent, Silent
from structlog.testing import capture_logs

from tests.simulation.world import VirtualClock, virtual


class Stream:
    def __init__(self) -> None:
        self.now: Extent | Exception = Extent(0, 0, 0)

    async def extent(self) -> Extent:
        if isinstance(self.now, Exception):
            raise self.now
        return self.now


class Samples:
    def __init__(self) -> None:
        self.sent: list[tuple[str, Any]] = []

    async def publish(self, subject: str, data: bytes) -> None:
        self.sent.append((subject, json.loads(data)))


@virtual
async def test_each_stream_is_sampled_whatever_happens_in_between():
    logs, objects, samples = Stream(), Stream(), Samples()
    looked = {"LOGS": logs, "OBJECTS": objects}
    running = asyncio.create_task(Retention(looked, samples, VirtualClock(), 60.0).run())
    logs.now, objects.now = Extent(10, 2000, 5), Extent(3, 900, 0)
    await asyncio.sleep(1)
    for trouble in (Silent("away"), RuntimeError("unforeseen")):
        logs.now = trouble
        await asyncio.sleep(60)
    logs.now, objects.now = Extent(8, 1600, 9), Extent(3, 900, 2)
    with capture_logs() as said:
        await asyncio.sleep(60)
    running.cancel()
    at = [f"2026-01-01T00:0{minute}:00.000Z" for minute in (0, 3)]
    assert samples.sent == [
        ("met._.LOGS", {"at": at[0], "messages": 10, "bytes": 2000, "gone": 5}),
        ("met._.OBJECTS", {"at": at[0], "messages": 3, "bytes": 900, "gone": 0}),
        ("met._.LOGS", {"at": at[1], "messages": 8, "bytes": 1600, "gone": 9}),
        ("met._.OBJECTS", {"at": at[1], "messages": 3, "bytes": 900, "gone": 2}),
    ]
    assert [(line["stream"], line["messages"]) for line in said] == [("LOGS", 4)]


def test_those_that_replace_are_known():
    replacing = {
        made["name"] for made in stream_settings() if made.get("max_msgs_per_subject") == 1
    }
    assert set(streams.REPLACING) == replacing & set(streams.LIMITED)
