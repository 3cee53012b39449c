"""Cloning in an organization's own network: the program `builder.cloning` runs in a container
there, and what it sends is read as if somebody meant harm."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from builder.adapters import shell
from builder.buildkit.render import LIFELINE
from builder.cloning import entries
from builder.cloning.entries import BadStream, TooMuch
from builder.cloning.order import Cloned, NotCloned, Order, told

_LONGEST_LINE = 1 << 20
"""Bytes: what git said and the names that are there, each letter escaped."""
_MORE = 120.0
"""Seconds beyond those of the order: for what was cloned to come over."""
_LAST_WORDS = 1.0
_BEGINS = 0.2
_PATIENCE = 20.0
"""Seconds in which the rules of the guard have to stand."""
_WAITS = "has not been started yet"
"""What lifeline says while the container waits for the guard's rules."""


def argv(container: str) -> list[str]:
    program = ["python", "-S", "-m", "builder.cloning"]
    return ["docker", "exec", "--interactive", container, LIFELINE, "guarded", "--", *program]


async def clone(
    container: str,
    order: Order,
    folder: Path,
    tell: Callable[[str], None],
    program: Callable[[str], Sequence[str]] = argv,
) -> Cloned | NotCloned:
    """See `build.job.Cloner`."""
    loop = asyncio.get_running_loop()
    latest = loop.time() + _PATIENCE
    try:
        async with asyncio.timeout(order.limits.seconds + _MORE):
            while True:
                outcome, said = await _once(program(container), order, folder, tell)
                if outcome is not None:
                    return outcome
                if _WAITS not in said:
                    return NotCloned("ended", said)
                if loop.time() > latest:
                    return NotCloned("guard")
                await asyncio.sleep(_BEGINS)
    except TimeoutError:
        return NotCloned("slow")


async def _once(
    program: Sequence[str], order: Order, folder: Path, tell: Callable[[str], None]
) -> tuple[Cloned | NotCloned | None, str]:
    """(what it said became of it, its last other words)."""
    outcome: Cloned | NotCloned | None = None
    words = ""

    def on_line(line: str) -> None:
        nonlocal outcome, words
        match told(line):
            case str(progress):
                tell(progress)
            case None:
                words = line[-1000:]
            case said:
                outcome = outcome or said

    ours, theirs = os.pipe()
    try:
        process = await asyncio.create_subprocess_exec(
            *program,
            stdin=asyncio.subprocess.PIPE,
            stdout=theirs,
            stderr=asyncio.subprocess.PIPE,
            env=shell.environment(),
            start_new_session=True,
        )
    except BaseException:
        os.close(ours)
        raise
    finally:
        os.close(theirs)
    assert process.stdin is not None  # noqa: S101
    assert process.stderr is not None  # noqa: S101
    reading = asyncio.ensure_future(asyncio.to_thread(_read, ours, folder, order))
    timers: list[asyncio.TimerHandle] = []
    reading.add_done_callback(lambda done: timers.extend(_end_soon(done, process.pid)))
    try:
        with contextlib.suppress(ConnectionError):
            process.stdin.write(order.to_json())
            await process.stdin.drain()
        lines = shell.Lines(on_line, _LONGEST_LINE)
        while data := await process.stderr.read(64 * 1024):
            lines.feed(data)
        lines.end()
        trouble = await reading
        await process.wait()
    finally:
        # Its input closes with the client; then the program ends, and the thread with its output.
        for timer in timers:
            timer.cancel()
        await asyncio.shield(_finish(process, reading))
    if isinstance(outcome, Cloned) and trouble is not None:
        outcome = trouble
    return outcome, words


def _read(pipe: int, folder: Path, order: Order) -> NotCloned | None:
    """None where all came."""
    with os.fdopen(pipe, "rb", buffering=1 << 16) as source:
        try:
            entries.read(source, folder, order.limits)
        except TooMuch as error:
            return NotCloned(error.what)
        except BadStream as error:
            return NotCloned("ended", str(error))
    return None


def _end_soon(
    reading: asyncio.Future[NotCloned | None], group: int
) -> Iterator[asyncio.TimerHandle]:
    """Nobody reads on: it would go on for nothing. What it still has to say is waited for."""
    if reading.cancelled() or reading.exception() or reading.result():
        yield asyncio.get_running_loop().call_later(_LAST_WORDS, _kill, group)


def _kill(group: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


async def _finish(
    process: asyncio.subprocess.Process, reading: asyncio.Future[NotCloned | None]
) -> None:
    await shell.end(process)
    with contextlib.suppress(Exception):
        await reading
