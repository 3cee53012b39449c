"""`make up` looks at its ports before anything else."""

import os
import socket
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "infra/ports.sh"


def free() -> int:
    """A port that is free, and so is the one that is 1000 higher."""
    while True:
        with socket.socket() as one, socket.socket() as other:
            one.bind(("", 0))
            port = one.getsockname()[1]
            try:
                other.bind(("", port + 1000))
            except (OSError, OverflowError):
                continue
            return port


def looked(tmp_path: Path, **ports: str) -> tuple[int, str]:
    """The exit code and what was said, where no engine answers."""
    (tmp_path / "docker").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "docker").chmod(0o755)
    found = subprocess.run(
        ["/bin/sh", SCRIPT],
        env={
            "PATH": f"{tmp_path}:{os.environ['PATH']}", "SLIPWAY_INSTANCE": "of-a-test",
            "SLIPWAY_CACHE": str(tmp_path), **ports,
        },
        check=False, capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    return found.returncode, found.stderr


def ports() -> dict[str, str]:
    chosen: set[int] = set()
    while len(chosen) < 3:
        chosen.add(free())
    names = ("HTTP_PORT", "HTTPS_PORT", "API_PORT")
    return dict(zip(names, map(str, chosen), strict=True))


def test_ports_that_are_free(tmp_path: Path):
    assert looked(tmp_path, **ports()) == (0, "")


@pytest.mark.parametrize("port", ["abc", "0", "080", "65536", "66000", "70000", "100000", "8 0"])
@pytest.mark.parametrize("name", ["API_PORT", "REGISTRY_PORT"])
def test_what_is_no_port_is_named(tmp_path: Path, name: str, port: str):
    code, said = looked(tmp_path, **{**ports(), name: port})
    assert (code, f"{name}={port} is not a port" in said) == (1, True), said


def test_two_of_ours_are_not_the_same(tmp_path: Path):
    chosen = ports()
    registry = str(int(chosen["API_PORT"]) + 1000)
    code, said = looked(tmp_path, **{**chosen, "HTTP_PORT": registry})
    assert (code, f"port {registry} (REGISTRY_PORT) is another of ours too" in said) == (1, True)
