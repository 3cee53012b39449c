"""The database under test, one program of a stack: the one writer of /data. It keeps who wrote in
`history`, a line each: itself at its start, and what it was sent by POST; and it marks /data as
broken when somebody else still writes there. VERSION, LISTEN_AFTER and STOP_AFTER (seconds) are
variables."""

import fcntl
import json
import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

DATA = Path("/data")


def write(line: str) -> None:
    with (DATA / "history").open("a") as file:
        file.write(f"{line}\n")


def end(*_: object) -> None:
    time.sleep(float(os.environ.get("STOP_AFTER", "0")))
    os._exit(0)


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self._answer({"version": os.environ["VERSION"], "host": os.uname().nodename})

    def do_POST(self) -> None:
        write(self.rfile.read(int(self.headers["content-length"])).decode())
        self._answer({})

    def _answer(self, body: dict[str, str]) -> None:
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def main() -> None:
    lock = (DATA / "lock").open("a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        (DATA / "broken").write_text(os.environ["VERSION"])
        sys.exit("somebody else writes here")
    signal.signal(signal.SIGTERM, end)
    write(os.environ["VERSION"])
    time.sleep(float(os.environ.get("LISTEN_AFTER", "0")))
    ThreadingHTTPServer(("0.0.0.0", 5432), Answer).serve_forever()


main()
