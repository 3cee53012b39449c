"""metrics as a process, beside a real log and a real engine: what containers print is stored line
for line, whoever dies in between."""

import asyncio
import json
import os
import secrets
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from slipway.contracts.logs import LogLine, run_subject
from slipway.contracts.project import ProjectCreated
from slipway.eventstore.jetstream import Connection, connect
from slipway.kernel.envelope import NOTHING, Actor, Meta, Subject

from tests.containers import docker, image
from tests.contract import conftest as contract
from tests.contract.conftest import NatsServer

nats_server = contract.nats_server
pytestmark = [pytest.mark.engine, pytest.mark.timeout(180)]

COUNTING = """
import sys, time
for number in range(int(sys.argv[1])):
    print(f"line {number}", file=sys.stderr if number % 3 == 2 else sys.stdout, flush=True)
    time.sleep(float(sys.argv[2]))
"""


STARTED = '"event": "started"'


def wait_until(check: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.05)


class Metrics:
    """The service as a process of its own, for an instance of its own."""

    def __init__(self, server: NatsServer, folder: Path) -> None:
        self.instance = f"test-metrics-{secrets.token_hex(3)}"
        self.anchors = folder / "anchors"
        self.output = folder / "output"
        self._environment = {
            **os.environ,
            "SLIPWAY_INSTANCE": self.instance,
            "SLIPWAY_NATS_URL": server.url,
            "SLIPWAY_NATS_USER": "metrics",
            "SLIPWAY_NATS_PASSWORD": server.passwords["metrics"],
            "SLIPWAY_ANCHORS": str(self.anchors),
            "SLIPWAY_SAMPLE_SECONDS": "0.5",
            "SLIPWAY_ANCHOR_SECONDS": "0.5",
            "SLIPWAY_RECONCILE_SECONDS": "1",
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._containers: list[str] = []
        self._starts = 0

    def told(self, text: str) -> int:
        return self.output.read_text().count(text) if self.output.exists() else 0

    def start(self, **settings: str) -> None:
        self._starts = self.told(STARTED)
        environment = {**self._environment, **settings}
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "metrics"], env=environment, stdout=output, stderr=output
            )

    @property
    def pid(self) -> int:
        assert self._process is not None
        assert self._process.poll() is None, self.output.read_text()
        return self._process.pid

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        self._process.wait(10)  # type: ignore[union-attr]

    def stop(self) -> None:
        wait_until(lambda: self.told(STARTED) > self._starts)
        os.kill(self.pid, signal.SIGTERM)
        assert self._process is not None
        assert self._process.wait(15) == 0, self.output.read_text()

    def run(self, service: str, *argv: str, flags: tuple[str, ...] = ()) -> str:
        """A container of that service; its id."""
        marks = {
            "slipway.instance": self.instance,
            "slipway.org": "org-m",
            "slipway.service": service,
            "com.docker.swarm.task.id": f"task-{secrets.token_hex(4)}",
        }
        given = [part for name, value in marks.items() for part in ("--label", f"{name}={value}")]
        container = docker("run", "--detach", *given, *flags, image("python"), *argv)
        self._containers.append(container)
        return container

    def clear(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(10)
        for container in self._containers:
            subprocess.run(
                ["docker", "rm", "--force", "--volumes", container],
                capture_output=True,
                check=False,
            )


@pytest.fixture
def metrics(nats_server: NatsServer, tmp_path: Path) -> Iterator[Metrics]:
    service = Metrics(nats_server, tmp_path)
    try:
        yield service
    finally:
        service.clear()


@pytest.fixture
async def admin(nats_server: NatsServer) -> AsyncIterator[Connection]:
    connection = await connect(nats_server.url, "admin", nats_server.passwords["admin"])
    yield connection
    await connection.close()


async def lines(admin: Connection, service: str) -> list[LogLine]:
    subject = run_subject("org-m", service)
    return [line async for _, batch in admin.logs.read(subject) for line in batch]


async def until(admin: Connection, service: str, count: int, seconds: float = 30) -> list[str]:
    """The texts, once there are as many."""
    deadline = time.monotonic() + seconds
    while True:
        texts = [line.text for line in await lines(admin, service)]
        if len(texts) >= count:
            return texts
        assert time.monotonic() < deadline, f"{len(texts)} of {count} lines: {texts[-3:]}"
        await asyncio.sleep(0.05)


def numbered(count: int) -> Counter[str]:
    return Counter(f"line {number}" for number in range(count))


async def test_no_line_is_lost_or_doubled_over_kills(admin: Connection, metrics: Metrics):
    service, count = uuid.uuid4().hex, 2400
    metrics.start()
    metrics.run(service, "python", "-c", COUNTING, str(count), "0.004")
    for after in (0.5, 1.7, 1.0, 2.3):
        await asyncio.sleep(after)
        metrics.kill()
        await asyncio.sleep(0.2)
        metrics.start()
    await until(admin, service, count)
    await asyncio.sleep(0.6)
    found = await lines(admin, service)
    assert Counter(line.text for line in found) == numbered(count)
    numbers = [int(line.text.split()[1]) for line in found]
    for stream in ("stdout", "stderr"):
        mine = [n for n, line in zip(numbers, found, strict=True) if line.stream == stream]
        assert mine == sorted(mine)
    assert all(
        (line.stream == "stderr") == (n % 3 == 2) for n, line in zip(numbers, found, strict=True)
    )


async def test_a_server_that_dies_loses_and_doubles_nothing(
    admin: Connection, metrics: Metrics, nats_server: NatsServer
):
    service, count = uuid.uuid4().hex, 1500
    metrics.start()
    metrics.run(service, "python", "-c", COUNTING, str(count), "0.004")
    for _ in range(2):
        await asyncio.sleep(1.1)
        await asyncio.to_thread(nats_server.kill)
        await asyncio.sleep(1)
        await asyncio.to_thread(nats_server.start)
    await until(admin, service, count, 60)
    await asyncio.sleep(0.6)
    assert Counter(line.text for line in await lines(admin, service)) == numbered(count)
    assert metrics.pid


async def test_the_positions_file_lost_costs_no_line(admin: Connection, metrics: Metrics):
    service = uuid.uuid4().hex
    metrics.start()
    metrics.run(service, "python", "-c", COUNTING, "600", "0.005")
    await until(admin, service, 100)
    metrics.kill()
    (metrics.anchors / "log-positions.json").unlink(missing_ok=True)
    metrics.start()
    await until(admin, service, 600)
    await asyncio.sleep(0.6)
    assert Counter(line.text for line in await lines(admin, service)) == numbered(600)


async def test_a_container_that_prints_and_dies_at_once(admin: Connection, metrics: Metrics):
    metrics.start()
    for _ in range(3):
        service = uuid.uuid4().hex
        metrics.run(service, "python", "-c", "print('last words', end='')")
        assert await until(admin, service, 1) == ["last words"]
    # And one that lived and died while nobody looked.
    metrics.kill()
    service = uuid.uuid4().hex
    metrics.run(service, "python", "-c", "print('unseen')")
    await asyncio.sleep(1)
    metrics.start()
    assert await until(admin, service, 1) == ["unseen"]


async def test_lines_are_live_and_the_drain_stores_what_was_read(
    admin: Connection, metrics: Metrics
):
    service = uuid.uuid4().hex
    metrics.start()
    program = "import time\nfor n in range(500): print(time.time(), flush=True); time.sleep(0.05)"
    metrics.run(service, "python", "-c", program)
    follower = admin.logs.read(run_subject("org-m", service), follow=True)
    delays = []
    async with asyncio.timeout(30):
        async for _, batch in follower:
            delays.append(time.time() - float(batch[0].text))
            if len(delays) >= 20:
                break
    assert sorted(delays)[len(delays) // 2] < 0.5
    before = time.time()
    metrics.stop()
    stored = [float(line.text) for line in await lines(admin, service)]
    assert stored[-1] > before - 0.2


async def test_a_terminal_and_a_long_line(admin: Connection, metrics: Metrics):
    metrics.start()
    terminal, long = uuid.uuid4().hex, uuid.uuid4().hex
    program = "print('one'); print('x' * 40_000); print('ü three')"
    metrics.run(terminal, "python", "-c", program, flags=("--tty",))
    metrics.run(long, "python", "-c", program)
    for service in (terminal, long):
        one, cut, three = await until(admin, service, 3)
        assert (one, three) == ("one", "ü three")
        assert cut.startswith("x" * 16384 + " … (cut: 40")


async def test_a_flood_is_dropped_and_counted(admin: Connection, metrics: Metrics):
    service, count = uuid.uuid4().hex, 60_000
    metrics.start(SLIPWAY_LOG_LINES_PER_SECOND="1000")
    program = f"for n in range({count}): print('line', n)\nprint('end', flush=True)"
    metrics.run(service, "python", "-c", program)
    deadline = time.monotonic() + 60
    while True:
        found = await lines(admin, service)
        told = [line for line in found if line.stream == "system"]
        dropped = sum(int(line.text.split()[0]) for line in told)
        if len(found) - len(told) + dropped >= count + 1:
            break
        assert time.monotonic() < deadline
        await asyncio.sleep(0.2)
    assert len(found) - len(told) + dropped == count + 1
    assert dropped > count / 2
    assert all("more than 1000 in a second" in line.text for line in told)


async def test_samples_and_anchors(admin: Connection, metrics: Metrics):
    service = uuid.uuid4().hex
    samples: asyncio.Queue[bytes] = asyncio.Queue()

    async def arrived(message: object) -> None:
        samples.put_nowait(message.data)  # type: ignore[attr-defined]

    await admin.client.subscribe(f"met.org-m.{service}", cb=arrived)
    metrics.start()
    program = "import time\nend = time.time() + 60\nwhile time.time() < end: pass"
    metrics.run(service, "python", "-c", program, flags=("--memory", "64m"))
    async with asyncio.timeout(30):
        await samples.get()
        sample = json.loads(await samples.get())
    (row,) = sample["containers"]
    assert row["step"].startswith("task-")
    assert 0.2 < row["cpu"] < 1.2
    assert 1 << 20 < row["memory"] < row["memory_limit"] == 64 << 20
    assert row["pids"] >= 1

    async def append() -> int:
        meta = Meta(str(uuid.uuid4()), datetime.now(UTC), Actor("user", "u1"), "corr")
        subject = Subject("org-m", "project", str(uuid.uuid4()))
        created = ProjectCreated(name="Shop", environment="e1")
        return (await admin.store.append(subject, NOTHING, [created], meta)).sequence

    async def anchored(sequence: int) -> list[dict[str, object]]:
        file = metrics.anchors / "anchors.jsonl"
        deadline = time.monotonic() + 10
        while True:
            rows = [json.loads(line) for line in file.open()] if file.exists() else []
            if rows and rows[-1]["sequence"] >= sequence:
                return rows
            assert time.monotonic() < deadline, metrics.output.read_text()
            await asyncio.sleep(0.1)

    first = await anchored(await append())
    metrics.kill()
    second = await append()
    metrics.start()
    rows = await anchored(second)
    assert rows[: len(first)] == first

    # The record of a log that was another: found at the next start, told once, and no more.
    metrics.stop()
    file = metrics.anchors / "anchors.jsonl"
    rows = [json.loads(line) for line in file.open()]
    rows[-1]["hash"] = "0" * 64
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    before = file.read_text()
    for times in (1, 2):
        metrics.start()
        await asyncio.to_thread(wait_until, lambda n=times: metrics.told("LOG IS DAMAGED") == n)
        await asyncio.sleep(1)
        metrics.stop()
    alerts = await admin.store.heads("_", "alert")
    mine = [a for a in alerts if "changed at or before" in str(a.events[0])]
    assert len(mine) == 1
    assert len(await admin.store.load(mine[0].subject)) == 1
    assert file.read_text() == before
