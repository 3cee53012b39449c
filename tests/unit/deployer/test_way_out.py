"""Another way out takes the place of one that the engine has lost: gone on with from any step, and
done once. In virtual time."""

import asyncio
import json
from collections.abc import Collection
from typing import Any

import pytest
from deployer.adapters.ways_out import WaysOut
from deployer.rollout.render import placed
from deployer.way_out.react import WayOut
from slipway.eventstore.memory import MemoryLease
from slipway.runtime.engine import EngineAway, EngineRefused

from tests.simulation.world import World, virtual

STEPS = ("there", "lost", "make", "move", "remove")


class Ways:
    """Of an engine that lost the first; `dies` is the step after which it is away, once."""

    def __init__(self, dies: str = "") -> None:
        self.networks = {0: "first"}
        self.services = {"web": "first", "api": "first"}
        self.dies = dies
        self.made: list[int] = []

    async def _done(self, step: str) -> None:
        if step == self.dies:
            self.dies = ""
            raise EngineAway

    async def there(self) -> dict[int, str]:
        await self._done("there")
        return dict(self.networks)

    async def lost(self, network: str) -> bool:
        await self._done("lost")
        return network == "first"

    async def make(self, number: int) -> None:
        if number not in self.networks:
            self.networks[number] = f"number {number}"
            self.made.append(number)
        await self._done("make")

    async def move(self, former: Collection[str], network: str) -> list[str]:
        moved = [name for name, on in self.services.items() if on in former]
        for name in moved[:1] if self.dies == "move" else moved:
            self.services[name] = network
        await self._done("move")
        return moved

    async def remove(self, number: int) -> None:
        if self.networks[number] not in self.services.values():
            del self.networks[number]
        await self._done("remove")


@pytest.mark.parametrize("dies", ["", *STEPS])
@virtual
async def test_everything_is_on_one_other_in_the_end(dies: str):
    ways = Ways(dies)
    running = asyncio.create_task(WayOut(ways, World().clock, MemoryLease()).run())
    await asyncio.sleep(200)
    running.cancel()
    assert set(ways.services.values()) == {"number 1"}
    assert ways.networks == {1: "number 1"}
    assert ways.made == [1]


def test_a_service_gets_the_one_in_use():
    attached = [{"Target": "env", "Aliases": ["web"]}, {"Target": "slipway_egress"}]
    body: dict[str, Any] = {
        "Name": "web",
        "TaskTemplate": {"ContainerSpec": {"Image": "org/web@sha256:0"}, "Networks": attached},
    }
    template = placed(body, "slipway", 5000, "slipway_egress_2")["TaskTemplate"]
    assert template["Networks"] == [attached[0], {"Target": "slipway_egress_2"}]
    assert template["ContainerSpec"]["Image"] == "127.0.0.1:5000/org/web@sha256:0"
    assert attached[1] == {"Target": "slipway_egress"}


class Swarm:
    """Services on the first way out: one runs, one lacks its task, and one is not changed now."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.moved: dict[str, str] = {}

    def _service(self, id_: str, running: int) -> dict[str, Any]:
        return {
            "ID": id_, "Version": {"Index": 1},
            "ServiceStatus": {"RunningTasks": running, "DesiredTasks": 1},
            "Spec": {
                "Name": id_, "Mode": {"Replicated": {"Replicas": 1}},
                "TaskTemplate": {"Networks": [{"Target": "env"}, {"Target": "first"}]},
            },
        }  # fmt: skip

    async def query(
        self, path: str, method: str = "GET", *, params: dict[str, str] | None = None,
        data: Any = None,
    ) -> Any:  # fmt: skip
        match [method, *path.split("/")]:
            case ["GET", "info"]:
                return {"Swarm": {"NodeID": "here"}}
            case ["GET", "services"]:
                return [self._service("busy", 0), self._service("runs", 1), self._service("web", 0)]
            case ["GET", "tasks"]:
                filters = json.loads((params or {})["filters"])
                assert filters["node"] == ["here"]
                (of,) = filters["service"]
                self.asked.append(of)
                exists = "network first exists"
                said = exists if of == "web" else f"unable to find user {exists}"
                return [{"Status": {"Err": said}}]
            case ["POST", "services", "busy", "update"]:
                raise EngineRefused("update out of sequence")
            case ["POST", "services", id_, "update"]:
                self.moved[id_] = data["TaskTemplate"]["Networks"][1]["Target"]
                return None
            case _:
                raise AssertionError(path)


async def test_one_that_is_not_changed_now_holds_up_no_other():
    swarm = Swarm()
    ways = WaysOut(swarm, "slipway")  # pyright: ignore[reportArgumentType]
    assert await ways.lost("first")
    assert swarm.asked == ["busy", "web"], "what runs is not asked about"
    assert not await ways.lost("other")
    assert await ways.move(["first"], "second") == ["runs", "web"]
    assert swarm.moved == {"runs": "second", "web": "second"}


class Making:
    """An engine that has the first of the two already."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    async def query(self, path: str, method: str, *, data: Any) -> None:
        self.asked.append((method, path, data["Name"]))
        if data.get("ConfigOnly"):
            raise EngineRefused("network with that name already exists")


async def test_what_is_there_of_another_one_stays():
    engine = Making()
    await WaysOut(engine, "slipway").make(1)  # pyright: ignore[reportArgumentType]
    names = ("slipway_egress_bridge_1", "slipway_egress_1")
    assert engine.asked == [("POST", "networks/create", name) for name in names]
