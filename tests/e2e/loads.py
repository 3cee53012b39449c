"""Loads beside a test: `with load_from_outside(…) as load:` and, after it, `load.report`."""

import json
import queue
import subprocess
import sys
import threading
from types import TracebackType
from typing import Any, Self

from tests.e2e.instance import HERE, MARK, network_of


class Load:
    """Runs from its first answer until the end of the `with`. Checked by `unharmed`."""

    def __init__(self, argv: list[str]) -> None:
        self.report: dict[str, Any] = {}
        self._process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)

    def __enter__(self) -> Self:
        try:
            assert json.loads(self._lines.get(timeout=30))["begun"]
        except queue.Empty:
            self._process.kill()
            raise AssertionError("the load got no answer in 30 s") from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self.report = json.loads(self._lines.get(timeout=30))
        except queue.Empty:
            if kind is None:
                raise AssertionError("the load did not end") from None
        finally:
            self._process.kill()
            self._process.wait(10)


def _options(address: str, host: str, rate: float, seconds: float) -> list[str]:
    options = ["--until-eof", "--address", address, "--host", host]
    return [*options, "--rate", str(rate), "--seconds", str(seconds)]


def load_from_outside(address: str, host: str, rate: float = 220, seconds: float = 170) -> Load:
    options = _options(address, host, rate, seconds)
    return Load([sys.executable, str(HERE / "load.py"), *options])


def load_from_inside(
    environment: str, name: str, port: int, rate: float = 220, seconds: float = 170
) -> Load:
    """The same load from a container of the environment, by the service's name."""
    argv = ["docker", "run", "--rm", "-i", "--network", network_of(environment), "--label", MARK]
    argv += ["python:3.13-slim", "python", "-c", (HERE / "load.py").read_text()]
    return Load([*argv, *_options(f"{name}:{port}", name, rate, seconds)])


def unharmed(load: Load, rate: float = 200) -> None:
    """No request failed, and there were as many as there had to be."""
    report = load.report
    seen = f"{report['failed']} of {report['requests']} requests failed: {report['failures']}"
    assert report["failed"] == 0, seen
    assert report["rate"] >= rate, f"only {report['rate']} requests/s were sent"


def gap(report: dict[str, Any]) -> dict[str, float]:
    """What was answered by 503 while neither release serves. On a machine that has much else to do
    some requests last longer than the quarter of a second that is left to finish them in: of those
    that were sent in it, before the first one was refused. Nothing else failed."""
    refused: dict[str, float] = report["refusals"]["503"]
    cut = [found for kind, found in report["refusals"].items() if kind != "503"]
    assert all(found["last"] < refused["first"] + 0.05 for found in cut), report
    assert sum(found["answers"] for found in cut) < report["rate"] / 4, report
    return refused
