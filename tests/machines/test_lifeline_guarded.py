"""What the engine runs in a container whose rules don't stand yet: a program waits, and so does its
health check. And of its networks the way out is not the one where somebody comes in. Lifeline
alone, in a namespace whose way out is the machine."""

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
    base = tmp_path_factory.getbasetemp()
    for folder in (made.parent, base, base.parent):
        folder.chmod(0o755)  # for another user
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


HOSTS = "127.0.0.1\tlocalhost\n10.66.0.2\tabc\n10.66.0.20\tother\n10.77.0.2\tabc\n"
LISTENS = "import socket, sys, time; s = socket.create_server((sys.argv[1], 8000)); time.sleep(60)"


@pytest.fixture
def two_networks(spaces: tuple[Namespace, Namespace]) -> Namespace:
    """The workload, on a network besides."""
    machine, workload = spaces
    wire((machine, "sw-net-l", ("10.77.0.1/16",)), (workload, "eth1", ("10.77.0.2/16",)))
    return workload


@pytest.mark.parametrize("user", ["0", "65534"], ids=["who may write the names", "who may not"])
def test_the_way_out_is_the_last_address_of_the_own_name(
    lifeline: str, two_networks: Namespace, tmp_path: Path, user: str
):
    hosts = tmp_path / "hosts"
    hosts.write_text(HOSTS)
    # What is mounted goes with the namespace.
    mounted = """mount --bind "$1" /etc/hosts
        exec setpriv --reuid "$2" "$3" run --drain 0 -- cat /etc/hosts"""
    argv = [*two_networks.inside, "unshare", "--mount", "sh", "-c", mounted, "sh", str(hosts), user]
    seen = subprocess.run([*argv, lifeline], capture_output=True, text=True, timeout=10, check=True)
    first, out, other, own = HOSTS.splitlines(keepends=True)
    assert seen.stdout == (first + other + own + out if user == "0" else HOSTS)
    assert seen.stderr == ""


@pytest.mark.parametrize(("address", "heard"), [("10.77.0.2", True), ("10.66.0.2", False)])
def test_a_program_that_listens_on_its_way_out_alone_is_not_reached(
    lifeline: str, two_networks: Namespace, address: str, heard: bool
):
    argv = [*two_networks.inside, "python3", "-c", LISTENS, address]
    server = subprocess.Popen(argv)
    check = [*two_networks.inside, lifeline, "check", "8000"]
    said = (
        "(tried 127.0.0.1, [::1], 10.77.0.2); the program listens on 8000, "
        "at an address where nobody reaches it: let it listen on 0.0.0.0"
    )

    def judged() -> bool:
        done = subprocess.run(check, capture_output=True, text=True, check=False)
        return done.returncode == 0 if heard else said in done.stdout

    try:
        eventually(said if not heard else "an answer", judged, 10)
    finally:
        server.kill()
        server.wait(10)


def _child(pid: int) -> str:
    """Of the program that made the namespaces; nothing while it is not lifeline yet."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().strip()
    return found if found and Path(f"/proc/{found}/comm").read_text() == "lifeline\n" else ""
