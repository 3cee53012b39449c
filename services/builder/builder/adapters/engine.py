"""The engine: images, and which networks are the control plane's."""

import aiodocker
from aiodocker.exceptions import DockerError
from aiohttp import ClientError
from slipway.contracts.values import BuiltImage
from slipway.runtime.engine import EngineAway

_NOT_REACHED = 900  # aiodocker's own status for a connection that was refused


class PullFailed(Exception):
    """The engine's words."""


class Engine:
    def __init__(self) -> None:
        self._docker = aiodocker.Docker()

    async def close(self) -> None:
        await self._docker.close()

    async def node(self) -> str:
        """The id of this node in the swarm."""
        try:
            info = await self._docker.system.info()
        except (DockerError, ClientError, OSError) as error:
            raise EngineAway(str(error)) from error
        return info["Swarm"]["NodeID"]

    async def image(self, reference: str, *, source: str | None) -> BuiltImage | None:
        """What `reference` is here, None when it is not here. A digest of a registry is kept as
        the reference, else the image's id, which only this node has."""
        try:
            found = await self._docker.images.inspect(reference)
            node = await self.node()
        except DockerError as error:
            if error.status == 404:
                return None
            raise EngineAway(str(error)) from error
        except (ClientError, OSError) as error:
            raise EngineAway(str(error)) from error
        exposed = (found.get("Config") or {}).get("ExposedPorts") or {}
        ports = sorted(int(port.partition("/")[0]) for port in exposed if port.endswith("/tcp"))
        digests = found.get("RepoDigests") or []
        pulled = source is not None and bool(digests)
        return BuiltImage(
            reference=digests[0] if pulled else found["Id"],
            node=None if pulled else node,
            source=source,
            ports=tuple(ports),
        )

    async def pull(self, name: str) -> None:
        """Raises PullFailed, EngineAway."""
        try:
            async for message in self._docker.images.pull(name, stream=True):
                if "error" in message:
                    raise PullFailed(message["error"])
        except DockerError as error:
            if error.status == _NOT_REACHED:
                raise EngineAway(str(error.message)) from error
            raise PullFailed(str(error.message)) from error
        except (ClientError, OSError) as error:
            raise EngineAway(str(error)) from error

    async def subnets(self, network: str) -> list[str]:
        try:
            found = await (await self._docker.networks.get(network)).show()
        except DockerError as error:
            if error.status == 404:
                return []
            raise EngineAway(str(error.message)) from error
        except (ClientError, OSError) as error:
            raise EngineAway(str(error)) from error
        return [config["Subnet"] for config in found["IPAM"]["Config"] or () if "Subnet" in config]
