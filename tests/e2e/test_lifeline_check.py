"""What the health check inside a container asks and says. By hand, with nothing of the platform but
lifeline: one container in which servers listen on single addresses and answer in their own ways."""

import subprocess
import time
import uuid
from collections.abc import Iterator

import pytest

from tests.e2e.engine import docker, eventually
from tests.e2e.instance import INSTANCE, MARK

pytestmark = [pytest.mark.engine]

PROGRAM = """
import asyncio, socket
OWN = socket.gethostbyname(socket.gethostname())
async def answer(kind, reader, writer):
    head = (await reader.readuntil(b"\\r\\n\\r\\n")).decode()
    if kind == "silent":
        await asyncio.sleep(60)
    if kind == "slow":
        await asyncio.sleep(1.5)
    line = {"garbage": b"SSH-2.0-x\\r\\n", "closes": b""}
    line["moved"] = b"HTTP/1.1 302 Found\\r\\n\\r\\n"
    hints = b"HTTP/1.1 103 Early Hints\\r\\nLink: </" + 2000 * b"x" + b">\\r\\n\\r\\n"
    line["hints"] = hints + b"HTTP/1.1 100 Continue\\r\\n\\r\\nHTTP/1.1 200 OK\\r\\n"
    line["bad-hints"] = hints + b"HTTP/1.1 500 Broken\\r\\n\\r\\n"
    line["hint"] = hints
    line["switches"] = b"HTTP/1.1 101 Switching Protocols\\r\\n\\r\\n"
    good = kind != "hosts" or "\\r\\nHost: shop.example\\r\\n" in head
    good = good and not head.startswith("GET /missing")
    words = b"HTTP/1.1 200 OK\\r\\n\\r\\n" if good else b"HTTP/1.1 400 Bad Request\\r\\n\\r\\n"
    writer.write(line.get(head.split()[1][1:], line.get(kind, words)))
    writer.close()
async def main():
    for host, port, kind in (
        ("127.0.0.1", 3001, "good"), (OWN, 3002, "good"), ("::1", 3003, "good"),
        ("0.0.0.0", 3004, "hosts"), ("0.0.0.0", 3005, "silent"), ("0.0.0.0", 3006, "closes"),
        ("0.0.0.0", 3007, "garbage"), ("0.0.0.0", 3008, "slow"), ("0.0.0.0", 3009, "moved"),
        ("127.0.0.1", 3010, "silent"), (OWN, 3010, "good"),
    ):
        await asyncio.start_server(lambda r, w, kind=kind: answer(kind, r, w), host, port)
    print("all listen", flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""

# what is asked → what is said; nothing of what is good
ASKED: dict[str, tuple[str, str]] = {
    "the loopback": ("3001 /", ""),
    "the port of the loopback": ("3001", ""),
    "the container's own address": ("3002 /", ""),
    "the port of the container's own address": ("3002", ""),
    "IPv6 alone": ("3003 /", ""),
    "a host that it knows": ("--host shop.example 3004 /health", ""),
    "another host": (
        "3004 /health",
        "GET http://127.0.0.1:3004/health (Host: localhost) answered 400 Bad Request",
    ),
    "a path that is not there": (
        "--host shop.example 3004 /missing?x=1",
        "GET http://127.0.0.1:3004/missing?x=1 (Host: shop.example) answered 400 Bad Request",
    ),
    "one that does not answer": (
        "--timeout 2 3005 /",
        "GET http://127.0.0.1:3005/ (Host: localhost) was not answered within 1.8 s",
    ),
    "one that closes": (
        "3006 /",
        "GET http://127.0.0.1:3006/ (Host: localhost) closed the connection without an answer",
    ),
    "one that speaks something else": (
        "3007 /",
        "GET http://127.0.0.1:3007/ (Host: localhost) answered with what is not HTTP: SSH-2.0-x",
    ),
    "one that needs most of the time": ("--timeout 2 3008 /", ""),
    "a redirect": ("3009 /", ""),
    "hints, then an answer": ("3001 /hints", ""),
    "hints, then a bad answer": (
        "3001 /bad-hints",
        "GET http://127.0.0.1:3001/bad-hints (Host: localhost) answered 500 Broken",
    ),
    "nothing but hints": (
        "3001 /hint",
        "GET http://127.0.0.1:3001/hint (Host: localhost) closed the connection without an answer",
    ),
    "another protocol": (
        "3001 /switches",
        "GET http://127.0.0.1:3001/switches (Host: localhost) answered 101 Switching Protocols",
    ),
    "silence on the loopback, an answer on its own address": ("--timeout 2 3010 /", ""),
}  # fmt: skip


@pytest.fixture(scope="module")
def container() -> Iterator[str]:
    name = f"{INSTANCE}-health-{uuid.uuid4().hex[:6]}"
    argv = [
        "--detach",
        "--name",
        name,
        "--label",
        MARK,
        "--sysctl",
        "net.ipv6.conf.lo.disable_ipv6=0",
    ]
    argv += ["--volume", f"{INSTANCE}_lifeline:/.slipway:ro", "python:3.13-slim"]
    docker("run", *argv, "python3", "-c", PROGRAM)
    try:
        eventually("all listen", lambda: "all listen" in docker("logs", name), 20)
        yield name
    finally:
        docker("rm", "--force", name)


def check(container: str, *argv: str) -> tuple[int, str]:
    words = ["docker", "exec", container, "/.slipway/lifeline", "check", *argv]
    done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
    return done.returncode, done.stdout.strip()


@pytest.mark.parametrize(("argv", "said"), ASKED.values(), ids=ASKED)
def test_what_is_asked_and_what_came_is_said(container: str, argv: str, said: str):
    assert check(container, *argv.split()) == (1 if said else 0, said)


def test_where_nothing_listens_the_open_ports_are_named(container: str):
    code, said = check(container, "80", "/health")
    assert code == 1
    assert said.startswith("nothing listens on port 80 (tried 127.0.0.1, [::1], 1"), said
    listening = "3001, 3002, 3004, 3005, 3006, 3007, 3008, 3009, 3010, 3003"
    assert sorted(said.rpartition("; the program listens on ")[2].split(", ")) == sorted(
        listening.split(", ")
    )


def test_the_whole_check_ends_within_its_time(container: str):
    began = time.monotonic()
    assert check(container, "--timeout", "1", "3005", "/")[0] == 1
    assert time.monotonic() - began < 1.0 + 0.5, "with the start of docker exec"
