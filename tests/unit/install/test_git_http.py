"""The git server with a real git: clones, and refuses everything else."""

import gzip
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from slipway_install.git_http import Handler, serve


def git(folder: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    return subprocess.run(
        ["git", *identity, *argv], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    served = tmp_path / "served"
    served.mkdir()
    git(served, "init", "-q", "--bare", "-b", "main", "app.git")
    git(tmp_path, "clone", "-q", str(served / "app.git"), "work")
    (tmp_path / "work" / "file").write_text("hello")
    git(tmp_path / "work", "add", "file")
    git(tmp_path / "work", "commit", "-q", "-m", "one")
    git(tmp_path / "work", "push", "-q", "origin", "HEAD:main")
    server = serve(served, "127.0.0.1")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("version", ["0", "2"])
def test_a_shallow_clone(url: str, tmp_path: Path, version: str):
    protocol = f"protocol.version={version}"
    done = git(tmp_path, "-c", protocol, "clone", "-q", "--depth", "1", f"{url}/app.git", "got")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "got" / "file").read_text() == "hello"


def test_an_unknown_repository(url: str, tmp_path: Path):
    assert "not found" in git(tmp_path, "ls-remote", f"{url}/other.git").stderr


def test_nothing_can_be_pushed(url: str, tmp_path: Path):
    done = git(tmp_path / "work", "push", f"{url}/app.git", "HEAD:other")
    assert done.returncode != 0
    assert "403" in done.stderr


def test_no_way_out_of_the_folder(url: str, tmp_path: Path):
    assert git(tmp_path, "ls-remote", f"{url}/..%2fwork").returncode != 0
    assert git(tmp_path, "ls-remote", f"{url}/../work").returncode != 0


LARGE = 2 << 20
HEAD = b"POST /app.git/git-upload-pack HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize(
    "request_",
    [
        b"Content-Length: %d\r\n\r\n" % LARGE,
        b"Content-Length: -1\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % LARGE,
        b"Transfer-Encoding: chunked\r\n\r\n" + b"%x\r\n%b\r\n" % (1 << 19, b"x" * (1 << 19)) * 3,
        b"Transfer-Encoding: chunked\r\n\r\nno number\r\n",
        b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nxxxx",
        b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b"
        % (len(bomb := gzip.compress(bytes(LARGE))), bomb),
    ],
    ids=["length", "negative", "chunk", "chunks", "no chunk", "no gzip", "gzip"],
)
def test_a_body_has_an_end(url: str, request_: bytes):
    with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), 10) as client:
        client.sendall(HEAD + request_)
        assert client.recv(100).startswith(b"HTTP/1.1 413 ")


@pytest.fixture
def few(tmp_path: Path) -> Iterator[int]:
    """The port of a server that takes three at once at each address, and waits for a second."""
    (tmp_path / "app.git").mkdir()
    (tmp_path / "app.git/HEAD").touch()
    handler = type("Few", (Handler,), {"connections": 3, "patience": 1.0})
    server = serve(tmp_path, handler=handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


def answer(address: str, port: int) -> bytes:
    with socket.create_connection((address, port), 10) as client:
        client.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        return received(client)[:15]


def received(client: socket.socket) -> bytes:
    """Empty where it was let go."""
    try:
        return client.recv(100)
    except ConnectionError:
        return b""


def test_who_holds_connections_keeps_nobody_else_out(few: int):
    """In each network the server has another address: here those of the loopback."""
    held = [socket.create_connection(("127.0.0.1", few)) for _ in range(3)]
    assert answer("127.0.0.1", few) == b""
    assert answer("127.0.0.2", few) == b"HTTP/1.1 200 OK"
    assert [each.recv(1) for each in held] == [b""] * 3, "who says nothing is let go"
    for each in held:
        each.close()
    while not answer("127.0.0.1", few):
        pass


@pytest.mark.parametrize("begun", [b"", HEAD + b"Content-Length: 100\r\n\r\n"])
def test_who_sends_slowly_is_let_go(few: int, begun: bytes):
    with socket.create_connection(("127.0.0.1", few), 0.2) as client:
        client.sendall(begun)
        began, got = time.monotonic(), b"nothing yet"
        while got and time.monotonic() - began < 5:
            client.sendall(b"x")
            with suppress(TimeoutError):
                got = received(client)
    assert got == b""


def test_a_connection_for_which_there_was_no_thread_holds_no_place(
    few: int, monkeypatch: pytest.MonkeyPatch
):
    def no_thread(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no_thread)
        assert [answer("127.0.0.1", few) for _ in range(3)] == [b""] * 3
    assert answer("127.0.0.1", few) == b"HTTP/1.1 200 OK"
