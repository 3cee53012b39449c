"""One process of a rebuild: see `processes` for what it is told and says."""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

import uvloop

from slipway.readmodel.model import Progress
from slipway.readmodel.rebuild import Rebuild

_SECONDS = 1.0
_TEXT = 2000
"""Letters of an error that are told."""


async def anyway() -> None:
    """As a `Turn`: whether it may go on is known to who started it, and would end it."""


def run(opened: Callable[[], Awaitable[Rebuild]]) -> None:
    """Do what is said on standard input until it ends: then nobody waits for it. What is printed
    goes where errors go: standard output is for answers."""
    answers = os.dup(1)
    os.dup2(2, 1)
    uvloop.run(_run(opened, answers))


async def _run(opened: Callable[[], Awaitable[Rebuild]], answers: int) -> NoReturn:
    said = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(said), sys.stdin
    )
    told: asyncio.Queue[list[Any]] = asyncio.Queue()

    def say(**answer: Any) -> None:
        os.write(answers, json.dumps(answer).encode() + b"\n")

    def tell(progress: Progress) -> None:
        say(folded=progress.folded, documents=progress.documents)

    async def work() -> None:
        try:
            rebuild = await opened()
            tasks.append(asyncio.create_task(_tell(rebuild.progress, tell)))
            while True:
                done = await _done(rebuild, *await told.get())
                tell(rebuild.progress)
                say(done=done)
        except Exception as error:
            say(error=type(error).__name__, text=str(error)[:_TEXT] or repr(error))

    tasks = [asyncio.create_task(work())]
    async for line in said:
        told.put_nowait(json.loads(line))
    os._exit(0)  # whatever is being done, and without waiting for a thread that stores


async def _tell(progress: Progress, tell: Callable[[Progress], None]) -> None:
    while True:
        tell(progress)
        await asyncio.sleep(_SECONDS)


async def _done(rebuild: Rebuild, word: str, *values: Any) -> int:
    if word == "complete":
        return await rebuild.complete(*values)
    await rebuild.up_to(*values)
    return 0
