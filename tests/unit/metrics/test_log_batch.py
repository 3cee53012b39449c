"""What becomes of lines before they are stored."""

import orjson
from metrics.logs.batch import BYTES, LINES, Batch
from metrics.logs.position import Position
from slipway.contracts.frames import LIMIT, RawLine


def line(second: int, number: int, data: bytes = b"text") -> RawLine:
    return RawLine(f"2026-01-02T03:04:{second:02d}.{number:09d}Z", "stdout", data, len(data))


def test_a_batch_is_full_by_lines_or_by_bytes_and_stays_below_what_a_message_may_hold():
    batch = Batch(Position(), "task", 10**6)
    for number in range(LINES):
        assert not batch.full
        batch.add(line(1, number))
    assert batch.full
    assert len(batch.cut()) == LINES
    assert not batch.full
    number = 0
    while not batch.full:
        number += 1
        batch.add(line(2, number, b"\x01" * LIMIT))
    lines = batch.cut()
    assert BYTES < len(orjson.dumps([item.model_dump() for item in lines])) < 450_000


def test_lines_carry_time_stream_and_task():
    batch = Batch(Position(), "task", 10)
    batch.add(RawLine("2026-01-02T03:04:05.000000001Z", "stderr", b"oh", 2))
    (found,) = batch.cut()
    assert found.model_dump() == {
        "at": "2026-01-02T03:04:05.000000001Z", "stream": "stderr", "step": "task", "text": "oh",
    }  # fmt: skip


def test_a_line_does_not_steer_the_terminal_that_shows_it():
    batch = Batch(Position(), "task", 10)
    batch.add(line(1, 1, b"\x1b[31mred\x1b[0m\tand \x1b]0;title\x07\xc2\x9b2J\x00"))
    assert [item.text for item in batch.cut()] == ["red\tand \\x9b2J\\x00"]


def test_above_the_limit_a_line_says_how_many_were_dropped():
    batch = Batch(Position(), "task", 3)
    for number in range(10):
        batch.add(line(1, number, str(number).encode()))
    assert batch.dropping
    before = batch.position
    assert before == Position(line(1, 2).at, 1, 0), "what was dropped is not stored yet"
    batch.add(line(2, 0, b"next"))
    lines = batch.cut()
    assert [item.text for item in lines] == [
        "0", "1", "2", "7 lines dropped: more than 3 in a second", "next",
    ]  # fmt: skip
    assert lines[3].stream == "system"
    assert lines[3].at == line(1, 9).at
    assert batch.position == Position(line(2, 0).at, 1, 0)


def test_what_piled_up_is_not_dropped():
    batch = Batch(Position(), "task", 3)
    for second in range(20):
        for number in range(3):
            batch.add(line(second, number))
    assert len(batch.cut()) == 60
    assert not batch.dropping


def test_the_count_of_dropped_lines_is_told_without_a_next_line():
    batch = Batch(Position(), "task", 1)
    batch.add(line(1, 0))
    batch.tell()
    assert len(batch.cut()) == 1, "nothing was dropped"
    batch.add(line(1, 1))
    batch.tell()
    (told,) = batch.cut()
    assert told.text == "1 lines dropped: more than 1 in a second"
    assert batch.position == Position(line(1, 1).at, 1, 0)


def test_a_log_that_is_opened_again_repeats_what_was_dropped_but_not_told():
    batch = Batch(Position(), "task", 2)
    log = [line(1, number) for number in range(5)]
    for item in log:
        batch.add(item)
    batch.reopened()
    for item in log[1:]:
        batch.add(item)
    batch.tell()
    assert [item.text for item in batch.cut()] == [
        "text", "text", "3 lines dropped: more than 2 in a second",
    ]  # fmt: skip
