"""The tasks of releases, and what containers do, as the engine lists and tells them."""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

from slipway.contracts import labels
from slipway.runtime.engine import EngineTransport

from proxy_sync.edge.render import HASH
from proxy_sync.routing.domain import TaskAddress

_EVENTS = ("start", "kill", "die", "destroy", "health_status")


def task_address(task: Mapping[str, Any], instance: str) -> tuple[str, TaskAddress] | None:
    """(service, its task); None for one without an address where it is reached from outside, and
    for what is not of a release."""
    marks = task["Spec"].get("ContainerSpec", {}).get("Labels") or {}
    service, release = marks.get(labels.SERVICE), marks.get(labels.RELEASE)
    network = labels.reached_by_marks(instance, marks)
    address = next(
        (
            entry["Addresses"][0].partition("/")[0]
            for entry in task.get("NetworksAttachments") or ()
            if entry["Network"]["Spec"]["Name"] == network and entry.get("Addresses")
        ),
        "",
    )
    if not (service and release and address):
        return None
    running = task["Status"]["State"] == "running"
    return service, TaskAddress(task["ID"], release, address, running)


class EngineTasks:
    def __init__(self, engine: EngineTransport, instance: str) -> None:
        self._engine, self._instance = engine, instance

    async def tasks(self) -> dict[str, list[TaskAddress]]:
        """service → its tasks that Swarm wants to run, with addresses on the environment's
        network. One question for all services."""
        filters = {"label": [f"{labels.INSTANCE}={self._instance}"], "desired-state": ["running"]}
        found: dict[str, list[TaskAddress]] = {}
        for task in await self._engine.query("tasks", params={"filters": json.dumps(filters)}):
            if (of := task_address(task, self._instance)) is not None:
                found.setdefault(of[0], []).append(of[1])
        return found

    async def events(self) -> AsyncIterator[str]:
        """Services whose containers did something, `` for Traefik's own. Not what health
        checks do all the time. Raises EngineAway when it ends."""
        marks = [f"{labels.INSTANCE}={self._instance}"]
        async with self._engine.container_events(_EVENTS, marks) as actors:
            async for actor in actors:
                if labels.SERVICE in actor["Attributes"] or HASH in actor["Attributes"]:
                    yield actor["Attributes"].get(labels.SERVICE, "")
