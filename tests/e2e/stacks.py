"""Stacks under test: services of several workloads, and what the engine has of each of them."""

import json
import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from tests.e2e.api import Api
from tests.e2e.engine import docker, eventually, inspect, releases
from tests.e2e.instance import HERE, INSTANCE
from tests.e2e.services import QUICK

type Program = dict[str, Any]

PYTHON = "python:3.13-slim"
MIGRATES = """
import sys, time, urllib.request
time.sleep(float(sys.argv[3]))
urllib.request.urlopen(sys.argv[1], sys.argv[2].encode(), 5)
"""
MIGRATED = {"workload": "migrate", "condition": "completed"}


def web(image: str, version: str, **behaviour: Any) -> Program:
    """Starts when the migration has ended."""
    said = json.dumps({"version": version, "on_term": "drain", **behaviour})
    return {
        "name": "web", "image": image, "port": 8000, "environment": {"BEHAVIOUR": said},
        "after": [MIGRATED], **QUICK,
    }  # fmt: skip


def worker(name: str = "worker") -> Program:
    """Listens on nothing."""
    sleeps = ["python3", "-c", "import time; time.sleep(3600)"]
    return {"name": name, "image": PYTHON, "command": sleeps, **QUICK}


def database(version: str, listen: float = 0, stop: float = 0, start_period: float = 30) -> Program:
    """The one writer of the volume `data`. It listens, and ends, after so many seconds."""
    said = {"VERSION": version, "LISTEN_AFTER": str(listen), "STOP_AFTER": str(stop)}
    return {
        "name": "db", "image": PYTHON, "port": 5432, "environment": said,
        "command": ["python3", "-c", (HERE / "database.py").read_text()],
        "mounts": [{"kind": "volume", "name": "data", "path": "/data"}],
        "health_check": {"start_period": start_period, "interval": 1, "retries": 2}, **QUICK,
    }  # fmt: skip


def migration(of: str, name: str, seconds: float = 0) -> Program:
    """Writes `name` into the database of the stack `of` once, after so many seconds."""
    argv = ["python3", "-c", MIGRATES, f"http://{of}-db:5432/", name, str(seconds)]
    return {
        "name": "migrate", "image": PYTHON, "job": True, "command": argv,
        "after": [{"workload": "db", "condition": "healthy"}],
    }  # fmt: skip


class Stack:
    """Of web, worker, database and migration, where nothing else is said. `host` leads to web."""

    def __init__(self, api: Api, environment: str, image: str, *programs: Program) -> None:
        self.api, self.image = api, image
        self.name = f"stack-{uuid.uuid4().hex[:6]}"
        self.host = f"{self.name}.localhost"
        first = (
            web(image, "first"), worker(), database("first"), migration(self.name, "migrated"),
        )  # fmt: skip
        self.programs = {each["name"]: each for each in programs or first}
        body = {"kind": "raw", "name": self.name, "workloads": [*self.programs.values()]}
        self.id: str = api.post(f"/v1/environments/{environment}/services", body)["id"]
        self.path = f"/v1/services/{self.id}"
        self.leads("web", self.host)

    def leads(self, workload: str, host: str) -> None:
        self.api.post(f"{self.path}/domains", {"host": host, "workload": workload})

    def change(self, *programs: Program) -> None:
        self.programs |= {each["name"]: each for each in programs}
        self.api.patch(self.path, {"workloads": [*self.programs.values()]})

    def migration(self, name: str, seconds: float = 0) -> Program:
        return migration(self.name, name, seconds)

    def deploy(self, *programs: Program) -> str:
        if programs:
            self.change(*programs)
        return self.api.deploy(self.id)

    def live(self, *programs: Program) -> dict[str, Any]:
        seen = self.api.until(self.deploy(*programs), "live", seconds=60)
        self.settled()
        return seen

    # -- what there is ------------------------------------------------------------------------

    def swarm_services(self) -> dict[str, list[str]]:
        """Workload → the names of its Swarm services."""
        prefix = f"{INSTANCE[:20]}-"
        of = [(each.removeprefix(prefix).rpartition("-")[0], each) for each in releases(self.id)]
        return _grouped(of)

    def containers(self) -> dict[str, list[str]]:
        """Workload → the ids of its containers that run, which are as many as its tasks."""
        label = ("--filter", f"label=slipway.service={self.id}")
        lines = docker("ps", *label, "--format", '{{.Label "slipway.workload"}} {{.ID}}')
        return _grouped(line.split() for line in lines.splitlines())

    def settled(self, **replicas: int) -> dict[str, list[str]]:
        """The containers, once of each program one release and nothing of a former one is left."""
        programs = [name for name, each in self.programs.items() if not each.get("job")]
        wanted = {name: replicas.get(name, 1) for name in programs}

        def only() -> dict[str, list[str]] | None:
            there, running = self.swarm_services(), self.containers()
            ones = {name: len(found) for name, found in there.items()}
            counts = {name: len(found) for name, found in running.items()}
            return running if counts == wanted and ones == dict.fromkeys(wanted, 1) else None

        running = eventually(f"{wanted} and nothing else", only)
        for database in [*running.get("db", []), *running.get("store", [])]:
            broken = docker("exec", database, "find", "/data", "-name", "broken")
            assert not broken, "two wrote the volume at once"
        return running

    def history(self, database: str = "db") -> list[str]:
        """Who wrote into the volume, in order."""
        (container,) = self.containers()[database]
        return docker("exec", container, "cat", "/data/history").splitlines()

    def replicas(self, swarm_service: str) -> int:
        return inspect("service", swarm_service)["Spec"]["Mode"]["Replicated"]["Replicas"]

    def begun(self, workload: str) -> str:
        """Once there are two of the workload: the Swarm service of the one before."""
        (former,) = self.swarm_services()[workload]
        eventually(f"a second {workload}", lambda: len(self.swarm_services()[workload]) == 2)
        return former

    def reverting_after(self, deployment: str) -> float:
        """Seconds from the wish to stop to the fact that it is being undone."""
        at = {event["type"]: event["time"] for event in self.api.history(deployment)}
        asked, told = (
            datetime.fromisoformat(at[type_])
            for type_ in ("deployment.stop_requested", "rollout.reverting")
        )
        return (told - asked).total_seconds()


def _grouped(pairs: Iterable[Sequence[str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found
