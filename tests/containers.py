"""Servers that tests and the bench start for themselves: containers of the images that `make up`
provides, on loopback ports, under a label of theirs. Whoever starts one removes it."""

import os
import secrets
import socket
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]


def docker(*argv: str, given: str | None = None) -> str:
    """Raises RuntimeError with the program's words."""
    done = subprocess.run(
        ["docker", *argv], input=given, capture_output=True, text=True, check=False, timeout=300
    )
    if done.returncode:
        raise RuntimeError(f"docker {' '.join(argv)}: {done.stderr.strip()}")
    return done.stdout.strip()


def image(repository: str) -> str:
    """`repository:tag` as the platform has it."""
    for line in (ROOT / "infra/images.list").read_text().splitlines():
        if line.startswith(f"{repository}:"):
            return line.split()[0]
    raise LookupError(repository)


def into_library(name: str, instance: str) -> None:
    """An image of the engine's becomes one that builds and services of the instance may name.
    Raises RuntimeError."""
    done = subprocess.run(
        ["sh", str(ROOT / "infra/library.sh"), name],
        env={**os.environ, "SLIPWAY_INSTANCE": instance}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{done.stdout}\n{done.stderr}")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def start_nats(label: str, folder: Path, conf: str) -> tuple[str, str]:
    """(container, address) of a server that is starting; `folder` keeps its configuration."""
    folder.chmod(0o755)  # the server is another user
    (folder / "nats.conf").write_text(conf)
    port = free_port()
    container = docker(
        "run", "--detach", "--label", label, "--publish", f"127.0.0.1:{port}:4222",
        "--volume", f"{folder}:/etc/nats:ro", "--volume", "/data",
        image("nats"), "--config", "/etc/nats/nats.conf",
    )  # fmt: skip
    return container, f"nats://127.0.0.1:{port}"


def start_mongo(label: str) -> tuple[str, str]:
    """(container, address with its password) of a server that is starting, as the platform's is."""
    port, password = free_port(), secrets.token_hex(16)
    container = docker(
        "run", "--detach", "--label", label, "--publish", f"127.0.0.1:{port}:27017",
        "--env", "MONGO_INITDB_ROOT_USERNAME=root",
        "--env", f"MONGO_INITDB_ROOT_PASSWORD={password}",
        image("mongo"), "mongod", "--wiredTigerCacheSizeGB", "0.25", "--quiet", "--bind_ip_all",
    )  # fmt: skip
    return container, f"mongodb://root:{password}@127.0.0.1:{port}"


def remove(container: str) -> None:
    docker("rm", "--force", "--volumes", container)
