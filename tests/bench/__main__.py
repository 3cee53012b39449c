"""`python -m tests.bench [part …]`: measures the instance that `make bench` brought up against
the goals. Prints a table and writes bench.json; what is not met fails nothing.

Each goal is a ratio or a difference within one run, or generous: the same machine has fast and
slow days.
"""

import asyncio
import json
import logging
import os
import platform as machine
import sys
import traceback
from collections.abc import Callable
from dataclasses import asdict

import structlog
import uvloop

from tests.bench import (
    building,
    deploying,
    history,
    idle,
    reading,
    rebuild,
    servers,
    stacks,
    starting,
    writing,
)
from tests.bench.figures import Report
from tests.bench.platform import INSTANCE, Platform
from tests.containers import ROOT

structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def _rebuild(report: Report) -> None:
    for use in (history.HUNDRED_THOUSAND, history.MILLION):
        first, beside = uvloop.run(rebuild.measured(use))
        for name, done in (("from nothing", first), ("beside what is live", beside)):
            report.judge(
                f"rebuild of {done.events:,} events, {name}",
                f"{done.rate:,.0f} events/s ({done.seconds:.1f} s, {done.documents:,} documents, "
                f"{done.differing} differing), at most {done.peak:.0f} MiB",
                ">= 20,000 events/s, <= 400 MiB",
                done.rate >= 20_000 and done.peak <= rebuild.MOST and done.differing == 0,
            )
            report.keep(f"rebuild of {use.deployments} deployments {name}", **asdict(done))
        report.judge(
            f"read and shown while {beside.events:,} events are folded",
            f"p99: read {beside.read * 1000:.0f} ms, written until shown "
            f"{beside.shown * 1000:.0f} ms",
            "<= 500 ms",
            max(beside.read, beside.shown) <= 0.5,
        )


PARTS: dict[str, Callable[[Report], None]] = {
    "idle": idle.measure,
    "reading": lambda report: reading.measure(Platform(), report),
    "writing": lambda report: asyncio.run(writing.measure(Platform(), report)),
    "deploying": lambda report: deploying.measure(Platform(), report),
    "building": lambda report: building.measure(Platform(), report),
    "stacks": lambda report: stacks.measure(Platform(), report),
    "rebuild": _rebuild,
    "starting": starting.measure,
}


def main(wanted: list[str]) -> None:
    report = Report()
    load = os.getloadavg()[0]
    for name in wanted or list(PARTS):
        print(f"measuring: {name}", file=sys.stderr, flush=True)
        try:
            PARTS[name](report)
        except Exception as error:
            traceback.print_exc()
            report.failures[name] = repr(error)
            report.judge(f"{name} could not be measured", str(error)[:100], "a figure", False)
    servers.sweep()
    report.keep(
        "machine",
        instance=INSTANCE,
        cores=os.cpu_count(),
        load_before=load,
        load_after=os.getloadavg()[0],
        python=machine.python_version(),
    )
    print(report.table())
    print(f"\n{os.cpu_count()} cores; load {load:.1f} before, {os.getloadavg()[0]:.1f} after")
    file = ROOT / "bench.json"
    file.write_text(json.dumps(report.document(), indent=1) + "\n")
    print(f"figures: {file}")


if __name__ == "__main__":
    main(sys.argv[1:])
