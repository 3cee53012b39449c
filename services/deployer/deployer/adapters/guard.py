"""The guard's Swarm service. What it is told is a variable of its environment, so that the tasks of
all nodes have it; they are replaced one by one, and the rules stand meanwhile."""

from typing import Any

from slipway.contracts import labels
from slipway.runtime.engine import EngineRefused, EngineTransport

_NAME = "SLIPWAY_EGRESS_SET="


class Guard:
    def __init__(self, engine: EngineTransport, instance: str) -> None:
        self._engine, self._instance = engine, instance

    async def told(self) -> str:
        return _told((await self._service())["Spec"])

    async def tell(self, former: str, allow: str) -> None:
        service = await self._service()
        spec = service["Spec"]
        if spec["Labels"].get(labels.INSTANCE) != self._instance:
            raise EngineRefused(f"{spec['Name']} does not belong to {self._instance}")
        if _told(spec) != former:
            return
        container = spec["TaskTemplate"]["ContainerSpec"]
        # In its place: told in another order, `make up` would take it for a change.
        wanted = {f"{_NAME}{former}": f"{_NAME}{allow}"}
        container["Env"] = [wanted.get(each, each) for each in container["Env"]]
        version = {"version": str(service["Version"]["Index"])}
        path = f"services/{service['ID']}/update"
        await self._engine.query(path, "POST", params=version, data=spec)

    async def _service(self) -> dict[str, Any]:
        return await self._engine.query(f"services/{labels.guard_service(self._instance)}")


def _told(spec: dict[str, Any]) -> str:
    """The stack's file names the variable, so it is there."""
    environment = spec["TaskTemplate"]["ContainerSpec"]["Env"]
    return next(each.removeprefix(_NAME) for each in environment if each.startswith(_NAME))
