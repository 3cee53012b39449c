"""How far a container's log has been stored, so that it is read on from there. Pure.

The engine gives a log from its first line at or after a moment on. Lines of the two streams are
stamped before they are put in order, so times may run a little backwards, and two lines may have
the same. Hence a position is the highest time stored, and how many lines have been stored from
the first one with that time on: those with it, and those below it. A log that is opened at that
time begins with exactly these.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from slipway.contracts.logs import LogLine


class Position(NamedTuple):
    """`at` as in the lines: 30 characters, nine digits of a second, UTC; empty: nothing yet."""

    at: str = ""
    equal: int = 0
    below: int = 0

    def after(self, at: str) -> "Position":
        """The position when a line with that time has been stored too."""
        if at > self.at:
            return Position(at, 1, 0)
        if at == self.at:
            return Position(at, self.equal + 1, self.below)
        return Position(self.at, self.equal, self.below + 1)

    def since(self) -> str | None:
        """The engine's parameter: Unix seconds with nine digits; None for the whole log."""
        if not self.at:
            return None
        whole, _, fraction = self.at.removesuffix("Z").partition(".")
        return f"{int(datetime.fromisoformat(whole + '+00:00').timestamp())}.{fraction:0<9}"


def stored(position: Position, lines: Iterable[LogLine]) -> Position:
    """The position after a batch that stands in the log. The line that tells of dropped ones
    carries the time of the last of them; how many others had it is not known any more."""
    for line in lines:
        if line.stream != "system":
            position = position.after(line.at)
        elif line.at > position.at:
            position = Position(line.at, 1, 0)
    return position


class Skip:
    """Tells of a log opened at a position which of its lines are stored already."""

    def __init__(self, position: Position) -> None:
        self._at, self._equal, self._below = position

    def seen(self, at: str) -> bool:
        if at == self._at and self._equal:
            self._equal -= 1
            return True
        if at < self._at and self._below:
            self._below -= 1
            return True
        return False
