"""The engine's answers as samples. Pure.

One message for a service at each interval, JSON on `met.<organization>.<service>`:

    {"at": "2026-01-02T03:04:05.678Z",     when the interval ended, UTC
     "seconds": 10.0,                      how long it is meant to be
     "containers": [
       {"step": "<Swarm task id>",         as in the log lines
        "cpu": 0.25,                       cores used over the interval; null in the first sample
        "memory": 52428800,                bytes, without the page cache that can be given back
        "memory_limit": 268435456,         bytes; the machine's memory where none is set
        "rx": 1024, "tx": 2048,            bytes received and sent since its start, all networks
        "pids": 5}]}                       processes and threads
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import orjson


class Reading(NamedTuple):
    """What the engine counted at one moment: `at` in Unix seconds, `cpu` in nanoseconds since the
    container's start; memory and network in bytes."""

    at: float
    cpu: int
    memory: int
    memory_limit: int
    rx: int
    tx: int
    pids: int


def subject(organization: str, service: str) -> str:
    return f"met.{organization}.{service}"


def reading(stats: Mapping[str, Any]) -> Reading | None:
    """None for a container that does not run: the engine then answers with zeros."""
    at = datetime.fromisoformat(stats["read"])
    memory = stats.get("memory_stats") or {}
    if at.year < 2000 or "usage" not in memory:
        return None
    details = memory.get("stats") or {}
    # The first is of cgroup v1, the second of v2.
    reclaimable = details.get("total_inactive_file", details.get("inactive_file", 0))
    networks = (stats.get("networks") or {}).values()
    return Reading(
        at=at.timestamp(),
        cpu=stats["cpu_stats"]["cpu_usage"]["total_usage"],
        memory=max(0, memory["usage"] - reclaimable),
        memory_limit=memory.get("limit", 0),
        rx=sum(network["rx_bytes"] for network in networks),
        tx=sum(network["tx_bytes"] for network in networks),
        pids=(stats.get("pids_stats") or {}).get("current", 0),
    )


def cores(before: Reading | None, now: Reading) -> float | None:
    """Cores used in between; None without a former reading, or when the container was started
    anew since then."""
    if before is None or now.at <= before.at or now.cpu < before.cpu:
        return None
    return round((now.cpu - before.cpu) / 1e9 / (now.at - before.at), 4)


def sample(step: str, before: Reading | None, now: Reading) -> dict[str, Any]:
    return {
        "step": step,
        "cpu": cores(before, now),
        "memory": now.memory,
        "memory_limit": now.memory_limit,
        "rx": now.rx,
        "tx": now.tx,
        "pids": now.pids,
    }


def message(at: str, seconds: float, samples: Sequence[Mapping[str, Any]]) -> bytes:
    return orjson.dumps({"at": at, "seconds": seconds, "containers": samples})
