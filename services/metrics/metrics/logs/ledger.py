"""How far each container's log is stored, and the storing itself.

The log is its own record: every line carries its container's task and its time to the nanosecond,
so the positions are a fold of `log.*.run.*`, and a batch and the advance that it means are one
message. The file in the anchors' volume only spares reading the whole stream at a start: it holds
the positions and a floor, a sequence of LOGS up to which they are complete. It is written every
second while something comes, always after the acknowledgement; at a start the messages above
the floor are folded upon it. So a death at any instruction neither loses nor doubles a line, and
a file that is lost costs time, not lines.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Collection, Sequence
from typing import Any, NamedTuple, Protocol

import orjson
from slipway.contracts.logs import LogLine, run_subject
from slipway.eventstore.stream import Silent
from slipway.runtime import retry
from slipway.runtime.logging import logger

from metrics.container import Container
from metrics.logs.position import Position, stored

_SAVE_SECONDS = 1.0


class Batches(Protocol):
    async def append(self, subject: str, lines: Sequence[LogLine], id_: str) -> int: ...
    async def find(self, subject: str, lines: Sequence[LogLine], after: int) -> int | None: ...
    def batches(self, after: int) -> AsyncIterator[tuple[int, tuple[LogLine, ...]]]: ...


class File(Protocol):
    def load(self) -> bytes | None: ...
    def save(self, data: bytes) -> None: ...


class Mark(NamedTuple):
    """`sequence` of the last batch; the position after it."""

    sequence: int
    position: Position


class Ledger:
    def __init__(self, batches: Batches, file: File) -> None:
        self._batches, self._file = batches, file
        self._marks: dict[str, Mark] = {}
        self._acknowledged = 0
        self._flying: dict[str, int] = {}
        """step → what was acknowledged when its batch was sent: it is stored above that."""
        self._changed = False
        self._log = logger()

    @property
    def floor(self) -> int:
        """Every batch up to it is in the positions."""
        return min(self._flying.values(), default=self._acknowledged)

    def position(self, container: Container) -> Position:
        mark = self._marks.get(container.step)
        return mark.position if mark else Position()

    async def recover(self) -> None:
        """The file, and what was stored after it."""
        floor, saved = self._saved()

        async def fold() -> None:
            marks, last, count = dict(saved), floor, 0
            async for sequence, lines in self._batches.batches(floor):
                count, last = count + 1, sequence
                for step in {line.step for line in lines}:
                    mark = marks.get(step, Mark(0, Position()))
                    if sequence > mark.sequence:
                        mine = [line for line in lines if line.step == step]
                        marks[step] = Mark(sequence, stored(mark.position, mine))
            self._marks, self._acknowledged = marks, last
            self._log.info("log positions", containers=len(marks), floor=floor, batches=count)

        await retry.CONNECT.run(fold, Silent)

    def _saved(self) -> tuple[int, dict[str, Mark]]:
        data = self._file.load()
        if data is None:
            return 0, {}
        try:
            read = orjson.loads(data)
            marks = {
                step: Mark(sequence, Position(at, equal, below))
                for step, (sequence, at, equal, below) in read["steps"].items()
            }
            return int(read["floor"]), marks
        except (ValueError, KeyError, TypeError) as error:
            self._log.warning("the positions' file can't be read", error=str(error))
            return 0, {}

    async def store(
        self, container: Container, lines: Sequence[LogLine], position: Position
    ) -> None:
        """Returns once the batch is acknowledged, however long that takes. What is not answered
        is looked for before it is sent again, and sent under the same id: it may be there."""
        subject = run_subject(container.organization, container.service)
        above = self._flying.setdefault(container.step, self._acknowledged)
        text = f"{container.id} {position} {len(lines)}"
        id_ = hashlib.sha256(text.encode()).hexdigest()
        sent = False

        async def send() -> int:
            nonlocal sent
            there = await self._batches.find(subject, lines, above) if sent else None
            sent = True
            return await self._batches.append(subject, lines, id_) if there is None else there

        def said(_attempt: int, error: BaseException) -> None:
            if not isinstance(error, Silent):  # of which the connection itself tells
                self._log.warning("a batch of lines waits", subject=subject, error=repr(error))

        sequence = await retry.CONNECT.run(send, said=said)
        # Not above: the stream was made anew, and counts from the beginning.
        self._acknowledged = max(self._acknowledged, sequence) if sequence > above else sequence
        self._marks[container.step] = Mark(sequence, position)
        self._flying.pop(container.step, None)
        self._changed = True

    def keep(self, steps: Collection[str]) -> None:
        """Forget all other containers: they are gone."""
        for step in self._marks.keys() - steps - self._flying.keys():
            del self._marks[step]
            self._changed = True

    async def save_regularly(self) -> None:
        while True:
            await asyncio.sleep(_SAVE_SECONDS)
            if self._changed:
                self._changed = False
                await asyncio.to_thread(self._file.save, self._packed())

    def save(self) -> None:
        self._file.save(self._packed())

    def _packed(self) -> bytes:
        steps: dict[str, Any] = {
            step: [mark.sequence, *mark.position] for step, mark in self._marks.items()
        }
        return orjson.dumps({"floor": self.floor, "steps": steps})
