"""The engine's images."""

import contextlib
import json
import re

from slipway.contracts import labels, registry
from slipway.contracts.values import BuiltImage
from slipway.runtime.engine import EngineApi, EngineMissing

_TCP = re.compile(r"([0-9]{1,5})/tcp")
"""The image of a stranger may expose anything."""


class Engine:
    """`port`: where the registry is, on loopback."""

    def __init__(self, engine: EngineApi, port: int) -> None:
        self._engine, self._port = engine, port
        self._node = ""

    async def image(self, reference: str, *, source: str | None) -> BuiltImage | None:
        """What `reference` of the registry is here, None when it is not here. It runs on the
        registry's own node: no other one reaches loopback."""
        name = registry.fetched(self._port, reference)
        try:
            found = await self._engine.query(f"images/{name}/json")
        except EngineMissing:
            return None
        exposed = (found.get("Config") or {}).get("ExposedPorts") or {}
        numbers = {int(match[1]) for match in map(_TCP.fullmatch, exposed) if match}
        return BuiltImage(
            reference=reference,
            node=await self._own_node(),
            source=source,
            ports=tuple(sorted(number for number in numbers if 1 <= number <= 65535)),
        )

    async def _own_node(self) -> str:
        """Asked once: for all that it says of itself the engine looks at all containers."""
        if not self._node:
            self._node = (await self._engine.query("info"))["Swarm"]["NodeID"]
        return self._node

    async def pull(self, reference: str) -> None:
        await self._engine.pull(registry.fetched(self._port, reference))

    async def fetched(self, organization: str, service: str) -> list[str]:
        """Those of the service that are on this node, as they are named in the registry."""
        mark = {"label": [f"{labels.SERVICE}={service}"]}
        own = registry.fetched(self._port, f"{registry.repository(organization, service)}@")
        place = registry.fetched(self._port, "")
        images = await self._engine.query("images/json", params={"filters": json.dumps(mark)})
        names = [name for image in images for name in image.get("RepoDigests") or ()]
        return [name.removeprefix(place) for name in names if name.startswith(own)]

    async def forget(self, reference: str) -> None:
        """Not under this name any more; the image goes with its last name. Raises EngineRefused
        where a container has it."""
        with contextlib.suppress(EngineMissing):
            await self._engine.query(f"images/{registry.fetched(self._port, reference)}", "DELETE")
