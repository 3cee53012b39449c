"""The engine's log stream, bytes → lines. Pure.

Without a terminal each message comes in a frame: one byte of stream (1 stdout, 2 stderr, 3 the
engine's own error), three of nothing, four of length, big endian; then the message. With a
terminal there are no frames. A message is `<time> <text>`, the time in UTC with nine digits, so
always 30 bytes, and times compare as text. A text that does not end in a line feed goes on in the
next message of the same stream (the engine cuts at 16 KiB) under the same time.
"""

from typing import Literal, NamedTuple, Protocol

LIMIT = 16 * 1024
"""Bytes of a line that are kept."""
_STAMP = 30
_LONGEST = 1 << 20
"""Bytes of a frame: the engine's are 16 KiB and a little."""
_STREAMS: dict[int, Literal["stdout", "stderr"]] = {1: "stdout", 2: "stderr"}


class Broken(Exception):
    """The stream can't be understood, or the engine says in it that it can't read the log."""


class RawLine(NamedTuple):
    """`data` without line end, at most LIMIT bytes of the line's `size`."""

    at: str
    stream: Literal["stdout", "stderr"]
    data: bytes
    size: int

    @property
    def text(self) -> str:
        """What is no UTF-8 is replaced; a line that was cut says so."""
        text = self.data.decode(errors="replace").removesuffix("\r")
        return text if self.size <= LIMIT else f"{text} … (cut: {self.size} bytes)"


class Decoder(Protocol):
    def feed(self, data: bytes) -> list[RawLine]:
        """The lines that these bytes complete. Raises Broken."""
        ...

    def end(self) -> list[RawLine]:
        """The lines without a line feed that the log ended with."""
        ...


def decoder(terminal: bool) -> Decoder:
    return Terminal() if terminal else Multiplexed()


class Multiplexed:
    def __init__(self) -> None:
        self._rest = b""
        self._open: dict[int, RawLine] = {}

    def feed(self, data: bytes) -> list[RawLine]:
        data = self._rest + data if self._rest else data
        lines: list[RawLine] = []
        position, end = 0, len(data)
        while position + 8 <= end:
            start = position + 8
            stop = start + int.from_bytes(data[position + 4 : start])
            if stop > end:
                if stop - start > _LONGEST:
                    raise Broken("what comes is no frames")
                break
            if (line := self._message(data[position], data, start, stop)) is not None:
                lines.append(line)
            position = stop
        self._rest = data[position:]
        return lines

    def _message(self, number: int, data: bytes, start: int, stop: int) -> RawLine | None:
        stream = _STREAMS.get(number)
        stamped = data[start + _STAMP - 1 : start + _STAMP + 1] == b"Z "
        if stream is None or not stamped or stop - start <= _STAMP:
            raise Broken(data[start : min(stop, start + 200)].decode(errors="replace").strip())
        complete = data[stop - 1] == 0x0A
        text, last = start + _STAMP + 1, stop - 1 if complete else stop
        before = self._open.pop(number, None) if self._open else None
        if before is None:
            at = data[start : start + _STAMP].decode()
            line = RawLine(at, stream, data[text : min(last, text + LIMIT)], last - text)
        else:
            kept = (before.data + data[text:last])[:LIMIT]
            line = RawLine(before.at, stream, kept, before.size + last - text)
        if complete:
            return line
        self._open[number] = line
        return None

    def end(self) -> list[RawLine]:
        lines = [self._open[number] for number in sorted(self._open)]
        self._open.clear()
        return lines


class Terminal:
    """Lines end in CR LF; where a long one goes on its time stands amid the text, beyond what is
    kept of it."""

    def __init__(self) -> None:
        self._rest = b""
        self._beyond = 0

    def feed(self, data: bytes) -> list[RawLine]:
        *whole, self._rest = (self._rest + data).split(b"\n")
        lines = [self._line(line) for line in whole]
        most = _STAMP + 1 + LIMIT
        if len(self._rest) > most:
            self._beyond += len(self._rest) - most
            self._rest = self._rest[:most]
        return lines

    def _line(self, message: bytes) -> RawLine:
        if message[_STAMP - 1 : _STAMP + 1] != b"Z ":
            raise Broken(message[:200].decode(errors="replace").strip())
        text = message[_STAMP + 1 :]
        size, self._beyond = len(text) + self._beyond, 0
        return RawLine(message[:_STAMP].decode(), "stdout", text[:LIMIT], size)

    def end(self) -> list[RawLine]:
        rest, self._rest = self._rest, b""
        return [self._line(rest)] if rest else []
