"""A read-only git server over smart HTTP, as a program: `--root FOLDER --bind HOST --port N`.

Serves every repository directly below the folder as `/<name>.git`. Only `upload-pack` is run, so
nothing can be pushed. Prints `serving on HOST:PORT` once it listens; port 0 is any free one. The
standard library only: the end-to-end tests run this file with whatever Python they have.
"""

import argparse
import gzip
import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

_REPOSITORY = re.compile(
    r"/(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)/(?P<rest>info/refs|git-upload-pack)"
)
_CHUNK = 64 * 1024
_LONGEST_REQUEST = 16 * 1024 * 1024


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "slipway-git"
    sys_version = ""
    root: Path

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path == "/healthz":
            self._refuse(200, "ok\n")
            return
        repository = self._repository(url.path, "info/refs")
        if repository is None:
            self._refuse(404, "no such repository\n")
        elif parse_qs(url.query).get("service") != ["git-upload-pack"]:
            self._refuse(403, "this server is read-only, and speaks smart HTTP only\n")
        else:
            service = b"# service=git-upload-pack\n"
            line = b"%04x%s0000" % (len(service) + 4, service)
            self._answer(repository, ["--advertise-refs"], b"", "advertisement", line)

    def do_POST(self) -> None:
        repository = self._repository(urlsplit(self.path).path, "git-upload-pack")
        if repository is None:
            self._refuse(404, "no such repository\n")
            return
        body = self._body()
        if body is None:
            self._refuse(413, "the request is too long\n")
            return
        self._answer(repository, [], body, "result", b"")

    def _repository(self, path: str, rest: str) -> Path | None:
        match = _REPOSITORY.fullmatch(path)
        if match is None or match["rest"] != rest:
            return None
        folder = self.root / match["name"]
        return folder if (folder / "HEAD").is_file() else None

    def _body(self) -> bytes | None:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            body = b"".join(_chunks(self.rfile))
        else:
            length = int(self.headers.get("Content-Length", "0"))
            body = self.rfile.read(length) if length <= _LONGEST_REQUEST else b""
            if len(body) != length:
                return None
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        return body if len(body) <= _LONGEST_REQUEST else None

    def _answer(
        self, repository: Path, options: list[str], body: bytes, kind: str, prefix: bytes
    ) -> None:
        environment = dict(os.environ) | {"GIT_CONFIG_COUNT": "1"}
        environment |= {"GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}
        if protocol := self.headers.get("Git-Protocol"):
            environment["GIT_PROTOCOL"] = protocol
        done = subprocess.run(
            ["git", "upload-pack", "--stateless-rpc", "--strict", *options, str(repository)],
            input=body,
            capture_output=True,
            env=environment,
            timeout=120,
            check=False,
        )
        if done.returncode and not done.stdout:
            self._refuse(500, done.stderr.decode(errors="replace"))
            return
        self.send_response(200)
        self.send_header("Content-Type", f"application/x-git-upload-pack-{kind}")
        self.send_header("Cache-Control", "no-cache")
        self.send_header("Content-Length", str(len(prefix) + len(done.stdout)))
        self.end_headers()
        self.wfile.write(prefix)
        self.wfile.write(done.stdout)

    def _refuse(self, status: int, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Quiet: a clone is of no interest here."""


def _chunks(stream: BufferedIOBase) -> Iterator[bytes]:
    while size := int(stream.readline().split(b";")[0] or b"0", 16):
        yield stream.read(size)
        stream.readline()
    stream.readline()


def serve(
    root: Path, host: str = "", port: int = 0, handler: type[Handler] = Handler
) -> ThreadingHTTPServer:
    """Listen for the repositories below `root`; the caller runs `serve_forever`."""
    return ThreadingHTTPServer((host, port), type("Bound", (handler,), {"root": root}))


def main(argv: Sequence[str] | None = None, handler: type[Handler] = Handler) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--bind", default="")
    parser.add_argument("--port", type=int, default=8000)
    arguments = parser.parse_args(argv)
    server = serve(arguments.root, arguments.bind, arguments.port, handler)
    print(f"serving on {arguments.bind}:{server.server_port}", flush=True)

    def stop(_number: int, _frame: object) -> None:
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    server.serve_forever()


if __name__ == "__main__":
    main()
