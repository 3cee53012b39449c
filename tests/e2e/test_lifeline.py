"""When a release's program is told to stop: not while it owes somebody an answer.

By hand, with nothing of the platform but lifeline: a program that dies at once on SIGTERM, asked on
one kept connection."""

import http.client
import json
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.e2e.engine import docker, eventually, inspect
from tests.e2e.instance import INSTANCE, MARK

pytestmark = [pytest.mark.engine]

DRAIN = 0.5
PROGRAM = """
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        time.sleep(float(self.path[1:]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
ThreadingHTTPServer(("0.0.0.0", 8000), Answer).serve_forever()
"""


COUNTS = """
import signal, time
signal.signal(signal.SIGTERM, lambda *_: print("told", flush=True))
signal.signal(signal.SIGINT, lambda *_: exit(0))
print("ready", flush=True)
while True:
    time.sleep(1)
"""


@dataclass
class Release:
    container: str
    connection: http.client.HTTPConnection

    def ask(self, seconds: float) -> None:
        """One request that is answered after so long; what it gets is not waited for."""
        self.connection.request("GET", f"/{seconds}")

    def answered(self) -> bool:
        try:
            answer = self.connection.getresponse()
        except (ConnectionError, http.client.HTTPException):
            return False
        answer.read()
        return answer.status == 200

    def told_to_stop(self) -> float:
        docker("kill", "--signal", "TERM", self.container)
        return time.monotonic()

    def gone(self) -> bool:
        return not json.loads(docker("inspect", self.container))[0]["State"]["Running"]


@pytest.fixture
def release() -> Iterator[Release]:
    name = f"{INSTANCE}-lifeline-{uuid.uuid4().hex[:6]}"
    argv = ["--detach", "--name", name, "--label", MARK]
    argv += ["--volume", f"{INSTANCE}_lifeline:/.slipway:ro", "python:3.13-slim"]
    argv += ["/.slipway/lifeline", "run", "--drain", str(DRAIN), "--", "python3", "-c", PROGRAM]
    docker("run", *argv)
    try:
        address = inspect("container", name)["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
        connection = http.client.HTTPConnection(address, 8000, timeout=20)

        def listens() -> bool:
            try:
                connection.connect()
            except OSError:
                return False
            return True

        eventually("the program listens", listens, 20)
        made = Release(name, connection)
        made.ask(0)
        assert made.answered()
        time.sleep(0.1)  # a tick of the kernel later, which tells what came last
        yield made
    finally:
        docker("rm", "--force", name)


def test_a_request_under_way_is_answered_before_the_program_is_told(release: Release):
    release.ask(3)
    told = release.told_to_stop()
    assert release.answered()
    assert time.monotonic() - told > 2, "the request was over too early to show anything"
    eventually("the program is told", release.gone, 2, every=0.05)


def test_one_that_nobody_asks_is_told_when_the_drain_is_over(release: Release):
    told = release.told_to_stop()
    eventually("the program is told", release.gone, DRAIN + 2, every=0.05)
    assert time.monotonic() - told >= DRAIN


def test_a_request_without_end_is_waited_for_five_seconds(release: Release):
    release.ask(100)
    told = release.told_to_stop()
    assert not release.answered()
    assert DRAIN + 4.5 < time.monotonic() - told < DRAIN + 7


def test_a_second_signal_is_handed_on_at_once(release: Release):
    release.ask(100)
    told = release.told_to_stop()
    release.told_to_stop()
    assert not release.answered()
    assert time.monotonic() - told < 2


def test_what_is_not_drained_hears_the_same_signal_once():
    name = f"{INSTANCE}-lifeline-{uuid.uuid4().hex[:6]}"
    argv = ["--detach", "--name", name, "--label", MARK]
    argv += ["--volume", f"{INSTANCE}_lifeline:/.slipway:ro", "python:3.13-slim"]
    docker("run", *argv, "/.slipway/lifeline", "run", "--drain", "0", "--", "python3", "-c", COUNTS)
    try:
        eventually("it listens to signals", lambda: "ready" in docker("logs", name), 20)
        for _ in range(2):
            docker("kill", "--signal", "TERM", name)
            eventually("it is told", lambda: "told" in docker("logs", name), 2, every=0.05)
        docker("kill", "--signal", "INT", name)  # another one is handed on
        ended = lambda: not inspect("container", name)["State"]["Running"]  # noqa: E731
        eventually("it ends", ended, 2, every=0.05)
        assert docker("logs", name).split() == ["ready", "told"]
    finally:
        docker("rm", "--force", name)
