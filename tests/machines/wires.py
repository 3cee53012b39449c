"""Network namespaces with wires between them: a workload, its machine, and what is outside of it.
Nothing leaves them. Needs root and the programs ip, nsenter and nft."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from tests.machines.engine import run

SERVER = """
import asyncio, json, sys

async def main():
    async def answer(reader, writer):
        while said := await reader.read(100):
            writer.write(said)
        writer.close()
    for port in json.loads(sys.argv[1]):
        await asyncio.start_server(answer, ["0.0.0.0", "::"], port)
    print("up", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""
CLIENT = """
import concurrent.futures, json, socket, sys

def ask(target):
    target, _, source = target.partition(" from ")
    host, _, port = target.rpartition(":")
    own = (source, 0) if source else None
    try:
        socket.create_connection((host.strip("[]"), int(port)), 2, own).close()
    except OSError as error:
        return error.strerror or "timed out"
    return "open"

targets = json.load(sys.stdin)
with concurrent.futures.ThreadPoolExecutor(64) as pool:
    print(json.dumps(dict(zip(targets, pool.map(ask, targets)))))
"""


class Namespace:
    """`with Namespace("outside") as one:`, with a loopback that is up."""

    def __init__(self, name: str) -> None:
        self.name = f"slipway-w{os.getpid()}-{name}"
        self._servers: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Self:
        run("ip", "netns", "add", self.name)
        self.ip("link", "set", "lo", "up")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for server in self._servers:
            server.kill()
            server.wait(10)
        run("ip", "netns", "del", self.name)

    @property
    def inside(self) -> tuple[str, ...]:
        return ("nsenter", f"--net=/run/netns/{self.name}")

    def ip(self, *argv: str) -> str:
        return run("ip", "-n", self.name, *argv)

    def address(self, text: str, device: str) -> None:
        at_once = ["nodad"] if ":" in text else []
        self.ip("addr", "add", text, "dev", device, *at_once)

    def nft(self, script: str) -> str:
        done = subprocess.run(
            [*self.inside, "nft", "-f", "-"],
            input=script, capture_output=True, text=True, timeout=20, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{done.stderr}\n{script}"
        return done.stdout

    def serve(self, ports: Sequence[int]) -> None:
        """At all its addresses, until the end."""
        argv = [*self.inside, sys.executable, "-c", SERVER, json.dumps(ports)]
        server = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        self._servers.append(server)
        assert server.stdout is not None
        assert server.stdout.readline() == "up\n"

    def reach(self, targets: Sequence[str]) -> dict[str, str]:
        """`host:port` → `open`, or what the system said. `host:port from address`: from that one of
        its addresses."""
        done = subprocess.run(
            [*self.inside, sys.executable, "-c", CLIENT],
            input=json.dumps(targets), capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
        return json.loads(done.stdout)


type End = tuple[Namespace, str, Sequence[str]]
"""Where a wire ends: the namespace, the device, its addresses with their prefixes."""


def wire(one: End, other: End) -> None:
    run(
        "ip", "link", "add", one[1], "netns", one[0].name,
        "type", "veth", "peer", "name", other[1], "netns", other[0].name,
    )  # fmt: skip
    for space, device, addresses in (one, other):
        for each in addresses:
            space.address(each, device)
        space.ip("link", "set", device, "up")
