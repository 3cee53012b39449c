"""Traefik's container on the engine, and the networks that it is in."""

import asyncio
import ipaddress
from collections.abc import Mapping
from typing import Any

from slipway.contracts import labels
from slipway.runtime.engine import EngineAway, EngineMissing, EngineRefused, EngineTransport

from proxy_sync.edge.render import HASH


class TraefikContainer:
    def __init__(self, engine: EngineTransport, instance: str) -> None:
        self._instance = instance
        self.query = engine.query

    async def control_address(self) -> str:
        """A fixed address for Traefik at the top of the control network, which Swarm's
        allocation, counting from below, reaches last."""
        network = await self.query(f"networks/{labels.control_network(self._instance)}")
        subnet = ipaddress.ip_network(network["IPAM"]["Config"][0]["Subnet"])
        return str(subnet.broadcast_address - 2)

    async def bridge_gateways(self) -> list[str]:
        """The addresses of the host from which a port published on loopback is reached: those of
        the bridges that join containers to it."""
        found = []
        for name in ("docker_gwbridge", "bridge"):
            try:
                network = await self.query(f"networks/{name}")
            except EngineMissing:
                continue
            for config in network["IPAM"]["Config"] or ():
                if "Gateway" in config:
                    found.append(f"{config['Gateway']}/32")  # noqa: PERF401
        return found

    async def ensure_traefik(self, body: Mapping[str, Any], mark: str, address: str) -> bool:
        """True when it was started or made anew."""
        name = labels.traefik_container(self._instance)
        try:
            there = await self.query(f"containers/{name}/json")
        except EngineMissing:
            there = None
        if there is not None and there["Config"]["Labels"].get(HASH) != mark:
            await self.query(f"containers/{name}", "DELETE", params={"force": "1"})
            there = None
        if there is None:
            control = labels.control_network(self._instance)
            attached = {control: {"IPAMConfig": {"IPv4Address": address}}}
            await self.query(
                "containers/create",
                "POST",
                params={"name": name},
                data={**body, "NetworkingConfig": {"EndpointsConfig": attached}},
            )
        elif there["State"]["Running"]:
            return False
        await self.query(f"containers/{name}/start", "POST")
        return True

    async def joined(self) -> set[str]:
        """The networks that Traefik is in."""
        name = labels.traefik_container(self._instance)
        try:
            found = await self.query(f"containers/{name}/json")
        except EngineMissing:
            return set()
        return set(found["NetworkSettings"]["Networks"])

    async def join(self, network: str) -> None:
        """Raises EngineMissing while there is no such network, EngineAway when it is not done in
        3 s: the engine waits for long where trying again is quick."""
        name = labels.traefik_container(self._instance)
        path = f"networks/{network}/connect"
        try:
            async with asyncio.timeout(3.0):
                await self.query(path, "POST", data={"Container": name})
        except TimeoutError as error:
            raise EngineAway(f"{name} could not join {network} within 3 s") from error
        except EngineRefused as error:
            if "not found" in str(error):
                raise EngineMissing(network) from error
            # It is there: another service of the environment was quicker.
            if "already exists" not in str(error) and "already attached" not in str(error):
                raise

    async def alone_in(self, network: str) -> tuple[str, str] | None:
        """(organization, service) of a network of a service's own, where nothing else on this node
        is in it."""
        try:
            found = await self.query(f"networks/{network}")
        except EngineMissing:
            return None
        name, marks = labels.traefik_container(self._instance), found.get("Labels") or {}
        # The engine's own end of an overlay network is listed as a container too.
        others = [
            each
            for id_, each in (found.get("Containers") or {}).items()
            if not id_.startswith("lb-") and each.get("Name") != name
        ]
        if others or labels.SERVICE not in marks:
            return None
        return marks[labels.ORGANIZATION], marks[labels.SERVICE]

    async def leave(self, network: str) -> None:
        name = labels.traefik_container(self._instance)
        body = {"Container": name, "Force": True}
        try:
            await self.query(f"networks/{network}/disconnect", "POST", data=body)
        except EngineMissing:
            return
        except EngineRefused as error:
            if "is not connected" not in str(error):
                raise
