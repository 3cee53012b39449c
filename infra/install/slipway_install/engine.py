"""The container engine, through its own command line; every call by argv, answers as JSON lines."""

import json
import os
import subprocess
from collections.abc import Mapping
from typing import Any

from slipway_install.errors import InstallError

INSTANCE = "slipway.instance"


class EngineRefused(InstallError):
    """A command of the engine failed."""


def run(*argv: str, stdin: str | None = None, environment: Mapping[str, str] | None = None) -> str:
    """The command's output. Raises EngineRefused with what the engine said."""
    done = subprocess.run(
        ["docker", *argv],
        input=stdin,
        capture_output=True,
        text=True,
        env={**os.environ, **(environment or {})},
        check=False,
    )
    if done.returncode:
        raise EngineRefused(
            f"the engine refused `docker {' '.join(argv[:3])} …`",
            "mend what the engine says above, then run make up again",
            done.stderr.strip().splitlines()[-10:],
        )
    return done.stdout


def rows(*argv: str) -> list[dict[str, Any]]:
    """The rows of a listing command."""
    text = run(*argv, "--format", "{{json .}}")
    return [json.loads(line) for line in text.splitlines() if line]


def last_lines(service: str, number: int) -> list[str]:
    """What the service's tasks wrote last, on either stream."""
    done = subprocess.run(
        ["docker", "service", "logs", "--raw", "--tail", str(number), service],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.stdout.splitlines()[-number:]


def names(kind: str, instance: str) -> set[str]:
    """The names of the instance's networks, volumes, secrets or configs."""
    found = rows(kind, "ls", "--filter", f"label={INSTANCE}={instance}")
    return {row["Name"] for row in found}


def inspect(kind: str, name: str) -> dict[str, Any] | None:
    """The object, or None where it does not exist."""
    try:
        return json.loads(run(kind, "inspect", name))[0]
    except EngineRefused as error:
        said = " ".join(error.evidence).lower()
        if "no such" in said or "not found" in said:
            return None
        raise


def node_addresses() -> list[str]:
    """Where the swarm's nodes reach one another."""
    nodes = run("node", "ls", "--quiet").split()
    found = json.loads(run("node", "inspect", *nodes))
    return sorted({node["Status"]["Addr"] for node in found if node["Status"].get("Addr")})


def node_id() -> str:
    """This node in its swarm. Raises InstallError where it manages none."""
    swarm = json.loads(run("info", "--format", "{{json .Swarm}}"))
    if swarm.get("LocalNodeState") != "active" or not swarm.get("ControlAvailable"):
        raise InstallError(
            "this engine does not manage a swarm",
            "on a worker, run make up on a manager; else run `docker swarm init`",
        )
    return swarm["NodeID"]
