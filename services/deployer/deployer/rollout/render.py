"""A workload as Swarm's service specification. Pure."""

from collections.abc import Mapping
from typing import Any

from slipway.contracts import labels
from slipway.contracts.values import HealthCheck
from slipway.contracts.workload import Workload

LIFELINE = "/.slipway/lifeline"
_NANO = 1_000_000_000


def swarm_service(
    *,
    instance: str,
    organization: str,
    project: str,
    environment: str,
    service: str,
    network: str,
    swarm_service: str,
    workload: Workload,
    image_config: Mapping[str, Any],
    replicas: int,
    start_interval: bool,
) -> dict[str, Any]:
    """The body for the engine's `POST /services/create`. `image_config` is the image's own
    `Config`; `start_interval`: the engine knows it (API 1.44)."""
    marks = {
        labels.INSTANCE: instance,
        labels.ORGANIZATION: organization,
        labels.PROJECT: project,
        labels.ENVIRONMENT: environment,
        labels.SERVICE: service,
        labels.WORKLOAD: workload.name,
        labels.RELEASE: swarm_service,
    }
    program = [*(image_config.get("Entrypoint") or [])]
    program += workload.command if workload.command is not None else image_config.get("Cmd") or []
    drain = workload.drain_seconds if workload.port is not None else 0.0
    container: dict[str, Any] = {
        "Image": workload.image.reference,
        "Labels": marks,
        "Env": [f"{name}={value}" for name, value in sorted(workload.environment.items())],
        "Command": [LIFELINE, "run", "--drain", f"{drain:g}", "--", *program],
        "StopGracePeriod": int((drain + 30) * _NANO),
        "Init": False,
        "Mounts": [
            {
                "Type": "volume",
                "Source": f"{instance}_lifeline",
                "Target": "/.slipway",
                "ReadOnly": True,
            }
        ],
    }
    health = _health(workload.health_check, workload.port, image_config, start_interval)
    if health is not None:
        container["HealthCheck"] = health
    node = workload.image.node
    constraints = [f"node.id=={node}"] if node else []
    limits: dict[str, int] = {}
    if workload.cpu_limit is not None:
        limits["NanoCPUs"] = int(workload.cpu_limit * _NANO)
    if workload.memory_limit is not None:
        limits["MemoryBytes"] = workload.memory_limit
    return {
        "Name": swarm_service,
        "Labels": marks,
        "TaskTemplate": {
            "ContainerSpec": container,
            "Resources": {"Limits": limits} if limits else {},
            "RestartPolicy": {"Condition": "any", "Delay": _NANO},
            "Placement": {"Constraints": constraints},
            "Networks": [{"Target": network, "Aliases": list(workload.aliases)}],
            "LogDriver": {
                "Name": "json-file",
                "Options": {"max-size": "10m", "max-file": "3"},
            },
        },
        "Mode": {"Replicated": {"Replicas": replicas}},
        "EndpointSpec": {"Mode": "dnsrr"},
    }


def _health(
    wanted: HealthCheck | None,
    port: int | None,
    image_config: Mapping[str, Any],
    start_interval: bool,
) -> dict[str, Any] | None:
    """The service's own; else the image's (None: it is left as it is); else, with a port,
    one that asks the port, so that a name leads only to tasks that listen."""
    own = (image_config.get("Healthcheck") or {}).get("Test")
    if wanted is None and own and own != ["NONE"]:
        return None
    if wanted is not None and wanted.command:
        test = ["CMD", *wanted.command]
    elif port is not None:
        path = [wanted.path] if wanted is not None and wanted.path else []
        test = ["CMD", LIFELINE, "check", str(port), *path]
    else:
        return None
    check = wanted or HealthCheck()
    interval = check.interval if start_interval else min(check.interval, 1.0)
    found = {
        "Test": test,
        "Interval": int(interval * _NANO),
        "Timeout": int(check.timeout * _NANO),
        "Retries": check.retries,
        "StartPeriod": int(check.start_period * _NANO),
    }
    if start_interval:
        found["StartInterval"] = _NANO // 4
    return found
