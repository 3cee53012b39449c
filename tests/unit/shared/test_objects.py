"""Large values: packing them must not hold the process up."""

import gzip
import random
import threading
from typing import Any

import pytest
from slipway.eventstore.objects import Damaged, StreamObjects
from slipway.eventstore.stream import Message


class Stream:
    def __init__(self) -> None:
        self.messages: dict[str, bytes] = {}
        self.headers: list[Any] = []

    async def publish(self, subject: str, data: bytes, *, headers: Any = None) -> None:
        self.messages[subject] = data
        self.headers.append(headers)

    async def last(self, subject: str) -> Message | None:
        data = self.messages.get(subject)
        return None if data is None else Message(subject, 1, data, 0)

    async def subjects(self, pattern: str) -> list[str]:
        return [each for each in self.messages if each.startswith(pattern.removesuffix(">"))]


async def test_packing_is_done_beside_the_loop(monkeypatch: pytest.MonkeyPatch):
    threads: list[threading.Thread] = []
    for name in ("compress", "decompress"):

        def noted(*args: Any, do: Any = getattr(gzip, name)) -> bytes:
            threads.append(threading.current_thread())
            return do(*args)

        monkeypatch.setattr(gzip, name, noted)
    stream: Any = Stream()
    objects = StreamObjects(stream, "buildlogs", 60)
    await objects.put("one", b"line\n" * 1_000_000)
    assert await objects.get("one") == b"line\n" * 1_000_000
    assert len(threads) == 2
    assert threading.current_thread() not in threads


@pytest.mark.parametrize(("seconds", "headers"), [(60, {"Nats-TTL": "60s"}), (None, None)])
async def test_every_part_is_kept_as_long_as_the_whole(seconds: int | None, headers: object):
    """With None for ever."""
    stream: Any = Stream()
    objects = StreamObjects(stream, "workloads", seconds)
    data = random.Random(1).randbytes(1_000_000)
    await objects.put("one", data)
    assert await objects.get("one") == data
    assert set(stream.messages) == {f"obj.workloads.one.{part}" for part in (0, 1, 2, "end")}
    assert stream.headers == [headers] * 4


async def test_what_is_removed_is_not_there_from_its_first_message_on():
    """Nothing can be taken out of a stream: what replaces it goes by its age."""
    stream: Any = Stream()
    objects = StreamObjects(stream, "workloads")
    for name in ("s1.d1.1", "s1.d2.1", "s10.d3.1"):
        await objects.put(name, random.Random(1).randbytes(500_000))
    stream.headers.clear()
    await objects.remove("s1")
    assert stream.headers == [{"Nats-TTL": "1s"}] * 6
    assert [await objects.get(name) for name in ("s1.d1.1", "s1.d2.1")] == [None, None]
    assert await objects.get("s10.d3.1") is not None
    await objects.put("s1.d4.1", b"half")
    await stream.publish("obj.workloads.s1.d4.1.0", b"")
    assert await objects.get("s1.d4.1") is None


async def test_one_that_was_half_written_anew_is_said_to_be_damaged():
    stream: Any = Stream()
    objects = StreamObjects(stream, "joblogs")
    await objects.put("one", random.Random(1).randbytes(900_000))
    await objects.put("two", random.Random(2).randbytes(900_000))
    stream.messages["obj.joblogs.one.0"] = stream.messages["obj.joblogs.two.0"]
    with pytest.raises(Damaged):
        await objects.get("one")
