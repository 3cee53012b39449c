"""An engine that was killed has lost the way out of workloads, and gets another one."""

import asyncio
import signal

import pytest
from deployer.adapters.ways_out import WaysOut
from deployer.way_out.react import WayOut
from slipway.contracts import labels
from slipway.eventstore.memory import MemoryLease
from slipway.runtime.clock import SystemClock
from slipway.runtime.engine import EngineApi

from tests.machines.engine import IMAGE, Machine, load

pytestmark = [pytest.mark.engine, pytest.mark.timeout(240)]

INSTANCE = "killed"


def task(machine: Machine) -> str:
    """How the newest one is, and why."""
    shown = "{{.CurrentState}} {{.Error}}"
    return machine.docker("service", "ps", "--no-trunc", "--format", shown, "web").split("\n")[0]


async def until(machine: Machine, words: str) -> None:
    for _ in range(120):
        if words in task(machine):
            return
        await asyncio.sleep(0.5)
    raise AssertionError(task(machine))


async def test_what_an_engine_has_lost_is_made_anew(monkeypatch: pytest.MonkeyPatch):
    with Machine(1) as machine:
        load(machine)
        monkeypatch.setenv("DOCKER_HOST", machine.socket)
        machine.docker(
            *("swarm", "init", "--advertise-addr", "127.0.0.1", "--listen-addr", "127.0.0.1")
        )
        engine = EngineApi()
        ways = WaysOut(engine, INSTANCE)
        await ways.make(0)
        mark = f"{labels.INSTANCE}={INSTANCE}"
        machine.docker(
            *("service", "create", "--detach", "--name", "web", "--endpoint-mode", "dnsrr"),
            *("--label", mark, "--label", f"{labels.SERVICE}=x", "--container-label", mark),
            *("--network", await ways.name(), "--no-resolve-image", IMAGE, "sleep", "1000"),
        )
        await until(machine, "Running")
        machine.ends(signal.SIGKILL)
        await until(machine, "exists")
        repairing = asyncio.create_task(WayOut(ways, SystemClock(), MemoryLease()).run())
        try:
            await until(machine, "Running")
            while list(await ways.there()) != [1]:
                await asyncio.sleep(0.5)
            assert await ways.name() == labels.egress_network(INSTANCE, 1)
        finally:
            repairing.cancel()
            await engine.close()
