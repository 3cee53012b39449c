"""Real servers for the contract tests: containers of the images that `make up` provides, on
loopback ports, labelled and removed again."""

import asyncio
import secrets
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import nats
import pytest
from pymongo import MongoClient
from pymongo.errors import PyMongoError
from slipway.contracts.permissions import USERS, render

ROOT = Path(__file__).parents[2]
LABEL = f"slipway.instance=test-contract-{secrets.token_hex(3)}"


def image(repository: str) -> str:
    for line in (ROOT / "infra/images.list").read_text().splitlines():
        if line.startswith(f"{repository}:"):
            return line.split()[0]
    raise LookupError(repository)


def docker(*argv: str, text: str | None = None) -> str:
    done = subprocess.run(
        ["docker", *argv], input=text, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"docker {' '.join(argv)}: {done.stderr}"
    return done.stdout.strip()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


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


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    passwords = {user: secrets.token_hex(16) for user in USERS}
    folder = tmp_path_factory.mktemp("nats")
    (folder / "nats.conf").write_text(render(passwords))
    port = free_port()
    container = docker(
        "create", "--label", LABEL, "--publish", f"127.0.0.1:{port}:4222",
        "--volume", f"{folder}:/etc/nats:ro", "--volume", "/data",
        image("nats"), "--config", "/etc/nats/nats.conf",
    )  # fmt: skip
    server = NatsServer(container, f"nats://127.0.0.1:{port}", passwords)
    server.start()
    asyncio.run(_init(server))
    yield server
    docker("rm", "--force", "--volumes", container)


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
    port, password = free_port(), secrets.token_hex(16)
    container = docker(
        "run", "--detach", "--label", LABEL, "--publish", f"127.0.0.1:{port}:27017",
        "--env", "MONGO_INITDB_ROOT_USERNAME=root",
        "--env", f"MONGO_INITDB_ROOT_PASSWORD={password}",
        image("mongo"), "mongod", "--wiredTigerCacheSizeGB", "0.25", "--quiet", "--bind_ip_all",
    )  # fmt: skip
    url = f"mongodb://root:{password}@127.0.0.1:{port}"
    wait_for_mongo(url)
    yield url
    docker("rm", "--force", "--volumes", container)


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
