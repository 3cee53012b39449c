"""The way out on two nodes: an overlay that leads nowhere and a bridge on each of them, whose rules
each node has for itself."""

import ipaddress
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from slipway.contracts import labels
from slipway.egress import render, way_out
from slipway.egress.policy import Policy
from slipway_guard import facts
from slipway_install.egress import created

from tests.e2e.engine import eventually
from tests.machines.engine import IMAGE, Machine, cabled, load
from tests.machines.wires import CLIENT, SERVER

pytestmark = [pytest.mark.engine, pytest.mark.timeout(240)]

INSTANCE = "nodes"
EGRESS = labels.egress_network(INSTANCE)
TABLE = render.table(INSTANCE)
PORTS = (22, 80, 2377)


@pytest.fixture(scope="module")
def nodes() -> Iterator[tuple[Machine, Machine]]:
    """(a manager, a worker), with a task on each, `one` and `two`, in one environment."""
    with Machine(1) as manager, Machine(2) as worker:
        cabled((manager, worker))
        manager.docker("swarm", "init", "--advertise-addr", manager.address)
        token = manager.docker("swarm", "join-token", "--quiet", "worker")
        worker.docker(
            *("swarm", "join", "--token", token, "--advertise-addr", worker.address),
            f"{manager.address}:2377",
        )
        of_node, of_swarm = way_out.networks(INSTANCE, "0001")
        for machine in (manager, worker):
            load(machine)
            _guard(machine, (manager, worker))
            machine.docker(*created(of_node))
        manager.docker(*created(of_swarm))
        manager.docker("network", "create", "--driver", "overlay", "--internal", "env")
        for name, machine in (("one", manager), ("two", worker)):
            node = machine.docker("info", "--format", "{{.Swarm.NodeID}}")
            manager.docker(
                "service", "create", "--detach", "--name", name, "--endpoint-mode", "dnsrr",
                "--network", "env", "--network", EGRESS, "--cap-drop", "NET_RAW",
                "--constraint", f"node.id=={node}", "--no-resolve-image",
                IMAGE, "python", "-c", SERVER, "[8000]",
            )  # fmt: skip
        for machine in (manager, worker):
            eventually("a task runs", lambda m=machine: m.docker("ps", "--quiet"), 60)
        yield manager, worker


def _guard(machine: Machine, all_: tuple[Machine, Machine]) -> None:
    """What the guard does there."""
    root = machine.folder / "node"
    for file in ("proc/net/route", "proc/net/ipv6_route"):
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        argv = [*machine.inside, "cat", f"/{file}"]
        (root / file).write_bytes(subprocess.run(argv, capture_output=True, check=True).stdout)
    (root / "etc").mkdir()
    (root / "etc/resolv.conf").touch()
    for device in ("docker_gwbridge", "bridge0"):
        (root / "sys/class/net" / device / "bridge").mkdir(parents=True)
    nodes = tuple(map(ipaddress.ip_address, (each.address for each in all_)))
    policy = Policy(ports=(80,), nodes=nodes)
    script = render.script(
        INSTANCE,
        labels.egress_bridges(INSTANCE),
        labels.workloads_bridges(INSTANCE),
        policy,
        facts.of_node((), Path(root)),
    )
    argv = [*machine.inside, "nft", "-f", "-"]
    subprocess.run(argv, input=script, text=True, check=True)


def _reach(machine: Machine, targets: list[str]) -> dict[str, str]:
    """From the task there."""
    argv = ["docker", "--host", machine.socket, "exec", "-i", machine.docker("ps", "--quiet")]
    done = subprocess.run(
        [*argv, "python", "-c", CLIENT],
        input=json.dumps(targets), capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return json.loads(done.stdout)


def test_names_of_the_environment_lead_to_the_other_node(nodes: tuple[Machine, Machine]):
    for machine in nodes:

        def both(on: Machine = machine) -> bool:
            return set(_reach(on, ["one:8000", "two:8000"]).values()) == {"open"}

        eventually("both answer", both, 30, 1)


def test_of_both_nodes_only_the_proxys_ports_are_open(nodes: tuple[Machine, Machine]):
    servers = [
        subprocess.Popen(
            [*machine.inside, sys.executable, "-c", SERVER, json.dumps(PORTS[:2])],
            stdout=subprocess.PIPE,
        )
        for machine in nodes
    ]
    try:
        for server in servers:
            assert server.stdout is not None
            assert server.stdout.readline() == b"up\n"
        targets = [f"{machine.address}:{port}" for machine in nodes for port in PORTS]
        wanted = {f"{machine.address}:80" for machine in nodes}
        for machine in nodes:
            answers = _reach(machine, targets)
            assert {each for each, said in answers.items() if said == "open"} == wanted, answers
        manager = nodes[0]
        subprocess.run([*manager.inside, "nft", "delete", "table", "inet", TABLE], check=True)
        assert set(_reach(manager, [f"{each.address}:22" for each in nodes]).values()) == {"open"}
    finally:
        for server in servers:
            server.kill()
            server.wait(10)
