"""What the operator allows is told to the guard: by the last word of the log, whatever it was told
before, and again when somebody else has changed it. In virtual time."""

import asyncio
import copy
from typing import Any

import pytest
from deployer.adapters.guard import Guard
from deployer.egress.react import SUBJECT, Egress
from slipway.contracts.organization import EgressSet
from slipway.eventstore.memory import MemoryLease
from slipway.kernel.envelope import NOTHING, Actor, Meta
from slipway.kernel.ids import derived
from slipway.runtime.engine import EngineMissing, EngineRefused

from tests.simulation.world import World, virtual


class Told:
    """The guard, which is away `for_` so many questions."""

    def __init__(self, for_: int = 0) -> None:
        self.said, self.away, self.times = "", for_, 0

    async def told(self) -> str:
        if self.away:
            self.away -= 1
            raise EngineMissing("sim_guard")
        return self.said

    async def tell(self, former: str, allow: str) -> None:
        assert former == self.said
        self.said, self.times = allow, self.times + 1


async def allow(world: World, *entries: str) -> None:
    head = await world.head(SUBJECT)
    meta = Meta(
        commit=derived("fact", *entries), at=world.clock.now(),
        actor=Actor("user", "operator"), correlation="",
    )  # fmt: skip
    expected = head.head if head else NOTHING
    await world.append(SUBJECT, expected, [EgressSet(allow=entries)], meta)


@virtual
async def test_the_last_word_is_told_once():
    world, guard = World(), Told()
    egress = Egress(world, guard, MemoryLease())
    running = asyncio.create_task(egress.run())
    await asyncio.sleep(200)
    assert guard.times == 0, "nothing is allowed, and nothing was told"
    await allow(world, "10.0.0.1:1")
    await allow(world, "10.0.0.1:1", "10.0.0.0/8")
    egress.wake()
    await asyncio.sleep(1)
    assert (guard.said, guard.times) == ("10.0.0.1:1 10.0.0.0/8", 1)
    await allow(world)
    egress.wake()
    await asyncio.sleep(1)
    assert (guard.said, guard.times) == ("", 2)
    running.cancel()


@virtual
async def test_it_is_told_after_a_restart_and_when_the_guard_comes_late():
    world, guard = World(), Told(for_=3)
    await allow(world, "10.0.0.1:1")
    running = asyncio.create_task(Egress(world, guard, MemoryLease()).run())
    await asyncio.sleep(60)
    assert guard.said == "10.0.0.1:1"
    guard.said = "by hand"
    await asyncio.sleep(61)
    assert guard.said == "10.0.0.1:1"
    running.cancel()


class Engine:
    """One Swarm service."""

    def __init__(self, **changes: Any) -> None:
        environment = ["A=1", "SLIPWAY_EGRESS_SET=10.0.0.1:1", "B=2"]
        self.spec: dict[str, Any] = {
            "Name": "slipway_guard",
            "Labels": {"slipway.instance": "slipway"},
            "TaskTemplate": {"ContainerSpec": {"Image": "i", "Env": environment}},
        } | changes
        self.updates: list[dict[str, Any]] = []

    async def query(
        self, path: str, method: str = "GET", *, params: Any = None, data: Any = None
    ) -> Any:
        if method == "GET":
            assert path == "services/slipway_guard"
            return {"ID": "s1", "Version": {"Index": 7}, "Spec": copy.deepcopy(self.spec)}
        assert (path, params) == ("services/s1/update", {"version": "7"})
        self.updates.append(data)
        return None

    last_lines: Any = None
    container_events: Any = None


async def test_only_its_own_variable_is_changed():
    engine = Engine()
    guard = Guard(engine, "slipway")
    assert await guard.told() == "10.0.0.1:1"
    await guard.tell("10.0.0.1:1", "10.0.0.2:2 10.0.0.0/8")
    (spec,) = engine.updates
    container = spec["TaskTemplate"].pop("ContainerSpec")
    assert container["Env"] == ["A=1", "SLIPWAY_EGRESS_SET=10.0.0.2:2 10.0.0.0/8", "B=2"]
    assert container["Image"] == "i"


async def test_who_was_told_something_else_meanwhile_is_left_alone():
    engine = Engine()
    await Guard(engine, "slipway").tell("", "10.0.0.2:2")
    assert engine.updates == []


async def test_another_instances_guard_is_refused():
    engine = Engine(Labels={"slipway.instance": "other"})
    with pytest.raises(EngineRefused):
        await Guard(engine, "slipway").tell("10.0.0.1:1", "")
    assert engine.updates == []
