"""What of the platform can be reached from outside, and who holds the engine."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import registry
from tests.e2e.engine import container_of, containers, docker, inspect, services
from tests.e2e.instance import CONTROL_PLANE, INSTANCE, service

pytestmark = [pytest.mark.engine, pytest.mark.timeout(60)]

SOCKET = "/var/run/docker.sock"
HOLDERS = {service(name) for name in CONTROL_PLANE} - {service("api-gateway")}
"""Who has the engine's socket. The gateway does not, and neither does anything deployed."""
WIDE = {"", "0.0.0.0", "::"}


def published(filter_: str) -> dict[int, set[str]]:
    """Port of this machine → the addresses at which running containers publish it."""
    found: dict[int, set[str]] = {}
    ids = containers(*([filter_] if filter_ else []))
    for container in json.loads(docker("container", "inspect", *ids)) if ids else []:
        for bound in (container["NetworkSettings"]["Ports"] or {}).values():
            for one in bound or ():
                found.setdefault(int(one["HostPort"]), set()).add(one["HostIp"])
    return found


def listeners() -> dict[str, int]:
    """Inode of every TCP socket that listens beyond loopback → its port."""
    found = {}
    for file in ("/proc/net/tcp", "/proc/net/tcp6"):
        for row in Path(file).read_text().splitlines()[1:]:
            fields = row.split()
            address, port = fields[1].split(":")
            loopback = address.endswith("7F") or address == f"{'0' * 24}01000000"
            if fields[3] == "0A" and not loopback:
                found[fields[9]] = int(port, 16)
    return found


def ports_of(*programs: str) -> set[int]:
    """Ports beyond loopback on which these programs listen."""
    wide, found = listeners(), set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "comm").read_text().strip() not in programs:
                continue
            links = [str(link.readlink()) for link in (process / "fd").iterdir()]
        except OSError:
            continue
        inodes = {link.removeprefix("socket:[").rstrip("]") for link in links}
        found |= {port for inode, port in wide.items() if inode in inodes}
    return found


def test_only_http_and_https_are_published_beyond_loopback(
    settings: dict[str, str], http_address: str
):
    own = published(f"label=slipway.instance={INSTANCE}")
    wide = {port for port, addresses in own.items() if addresses & WIDE}
    assert int(http_address.rpartition(":")[2]) in wide
    assert len(wide) == 2, f"published at every address: {own}"
    api = int(settings["SLIPWAY_URL"].rpartition(":")[2])
    images = int(registry.place().rpartition(":")[2])
    for port in (api, images):
        assert own[port] == {"127.0.0.1"}, f"{port} is published at {own[port]}"
    assert own.keys() == wide | {api, images}, own


def test_the_engine_listens_beyond_loopback_for_nothing_else():
    public = {port for port, addresses in published("").items() if addresses & WIDE}
    assert ports_of("dockerd", "docker-proxy", "containerd") <= public


def test_no_service_publishes_a_port():
    names = services(f"slipway.instance={INSTANCE}")
    assert {service(name) for name in CONTROL_PLANE} <= set(names)
    ports = {name: inspect("service", name)["Endpoint"].get("Ports") for name in names}
    assert {name: found for name, found in ports.items() if found} == {}
    gateway = inspect("container", container_of(service("api-gateway")))
    assert not any((gateway["NetworkSettings"]["Ports"] or {}).values()), "the gateway's ports"


def holds_socket(mounts: list[dict[str, Any]]) -> bool:
    return any(SOCKET in (mount.get("Source"), mount.get("Target")) for mount in mounts)


def test_only_those_who_need_it_hold_the_engine_socket():
    names = services(f"slipway.instance={INSTANCE}")
    specs = {name: inspect("service", name)["Spec"]["TaskTemplate"] for name in names}
    mounts = {name: spec["ContainerSpec"].get("Mounts") or [] for name, spec in specs.items()}
    assert {name for name, found in mounts.items() if holds_socket(found)} == HOLDERS
    others = [
        container["Name"]
        for container in map(lambda id_: inspect("container", id_), containers())
        if container["Config"]["Labels"].get("slipway.instance") == INSTANCE
        and "com.docker.swarm.service.name" not in container["Config"]["Labels"]
        and holds_socket(container["Mounts"])
    ]
    assert others == []


def test_the_gateway_runs_without_rights():
    container = inspect("container", container_of(service("api-gateway")))
    assert container["Config"]["User"] not in {"", "0", "root", "0:0"}
    assert container["HostConfig"]["ReadonlyRootfs"]
    assert container["HostConfig"]["CapDrop"] == ["ALL"]
