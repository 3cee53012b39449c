"""Programs, by argument list, in a process group of their own. However much one prints, memory is
bounded."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Mapping, Sequence

_PATH = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
_KEPT = ("SSL_CERT_FILE", "DOCKER_HOST", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")
_READ = 64 * 1024
_END = 64 * 1024
"""Bytes that are kept of the beginning of an output, and of its end."""
LONGEST_LINE = 4 * 1024 * 1024


class ProgramSilent(Exception):
    """It printed nothing for longer than it was given, and was ended."""


class _Output:
    """The beginning and the end."""

    def __init__(self) -> None:
        self._head, self._tail, self._gone = bytearray(), bytearray(), 0

    def feed(self, data: bytes) -> None:
        room = _END - len(self._head)
        self._head += data[:room]
        self._tail += data[room:]
        self._gone += max(0, len(self._tail) - _END)
        del self._tail[:-_END]

    def text(self) -> str:
        gap = f"\n… {self._gone} bytes are left out here …\n".encode() if self._gone else b""
        return (self._head + gap + self._tail).decode(errors="replace").rstrip("\n")


class Lines:
    """Hands over whole lines; of one that is longer than `longest` bytes its beginning."""

    def __init__(self, on_line: Callable[[str], None], longest: int = LONGEST_LINE) -> None:
        self._on_line, self._longest, self._rest = on_line, longest, bytearray()

    def feed(self, data: bytes) -> None:
        first, *others = data.split(b"\n")
        self._rest += first[: self._longest - len(self._rest)]
        for line in others:
            self._on_line(self._rest.decode(errors="replace"))
            self._rest = bytearray(line[: self._longest])

    def end(self) -> None:
        if self._rest:
            self._on_line(self._rest.decode(errors="replace"))


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Of a program: nothing of the builder's own but what leads to the engine and outside."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {**_PATH, **kept, **(more or {})}


async def run(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    on_line: Callable[[str], None] | None = None,
    silence: float | None = None,
) -> tuple[int, str]:
    """(exit code, output: its beginning and its end where it is long). With `on_line` each line is
    handed over and not kept. `silence`: after so many seconds without output it is ended, and
    ProgramSilent is raised. When cancelled the whole group is ended first."""
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=environment(env),
        start_new_session=True,
    )
    assert process.stdout is not None  # noqa: S101
    output, lines = _Output(), Lines(on_line) if on_line else None
    try:
        while data := await _read(process.stdout, silence):
            (lines or output).feed(data)
        if lines:
            lines.end()
        return await process.wait(), output.text()
    finally:
        await asyncio.shield(end(process))


async def _read(stream: asyncio.StreamReader, silence: float | None) -> bytes:
    try:
        async with asyncio.timeout(silence):
            return await stream.read(_READ)
    except TimeoutError as error:
        raise ProgramSilent(f"no output for {silence:.0f} s") from error


async def end(process: asyncio.subprocess.Process) -> None:
    """The program is asked, and forced a second later; what else is of its group goes with it."""
    with contextlib.suppress(ProcessLookupError, TimeoutError):
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGTERM)
            async with asyncio.timeout(1.0):
                await process.wait()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
