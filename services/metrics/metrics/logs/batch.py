"""Lines of one container gathered into the next message. Pure.

A container that prints more than `most` lines in one second, by the lines' own times, has the
rest of that second dropped, and a line of the stream `system` says how many. By their own times,
not by when they are read: what piled up while nobody read is not dropped for that.
"""

import orjson
from slipway.contracts.frames import RawLine
from slipway.contracts.logs import LogLine

from metrics.logs.position import Position, Skip

LINES = 200
BYTES = 300_000
"""A batch is full with either; a line is at most 100 KB in JSON, so a message stays below 400."""
_AROUND = 120


class Batch:
    def __init__(self, position: Position, step: str, most: int) -> None:
        self._step, self._most = step, most
        self._read = position
        self._skip = Skip(position)
        self._second, self._count = "", 0
        self._dropped, self._dropped_at = 0, ""
        self._lines: list[LogLine] = []
        self._weight = 0
        self.position = position
        """How far the log is stored once these lines are."""

    def __len__(self) -> int:
        return len(self._lines)

    @property
    def full(self) -> bool:
        return len(self._lines) >= LINES or self._weight >= BYTES

    @property
    def dropping(self) -> bool:
        return self._dropped > 0

    def reopened(self) -> None:
        """The log is read again, from `position`; what was gathered behind it is forgotten."""
        self._read = self.position
        self._skip = Skip(self.position)
        self._dropped = 0

    def add(self, raw: RawLine) -> None:
        at = raw.at
        if self._skip.seen(at):
            return
        self._read = self._read.after(at)
        if at[:19] != self._second:
            self._second, self._count = at[:19], 0
        self._count += 1
        if self._count > self._most:
            self._dropped += 1
            self._dropped_at = max(at, self._dropped_at)
            return
        self.tell()
        self._append(LogLine(at=at, stream=raw.stream, step=self._step, text=raw.text))

    def tell(self) -> None:
        """Say what was dropped so far."""
        if self._dropped:
            text = f"{self._dropped} lines dropped: more than {self._most} in a second"
            at, self._dropped, self._dropped_at = self._dropped_at, 0, ""
            self._append(LogLine(at=at, stream="system", step=self._step, text=text))

    def _append(self, line: LogLine) -> None:
        self._lines.append(line)
        self._weight += len(orjson.dumps(line.text)) + _AROUND
        self.position = self._read

    def cut(self) -> list[LogLine]:
        """The lines so far; the next batch begins behind them."""
        lines, self._lines, self._weight = self._lines, [], 0
        return lines
