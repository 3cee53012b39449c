"""A read-only git server over smart HTTP, as a program: `--root FOLDER --bind HOST --port N`.

Serves every repository directly below the folder as `/<name>.git`. Only `upload-pack` is run, so
nothing can be pushed. In each network the server has an address of its own, and at each of them so
many connections at once: nobody keeps others out. Prints `serving on HOST:PORT` once it listens;
port 0 is any free one. The standard library only: the end-to-end tests run this file with whatever
Python they have.
"""

import argparse
import os
import re
import signal
import socket
import subprocess
import threading
import time
import zlib
from collections import Counter
from collections.abc import Buffer, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase, BufferedReader, RawIOBase
from pathlib import Path
from typing import Any, cast, override
from urllib.parse import parse_qs, urlsplit

_REPOSITORY = re.compile(
    r"/(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)/(?P<rest>info/refs|git-upload-pack)"
)
_LINE = 256
"""Bytes of one with a chunk's length."""
_GZIP = 16 + zlib.MAX_WBITS
_LONGEST_REQUEST = 1024 * 1024
"""Bytes, unpacked: names of commits."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "slipway-git"
    sys_version = ""
    patience = 30.0
    """Seconds in which a client has sent a request, or has taken an answer."""
    connections = 16
    """At once, at each address of the server."""
    root: Path

    @override
    def setup(self) -> None:
        super().setup()
        self.rfile.close()
        self._sent = _Sent(self.connection, self.patience)
        self.rfile = BufferedReader(self._sent)

    @override
    def handle_one_request(self) -> None:
        self._sent.begin()
        super().handle_one_request()

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
            self._refuse(413, "the request is too long, or can't be read\n")
            return
        self._answer(repository, [], body, "result", b"")

    def _repository(self, path: str, rest: str) -> Path | None:
        match = _REPOSITORY.fullmatch(path)
        if match is None or match["rest"] != rest:
            return None
        folder = self.root / match["name"]
        return folder if (folder / "HEAD").is_file() else None

    def _body(self) -> bytes | None:
        """None where it is too long, or no body at all: nothing more is read then."""
        try:
            if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
                body = b"".join(_chunks(self.rfile))
            else:
                body = _exactly(self.rfile, int(self.headers.get("Content-Length", "0")))
            if self.headers.get("Content-Encoding") == "gzip":
                body = zlib.decompressobj(_GZIP).decompress(body, _LONGEST_REQUEST + 1)
        except (ValueError, zlib.error):
            body = None
        if body is None or len(body) > _LONGEST_REQUEST:
            self.close_connection = True
            return None
        return body

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


class _Sent(RawIOBase):
    """What a client sends, in so many seconds from `begin`, however much it is at once."""

    def __init__(self, connection: socket.socket, seconds: float) -> None:
        connection.settimeout(seconds)
        self._connection, self._seconds = connection, seconds
        self.begin()

    def begin(self) -> None:
        self._end = time.monotonic() + self._seconds

    @override
    def readable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: Buffer, /) -> int:
        """Raises TimeoutError."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._connection.settimeout(left)
        try:
            return self._connection.recv_into(buffer)
        finally:
            self._connection.settimeout(self._seconds)


def _exactly(stream: BufferedIOBase, length: int) -> bytes:
    """Raises ValueError for what is too long, or less than it says."""
    if not 0 <= length <= _LONGEST_REQUEST:
        raise ValueError(length)
    data = stream.read(length)
    if len(data) != length:
        raise ValueError(length)
    return data


def _chunks(stream: BufferedIOBase) -> Iterator[bytes]:
    left = _LONGEST_REQUEST
    while size := int(stream.readline(_LINE).split(b";")[0], 16):
        left -= size
        if left < 0:
            raise ValueError(size)
        yield _exactly(stream, size)
        stream.readline(_LINE)
    stream.readline(_LINE)


class Server(ThreadingHTTPServer):
    def __init__(self, address: tuple[str, int], handler: type[Handler]) -> None:
        super().__init__(address, handler)
        self._most = handler.connections
        self._open: Counter[str] = Counter()
        self._counting = threading.Lock()

    @override
    def process_request(self, request: Any, client_address: Any) -> None:
        at = _own_address(request)
        with self._counting:
            too_many = self._open[at] >= self._most
            self._open[at] += not too_many
        if too_many:
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:  # no thread could be started
            self._ended(at)
            raise

    @override
    def process_request_thread(self, request: Any, client_address: Any) -> None:
        at = _own_address(request)
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._ended(at)

    def _ended(self, at: str) -> None:
        with self._counting:
            self._open[at] -= 1

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Quiet: a client went away, or sent what is no request."""


def _own_address(connection: socket.socket) -> str:
    return connection.getsockname()[0]


def serve(root: Path, host: str = "", port: int = 0, handler: type[Handler] = Handler) -> Server:
    """Listen for the repositories below `root`; the caller runs `serve_forever`."""
    return Server((host, port), cast("type[Handler]", type("Bound", (handler,), {"root": root})))


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
