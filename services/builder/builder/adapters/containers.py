"""Plain containers that the builder keeps beside itself, their networks and volumes."""

import contextlib
import hashlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from slipway.contracts import labels
from slipway.runtime.engine import EngineApi, EngineMissing, EngineRefused

MADE = "slipway.made"
"""The label with the hash of all that a container was made from."""


class NotReady(Exception):
    """What builds need can't be brought up now. Its text says which and why."""


def mark(*documents: Any) -> str:
    """Of what a container is made from."""
    data = json.dumps(documents, sort_keys=True).encode()
    return hashlib.sha256(data).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Found:
    id: str
    runs: bool
    made: str
    networks: frozenset[str]
    out_of_memory: bool
    """It has met the limit of its memory since it was started."""


class Containers:
    def __init__(self, engine: EngineApi, instance: str) -> None:
        self._engine, self._instance = engine, instance
        self._processors = 0

    async def found(self, name: str) -> Found | None:
        try:
            there = await self._engine.query(f"containers/{name}/json")
        except EngineMissing:
            return None
        return Found(
            id=there["Id"],
            runs=there["State"]["Running"],
            made=(there["Config"]["Labels"] or {}).get(MADE, ""),
            networks=frozenset(there["NetworkSettings"]["Networks"]),
            out_of_memory=bool(there["State"].get("OOMKilled")),
        )

    async def make(self, name: str, body: Mapping[str, Any], files: Mapping[str, str]) -> None:
        """It runs when this returns. Raises EngineRefused, also where one of that name is there."""
        await self._engine.query("containers/create", "POST", params={"name": name}, data=body)
        await self._engine.put_files(name, files)
        await self._engine.query(f"containers/{name}/start", "POST")

    async def remove(self, name: str, grace: int = 0) -> None:
        """`grace`: seconds to end by itself. EngineRefused is raised for what is not the
        instance's."""
        with contextlib.suppress(EngineMissing):
            there = await self._engine.query(f"containers/{name}/json")
            if (there["Config"]["Labels"] or {}).get(labels.INSTANCE) != self._instance:
                raise EngineRefused(
                    f"a container {name} is there that does not belong to {self._instance}: rename"
                    " or remove it"
                )
            if grace:
                await self._engine.query(
                    f"containers/{name}/stop", "POST", params={"t": f"{grace}"}
                )
            await self._engine.query(f"containers/{name}", "DELETE", params={"force": "1"})

    async def processors(self) -> int:
        """Of this node. Asked once: for all that it says of itself the engine looks at all
        containers."""
        if not self._processors:
            self._processors = int((await self._engine.query("info"))["NCPU"])
        return self._processors

    async def processes(self, name: str) -> int | None:
        """And threads that it has now, with all below it; None where it doesn't run."""
        params = {"stream": "false", "one-shot": "true"}
        stats = await self._engine.query(f"containers/{name}/stats", params=params)
        return (stats.get("pids_stats") or {}).get("current")

    async def change(self, name: str, resources: Mapping[str, Any]) -> None:
        """Of one that may run. Raises EngineRefused, where it has more memory than it would get for
        instance."""
        await self._engine.query(f"containers/{name}/update", "POST", data=dict(resources))

    async def kill(self, container: str) -> None:
        """All of it at once, by the kernel. Raises EngineRefused, also where it doesn't run."""
        await self._engine.query(f"containers/{container}/kill", "POST")

    async def put_files(self, name: str, files: Mapping[str, str]) -> None:
        await self._engine.put_files(name, files)

    async def has_file(self, name: str, path: str) -> bool:
        return await self._engine.has_file(name, path)

    async def organizations(self) -> set[str]:
        """Those that have a BuildKit's container or, where somebody died or removed it, still its
        network."""
        marks = {"label": [f"{labels.INSTANCE}={self._instance}", labels.ORGANIZATION]}
        params = {"filters": json.dumps(marks)}
        containers = await self._engine.query("containers/json", params={"all": "1", **params})
        networks = await self._engine.query("networks", params=params)
        named = [(each["Names"][0].removeprefix("/"), each["Labels"]) for each in containers]
        named += [(each["Name"], each["Labels"]) for each in networks]
        found = {(name, its[labels.ORGANIZATION]) for name, its in named}
        names = (labels.build_network, labels.cloning_container)
        return {of for name, of in found if name in [each(self._instance, of) for each in names]}

    async def task_of(self, service: str) -> str | None:
        """The id of a running container of a Swarm service on this node."""
        marks = {"label": [f"com.docker.swarm.service.name={service}"]}
        found = await self._engine.query("containers/json", params={"filters": json.dumps(marks)})
        return found[0]["Id"] if found else None

    @contextlib.asynccontextmanager
    async def met_memory(self) -> AsyncIterator[AsyncIterator[str]]:
        """The organization of each BuildKit in which the kernel ends a process for want of memory,
        from the beginning of the `with` on. Raises EngineAway when the engine ends it."""
        marks = [f"{labels.INSTANCE}={self._instance}", labels.ORGANIZATION]
        async with self._engine.container_events(["oom"], marks) as actors:
            yield self._organizations(actors)

    async def _organizations(self, actors: AsyncIterator[dict[str, Any]]) -> AsyncIterator[str]:
        async for actor in actors:
            marks = actor["Attributes"]
            organization = marks.get(labels.ORGANIZATION, "")
            if marks.get("name") == labels.build_network(self._instance, organization):
                yield organization

    async def ensure_network(self, body: Mapping[str, Any]) -> None:
        try:
            await self._engine.query(f"networks/{body['Name']}")
        except EngineMissing:
            await self._engine.query("networks/create", "POST", data=body)

    async def ensure_volume(self, body: Mapping[str, Any]) -> None:
        """One that is there stays as it is."""
        await self._engine.query("volumes/create", "POST", data=body)

    async def join(self, container: str, network: str, alias: str) -> None:
        body = {"Container": container, "EndpointConfig": {"Aliases": [alias]}}
        try:
            await self._engine.query(f"networks/{network}/connect", "POST", data=body)
        except EngineRefused as error:
            if "already exists" not in str(error):
                raise

    async def remove_network(self, name: str, *guests: str) -> None:
        """`guests`: containers that leave it before."""
        for guest in guests:
            body = {"Container": guest, "Force": True}
            with contextlib.suppress(EngineMissing, EngineRefused):  # it isn't in there
                await self._engine.query(f"networks/{name}/disconnect", "POST", data=body)
        with contextlib.suppress(EngineMissing):
            await self._engine.query(f"networks/{name}", "DELETE")

    async def remove_volume(self, name: str) -> None:
        with contextlib.suppress(EngineMissing):
            await self._engine.query(f"volumes/{name}", "DELETE")
