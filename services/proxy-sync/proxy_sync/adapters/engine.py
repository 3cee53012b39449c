"""The engine: Traefik's container and its networks, and the tasks of releases."""

import asyncio
import ipaddress
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiodocker
from aiodocker.exceptions import DockerError
from aiohttp import ClientError
from slipway.contracts import labels

from proxy_sync.edge.render import HASH
from proxy_sync.routing.model import TaskAddress

_AWAY = (503, 900)  # 900 is aiodocker's own, for a connection that was refused
_PASSING = ("DeadlineExceeded", "deadline exceeded", "Unavailable", "no leader")


class EngineAway(Exception):
    """The engine does not answer."""


class EngineRefused(Exception):
    """The engine's words why not."""


class Engine:
    def __init__(self, instance: str) -> None:
        self._docker = aiodocker.Docker()
        self._instance = instance

    async def close(self) -> None:
        await self._docker.close()

    async def _query(self, path: str, method: str = "GET", **given: Any) -> Any:
        data = given.pop("data", None)
        if data is not None:
            given["data"] = json.dumps(data)
            given["headers"] = {"Content-Type": "application/json"}
        try:
            async with self._docker._query(path, method=method, **given) as response:  # noqa: SLF001
                body = await response.read()
                return json.loads(body) if body.strip() else None
        except DockerError as error:
            if error.status == 404:
                raise KeyError(path) from error
            if error.status in _AWAY or any(word in str(error.message) for word in _PASSING):
                raise EngineAway(str(error.message)) from error
            raise EngineRefused(str(error.message)) from error
        except (ClientError, OSError, TimeoutError) as error:
            raise EngineAway(str(error)) from error

    # -- tasks --------------------------------------------------------------------------------

    async def tasks(self) -> dict[str, list[TaskAddress]]:
        """application → its tasks that Swarm wants to run, with addresses on the environment's
        network. One question for all applications."""
        filters = json.dumps(
            {"label": [f"{labels.INSTANCE}={self._instance}"], "desired-state": ["running"]}
        )
        found: dict[str, list[TaskAddress]] = {}
        for task in await self._query("tasks", params={"filters": filters}):
            marks = task["Spec"]["ContainerSpec"].get("Labels") or {}
            application = marks.get(labels.SERVICE)
            network = labels.network(self._instance, marks.get(labels.ENVIRONMENT, ""))
            address = next(
                (
                    entry["Addresses"][0].partition("/")[0]
                    for entry in task.get("NetworksAttachments") or ()
                    if entry["Network"]["Spec"]["Name"] == network and entry.get("Addresses")
                ),
                "",
            )
            if application and address:
                found.setdefault(application, []).append(
                    TaskAddress(
                        id=task["ID"],
                        deployment=marks[labels.DEPLOYMENT],
                        address=address,
                        running=task["Status"]["State"] == "running",
                    )
                )
        return found

    async def events(self) -> AsyncIterator[str]:
        """Applications whose containers did something, `` for Traefik's own. Not what health
        checks do all the time."""
        filters = json.dumps(
            {
                "type": ["container"],
                "event": ["start", "kill", "die", "destroy", "health_status"],
                "label": [f"{labels.INSTANCE}={self._instance}"],
            }
        )
        try:
            async with self._docker._query(  # noqa: SLF001
                "events", method="GET", params={"filters": filters}, timeout=None
            ) as response:
                try:
                    async for line in response.content:
                        if line.strip():
                            marks = (json.loads(line).get("Actor") or {}).get("Attributes") or {}
                            if labels.SERVICE in marks or HASH in marks:
                                yield marks.get(labels.SERVICE, "")
                finally:
                    response.close()  # the client does not, when it is left early
        except (DockerError, ClientError, OSError, ValueError) as error:
            raise EngineAway(str(error)) from error
        raise EngineAway("the event stream ended")

    # -- Traefik's container ------------------------------------------------------------------

    async def control_address(self) -> str:
        """A fixed address for Traefik at the top of the control network, which Swarm's
        allocation, counting from below, reaches last."""
        network = await self._query(f"networks/{labels.control_network(self._instance)}")
        subnet = ipaddress.ip_network(network["IPAM"]["Config"][0]["Subnet"])
        return str(subnet.broadcast_address - 2)

    async def bridge_gateways(self) -> list[str]:
        """The addresses of the host from which a port published on loopback is reached: those of
        the bridges that join containers to it."""
        found = []
        for name in ("docker_gwbridge", "bridge"):
            try:
                network = await self._query(f"networks/{name}")
            except KeyError:
                continue
            for config in network["IPAM"]["Config"] or ():
                if "Gateway" in config:
                    found.append(f"{config['Gateway']}/32")  # noqa: PERF401
        return found

    async def ensure_traefik(self, body: Mapping[str, Any], mark: str, address: str) -> bool:
        """True when it was started or made anew."""
        name = labels.traefik_container(self._instance)
        try:
            there = await self._query(f"containers/{name}/json")
        except KeyError:
            there = None
        if there is not None and there["Config"]["Labels"].get(HASH) != mark:
            await self._query(f"containers/{name}", "DELETE", params={"force": "1"})
            there = None
        if there is None:
            control = labels.control_network(self._instance)
            attached = {control: {"IPAMConfig": {"IPv4Address": address}}}
            await self._query(
                "containers/create",
                "POST",
                params={"name": name},
                data={**body, "NetworkingConfig": {"EndpointsConfig": attached}},
            )
        elif there["State"]["Running"]:
            return False
        await self._query(f"containers/{name}/start", "POST")
        return True

    async def joined(self) -> set[str]:
        """The networks that Traefik is in."""
        name = labels.traefik_container(self._instance)
        try:
            found = await self._query(f"containers/{name}/json")
        except KeyError:
            return set()
        return set(found["NetworkSettings"]["Networks"])

    async def join(self, network: str) -> None:
        """Raises KeyError while there is no such network, EngineAway when it is not done in 3 s:
        the engine waits for long where trying again is quick."""
        name = labels.traefik_container(self._instance)
        path = f"networks/{network}/connect"
        try:
            async with asyncio.timeout(3.0):
                await self._query(path, "POST", data={"Container": name})
        except TimeoutError as error:
            raise EngineAway(f"{name} could not join {network} within 3 s") from error
        except EngineRefused as error:
            if "not found" in str(error):
                raise KeyError(network) from error
            if "already exists" not in str(error):
                raise

    async def leave(self, network: str) -> None:
        name = labels.traefik_container(self._instance)
        body = {"Container": name, "Force": True}
        try:
            await self._query(f"networks/{network}/disconnect", "POST", data=body)
        except KeyError:
            return
        except EngineRefused as error:
            if "is not connected" not in str(error):
                raise
