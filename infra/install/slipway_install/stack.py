"""The control plane's stack: network, volumes, and the services in the order of their needs."""

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from slipway.contracts import labels

from slipway_install import egress, engine
from slipway_install.errors import InstallError
from slipway_install.settings import Settings

FILE = Path("/opt/slipway/install/stack.yml")
SAMPLE_FILE = Path("/opt/slipway/install/stack-sample.yml")
VOLUMES = ("nats", "mongo", "traefik", "builder", "registry", "lifeline", "anchors")
STORAGE = ("nats", "mongo")
_EXITS = 4
"""So many failed tasks of one service within a wait are a crash loop, not a late dependency."""
_STANDS_STILL = timedelta(seconds=20)
"""A node whose disk was full may have lost how a task ended; the manager then waits for ever for
one that it believes to be on its way. Images are there, so that none is for so long."""
_OVER = {"failed", "rejected", "complete", "shutdown", "orphaned", "remove"}


def ensure_network(settings: Settings) -> None:
    name = settings.named("control")
    if name not in engine.names("network", settings.instance):
        engine.run(
            "network", "create", "--driver", "overlay", "--attachable", *_label(settings), name
        )


def ensure_volumes(settings: Settings) -> None:
    existing = engine.names("volume", settings.instance)
    for name in map(settings.named, VOLUMES):
        if name not in existing:
            engine.run("volume", "create", *_label(settings), name)


def serving(settings: Settings) -> bool:
    """Whether the services were started before: then streams and permissions are there."""
    gateway = engine.inspect("service", settings.named("api-gateway"))
    return gateway is not None and gateway["Spec"]["Mode"]["Replicated"]["Replicas"] > 0


def deploy(settings: Settings, nats_conf: str, *, services: bool) -> None:
    """Make the stack equal to its file; without `services` the storage runs alone. What is equal
    already is left alone by the engine."""
    files = ["--compose-file", str(FILE)]
    if settings.first_owner and services:
        files += ["--compose-file", str(SAMPLE_FILE)]
    engine.run(
        "stack", "deploy", "--detach", "--prune", "--resolve-image", "never",
        *files, settings.instance,
        environment={
            "SERVICE_REPLICAS": "1" if services else "0",
            "SLIPWAY_NATS_CONF": nats_conf,
            "SLIPWAY_NODE": engine.node_id(),
            "SLIPWAY_NODES": " ".join(engine.node_addresses()),
            "SLIPWAY_EGRESS_BRIDGES": labels.egress_bridges(settings.instance),
            "SLIPWAY_EGRESS_APART": labels.workloads_bridges(settings.instance),
            "SLIPWAY_EGRESS_SET": egress.set_by_operator(settings),
            "SLIPWAY_EGRESS_ALLOW": egress.allowed(settings),
        },
    )  # fmt: skip


def wait(settings: Settings, only: tuple[str, ...] = (), seconds: float = 120) -> int:
    """Until the stack's services (or `only` some of them) run as their file says; their number.

    Raises InstallError with the last error and log lines of a service that does not get there.
    """
    chosen = [settings.named(name) for name in only]
    end = time.monotonic() + seconds
    failed_before: dict[str, int] = {}
    forced: set[str] = set()
    while True:
        services = _services(settings, chosen)
        late: list[str] = []
        for name, service in services.items():
            tasks = _tasks(name)
            failures = sum(task["Status"]["State"] in {"failed", "rejected"} for task in tasks)
            if not _converged(service, tasks):
                late.append(name)
                if name not in forced and _stands_still(tasks):
                    forced.add(name)
                    engine.run("service", "update", "--force", "--detach", name)
                if failures - failed_before.setdefault(name, failures) >= _EXITS:
                    raise _explained(name, "keeps ending")
        if not late:
            return len(services)
        if time.monotonic() > end:
            raise _explained(late[0], f"did not come up within {seconds:.0f} s")
        time.sleep(0.3)


