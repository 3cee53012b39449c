"""A swarm that the engine belongs to already is kept; on a worker of one nothing is begun."""

from collections.abc import Iterator

import pytest

from tests.e2e.engine import eventually
from tests.machines.engine import Machine, cabled

pytestmark = [pytest.mark.engine]


@pytest.fixture(scope="module")
def swarm() -> Iterator[tuple[Machine, Machine]]:
    """(a manager, a worker)"""
    with Machine(1) as manager, Machine(2) as worker:
        cabled((manager, worker))
        manager.docker("swarm", "init", "--advertise-addr", manager.address)
        token = manager.docker("swarm", "join-token", "--quiet", "worker")
        worker.docker(
            *("swarm", "join", "--token", token, "--advertise-addr", worker.address),
            f"{manager.address}:2377",
        )
        for machine in (manager, worker):  # made by the engine itself, a moment later
            eventually("the swarm's networks", lambda m=machine: {"ingress"} <= networks(m), 30)
            eventually("its gateway", lambda m=machine: {"docker_gwbridge"} <= networks(m), 30)
        yield manager, worker


def networks(machine: Machine) -> set[str]:
    return set(machine.docker("network", "ls", "--format", "{{.Name}}").split())


def everything(machine: Machine) -> dict[str, str]:
    kinds = ("container", "image", "network", "volume")
    role = machine.docker("info", "--format", "{{json .Swarm.NodeID}} {{.Swarm.ControlAvailable}}")
    return {kind: machine.docker(kind, "ls", "--quiet") for kind in kinds} | {"swarm": role}


def test_a_worker_is_refused_with_the_reason(swarm: tuple[Machine, Machine]):
    worker = swarm[1]
    before = everything(worker)
    assert before["swarm"].endswith("false")
    done = worker.script("up.sh", HTTP_PORT="80", HTTPS_PORT="443", API_PORT="4000")
    assert done.returncode == 1
    assert "this machine is a worker of a swarm" in done.stderr
    assert "docker node promote" in done.stderr
    assert everything(worker) == before


def test_a_manager_keeps_its_swarm(swarm: tuple[Machine, Machine]):
    manager = swarm[0]
    before = everything(manager)
    done = manager.script("engine/ensure.sh")
    assert done.returncode == 0, done.stderr
    assert everything(manager) == before
    assert manager.docker("node", "ls", "--quiet").count("\n") == 1
