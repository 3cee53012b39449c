"""A build's log: soon to whoever watches, whole in the archive, without the secrets."""

import asyncio
from collections.abc import Sequence

import orjson
from builder.build.log import BuildLog
from slipway.contracts.logs import LogLine, build_subject
from slipway.contracts.redact import Redactor
from slipway.eventstore.memory import MemoryLogs, MemoryObjects

from tests.simulation.world import VirtualClock, virtual

SUBJECT = build_subject("org", "d1")
LARGEST = 16 << 20


class Logs(MemoryLogs):
    """Takes a second to write a batch."""

    def __init__(self, seconds: float = 0.0) -> None:
        super().__init__()
        self.seconds = seconds
        self.broken = False

    async def write(self, subject: str, lines: Sequence[LogLine]) -> None:
        if self.broken:
            raise ConnectionError("no answer")
        await asyncio.sleep(self.seconds)
        await super().write(subject, lines)

    async def texts(self) -> list[str]:
        return [line.text async for _, lines in self.read(SUBJECT) for line in lines]


def made(seconds: float = 0.0) -> tuple[BuildLog, Logs, MemoryObjects]:
    logs, archive = Logs(seconds), MemoryObjects()
    return BuildLog(logs, archive, VirtualClock(), "org", "d1", LARGEST), logs, archive


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
    log.hide(Redactor(["hunter2"]))
    log.add([line("password=hunter2")])
    log.say("cloning https://hunter2@git.example")
    await log.close()
    assert await logs.texts() == ["password=***", "cloning https://***@git.example"]
    assert await archived(archive) == await logs.texts()
    assert log.redacted("hunter2") == "***"


@virtual
async def test_a_secret_across_the_cut_of_a_long_line_stays_hidden():
    log, logs, _ = made()
    log.hide(Redactor(["hunter2"]))
    log.add([line("x" * 3997 + "hunter2" + "y" * 100)])
    await log.close()
    (text,) = await logs.texts()
    assert len(text.encode()) <= 4000
    assert "hun" not in text


@virtual
async def test_what_steers_a_terminal_is_in_neither_and_hides_no_secret():
    log, logs, archive = made()
    log.hide(Redactor(["hunter2"]))
    log.add([line("\x1b[1;31mhun\x1b[0mter2\x07")])
    log.say("commit of \u202eda")
    await log.close()
    assert await logs.texts() == ["***\\x07", "commit of \\u202eda"]
    assert await archived(archive) == await logs.texts()


@virtual
async def test_a_burst_goes_out_in_messages_that_the_server_takes():
    log, logs, _ = made()
    log.add([line("\x01" * 4000) for _ in range(480)])
    await log.close()
    batches = [lines async for _, lines in logs.read(SUBJECT)]
    assert sum(map(len, batches)) == 480
    assert max(len(orjson.dumps([x.model_dump() for x in lines])) for lines in batches) < 600_000


@virtual
async def test_while_nothing_can_be_stored_the_memory_is_bounded_and_the_gap_is_told():
    log, logs, archive = made(seconds=20.0)
    for number in range(4000):
        log.add([line(f"{number} {'x' * 3900}")])
    await asyncio.sleep(400)
    log.say("after")
    await log.close()
    texts = [text.split(" x")[0] for text in await logs.texts()]
    kept = texts.index("after") - 1
    assert texts[:kept] == [str(number) for number in range(kept)]
    assert texts[kept] == (
        f"{4000 - kept} lines are left out here: they could not be stored fast enough"
    )
    assert 900 < kept < 1300
    assert [text.split(" x")[0] for text in await archived(archive)] == texts


@virtual
async def test_of_a_whole_build_so_much_is_kept_and_its_end_is_told_still():
    log, logs, archive = made()
    for _ in range(200):
        log.add([line("x" * 3900) for _ in range(100)])
        await asyncio.sleep(1)
    log.say("failed: it broke")
    await log.close()
    *lines, limit, last = await logs.texts()
    assert sum(map(len, lines)) < LARGEST
    assert len(lines) > 4000
    assert limit == "of a build's output 16 MiB are kept (its limit); the rest is left out"
    assert last == "failed: it broke"
    assert len(await archived(archive)) == len(lines) + 2


@virtual
async def test_what_could_not_be_stored_for_a_while_is_stored_later():
    log, logs, _ = made()
    logs.broken = True
    log.add([line("one")])
    await asyncio.sleep(60)
    logs.broken = False
    log.add([line("two")])
    await asyncio.sleep(30)
    assert await logs.texts() == ["one", "two"]


@virtual
async def test_it_is_not_waited_for_longer_than_half_a_minute():
    log, logs, archive = made()
    logs.broken = True
    log.add([line("one")])
    began = asyncio.get_running_loop().time()
    await log.close()
    assert asyncio.get_running_loop().time() - began < 31
    await asyncio.sleep(100)
    assert await archive.get("d1") is None


@virtual
async def test_an_empty_log_is_archived_too():
    log, _, archive = made()
    await log.close()
    assert await archive.get("d1") == b""


@virtual
async def test_once_it_is_full_no_more_lines_are_masked():
    asked = list[str]()
    log = BuildLog(MemoryLogs(), MemoryObjects(), VirtualClock(), "org", "d1", 10_000)
    log.hide(lambda text: asked.append(text) or text)
    log.add([line("x" * 3000)] * 50)
    assert len(asked) == 5, "three lines, the one behind them, and what is said of that"
    log.say("failed")
    assert asked[-1] == "failed"
