"""A gateway that is told to stop answers what it was asked, and takes nothing new."""

import asyncio
import os
import signal
import sys
import time

import httpx2
import pytest

from tests.containers import free_port

PROGRAM = """
import asyncio, sys
from api_gateway.serving import serve
from slipway.runtime.process import serve as process

async def app(scope, receive, send):
    await asyncio.sleep(2.0 if scope["path"] == "/slow" else 0)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"whole"})

async def main(stopping):
    drain = asyncio.Event()
    serving = asyncio.create_task(serve(app, int(sys.argv[1]), drain))
    await stopping.wait()
    await asyncio.sleep(0.6)  # other work ends
    drain.set()
    await serving
    print("drained", flush=True)

process("test", main)
"""


@pytest.mark.parametrize("wanted", [signal.SIGTERM, signal.SIGINT])
async def test_what_was_asked_is_answered(wanted: signal.Signals):
    port = free_port()
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, str(port), stdout=asyncio.subprocess.PIPE, env=os.environ
    )
    try:
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10) as http:
            await until_up(http)
            slow = asyncio.create_task(http.get("/slow"))
            await asyncio.sleep(0.3)
            program.send_signal(wanted)
            await asyncio.sleep(0.2)
            assert (await asked(port)).is_success, "the process has the signal, not the server"
            await asyncio.sleep(0.8)
            with pytest.raises(httpx2.ConnectError):
                await asked(port)
            answer = await slow
            assert (answer.status_code, answer.content) == (200, b"whole")
        said, _ = await asyncio.wait_for(program.communicate(), 10)
        assert b"drained" in said
        assert program.returncode == 0
    finally:
        if program.returncode is None:
            program.kill()


async def asked(port: int) -> httpx2.Response:
    """By a new connection."""
    async with httpx2.AsyncClient() as http:
        return await http.get(f"http://127.0.0.1:{port}/")


async def until_up(http: httpx2.AsyncClient) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            await http.get("/")
        except httpx2.ConnectError:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
        else:
            return
