"""Bytes of the engine's log stream → lines, however they are cut into reads."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slipway.contracts.frames import LIMIT, Broken, Multiplexed, RawLine, Terminal

AT = "2026-01-02T03:04:05.{:09d}Z"


def frame(stream: int, number: int, text: bytes) -> bytes:
    message = AT.format(number).encode() + b" " + text
    return bytes([stream, 0, 0, 0]) + len(message).to_bytes(4) + message


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in itertools.pairwise(edges)]


TEXTS = st.binary(max_size=60).map(lambda text: text.replace(b"\n", b" "))


@given(st.lists(st.tuples(st.sampled_from([1, 2]), TEXTS)), st.lists(st.integers(0, 5000)))
def test_frames_are_told_apart_wherever_reads_end(
    messages: list[tuple[int, bytes]], cuts: list[int]
):
    data = b"".join(frame(s, n, text + b"\n") for n, (s, text) in enumerate(messages))
    decoder = Multiplexed()
    lines = [line for piece in pieces(data, cuts) for line in decoder.feed(piece)]
    assert lines == [
        RawLine(AT.format(n), "stdout" if s == 1 else "stderr", text, len(text))
        for n, (s, text) in enumerate(messages)
    ]
    assert decoder.end() == []


@given(st.lists(TEXTS), st.lists(st.integers(0, 5000)))
def test_a_terminals_lines_have_no_frames(texts: list[bytes], cuts: list[int]):
    data = b"".join(AT.format(n).encode() + b" " + text + b"\r\n" for n, text in enumerate(texts))
    decoder = Terminal()
    lines = [line for piece in pieces(data, cuts) for line in decoder.feed(piece)]
    assert [(line.at, line.data) for line in lines] == [
        (AT.format(n), text + b"\r") for n, text in enumerate(texts)
    ]
    assert [line.text for line in lines] == [text.decode(errors="replace") for text in texts]


def test_a_line_in_parts_is_one_with_the_first_ones_time_and_streams_do_not_mix():
    decoder = Multiplexed()
    assert decoder.feed(frame(1, 1, b"one ") + frame(2, 2, b"other ")) == []
    (first,) = decoder.feed(frame(1, 1, b"line\n"))
    assert first == RawLine(AT.format(1), "stdout", b"one line", 8)
    (second,) = decoder.feed(frame(2, 2, b"line\n"))
    assert second == RawLine(AT.format(2), "stderr", b"other line", 10)


def test_what_has_no_line_feed_comes_at_the_end():
    decoder = Multiplexed()
    decoder.feed(frame(1, 1, b"prompt> "))
    assert [line.text for line in decoder.end()] == ["prompt> "]
    assert decoder.end() == []
    terminal = Terminal()
    assert terminal.feed(AT.format(1).encode() + b" prompt> ") == []
    assert [line.text for line in terminal.end()] == ["prompt> "]
    assert terminal.end() == []


def test_a_long_line_is_cut_and_says_so():
    decoder = Multiplexed()
    part = b"x" * LIMIT
    assert decoder.feed(frame(1, 1, part)) == []
    assert decoder.feed(frame(1, 1, part)) == []
    (line,) = decoder.feed(frame(1, 1, b"end\n"))
    assert line.data == part
    assert line.text == "x" * LIMIT + f" … (cut: {2 * LIMIT + 3} bytes)"
    (exact,) = decoder.feed(frame(1, 2, part + b"\n"))
    assert exact.text == "x" * LIMIT


def test_a_terminals_endless_line_does_not_fill_the_memory():
    decoder = Terminal()
    decoder.feed(AT.format(1).encode() + b" ")
    for _ in range(100):
        assert decoder.feed(b"x" * 10_000) == []
        assert len(decoder._rest) < LIMIT + 100
    (line,) = decoder.feed(b"\r\n")
    assert line.text.startswith("x" * LIMIT + " … (cut: 1000")


def test_bytes_that_are_no_utf_8_are_replaced():
    (line,) = Multiplexed().feed(frame(1, 1, b"a\xffb\x00\n"))
    assert line.text == "a�b\x00"


@pytest.mark.parametrize(
    "data",
    [
        bytes([3, 0, 0, 0, 0, 0, 0, 44]) + b"Error grabbing logs: invalid character 'x' \n",
        bytes([1, 0, 0, 0, 0, 0, 0, 3]) + b"abc",
        b"no frames at all, just text",
    ],
)
def test_what_is_no_log_is_broken(data: bytes):
    decoder = Multiplexed()
    with pytest.raises(Broken):
        decoder.feed(data)
