"""Servers of the bench's own: containers on loopback, labelled, removed again."""

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nats
from pymongo import MongoClient
from slipway.contracts.permissions import USERS, render
from slipway.eventstore.init import make
from slipway.eventstore.jetstream import Connection, connect

from tests.containers import docker, remove, start_mongo, start_nats

LABEL = f"slipway-bench={secrets.token_hex(4)}"


def inspect(*names: str) -> list[dict[str, Any]]:
    return json.loads(docker("inspect", *names)) if names else []


def sweep() -> None:
    """Nothing of this run is left."""
    for kind, argv in (
        ("service", ("service", "rm")),
        ("container", ("rm", "--force", "--volumes")),
        ("image", ("rmi", "--force")),
    ):
        everything = ["--all"] if kind == "container" else []
        found = docker(kind, "ls", "--quiet", *everything, "--filter", f"label={LABEL}").split()
        if found:
            docker(*argv, *sorted(set(found)))


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


@dataclass(frozen=True, slots=True)
class Server:
    url: str
    password: str
    """Of the user `admin`."""


@asynccontextmanager
async def event_store(*, synced: bool) -> AsyncIterator[Connection]:
    """A connection to `log_server`."""
    async with log_server(synced=synced) as server:
        connection = await connect(server.url, "admin", server.password)
        try:
            yield connection
        finally:
            await connection.close()


@asynccontextmanager
async def log_server(*, synced: bool) -> AsyncIterator[Server]:
    """A NATS server with the streams of the platform; `synced` as the platform has it, else
    quick to fill."""
    passwords = {user: secrets.token_hex(16) for user in USERS}
    conf = render(passwords)
    if not synced:
        conf = conf.replace("sync_interval: always", "")
    with TemporaryDirectory(prefix="slipway-bench-") as folder:
        container, url = start_nats(LABEL, Path(folder), conf)
        await _until_it_speaks(int(url.rpartition(":")[2]), b"INFO ")
        client = await nats.connect(url, user="admin", password=passwords["admin"])
        await make(client.jetstream(timeout=30))
        await client.close()
        try:
            yield Server(f"nats://{_address(container)}:4222", passwords["admin"])
        finally:
            remove(container)


@asynccontextmanager
async def database() -> AsyncIterator[str]:
    """A MongoDB server, as the platform starts it: its address."""
    container, url = start_mongo(LABEL)
    try:
        # What waits for a server that is just starting measures the server's start.
        with MongoClient(url, serverSelectionTimeoutMS=60_000) as client:
            await asyncio.to_thread(client.admin.command, "ping")
        published = url.rpartition("@")[2]
        yield url.replace(published, f"{_address(container)}:27017")
    finally:
        remove(container)


def _address(container: str) -> str:
    """On the bridge. What is published is handed on by a program of the engine, which takes
    time that nothing takes where the platform runs."""
    return inspect(container)[0]["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
