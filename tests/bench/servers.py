"""Servers of the bench's own: containers on loopback, labelled, removed again."""

import asyncio
import json
import secrets
import socket
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nats
from pymongo import MongoClient
from slipway.contracts.permissions import USERS, render
from slipway.eventstore.init import make
from slipway.eventstore.jetstream import Connection, connect

ROOT = Path(__file__).parents[2]
LABEL = f"slipway-bench={secrets.token_hex(4)}"


def image(repository: str) -> str:
    for line in (ROOT / "infra/images.list").read_text().splitlines():
        if line.startswith(f"{repository}:"):
            return line.split()[0]
    raise LookupError(repository)


def docker(*argv: str, given: str | None = None) -> str:
    """Raises RuntimeError with the program's words."""
    done = subprocess.run(
        ["docker", *argv], input=given, capture_output=True, text=True, check=False, timeout=300
    )
    if done.returncode:
        raise RuntimeError(f"docker {' '.join(argv)}: {done.stderr.strip()}")
    return done.stdout.strip()


def inspect(*names: str) -> list[dict[str, Any]]:
    return json.loads(docker("inspect", *names)) if names else []


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def sweep() -> None:
    """Nothing of this run is left."""
    for kind, remove in (
        ("service", ("service", "rm")),
        ("container", ("rm", "--force", "--volumes")),
        ("image", ("rmi", "--force")),
    ):
        everything = ["--all"] if kind == "container" else []
        found = docker(kind, "ls", "--quiet", *everything, "--filter", f"label={LABEL}").split()
        if found:
            docker(*remove, *sorted(set(found)))


def readable(folder: Path, conf: str) -> None:
    folder.chmod(0o755)
    (folder / "nats.conf").write_text(conf)


async def _until_it_speaks(port: int, first: bytes) -> None:
    """The engine takes connections before the program in the container does: `first` is what a
    program says of itself."""
    deadline = time.monotonic() + 60
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            said = await reader.read(len(first))
            writer.close()
            if said == first:
                return
        except OSError:
            pass
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing answers at port {port}")
        await asyncio.sleep(0.1)


@asynccontextmanager
async def event_store(*, synced: bool) -> AsyncIterator[Connection]:
    """A NATS server with the streams of the platform; `synced` as the platform has it, else
    quick to fill."""
    passwords = {user: secrets.token_hex(16) for user in USERS}
    conf = render(passwords)
    if not synced:
        conf = conf.replace("sync_interval: always", "")
    with TemporaryDirectory(prefix="slipway-bench-") as folder:
        readable(Path(folder), conf)
        port = free_port()
        container = docker(
            "run", "--detach", "--label", LABEL, "--publish", f"127.0.0.1:{port}:4222",
            "--volume", f"{folder}:/etc/nats:ro", "--volume", "/data",
            image("nats"), "--config", "/etc/nats/nats.conf",
        )  # fmt: skip
        url = f"nats://127.0.0.1:{port}"
        await _until_it_speaks(port, b"INFO ")
        client = await nats.connect(url, user="admin", password=passwords["admin"])
        await make(client.jetstream(timeout=30))
        await client.close()
        connection = await connect(url, "admin", passwords["admin"])
        try:
            yield connection
        finally:
            await connection.close()
            docker("rm", "--force", "--volumes", container)


@asynccontextmanager
async def database() -> AsyncIterator[str]:
    """A MongoDB server, as the platform starts it: its address."""
    port, password = free_port(), secrets.token_hex(16)
    container = docker(
        "run", "--detach", "--label", LABEL, "--publish", f"127.0.0.1:{port}:27017",
        "--env", "MONGO_INITDB_ROOT_USERNAME=root",
        "--env", f"MONGO_INITDB_ROOT_PASSWORD={password}",
        image("mongo"), "mongod", "--wiredTigerCacheSizeGB", "0.25", "--quiet", "--bind_ip_all",
    )  # fmt: skip
    try:
        url = f"mongodb://root:{password}@127.0.0.1:{port}"
        # What waits for a server that is just starting measures the server's start.
        with MongoClient(url, serverSelectionTimeoutMS=60_000) as client:
            await asyncio.to_thread(client.admin.command, "ping")
        yield url
    finally:
        docker("rm", "--force", "--volumes", container)
