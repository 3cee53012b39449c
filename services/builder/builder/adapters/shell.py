"""Programs, by argument list, in a process group of their own."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Mapping, Sequence

_PATH = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
_KEPT = ("SSL_CERT_FILE", "DOCKER_HOST", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")


async def run(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    on_line: Callable[[str], None] | None = None,
) -> tuple[int, str]:
    """(exit code, output); with `on_line` each line is handed over and not kept. When cancelled
    the whole group is ended first."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**_PATH, **kept, **(env or {})},
        start_new_session=True,
        limit=4 * 1024 * 1024,
    )
    assert process.stdout is not None  # noqa: S101
    output: list[str] = []
    try:
        while raw := await process.stdout.readline():
            line = raw.decode(errors="replace").rstrip("\n")
            if on_line is None:
                output.append(line)
            else:
                on_line(line)
        return await process.wait(), "\n".join(output)
    finally:
        await asyncio.shield(_end(process))


async def _end(process: asyncio.subprocess.Process) -> None:
    """The program is asked, and forced a second later; what else is of its group goes with it."""
    with contextlib.suppress(ProcessLookupError, TimeoutError):
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGTERM)
            async with asyncio.timeout(1.0):
                await process.wait()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
