"""A bounded, open-loop HTTP load with no retries, standard library only, so that the same file
runs on the host and, by standard input, in a container of an environment.

    python load.py --address 127.0.0.1:80 --host app.localhost --rate 200 --seconds 60

Half of the requests open a connection of their own, the others share kept-alive ones. It prints
`{"begun": …}` after its first answer. It ends after `--seconds`, or as soon as its standard input
closes (with `--until-eof`), and prints one JSON object: requests, failed, failures (the first 20,
with the time), rate, connections (new, reused), and for each version and each host that answered
the number of answers and when the first and the last request that it answered were sent.
"""

import argparse
import asyncio
import json
import os
import socket
import sys
import time
from contextlib import suppress

LIMIT = 100_000


class Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, host: str, port: int) -> "Connection":
        """To the first address of the name: trying the next one would be a retry."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, family=socket.AF_INET, type=socket.SOCK_STREAM)
        return cls(*await asyncio.open_connection(str(found[0][4][0]), port))

    @property
    def open_still(self) -> bool:
        return not (self.reader.at_eof() or self.reader.exception() or self.writer.is_closing())

    async def get(self, path: str, host: str, *, keep: bool) -> tuple[int, bytes, bool]:
        """(status, body, whether the server keeps the connection)."""
        wish = "keep-alive" if keep else "close"
        self.writer.write(
            f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: {wish}\r\n\r\n".encode()
        )
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status = int(head.split(" ", 2)[1])
        fields = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in head.split("\r\n")[1:])
        }
        body = await self.reader.readexactly(int(fields.get("content-length", "0")))
        return status, body, keep and fields.get("connection", "").lower() != "close"

    def close(self) -> None:
        self.writer.close()


class Load:
    def __init__(self, address: str, host: str, path: str, timeout: float) -> None:
        self.to, port = address.rsplit(":", 1)
        self.port, self.host, self.path, self.timeout = int(port), host, path, timeout
        self.idle: list[Connection] = []
        self.requests = self.failed = 0
        self.failures: list[dict[str, object]] = []
        self.refusals: dict[str, dict[str, float]] = {}
        self.connections = {"new": 0, "reused": 0}
        self.versions: dict[str, dict[str, float]] = {}
        self.hosts: dict[str, dict[str, float]] = {}

    def kept(self) -> Connection | None:
        """One that the other side has not closed, as any client would look before it writes."""
        while self.idle:
            connection = self.idle.pop()
            if connection.open_still:
                return connection
            connection.close()
        return None

    def heard(self, sent: float, body: dict[str, str]) -> None:
        if not self.versions:
            print(json.dumps({"begun": sent}), flush=True)
        self.count(self.versions, body["version"], sent)
        self.count(self.hosts, body["host"], sent)

    @staticmethod
    def count(seen: dict[str, dict[str, float]], name: str, sent: float) -> None:
        one = seen.setdefault(name, {"answers": 0, "first": sent, "last": sent})
        one["answers"] += 1
        one["first"], one["last"] = min(one["first"], sent), max(one["last"], sent)

    async def one(self, keep: bool) -> None:
        sent, connection, reused, refused = time.time(), None, False, ""
        self.requests += 1
        try:
            async with asyncio.timeout(self.timeout):
                connection = self.kept() if keep else None
                reused = connection is not None
                if connection is None:
                    connection = await Connection.open(self.to, self.port)
                self.connections["reused" if reused else "new"] += 1
                sent = time.time()
                status, body, kept = await connection.get(self.path, self.host, keep=keep)
            refused = str(status)
            if status != 200:
                raise OSError(f"status {status}: {body[:120]!r}")
            self.heard(sent, json.loads(body))
            if kept:
                self.idle.append(connection)
                connection = None
        except (OSError, EOFError, TimeoutError, ValueError, KeyError) as error:
            self.failed += 1
            self.count(self.refusals, refused or type(error).__name__, sent)
            if len(self.failures) < 20:
                kind = "reused" if reused else "new"
                self.failures.append({"at": sent, "connection": kind, "error": repr(error)})
        finally:
            if connection is not None:
                connection.close()

    async def run(self, rate: float, seconds: float, stop: asyncio.Event) -> dict[str, object]:
        begin = time.monotonic()
        number = 0
        async with asyncio.TaskGroup() as group:
            while number < LIMIT and not stop.is_set():
                due = begin + number / rate
                if due > begin + seconds:
                    break
                if (wait := due - time.monotonic()) > 0:
                    await asyncio.sleep(wait)
                group.create_task(self.one(keep=number % 2 == 0))
                number += 1
            elapsed = time.monotonic() - begin  # the last answers may take their time
        for connection in self.idle:
            connection.close()
        return {
            "requests": self.requests,
            "failed": self.failed,
            "failures": self.failures,
            "rate": round(self.requests / elapsed, 1),
            "connections": self.connections,
            "versions": self.versions,
            "hosts": self.hosts,
            "refusals": self.refusals,
        }


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--address", required=True, help="host:port to connect to")
    parser.add_argument("--host", required=True, help="the Host header")
    parser.add_argument("--path", default="/")
    parser.add_argument("--rate", type=float, default=220.0)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--timeout", type=float, default=10.0)
    parser.add_argument("--until-eof", action="store_true")
    given = parser.parse_args()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    if given.until_eof:

        def read() -> None:
            with suppress(OSError):
                if not os.read(sys.stdin.fileno(), 1):
                    loop.remove_reader(sys.stdin)
                    stop.set()

        loop.add_reader(sys.stdin, read)
    load = Load(given.address, given.host, given.path, given.timeout)
    report = await load.run(given.rate, given.seconds, stop)
    print(json.dumps(report), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
