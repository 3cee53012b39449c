"""The sample application: one page that says which version answers and from where.

The standard library only. `PORT` is where it listens; SIGTERM stops listening, then ends it.
"""

import os
import platform
import signal
import threading
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

VERSION = Path(__file__).with_name("VERSION").read_text(encoding="utf-8").strip()
PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Sample on Slipway</title>
<style>body{{font:16px/1.6 system-ui;max-width:40rem;margin:4rem auto;padding:0 1rem}}</style>
<h1>Hello from Slipway</h1>
<p>Version <b>{version}</b>, answered by <code>{host}</code>.</p>
<p>{greeting}</p>
</html>
"""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "sample"
    sys_version = ""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/healthz":
            self._answer(200, "text/plain", "ok\n")
        elif path == "/":
            page = PAGE.format(
                version=escape(VERSION),
                host=escape(platform.node()),
                greeting=escape(os.environ.get("GREETING", "Push a commit and watch it go live.")),
            )
            self._answer(200, "text/html", page)
        else:
            self._answer(404, "text/plain", "Nothing here.\n")

    def do_HEAD(self) -> None:
        self.do_GET()

    def _answer(self, status: int, kind: str, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Version", VERSION)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        print(f"{self.command} {self.path} {args[1] if len(args) > 1 else ''}", flush=True)


def main() -> None:
    port = int(os.environ.get("PORT", "8000"))
    server = ThreadingHTTPServer(("", port), Handler)

    def stop(_number: int, _frame: object) -> None:
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    print(f"version {VERSION} listens on {port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
