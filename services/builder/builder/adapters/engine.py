"""The engine: images, and which networks are the control plane's."""

import re

from slipway.contracts.values import BuiltImage
from slipway.runtime.engine import EngineApi, EngineMissing

_TCP = re.compile(r"([0-9]{1,5})/tcp")
"""The image of a stranger may expose anything."""


class Engine(EngineApi):
    async def node(self) -> str:
        """The id of this node in the swarm."""
        return (await self.query("info"))["Swarm"]["NodeID"]

    async def image(self, reference: str, *, source: str | None) -> BuiltImage | None:
        """What `reference` is here, None when it is not here. A digest of a registry is kept as
        the reference, else the image's id, which only this node has."""
        try:
            found = await self.query(f"images/{reference}/json")
        except EngineMissing:
            return None
        exposed = (found.get("Config") or {}).get("ExposedPorts") or {}
        numbers = {int(match[1]) for match in map(_TCP.fullmatch, exposed) if match}
        digests = found.get("RepoDigests") or []
        pulled = source is not None and bool(digests)
        return BuiltImage(
            reference=digests[0] if pulled else found["Id"],
            node=None if pulled else await self.node(),
            source=source,
            ports=tuple(sorted(number for number in numbers if 1 <= number <= 65535)),
        )

    async def subnets(self, network: str) -> list[str]:
        try:
            found = await self.query(f"networks/{network}")
        except EngineMissing:
            return []
        return [config["Subnet"] for config in found["IPAM"]["Config"] or () if "Subnet" in config]
