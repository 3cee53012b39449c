"""What the tests look at on the engine: by the docker program's argv, like an operator would."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from slipway.contracts import labels
from slipway.contracts.workload import MAIN

from tests.e2e.api import Api
from tests.e2e.instance import INSTANCE, service


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


def eventually(what: str, check: Any, seconds: float = 60, every: float = 0.2) -> Any:
    """The first true result of `check()`; fails with its last one after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        if result := check():
            return result
        assert time.monotonic() < deadline, f"not in {seconds} s: {what} (last: {result!r})"
        time.sleep(every)


# -- what there is ----------------------------------------------------------------------------


def services(label: str) -> list[str]:
    """Names of the Swarm services with `label` (name=value)."""
    filters = ("--filter", f"label={label}")
    return docker("service", "ls", *filters, "--format", "{{.Name}}").split()


def containers(*filters: str, all_: bool = False) -> list[str]:
    flags = [flag for item in filters for flag in ("--filter", item)]
    return docker("ps", "-q", "--no-trunc", *(["--all"] if all_ else []), *flags).split()


def images(label: str) -> list[str]:
    return docker("image", "ls", "-q", "--no-trunc", "--filter", f"label={label}").split()


def releases(service: str) -> list[str]:
    """The Swarm services of a service: one for each of its releases."""
    return services(f"slipway.service={service}")


def tasks(service: str) -> list[str]:
    """Its containers that run."""
    return containers(f"label=slipway.service={service}")


def settled(service: str, replicas: int = 1, seconds: float = 60) -> list[str]:
    """The containers, once one release and no container of a former one is left."""

    def only() -> list[str] | None:
        running = tasks(service)
        return running if len(releases(service)) == 1 and len(running) == replicas else None

    return eventually(f"{replicas} containers of one release", only, seconds)


def address_of(container: str, network: str) -> str:
    return inspect("container", container)["NetworkSettings"]["Networks"][network]["IPAddress"]


def running_programs(marker: str) -> list[str]:
    """Command lines of this machine that hold `marker`; those of containers are among them."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if marker in line:
            found.append(line)
    return found


def release_label(service_id: str, deployment: str, instance: str = INSTANCE) -> str:
    """Of what runs a deployment's program, and of that alone."""
    return f"{labels.RELEASE}={labels.release(instance, service_id, MAIN, deployment)}"


def made_by(service_id: str, deployment: str, instance: str = INSTANCE) -> dict[str, list[str]]:
    """What the engine has of a deployment: kind → what is there."""
    label = release_label(service_id, deployment, instance)
    found = {
        "services": services(label),
        "containers": containers(f"label={label}"),
    }
    return {kind: names for kind, names in found.items() if names}


def half_made(service_id: str, deployment: str) -> dict[str, list[str]]:
    """What a deployment that failed may not leave: kind → what is there."""
    builder = container_of(service("builder"))
    folders = docker("exec", builder, "ls", "/var/lib/slipway/builder").split()
    left = [name for name in folders if deployment in name]
    return made_by(service_id, deployment) | ({"folders": left} if left else {})


# -- the control plane ------------------------------------------------------------------------


def container_of(name: str, seconds: float = 60) -> str:
    """The id of the running container of a Swarm service."""
    label = f"label=com.docker.swarm.service.name={name}"
    return eventually(f"a container of {name}", lambda: containers(label), seconds, 0.1)[0]


def kill(name: str) -> str:
    """Kill a service of the control plane; the engine starts it again. The former container."""
    container = container_of(service(name))
    docker("kill", "--signal", "KILL", container)
    return container


@contextmanager
def away(api: Api, *names: str) -> Iterator[None]:
    """Services that don't run meanwhile. At the end they do, whatever happened."""

    def scale(replicas: int) -> None:
        wanted = [f"{service(name)}={replicas}" for name in names]
        docker("service", "scale", "--detach", *wanted)

    def there() -> list[str]:
        found = (f"label=com.docker.swarm.service.name={service(name)}" for name in names)
        return [id_ for label in found for id_ in containers(label)]

    scale(0)
    try:
        eventually(f"{names} are away", lambda: not there())
        yield
    finally:
        scale(1)
        for name in names:
            container_of(service(name))
        api.ready()
