"""What can be reached from a container of a network."""

import ipaddress
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.e2e.api import Api
from tests.e2e.engine import container_of, docker, eventually, inspect
from tests.e2e.instance import INSTANCE, MARK, service

PROGRAM = """
import concurrent.futures, contextlib, ipaddress, json, pathlib, socket, struct, sys

REQUEST = b"GET /healthz HTTP/1.1\\r\\nHost: nobody.example\\r\\nConnection: close\\r\\n\\r\\n"

def networks():
    rows = [row.split() for row in pathlib.Path("/proc/net/route").read_text().splitlines()[1:]]
    address = lambda text: socket.inet_ntoa(struct.pack("<I", int(text, 16)))
    found = [f"{address(row[1])}/{address(row[7])}" for row in rows]
    return [ipaddress.ip_network(text) for text in found if not text.startswith("0.0.0.0/")]

def ask(target):
    host, port = target.rsplit(":", 1)
    try:
        found = ipaddress.ip_address(socket.gethostbyname(host))
        if not any(found in network for network in known):
            return "closed: neither the container nor the machine has a route there"
        connection = socket.create_connection((str(found), int(port)), 3)
    except OSError as error:
        return f"closed: {error}"
    said = b""
    with connection, contextlib.suppress(OSError):
        connection.settimeout(3)
        connection.sendall(REQUEST)
        while len(said) < 2000 and (part := connection.recv(2000)):
            said += part
    lines = said.decode("latin-1").splitlines()
    return "open: " + " | ".join(x for x in lines if not x.lower().startswith("date:"))[:300]

if sys.argv[1:] == ["networks"]:
    print(json.dumps([str(network) for network in networks()]))
else:
    targets, machine = json.load(sys.stdin)
    known = networks() + [ipaddress.ip_network(text) for text in machine]
    with concurrent.futures.ThreadPoolExecutor(64) as pool:
        print(json.dumps(dict(zip(targets, pool.map(ask, targets)))))
"""


def machine_networks() -> list[str]:
    """To which the machine has routes, but for its way out."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "networks"], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def near(target: str) -> bool:
    """Whether it would not leave this machine on its way to the address of `target`."""
    address = ipaddress.ip_address(target.rpartition(":")[0])
    return any(address in ipaddress.ip_network(network) for network in machine_networks())


def reach(network: str, targets: list[str]) -> dict[str, str]:
    """`host:port` → `open: <begin of the answer>` or `closed: <why>`. Nothing is asked that would
    leave this machine: an address to which neither the container nor the machine has a route but
    the way out is out of reach."""
    argv = ["run", "--rm", "-i", "--network", network, "--label", MARK, "python:3.13-slim"]
    asked = json.dumps([targets, machine_networks()])
    return json.loads(docker(*argv, "python", "-c", PROGRAM, input_=asked))


def reach_from(container: str, targets: list[str]) -> dict[str, str]:
    """The same, from a container that runs and has Python."""
    asked = json.dumps([targets, machine_networks()])
    return json.loads(docker("exec", "-i", container, "python", "-c", PROGRAM, input_=asked))


def gateways() -> list[str]:
    """The machine, as containers see it over the bridges."""
    networks = [inspect("network", name) for name in ("docker_gwbridge", "bridge")]
    return [network["IPAM"]["Config"][0]["Gateway"] for network in networks]


def bridged() -> list[str]:
    """The addresses that containers of overlay networks have on the bridge they all share."""
    there = inspect("network", "docker_gwbridge")["Containers"].values()
    return [entry["IPv4Address"].partition("/")[0] for entry in there if entry["IPv4Address"]]


@contextmanager
def let_out(api: Api, target: str) -> Iterator[None]:
    """`address:port` may be called meanwhile, by every workload and build."""
    place = "/v1/admin/egress"
    api.ok("PUT", place, {"allow": [*api.get(place)["allow"], target]})
    address, _, port = target.rpartition(":")
    chain = ("nft", "list", "chain", "inet", f"{INSTANCE}-guard", "egress")

    def open_() -> bool:
        rules = docker("exec", container_of(service("guard")), *chain, check=False).splitlines()
        return any(address in rule and port in rule and "accept" in rule for rule in rules)

    eventually(f"{target} is let out", open_, 40)
    try:
        yield
    finally:
        left = [each for each in api.get(place)["allow"] if each != target]
        api.ok("PUT", place, {"allow": left})
