"""What the tests look at on the engine: by the docker program's argv, like an operator would."""

import json
import subprocess
import time
from typing import Any


def docker(*argv: str, input_: str | None = None, check: bool = True, seconds: float = 120) -> str:
    done = subprocess.run(
        ["docker", *argv],
        input=input_,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert not check or done.returncode == 0, f"docker {' '.join(argv)}: {done.stderr}"
    return done.stdout.strip()


def inspect(kind: str, name: str) -> dict[str, Any]:
    return json.loads(docker(kind, "inspect", name))[0]


def services(label: str) -> list[str]:
    """Names of the Swarm services with `label` (name=value)."""
    return docker("service", "ls", "-q", "--filter", f"label={label}", "--format", "{{.Name}}").split()


def containers(*filters: str) -> list[str]:
    flags = [flag for item in filters for flag in ("--filter", item)]
    return docker("ps", "-q", "--no-trunc", *flags).split()


def container_of(service: str, seconds: float = 60) -> str:
    """The id of the running container of a Swarm service."""
    deadline = time.monotonic() + seconds
    while True:
        found = containers(f"label=com.docker.swarm.service.name={service}")
        if found:
            return found[0]
        assert time.monotonic() < deadline, f"no container of {service} runs"
        time.sleep(0.1)


def eventually(what: str, check: Any, seconds: float = 60, every: float = 0.2) -> Any:
    """The first true result of `check()`; fails with its last one after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        if result := check():
            return result
        assert time.monotonic() < deadline, f"not in {seconds} s: {what} (last: {result!r})"
        time.sleep(every)
