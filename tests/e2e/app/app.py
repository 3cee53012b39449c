"""The service under test. Its behaviour is in the variable BEHAVIOUR, or in `behaviour.json` beside
it: `version`, `listen_after`, `answer_after`, `die_after` (seconds), `exit_code`, `flood` (lines
that are printed before it exits), `health_status`, `on_term` (`die` at once, or `drain`: what is
open is answered and then closed, nothing new is accepted)."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

STOPPING = asyncio.Event()
SAID = os.environ.get("BEHAVIOUR") or (Path(__file__).parent / "behaviour.json").read_text()
WANTED = json.loads(SAID)


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            path = head.split(" ", 2)[1]
            status, body = 200, {"version": WANTED["version"], "host": os.uname().nodename}
            if path.startswith("/health"):
                status = WANTED.get("health_status", 200)
            elif path.startswith("/environment"):
                body = dict(os.environ)
            else:
                await asyncio.sleep(WANTED.get("answer_after", 0))
            data = json.dumps(body).encode()
            close = "connection: close" in head.lower() or STOPPING.is_set()
            fields = ["Content-Type: application/json", f"Content-Length: {len(data)}"]
            fields += ["Connection: close"] if close else []
            lines = [f"HTTP/1.1 {status} X", *fields, "", ""]
            writer.write("\r\n".join(lines).encode() + data)
            await writer.drain()
            if close:
                return
    except (OSError, EOFError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def main() -> None:
    print(f"version {WANTED['version']} starts", flush=True)
    loop = asyncio.get_running_loop()
    if WANTED.get("on_term", "die") == "die":
        loop.add_signal_handler(signal.SIGTERM, os._exit, 0)
    else:
        loop.add_signal_handler(signal.SIGTERM, STOPPING.set)
    if "exit_code" in WANTED:
        for _ in range(WANTED.get("flood", 0)):
            print("\x01" * 16000, file=sys.stderr, flush=True)
        print("cannot find the configuration", file=sys.stderr, flush=True)
        os._exit(WANTED["exit_code"])
    await asyncio.sleep(WANTED.get("listen_after", 0))
    server = await asyncio.start_server(answer, "0.0.0.0", 8000, backlog=1024)
    print("listening on 8000", flush=True)
    if "die_after" in WANTED:
        await asyncio.sleep(WANTED["die_after"])
        print("lost the database", file=sys.stderr, flush=True)
        os._exit(7)
    await STOPPING.wait()
    server.close()
    await asyncio.sleep(WANTED.get("answer_after", 0) + 1.0)


asyncio.run(main())
