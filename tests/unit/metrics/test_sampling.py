"""The engine's numbers → samples."""

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from metrics.container import Container, container
from metrics.sampling.react import Sampling
from metrics.sampling.render import Reading, cores, reading, sample
from slipway.runtime.engine import EngineAway

AT = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)


def stats(second: int, cpu: int, **memory: Any) -> dict[str, Any]:
    return {
        "read": f"2026-01-02T03:04:{second:02d}.123456789Z",
        "cpu_stats": {"cpu_usage": {"total_usage": cpu}},
        "memory_stats": memory or {"usage": 100, "limit": 1000, "stats": {"inactive_file": 40}},
        "networks": {
            "eth0": {"rx_bytes": 1, "tx_bytes": 10},
            "eth1": {"rx_bytes": 2, "tx_bytes": 20},
        },
        "pids_stats": {"current": 7},
    }


def read(second: int, cpu: int, **memory: Any) -> Reading:
    found = reading(stats(second, cpu, **memory))
    assert found is not None
    return found


def test_a_sample_of_two_readings():
    assert sample("task", read(0, 1_000_000_000), read(10, 3_500_000_000)) == {
        "step": "task", "cpu": 0.25, "memory": 60, "memory_limit": 1000,
        "rx": 3, "tx": 30, "pids": 7,
    }  # fmt: skip


def test_cores_need_two_readings_of_one_life():
    assert cores(None, read(1, 5)) is None
    assert cores(read(1, 5), read(1, 6)) is None
    assert cores(read(1, 5), read(2, 4)) is None, "the container was started anew"


def test_memory_is_without_what_can_be_given_back_in_both_versions_of_cgroups():
    v1 = {"total_inactive_file": 30, "inactive_file": 10}
    assert read(1, 1, usage=100, limit=5, stats=v1).memory == 70
    assert read(1, 1, usage=100, limit=5, stats={"inactive_file": 10}).memory == 90
    assert read(1, 1, usage=100, limit=5, stats={}).memory == 100


def test_a_container_that_does_not_run_has_no_reading():
    assert reading({"read": "0001-01-01T00:00:00Z", "memory_stats": {}}) is None
    assert reading({**stats(1, 1), "memory_stats": {}}) is None
    without = {**stats(1, 1), "networks": None, "pids_stats": {}}
    found = reading(without)
    assert found is not None
    assert (found.rx, found.tx, found.pids) == (0, 0, 0)


def test_only_containers_of_services_count():
    marks = {"slipway.instance": "slipway", "slipway.org": "o", "slipway.service": "a"}
    task = {**marks, "com.docker.swarm.task.id": "t1"}
    assert container("c" * 64, task, True) == Container("c" * 64, "o", "a", "t1", True)
    assert container("c" * 64, marks, True) == Container("c" * 64, "o", "a", "c" * 12, True)
    assert container("c" * 64, {"slipway.instance": "slipway"}, True) is None


class Engine:
    def __init__(self, *boxes: Container) -> None:
        self.boxes = list(boxes)
        self.answers: Mapping[str, Mapping[str, Any] | None] = {}
        self.away = False
        self.asked = 0

    async def containers(self) -> list[Container]:
        if self.away:
            raise EngineAway("gone")
        return self.boxes

    async def stats(self, id_: str) -> Mapping[str, Any] | None:
        self.asked += 1
        return self.answers[id_]


class Samples:
    def __init__(self) -> None:
        self.sent: list[tuple[str, Any]] = []

    async def publish(self, subject: str, data: bytes) -> None:
        self.sent.append((subject, json.loads(data)))


class Clock:
    def now(self) -> datetime:
        return AT

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


def box(id_: str, service: str) -> Container:
    return Container(id_, "org", service, f"task-{id_}", True)


async def test_one_message_for_each_service():
    engine, samples = (
        Engine(box("a", "one"), box("b", "one"), box("c", "two"), box("d", "x")),
        Samples(),
    )
    sampling = Sampling(engine, samples, Clock(), 10.0)
    for second in (0, 10):
        engine.answers = {id_: stats(second, second * 10**9) for id_ in "abc"} | {"d": None}
        await sampling.once()
    assert [subject for subject, _ in samples.sent] == ["met.org.one", "met.org.two"] * 2
    first, second = samples.sent[0][1], samples.sent[2][1]
    assert [row["cpu"] for row in first["containers"]] == [None, None]
    assert second["at"] == "2026-01-02T03:04:05.678Z"
    assert second["seconds"] == 10.0
    rows = {row["step"]: row["cpu"] for row in second["containers"]}
    assert rows == {"task-a": 1.0, "task-b": 1.0}


async def test_without_containers_there_is_nothing_to_do():
    engine, samples = Engine(), Samples()
    await Sampling(engine, samples, Clock(), 10.0).once()
    assert samples.sent == []
    assert engine.asked == 0


async def test_an_engine_that_is_away_does_not_end_it():
    engine, samples = Engine(box("a", "one")), Samples()
    engine.away = True
    running = asyncio.create_task(Sampling(engine, samples, Clock(), 0.0).run())
    await asyncio.sleep(0.02)
    engine.away, engine.answers = False, {"a": stats(1, 1)}
    await asyncio.sleep(0.02)
    running.cancel()
    await asyncio.wait([running])
    assert samples.sent


async def test_a_container_whose_numbers_cannot_be_read_does_not_stop_the_others():
    engine, samples = Engine(box("a", "one"), box("b", "two")), Samples()
    engine.answers = {"a": {"read": 7}, "b": stats(1, 1)}
    await Sampling(engine, samples, Clock(), 10.0).once()
    assert [subject for subject, _ in samples.sent] == ["met.org.two"]
