"""A rebuild by processes of its own, each with a part of the projections: so it uses more than one
core, and who asks the gateway meanwhile doesn't wait for it.

They speak lines of JSON. What is said to a process on its standard input: `["up_to", end]`,
`["complete", end, live]`. What it answers (see `part`): each second `{"folded", "documents"}`, and
then `{"done": number}` or `{"error": kind, "text"}`. It ends when its input does.
"""

import asyncio
import json
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from typing import Any

from slipway.eventstore.store import Damaged
from slipway.eventstore.stream import Silent
from slipway.readmodel.building import Interrupted, Turn
from slipway.readmodel.model import Away, Progress, Unfoldable

_SILENT = 60.0
"""Seconds after which a process that says nothing is taken for dead."""
_LOOK = 0.5
"""Seconds from one look at whether they may go on, and how far they are, to the next."""
_ERRORS = {error.__name__: error for error in (Away, Damaged, Unfoldable)} | {
    Silent.__name__: Interrupted  # so often and no more: the gateway itself reads in another way
}


class _Part:
    def __init__(self, process: Process) -> None:
        if process.stdin is None or process.stdout is None:
            raise ValueError("it has to be spoken with")
        self.process, self._said, self._told = process, process.stdin, process.stdout
        self.folded = self.documents = 0

    async def ask(self, words: Sequence[Any]) -> int:
        self._said.write(json.dumps(words).encode() + b"\n")
        while True:
            match await self._answer():
                case {"folded": int(folded), "documents": int(documents)}:
                    self.folded, self.documents = folded, documents
                case {"done": int(number)}:
                    return number
                case {"error": str(kind), "text": str(text)}:
                    raise _ERRORS.get(kind, RuntimeError)(text)
                case other:
                    raise RuntimeError(f"a process that rebuilds said {other!r}")

    async def _answer(self) -> Any:
        try:
            async with asyncio.timeout(_SILENT):
                line = await self._told.readline()
        except TimeoutError:
            raise Interrupted(f"a process that rebuilds said nothing for {_SILENT} s") from None
        if not line:
            raise Interrupted(f"a process that rebuilds ended with {await self.process.wait()}")
        return json.loads(line)

    def kill(self) -> None:
        """There is nothing that it could tidy up."""
        if self.process.returncode is None:
            self.process.kill()


class Processes:
    """`commands`: what to run, by part; the generation's name comes last."""

    def __init__(
        self, commands: Sequence[Sequence[str]], generation: str, progress: Progress, turn: Turn
    ) -> None:
        self._commands, self._turn = commands, turn
        self.generation, self.progress = generation, progress
        self.sequence = 0
        self._parts: list[_Part] = []

    async def up_to(self, end: int) -> None:
        await self._fold("up_to", end)

    async def complete(self, end: int, live: str | None) -> int:
        """Who has folded before the others goes on alone."""
        return sum(await self._fold("complete", end, live))

    async def _fold(self, word: str, end: int, *values: Any) -> list[int]:
        await self._start()
        self.progress.of = max(self.progress.of, end)
        done = await self._ask(word, end, *values)
        self.sequence = max(self.sequence, end)
        return done

    async def close(self) -> None:
        for part in self._parts:
            part.kill()
        await asyncio.gather(*(part.process.wait() for part in self._parts))

    async def _start(self) -> None:
        for command in self._commands[len(self._parts) :]:
            try:
                process = await asyncio.create_subprocess_exec(
                    *command, self.generation, stdin=PIPE, stdout=PIPE
                )
            except OSError as error:
                raise Interrupted(f"a process that rebuilds can't be started: {error}") from error
            self._parts.append(_Part(process))

    async def _ask(self, *words: Any) -> list[int]:
        asking = asyncio.gather(*(part.ask(words) for part in self._parts))
        try:
            while not asking.done():
                await self._moved()
                await asyncio.wait([asking], timeout=_LOOK)
            done = await asking
        finally:
            asking.cancel()
        await self._moved()
        return done

    async def _moved(self) -> None:
        self.progress.folded = min(part.folded for part in self._parts)
        self.progress.documents = sum(part.documents for part in self._parts)
        await self._turn()
