"""What the control plane takes while nobody wants anything."""

import os
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from slipway.contracts import labels

from tests.bench.figures import Report
from tests.bench.platform import INSTANCE
from tests.bench.servers import inspect
from tests.containers import docker

SECONDS = 30.0
_TICKS = os.sysconf("SC_CLK_TCK")
_SERVICE = "com.docker.swarm.service.name"


@dataclass(frozen=True, slots=True)
class Program:
    name: str
    processes: tuple[int, ...]


def _family(process: int) -> list[int]:
    """It and its children."""
    found = [process]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").iterdir():
            found += [int(child) for child in (task / "children").read_text().split()]
    return found


def programs() -> list[Program]:
    """The control plane's containers; not the releases, and not the sample's git server."""
    ids = docker("ps", "--quiet", "--filter", f"label={labels.INSTANCE}={INSTANCE}").split()
    found = []
    for container in inspect(*ids):
        marks = container["Config"]["Labels"]
        name = marks.get(_SERVICE, container["Name"].lstrip("/")).removeprefix(f"{INSTANCE}_")
        if labels.RELEASE not in marks and name != "sample-git":
            processes = tuple(_family(container["State"]["Pid"]))
            found.append(Program(name.removeprefix(f"{INSTANCE}-"), processes))
    return sorted(found, key=lambda program: program.name)


def memory(process: int) -> float:
    """Its proportional share, in MiB: what processes share is counted once in all."""
    for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise LookupError(process)


def own(processes: Iterable[int]) -> float:
    """What they have allocated, in MiB: without the pages of their programs' files, which the
    kernel drops when it needs them."""
    kibibytes = 0
    for process in processes:
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Anonymous:"):
                kibibytes += int(line.split()[1])
    return kibibytes / 1024


def alone(processes: Iterable[int]) -> float:
    """What they would take if no other instance's programs shared pages with them, in MiB: all
    that is their own, and each file's pages once."""
    own, files = 0, defaultdict[tuple[str, str], int](int)
    for process in processes:
        place, resident = ("", ""), 0
        for line in Path(f"/proc/{process}/smaps").read_text().splitlines():
            name, _, value = line.partition(":")
            match name:
                case "Rss":
                    resident = int(value.split()[0])
                case "Anonymous":
                    anonymous = int(value.split()[0])
                    own += anonymous
                    files[place] = max(files[place], resident - anonymous)
                case _ if "-" in name.split(" ", 1)[0]:
                    # Each container has a device of its own for the same file of an image.
                    _, _, offset, _, inode, *path = line.split(maxsplit=5)
                    place = (offset, f"{inode} {path}")
                case _:
                    pass
    return (own + sum(files.values())) / 1024


def seconds(process: int) -> float:
    """CPU time so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _others() -> int:
    found = docker("ps", "--format", f'{{{{.Label "{labels.INSTANCE}"}}}}').split()
    return len(set(found) - {INSTANCE})


def measure(report: Report) -> None:
    there = programs()
    if not there:
        raise RuntimeError(f"no container of {INSTANCE} runs")
    before = {process: seconds(process) for program in there for process in program.processes}
    began = time.monotonic()
    time.sleep(SECONDS)
    elapsed = time.monotonic() - began
    sum_memory = sum_share = 0.0
    by_itself = alone(process for program in there for process in program.processes)
    kept = {}
    for program in there:
        share = 100 * sum(seconds(p) - before[p] for p in program.processes) / elapsed
        mebibytes = sum(memory(process) for process in program.processes)
        report.tell(f"idle: {program.name}", f"{mebibytes:6.1f} MiB  {share:5.2f} % of a core")
        kept[program.name] = {"mebibytes": mebibytes, "percent": share}
        sum_memory, sum_share = sum_memory + mebibytes, sum_share + share
    report.tell(
        "idle control plane, PSS as it is",
        f"{sum_memory:.0f} MiB; {_others()} other instances share pages with it",
    )
    report.judge(
        "idle control plane, PSS by itself",
        f"{by_itself:.0f} MiB of {len(there)} containers",
        "<= 500 MiB",
        by_itself <= 500,
    )
    report.judge(
        f"idle control plane, CPU over {SECONDS:.0f} s",
        f"{sum_share:.1f} % of one core",
        "<= 5 %",
        sum_share <= 5,
    )
    report.keep("idle", alone=by_itself, **kept)
