"""A build's log: soon to whoever watches, whole in the archive, without the secrets."""

import asyncio
from collections.abc import Sequence

from builder.build.log import BuildLog
from slipway.contracts.logs import LogLine, build_subject
from slipway.eventstore.memory import MemoryLogs, MemoryObjects

from tests.simulation.world import VirtualClock, virtual

SUBJECT = build_subject("org", "d1")


class Logs(MemoryLogs):
    """Takes a second to write a batch."""

    def __init__(self, seconds: float = 0.0) -> None:
        super().__init__()
        self.seconds = seconds

    async def write(self, subject: str, lines: Sequence[LogLine]) -> None:
        await asyncio.sleep(self.seconds)
        await super().write(subject, lines)

    async def texts(self) -> list[str]:
        return [line.text async for _, lines in self.read(SUBJECT) for line in lines]


def made(seconds: float = 0.0) -> tuple[BuildLog, Logs, MemoryObjects]:
    logs, archive = Logs(seconds), MemoryObjects()
    return BuildLog(logs, archive, VirtualClock(), "org", "d1"), logs, archive


def line(text: str) -> LogLine:
    return LogLine(at="2026-01-01T00:00:00.000Z", text=text)


async def archived(archive: MemoryObjects) -> list[str]:
    data = await archive.get("d1") or b""
    return [LogLine.model_validate_json(row).text for row in data.split(b"\n") if row]


@virtual
async def test_lines_are_seen_soon_and_in_batches():
    log, logs, _ = made()
    log.add([line("one")])
    log.say("two", "clone")
    assert await logs.texts() == []
    await asyncio.sleep(0.2)
    assert await logs.texts() == ["one", "two"]
    assert len([batch async for batch in logs.read(SUBJECT)]) == 1


@virtual
async def test_when_it_is_closed_everything_is_stored():
    log, logs, archive = made()
    log.add([line(str(number)) for number in range(1200)])
    await log.close()
    assert await logs.texts() == [str(number) for number in range(1200)]
    assert await archived(archive) == [str(number) for number in range(1200)]
    await asyncio.sleep(10)
    assert len(await logs.texts()) == 1200


@virtual
async def test_what_is_being_written_when_it_is_closed_is_waited_for():
    log, logs, archive = made(seconds=1.0)
    log.add([line("one")])
    await asyncio.sleep(0.5)  # the first batch is on its way
    log.add([line("two")])
    await log.close()
    assert await logs.texts() == ["one", "two"]
    assert await archived(archive) == ["one", "two"]


@virtual
async def test_order_is_kept_while_batches_are_being_written():
    log, logs, archive = made(seconds=1.0)
    for number in range(20):
        log.add([line(str(number))])
        await asyncio.sleep(0.3)
    await log.close()
    assert await logs.texts() == [str(number) for number in range(20)]
    assert await archived(archive) == [str(number) for number in range(20)]


@virtual
async def test_a_secret_is_in_neither():
    log, logs, archive = made()
    log.hide(["hunter2"])
    log.add([line("password=hunter2")])
    log.say("cloning https://hunter2@git.example")
    await log.close()
    assert await logs.texts() == ["password=***", "cloning https://***@git.example"]
    assert await archived(archive) == await logs.texts()
    assert log.redacted("hunter2") == "***"


@virtual
async def test_a_secret_across_the_cut_of_a_long_line_stays_hidden():
    log, logs, _ = made()
    log.hide(["hunter2"])
    log.add([line("x" * 3997 + "hunter2" + "y" * 100)])
    await log.close()
    (text,) = await logs.texts()
    assert len(text) == 4000
    assert "hun" not in text


@virtual
async def test_an_empty_log_is_archived_too():
    log, _, archive = made()
    await log.close()
    assert await archive.get("d1") == b""
