"""What can be reached from a container of a network."""

import json

from tests.e2e.engine import docker, inspect
from tests.e2e.instance import MARK

NOBODY = "10.255.255.1"
"""Of the range that the engine takes its networks from, and in none of them. There are machines
beyond which something answers for every address: what answers like that is not what was asked."""

PROGRAM = """
import concurrent.futures, contextlib, json, socket, sys

REQUEST = b"GET /healthz HTTP/1.1\\r\\nHost: nobody.example\\r\\nConnection: close\\r\\n\\r\\n"

def ask(target):
    host, port = target.rsplit(":", 1)
    try:
        connection = socket.create_connection((host, int(port)), 3)
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

targets, nobody = json.load(sys.stdin)
ports = {target.rpartition(":")[2] for target in targets}
asked = [*targets, *(f"{nobody}:{port}" for port in ports)]
with concurrent.futures.ThreadPoolExecutor(64) as pool:
    found = dict(zip(asked, pool.map(ask, asked)))
for target in targets:
    if found[target] == found[nobody + ":" + target.rpartition(":")[2]]:
        found[target] = "closed: as where nobody is: " + found[target]
print(json.dumps({target: found[target] for target in targets}))
"""


def reach(network: str, targets: list[str]) -> dict[str, str]:
    """`host:port` → `open: <begin of the answer>` or `closed: <why>`."""
    argv = ["run", "--rm", "-i", "--network", network, "--label", MARK, "python:3.13-slim"]
    asked = json.dumps([targets, NOBODY])
    return json.loads(docker(*argv, "python", "-c", PROGRAM, input_=asked))


def gateways() -> list[str]:
    """The machine, as containers see it over the bridges."""
    networks = [inspect("network", name) for name in ("docker_gwbridge", "bridge")]
    return [network["IPAM"]["Config"][0]["Gateway"] for network in networks]


def bridged() -> list[str]:
    """The addresses that containers of overlay networks have on the bridge they all share."""
    there = inspect("network", "docker_gwbridge")["Containers"].values()
    return [entry["IPv4Address"].partition("/")[0] for entry in there if entry["IPv4Address"]]
