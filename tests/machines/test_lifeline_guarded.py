"""What the engine runs in a container whose rules don't stand yet: a program waits, and so does its
health check. Lifeline alone, in a namespace whose way out is the machine."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from slipway.egress import render
from slipway.egress.policy import Facts, Policy

from tests.e2e.engine import eventually
from tests.machines.wires import Namespace, wire

SOURCES = Path(__file__).parents[2] / "infra/lifeline"


@pytest.fixture(scope="module")
def lifeline(tmp_path_factory: pytest.TempPathFactory) -> str:
    made = tmp_path_factory.mktemp("lifeline") / "lifeline"
    argv = ["gcc", "-static", "-Os", "-o", str(made), *map(str, sorted(SOURCES.glob("*.c")))]
    subprocess.run(argv, check=True)
    return str(made)


@pytest.fixture
def spaces() -> Iterator[tuple[Namespace, Namespace]]:
    """(the machine, the workload)"""
    with Namespace("machine") as machine, Namespace("workload") as workload:
        wire((machine, "sw-guard-l", ("10.66.0.1/16",)), (workload, "eth0", ("10.66.0.2/16",)))
        workload.ip("route", "add", "default", "via", "10.66.0.1")
        yield machine, workload


def test_a_health_check_runs_once_the_program_was_started(
    lifeline: str, spaces: tuple[Namespace, Namespace], tmp_path: Path
):
    machine, workload = spaces
    began = tmp_path / "began"
    argv = [
        *workload.inside,
        "unshare",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
        lifeline,
    ]
    program = ["sh", "-c", f"touch {began}; sleep 60"]
    outer = subprocess.Popen([*argv, "run", "--drain", "0", "--guarded", "--", *program])
    try:
        inner = int(eventually("it runs", lambda: _child(outer.pid)))
        inside = ["nsenter", "--target", str(inner), "--all", lifeline, "guarded", "--"]

        def checked(*words: str) -> tuple[int, str]:
            done = subprocess.run([*inside, *words], capture_output=True, text=True, check=False)
            return done.returncode, done.stdout

        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            assert checked("echo", "ran") == (1, "")
        assert not began.exists()
        machine.nft(render.script("slipway-machines", "sw-guard-", "sw-guard-l", Policy(), Facts()))
        eventually("the program was started", began.exists)
        assert checked("echo", "ran") == (0, "ran\n")
        assert checked("/none") == (127, "")
    finally:
        outer.kill()
        outer.wait(10)


def _child(pid: int) -> str:
    """Of the program that made the namespaces; nothing while it is not lifeline yet."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().strip()
    return found if found and Path(f"/proc/{found}/comm").read_text() == "lifeline\n" else ""
