"""Real servers for the contract tests."""

import asyncio
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import nats
import pytest
from pymongo import MongoClient
from pymongo.errors import PyMongoError
from slipway.contracts.permissions import USERS, render

from tests.containers import docker, remove, start_mongo, start_nats

LABEL = f"slipway.instance=test-contract-{secrets.token_hex(3)}"


def wait_for_port(port: int, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert time.monotonic() < deadline, f"nothing listens on {port}"
            time.sleep(0.05)
        else:
            return


@dataclass
class NatsServer:
    container: str
    url: str
    passwords: dict[str, str]

    def kill(self) -> None:
        docker("kill", "--signal", "KILL", self.container)

    def start(self) -> None:
        docker("start", self.container)
        wait_for_port(int(self.url.rpartition(":")[2]))


@contextmanager
def nats_of_its_own(folder: Path) -> Iterator[NatsServer]:
    """With the streams and permissions that init makes."""
    passwords = {user: secrets.token_hex(16) for user in USERS}
    container, url = start_nats(LABEL, folder, render(passwords))
    try:
        server = NatsServer(container, url, passwords)
        wait_for_port(int(url.rpartition(":")[2]))
        asyncio.run(_init(server))
        yield server
    finally:
        remove(container)


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    with nats_of_its_own(tmp_path_factory.mktemp("nats")) as server:
        yield server


async def _init(server: NatsServer) -> None:
    from slipway.eventstore.init import make

    deadline = time.monotonic() + 20
    while True:
        try:
            client = await nats.connect(
                server.url,
                user="admin",
                password=server.passwords["admin"],
                allow_reconnect=False,
            )
            break
        except Exception:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.2)
    made = await make(client.jetstream(timeout=10))
    assert made
    assert await make(client.jetstream(timeout=10)) == [], "init run twice changes nothing"
    await client.close()


@pytest.fixture(scope="session")
def mongo_url() -> Iterator[str]:
    container, url = start_mongo(LABEL)
    wait_for_mongo(url)
    yield url
    remove(container)


def wait_for_mongo(url: str, seconds: float = 60) -> None:
    """The port is open before the server is: the engine's proxy listens on it."""
    deadline = time.monotonic() + seconds
    with MongoClient(url, serverSelectionTimeoutMS=500) as client:
        while True:
            try:
                client.admin.command("ping")
            except PyMongoError:
                assert time.monotonic() < deadline, "MongoDB does not answer"
                time.sleep(0.1)
            else:
                return


def eventually[T](check: Callable[[], T], seconds: float = 10) -> T:
    deadline = time.monotonic() + seconds
    while not (result := check()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return result
