"""The engine: containers of services, their logs, and what they use."""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from slipway.contracts import labels
from slipway.runtime.engine import EngineApi, EngineMissing, EngineRefused

from metrics.container import Container, container

_PATIENCE = 10.0


@dataclass(frozen=True, slots=True)
class State:
    running: bool
    terminal: bool


class Engine(EngineApi):
    def __init__(self, instance: str) -> None:
        super().__init__(_PATIENCE)
        self._marks = [f"{labels.INSTANCE}={instance}", labels.SERVICE]

    async def containers(self, *, ended: bool = False) -> list[Container]:
        """Those of services of this instance that run; with `ended` all that ever started."""
        states = ["running", "paused", "restarting", *(["exited", "dead"] if ended else [])]
        filters = json.dumps({"label": self._marks, "status": states})
        items = await self.query("containers/json", params={"filters": filters})
        found = (
            container(item["Id"], item["Labels"], item["State"] not in ("exited", "dead"))
            for item in items
        )
        return [item for item in found if item is not None]

    async def started(self) -> AsyncGenerator[Container | None]:
        """None as soon as it listens, then each container that starts. Raises EngineAway."""
        async with self.container_events(["start"], self._marks) as actors:
            yield None
            async for actor in actors:
                if (found := container(actor["ID"], actor["Attributes"], True)) is not None:
                    yield found

    async def state(self, id_: str) -> State | None:
        """None when it is gone."""
        try:
            found = await self.query(f"containers/{id_}/json")
        except EngineMissing:
            return None
        return State(found["State"]["Running"], found["Config"]["Tty"])

    @asynccontextmanager
    async def log(
        self, id_: str, since: str | None, follow: bool
    ) -> AsyncIterator[Callable[[], Awaitable[bytes]]]:
        """A function that gives the next bytes, at most some 100 KB, and none at the end. Raises
        EngineMissing for a container that is gone, EngineRefused for one without a readable
        log."""
        params = {"stdout": "1", "stderr": "1", "timestamps": "1", "follow": str(int(follow))}
        if since is not None:
            params["since"] = since
        async with self.stream(f"containers/{id_}/logs", **params) as response:
            yield response.content.readany

    async def stats(self, id_: str) -> Mapping[str, Any] | None:
        """The engine's answer at one moment; None for a container that is gone."""
        params = {"stream": "false", "one-shot": "true"}
        try:
            return await self.query(f"containers/{id_}/stats", params=params)
        except (EngineMissing, EngineRefused):
            return None
