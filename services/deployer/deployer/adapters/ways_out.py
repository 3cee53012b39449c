"""The networks by which workloads get out of their node, in the engine. One of them is in use."""

import json
import secrets
from collections.abc import Collection
from contextlib import suppress
from typing import Any

from slipway.contracts import labels
from slipway.egress import way_out
from slipway.runtime.engine import EngineMissing, EngineRefused, EngineTransport


class WaysOut:
    def __init__(self, engine: EngineTransport, instance: str) -> None:
        self._engine, self._instance = engine, instance
        self._name: str | None = None
        self._node: str | None = None

    async def name(self) -> str:
        """Of the one in use."""
        if self._name is None:
            self._name = labels.egress_network(self._instance, max(await self.there(), default=0))
        return self._name

    async def there(self) -> dict[int, str]:
        """Number → id in the swarm. The one with the highest number is in use."""
        filters = {"driver": ["bridge"], "scope": ["swarm"]}
        found = await self._engine.query("networks", params={"filters": json.dumps(filters)})
        numbered = {
            labels.egress_number(self._instance, each["Name"]): each["Id"] for each in found
        }
        ids = {number: id_ for number, id_ in numbered.items() if number is not None}
        self._name = labels.egress_network(self._instance, max(ids, default=0))
        return ids

    async def lost(self, network: str) -> bool:
        """This node's engine has kept it where it does not know of it: it says so of each task.
        Asked one by one of those that lack tasks: a task carries all of its variables."""
        if self._node is None:
            self._node = (await self._engine.query("info"))["Swarm"]["NodeID"]
        for service in await self._services():
            status = service.get("ServiceStatus") or {}
            if status.get("RunningTasks", 0) >= status.get("DesiredTasks", 0):
                continue
            asked = {
                "service": [service["ID"]], "desired-state": ["shutdown"], "node": [self._node],
            }  # fmt: skip
            with suppress(EngineMissing, EngineRefused):
                tasks = await self._engine.query("tasks", params={"filters": json.dumps(asked)})
                if any(task["Status"].get("Err") == f"network {network} exists" for task in tasks):
                    return True
        return False

    async def _services(self) -> list[dict[str, Any]]:
        filters = {"label": [f"{labels.INSTANCE}={self._instance}", labels.SERVICE]}
        params = {"filters": json.dumps(filters), "status": "true"}
        return await self._engine.query("services", params=params)

    async def make(self, number: int) -> None:
        """What is there of it stays. Its device is a new one: see `labels.workloads_bridge`."""
        mark = secrets.token_hex(2)
        for each in way_out.networks(self._instance, mark, number):
            await self._ensure(each)

    async def _ensure(self, network: dict[str, Any]) -> None:
        try:
            await self._engine.query("networks/create", "POST", data=network)
        except EngineRefused as error:
            if "already exists" not in str(error):
                raise

    async def move(self, former: Collection[str], network: str) -> list[str]:
        """The Swarm services that were on one of the former, by name, are on `network` now; a job
        would run again. One that the engine does not change now is left to the next time."""
        moved: list[str] = []
        for found in await self._services():
            spec, version = found["Spec"], {"version": str(found["Version"]["Index"])}
            attached = spec["TaskTemplate"].get("Networks") or []
            ours = [each for each in attached if each["Target"] in former]
            if not ours or "Replicated" not in spec["Mode"]:
                continue
            for each in ours:
                each["Target"] = network
            path = f"services/{found['ID']}/update"
            with suppress(EngineMissing, EngineRefused):
                await self._engine.query(path, "POST", params=version, data=spec)
                moved.append(spec["Name"])
        return moved

    async def remove(self, number: int) -> None:
        """When nothing is on it any more: else it stays."""
        for name in (
            labels.egress_network(self._instance, number),
            labels.egress_configuration(self._instance, number),
        ):
            with suppress(EngineMissing, EngineRefused):
                await self._engine.query(f"networks/{name}", "DELETE")
