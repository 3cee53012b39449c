"""Engines of the tests' own, each in a network namespace of its own: machines that differ from
this one. Nothing of them reaches beyond the namespaces, and nothing of this machine's engine is
touched. Needs root and the programs dockerd, ip and nsenter."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.e2e.instance import ROOT

NAME = f"slipway-m{os.getpid()}"
IMAGE = "python:3.13-slim"


def run(*argv: str, check: bool = True) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert not check or done.returncode == 0, f"{' '.join(argv)}: {done.stderr}"
    return done.stdout.strip()


class Machine:
    """`with Machine(1) as one:` has the address 10.99.0.1 and, until the end of the
    `with`, an engine that answers at `one.socket`. Several of them reach one another.
    `disk`: the engine's data is on a file system in memory of this size (`3g`)."""

    def __init__(self, number: int, *options: str, disk: str = "") -> None:
        self.name = f"{NAME}-{number}"
        self.address = f"10.99.0.{number}"
        self.folder = Path(f"/tmp/{self.name}")  # short: a socket's path has at most 108 bytes
        self.socket = f"unix://{self.folder}/engine.sock"
        self.inside = ("nsenter", f"--net=/run/netns/{self.name}")
        self.data = self.folder / "data"
        self._options, self._disk = options, disk
        self._daemon: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        assert os.geteuid() == 0, "an engine of the tests' own needs root"
        self.data.mkdir(parents=True)
        run("ip", "netns", "add", self.name)
        try:
            if self._disk:
                size = f"size={self._disk}"
                run("mount", "-t", "tmpfs", "-o", size, "tmpfs", str(self.data))
            run(*self.inside, "ip", "link", "set", "lo", "up")
            run(*self.inside, "ip", "link", "add", "bridge0", "type", "bridge")
            run(*self.inside, "ip", "addr", "add", "10.98.0.1/24", "dev", "bridge0")
            run(*self.inside, "ip", "link", "set", "bridge0", "up")
            self._start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def _start(self) -> None:
        at = {"data-root": "data", "exec-root": "exec", "pidfile": "engine.pid"}
        argv = [*self.inside, "dockerd", "--bridge=bridge0", f"--host={self.socket}"]
        argv += [f"--{option}={self.folder / name}" for option, name in at.items()]
        log = (self.folder / "engine.log").open("wb")
        self._daemon = subprocess.Popen([*argv, *self._options], stdout=log, stderr=log)
        for _ in range(150):
            if self.docker("version", "--format", "{{.Server.Version}}", check=False):
                return
            assert self._daemon.poll() is None, (self.folder / "engine.log").read_text()[-3000:]
            time.sleep(0.2)
        raise AssertionError(f"{self.name}: the engine does not answer in 30 s")

    def ends(self, how: signal.Signals) -> None:
        """The engine, and is started again."""
        assert self._daemon is not None
        self._daemon.send_signal(how)
        self._daemon.wait(30)
        self._start()

    def docker(self, *argv: str, check: bool = True) -> str:
        return run("docker", "--host", self.socket, *argv, check=check)

    def script(self, name: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """One of the scripts of `infra`, on this machine."""
        return self.program("sh", str(ROOT / "infra" / name), environment=environment)

    def program(
        self, *argv: str, environment: Mapping[str, str], seconds: float = 100
    ) -> subprocess.CompletedProcess[str]:
        """Run on this machine, with its engine."""
        cache = {"SLIPWAY_CACHE": str(self.folder / "cache"), "DOCKER_HOST": self.socket}
        return subprocess.run(
            [*self.inside, *argv],
            env={**os.environ, **cache, **environment},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def __exit__(
        self, _k: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None
    ) -> None:
        if self._daemon is not None:
            self.docker("swarm", "leave", "--force", check=False)
            self._daemon.send_signal(signal.SIGTERM)
            try:
                self._daemon.wait(30)
            except subprocess.TimeoutExpired:
                self._daemon.kill()
                self._daemon.wait(10)
        for mounted in reversed(Path("/proc/mounts").read_text().splitlines()):
            if (place := mounted.split()[1]).startswith(f"{self.folder}/"):
                run("umount", "--lazy", place, check=False)
        run("ip", "netns", "delete", self.name, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)


def load(machine: Machine) -> None:
    """What tasks are made of there, from this machine's engine."""
    saved = subprocess.Popen(["docker", "save", IMAGE], stdout=subprocess.PIPE)
    load = ["docker", "--host", machine.socket, "load", "--quiet"]
    subprocess.run(load, stdin=saved.stdout, stdout=subprocess.DEVNULL, check=True)
    assert saved.wait() == 0


def cabled(machines: Sequence[Machine]) -> None:
    """One cable between two machines."""
    one, other = machines
    ends = {one: f"{NAME[-9:]}a", other: f"{NAME[-9:]}b"}
    run("ip", "link", "add", ends[one], "type", "veth", "peer", "name", ends[other])
    for machine, end in ends.items():
        run("ip", "link", "set", end, "netns", machine.name)
        run(*machine.inside, "ip", "addr", "add", f"{machine.address}/24", "dev", end)
        run(*machine.inside, "ip", "link", "set", end, "up")
