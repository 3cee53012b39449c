"""A log that is read on from a position loses and doubles nothing."""

from hypothesis import given
from hypothesis import strategies as st
from metrics.logs.batch import Batch
from metrics.logs.position import Position, stored
from slipway.contracts.frames import RawLine
from slipway.contracts.logs import LogLine

AT = "2026-01-02T03:04:05.{:09d}Z"


def engine_log(times: list[int]) -> list[RawLine]:
    """Times nearly in order, as two streams give them."""
    return [
        RawLine(AT.format(time), "stdout", str(number).encode(), 1)
        for number, time in enumerate(times)
    ]


def opened(log: list[RawLine], position: Position, filters: bool) -> list[RawLine]:
    """What the engine gives: from the first line at or after the time on; older engines leave out
    all before it."""
    if filters:
        return [line for line in log if line.at >= position.at]
    first = next((n for n, line in enumerate(log) if line.at >= position.at), len(log))
    return log[first:]


@st.composite
def times(draw: st.DrawFn) -> list[int]:
    steps = draw(st.lists(st.integers(0, 3), min_size=1, max_size=40))
    base, found = 0, []
    for step in steps:
        base += step
        found.append(max(0, base - draw(st.integers(0, 2))))
    return found


@given(times(), st.lists(st.integers(1, 10), min_size=1))
def test_reading_on_after_each_death(times: list[int], lives: list[int]):
    """Each life reads some lines, stores a part of them, and dies; the next one begins with what
    a fold of the stored lines says."""
    log = engine_log(times)
    written: list[LogLine] = []
    for life in [*lives, len(log) + 1]:
        batch = Batch(stored(Position(), written), "task", 10**6)
        for line in opened(log, batch.position, filters=False):
            batch.add(line)
            if len(batch) >= life:
                break
        position = batch.position
        written += batch.cut()
        assert stored(Position(), written) == position
    assert [line.text for line in written] == [line.text for line in log]


@given(times(), st.integers(0, 40))
def test_an_engine_that_leaves_out_what_is_older(times: list[int], stop: int):
    """It gives no line below the position's time; of the others none is doubled."""
    log = engine_log(times)
    batch = Batch(Position(), "task", 10**6)
    for line in log[:stop]:
        batch.add(line)
    batch.cut()
    batch.reopened()
    for line in opened(log, batch.position, filters=True):
        batch.add(line)
    highest = max((line.at for line in log[:stop]), default="")
    after = [line for line in log[stop:] if line.at >= highest]
    assert [line.text for line in batch.cut()] == [line.text for line in after]


def test_a_position_knows_the_highest_time_and_what_came_from_it_on():
    position = Position()
    for number, wanted in [(5, (5, 1, 0)), (5, (5, 2, 0)), (4, (5, 2, 1)), (6, (6, 1, 0))]:
        position = position.after(AT.format(number))
        assert position == Position(AT.format(wanted[0]), *wanted[1:])


def test_the_engine_is_asked_in_unix_time_to_the_nanosecond():
    assert Position().since() is None
    assert Position("1970-01-02T00:00:01.000000042Z", 1, 0).since() == "86401.000000042"


def test_a_line_about_dropped_ones_moves_the_position_to_the_last_of_them():
    told = LogLine(at=AT.format(9), stream="system", step="task", text="3 lines dropped")
    assert stored(Position(AT.format(5), 2, 1), [told]) == Position(AT.format(9), 1, 0)
    assert stored(Position(AT.format(9), 2, 1), [told]) == Position(AT.format(9), 2, 1)