def run_once(settings: Settings, name: str, command: list[str], secrets: list[str]) -> None:
    """Run `command` in the control image as a job of the swarm, on the control network, with
    `secrets` (`source=…,target=…`); wait for its end. Raises InstallError when it fails."""
    service = settings.named(name)
    if engine.inspect("service", service) is not None:
        engine.run("service", "rm", service)
    engine.run(
        "service", "create", "--detach", "--quiet", "--name", service,
        "--mode", "replicated-job", "--restart-condition", "none", "--no-resolve-image",
        "--network", settings.named("control"), "--endpoint-mode", "dnsrr",
        "--constraint", f"node.id=={engine.node_id()}",
        *_label(settings), "--container-label", f"{engine.INSTANCE}={settings.instance}",
        *(f"--secret={secret}" for secret in secrets),
        settings.control_image, *command,
    )  # fmt: skip
    end = time.monotonic() + 90
    while True:
        states = {task["Status"]["State"] for task in _tasks(service)}
        if "complete" in states:
            engine.run("service", "rm", service)
            return
        if {"failed", "rejected"} & states:
            raise _explained(service, "failed")
        if time.monotonic() > end:
            raise _explained(service, "did not end within 90 s")
        time.sleep(0.2)


def _label(settings: Settings) -> tuple[str, str]:
    return "--label", f"{engine.INSTANCE}={settings.instance}"


def _services(settings: Settings, chosen: list[str]) -> dict[str, dict[str, Any]]:
    """The stack's services by name, as the engine has them."""
    stack = f"label=com.docker.stack.namespace={settings.instance}"
    names = chosen or [row["Name"] for row in engine.rows("service", "ls", "--filter", stack)]
    services = json.loads(engine.run("service", "inspect", *names)) if names else []
    return {service["Spec"]["Name"]: service for service in services}


def _tasks(service: str) -> list[dict[str, Any]]:
    """The newest first."""
    while ids := engine.run("service", "ps", "--quiet", "--no-trunc", service).split():
        try:
            return json.loads(engine.run("inspect", "--type", "task", *ids))
        except engine.EngineRefused as error:
            if "not found" not in " ".join(error.evidence):  # the engine forgets old tasks
                raise
    return []


def _converged(service: dict[str, Any], tasks: list[dict[str, Any]]) -> bool:
    """As many tasks as wanted run the present specification, and no other one is left."""
    if service.get("UpdateStatus", {}).get("State") == "updating":
        return False
    replicated = service["Spec"]["Mode"].get("Replicated")
    present = _said(service["Spec"]["TaskTemplate"]["ContainerSpec"])
    left = [task for task in tasks if task["Status"]["State"] not in _OVER]
    # One on every node: this one at least.
    wanted = replicated["Replicas"] if replicated else max(len(left), 1)
    good = [
        task
        for task in left
        if task["Status"]["State"] == "running" and _said(task["Spec"]["ContainerSpec"]) == present
    ]
    return len(good) == len(left) == wanted


def _stands_still(tasks: list[dict[str, Any]]) -> bool:
    return any(
        task["DesiredState"] == "running"
        and task["Status"]["State"] in {"assigned", "accepted", "preparing"}
        and datetime.now(UTC) - datetime.fromisoformat(task["Status"]["Timestamp"]) > _STANDS_STILL
        for task in tasks
    )


def _said(specification: dict[str, Any]) -> dict[str, Any]:
    """Without what is empty: the engine adds such fields when it stores the same again."""
    return {key: value for key, value in specification.items() if value not in (None, "", {}, [])}


def _explained(service: str, what: str) -> InstallError:
    errors = [task["Status"].get("Err") for task in _tasks(service)]
    evidence = [f"task: {error}" for error in errors if error][:1]
    evidence += engine.last_lines(service, 15)
    return InstallError(
        f"the service {service} {what}", f"see docker service logs {service}", evidence
    )
